"""Directories in which a test says what changes."""

from __future__ import annotations

from collections import deque

from stayon.testing.bell import Bell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class FakeDirectoryWatch:
    """``change`` is what the kernel would tell.

    ``directories`` are those watched; a test may change what lies in them.
    """

    def __init__(self) -> None:
        self.bell = Bell()
        self.directories: tuple[str, ...] = ()
        self._names: deque[str] = deque()

    def change(self, name: str = "") -> None:
        """Say that the entry *name* (empty: unknown) of a watched directory has changed. From any thread."""
        self._names.append(name)
        self.bell.ring()

    def watch(self, directories: Sequence[str], *, writes: bool = False) -> None:  # noqa: ARG002  # a test decides
        """Replace the set of watched directories. What a test calls ``change`` for is told with or without *writes*."""
        self.directories = tuple(directories)

    def fileno(self) -> int:
        """The descriptor that becomes readable on a change."""
        return self.bell.fileno()

    def drain(self) -> set[str]:
        """The names that changed since the last call. Never blocks."""
        self.bell.hush()
        return {self._names.popleft() for _ in range(len(self._names))}

    def close(self) -> None:
        """Give the descriptor back; calling it twice is harmless."""
        self.bell.close()
