"""Somebody who keeps sockets for a service, and hands them to its next start."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class FakeSocketStore:
    """A store whose sockets are put there by calls of ``hand_over``. What is kept is in ``kept``, as duplicates, and is
    what ``next_start`` hands over.
    """

    def __init__(self) -> None:
        self.kept: dict[str, tuple[int, ...]] = {}
        self._inherited: dict[str, tuple[int, ...]] = {}

    def hand_over(self, name: str, *fds: int) -> None:
        """Let the service find *fds*, which are its own from now on, as *name*."""
        self._inherited[name] = fds

    def next_start(self) -> FakeSocketStore:
        """What the next process finds."""
        following = FakeSocketStore()
        following._inherited = self.kept
        return following

    def inherited(self) -> Mapping[str, tuple[int, ...]]:
        """The descriptors that were handed over, by name."""
        return self._inherited

    def keep(self, name: str, fd: int) -> bool:
        """Keep *fd* as *name*. Raises ``OSError`` if it isn't open."""
        self.kept[name] = (*self.kept.get(name, ()), os.dup(fd))
        return True

    def forget(self, name: str) -> None:
        """Keep those of *name* no more; harmless if there are none."""
        for fd in self.kept.pop(name, ()):
            os.close(fd)

    def close(self) -> None:
        """Give back what is kept. Calling it twice is harmless."""
        for name in tuple(self.kept):
            self.forget(name)
