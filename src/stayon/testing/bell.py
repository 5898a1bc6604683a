"""A descriptor that a fake makes readable."""

from __future__ import annotations

import socket
from _thread import allocate_lock
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Bell:
    """A connection with something in it (between sockets, as every system can wait for them), made when somebody wants
    to see it. Also tells those who wait in virtual time, and so can't see a descriptor.
    """

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self._rings = self._closed = False
        self.listeners: list[Callable[[], object]] = []

    def fileno(self) -> int:
        """The descriptor that is readable from ``ring`` to ``hush``; -1 after ``close``."""
        with self._lock:
            if self._closed:
                return -1
            if self._ends is None:
                self._ends = socket.socketpair()
                for end in self._ends:
                    end.setblocking(False)
                if self._rings:
                    self._ends[1].send(b"\0")
            return self._ends[0].fileno()

    def ring(self) -> None:
        """Make it readable. From any thread."""
        with self._lock:
            if self._ends is not None and not self._rings:
                self._ends[1].send(b"\0")
            self._rings = True
        for listener in self.listeners:
            listener()

    def hush(self) -> None:
        """Make it silent again."""
        with self._lock, suppress(BlockingIOError):  # it was
            self._rings = False
            if self._ends is not None:
                self._ends[0].recv(1)

    def close(self) -> None:
        """Give the descriptors back; calling it twice is harmless."""
        with self._lock:
            self._closed = True
            ends, self._ends = self._ends or (), None
            for end in ends:
                end.close()
