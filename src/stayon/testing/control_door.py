"""A control door without a file system: the visitors are socket pairs."""

from __future__ import annotations

import os
import socket
from collections import deque

from stayon.errors import TemporaryError, UnavailableError
from stayon.testing.bell import Bell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from stayon.ports import ControlSocket


class FakeControlDoor:
    """Doors are found by path, in this object only. ``visitor_uid`` is the account that the next visitors have.

    ``listeners`` are called when somebody knocks; what a visitor sends later on wakes nobody who waits in virtual time.
    """

    def __init__(self) -> None:
        self.visitor_uid = os.geteuid() if hasattr(os, "geteuid") else 0
        self._own_uid = self.visitor_uid
        self._doors: dict[str, FakeDoor] = {}
        self.listeners: list[Callable[[], object]] = []

    def open(self, path: str) -> FakeDoor:
        """Listen at *path*. Raises ``TemporaryError`` if somebody does already."""
        old = self._doors.get(path)
        if old is not None and old.fileno() != -1:
            raise TemporaryError("another process listens on the control socket", where=path, code="control.in-use")
        door = self._doors[path] = FakeDoor()
        door.bell.listeners = self.listeners
        return door

    def accept(self, door: ControlSocket) -> socket.socket | None:
        """The next visitor, non-blocking; None if there is none, or it has a foreign account."""
        if not isinstance(door, FakeDoor):
            raise TypeError(f"{door!r} was not opened here")
        door.bell.hush()
        if not door.visitors:
            return None
        uid, visitor = door.visitors.popleft()
        if door.visitors:
            door.bell.ring()
        if uid not in (0, self._own_uid):
            visitor.close()
            return None
        visitor.setblocking(False)
        return visitor

    def connect(self, path: str, timeout_s: float) -> socket.socket:
        """A connection with *timeout_s* (of real time) for each answer.

        Raises ``UnavailableError`` if nobody listens.
        """
        door = self._doors.get(path)
        if door is None or door.fileno() == -1:
            raise UnavailableError(
                "no service answers", where=path, hint="Is the service running?", code="control.nobody"
            )
        ours, theirs = socket.socketpair()
        ours.settimeout(timeout_s)
        door.visitors.append((self.visitor_uid, theirs))
        door.bell.ring()
        return ours

    def mark(self, path: str) -> FakeDoor | None:
        """The door at *path*, None if there is none."""
        return self._doors.get(path)

    def remove(self, path: str) -> None:
        """Take the door's name away; a missing one is ignored."""
        self._doors.pop(path, None)


class FakeDoor:
    """A door that is listened at: its descriptor is readable while visitors wait."""

    def __init__(self) -> None:
        self.bell = Bell()
        self.visitors: deque[tuple[int, socket.socket]] = deque()

    def fileno(self) -> int:
        """The descriptor, -1 when closed."""
        return self.bell.fileno()

    def recv(self, _size: int, /) -> bytes:
        """A door has nothing to read: raises ``OSError``, as a listening socket does."""
        raise OSError("a door can't be read")

    def send(self, _data: bytes, /) -> int:
        """A door takes nothing: raises ``OSError``, as a listening socket does."""
        raise OSError("a door can't be written to")

    def close(self) -> None:
        """Turn away who waits, and everybody from now on."""
        self.bell.close()
        while self.visitors:
            self.visitors.popleft()[1].close()
