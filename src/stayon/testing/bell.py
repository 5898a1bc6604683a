"""A descriptor that a fake makes readable."""

from __future__ import annotations

import os
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Bell:
    """A pipe with something in it. Also tells those who wait in virtual time, and so can't see a descriptor."""

    def __init__(self) -> None:
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        self.listeners: list[Callable[[], object]] = []

    def fileno(self) -> int:
        """The descriptor that is readable from ``ring`` to ``hush``; -1 after ``close``."""
        return self._read_fd

    def ring(self) -> None:
        """Make it readable. From any thread."""
        with suppress(BlockingIOError):  # it rings already, 65,536 times
            os.write(self._write_fd, b"\0")
        for listener in self.listeners:
            listener()

    def hush(self) -> None:
        """Make it silent again."""
        with suppress(BlockingIOError):  # it was
            os.read(self._read_fd, 65536)

    def close(self) -> None:
        """Give the descriptors back; calling it twice is harmless."""
        if self._read_fd != -1:
            os.close(self._read_fd)
            os.close(self._write_fd)
            self._read_fd = self._write_fd = -1
