"""Locks that other, imaginary processes may hold."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping


class FakeFileLock:
    """*holders* is the computer's table of paths and pids, common to all its locks: a test may write into it."""

    def __init__(self, path: str, holders: MutableMapping[str, int]) -> None:
        self._path, self._holders = path, holders
        self._is_ours = False

    def acquire(self) -> int:
        """0 if it is ours now, else the pid of the holder. Never waits."""
        if not self._is_ours and self._path in self._holders:
            return self._holders[self._path]
        self._holders[self._path] = os.getpid()
        self._is_ours = True
        return 0

    def release(self) -> None:
        """Let others have it."""
        if self._is_ours:
            del self._holders[self._path]
            self._is_ours = False

    def is_intact(self) -> bool:
        """Whether the table still has it."""
        return self._is_ours and self._path in self._holders

    def keep_across_exec(self) -> None:
        """Nothing: imaginary processes don't replace themselves."""
