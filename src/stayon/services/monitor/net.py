"""Connections on which everything, from the name to the last byte, ends at one deadline, or when the monitor stops."""

from __future__ import annotations

import io
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import NamedTuple, Self

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from ssl import SSLContext
    from typing import Any

    Address = tuple[socket.AddressFamily, Any]


class TooLateError(TimeoutError):
    """The deadline is over. The text says while doing what."""


class StoppedError(Exception):
    """The monitor is stopping: nobody waits for this any more."""


class Deadline:
    """A moment that everything has to be done by. *doing* says what is being waited for, for the message."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._began = time.monotonic()
        self.doing = "connecting"

    def elapsed_s(self) -> float:
        """The time since the beginning."""
        return time.monotonic() - self._began

    def left_s(self) -> float:
        """The time that is left. Raises ``TooLateError`` if there is none."""
        left_s = self._length_s - self.elapsed_s()
        if left_s <= 0:
            raise self.too_late()
        return left_s

    def too_late(self) -> TooLateError:
        """What to raise when a wait took until the deadline."""
        return TooLateError(f"no end within {self._length_s:g} s, while {self.doing}")


class Place(NamedTuple):
    """Where to connect to; with *context*, by TLS."""

    host: str
    port: int
    context: SSLContext | None = None


class Net:
    """Opens connections and remembers which are open, so that ``close`` ends every wait at once. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._aborts: set[Callable[[], object]] = set()
        self._lookups: dict[tuple[str, int], _Lookup] = {}

    def close(self) -> None:
        """End everything that waits, as if the connection broke, and let nothing begin: it raises ``StoppedError``."""
        with self._lock:
            self._closed = True
            aborts = list(self._aborts)
        for abort in aborts:
            abort()

    @contextmanager
    def connected(self, place: Place, deadline: Deadline) -> Iterator[Wire]:
        """A connection to *place*. Raises ``OSError`` (``TooLateError`` is one) or ``StoppedError``."""
        addresses = self._addresses(place, deadline)
        deadline.doing = "connecting"
        while True:
            address, *addresses = addresses
            wire = Wire(socket.socket(address[0], socket.SOCK_STREAM), deadline)
            with wire, self._open(wire.abort):
                try:
                    # One address that never answers must not use up the time of those behind it.
                    wire.connect(address, deadline.left_s() / (1 + len(addresses)))
                except OSError:
                    if not addresses:
                        raise
                    continue
                if place.context is not None:
                    wire.encrypt(place.context, place.host)
                yield wire
                return

    @contextmanager
    def _open(self, abort: Callable[[], object]) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise StoppedError
            self._aborts.add(abort)
        try:
            yield
        finally:
            with self._lock:
                self._aborts.discard(abort)

    def _addresses(self, place: Place, deadline: Deadline) -> list[Address]:
        """What the name means. The system's resolver knows no deadline, so a thread asks it, one for each name."""
        with suppress(OSError, UnicodeError):  # no address, but a name
            return _looked_up(place.host, place.port, socket.AI_NUMERICHOST)
        deadline.doing = f"looking up {place.host}"
        key = (place.host, place.port)
        with self._lock:
            lookup = self._lookups.get(key)
            if lookup is None:
                lookup = self._lookups[key] = _Lookup()
                threading.Thread(target=self._look_up, args=(key, lookup), name="lookup", daemon=True).start()
        with self._open(lookup.done.set):
            if not lookup.done.wait(deadline.left_s()):
                raise deadline.too_late()
        if lookup.error is not None:
            raise OSError(f"the name {place.host} cannot be looked up: {lookup.error}")
        if not lookup.addresses:
            raise StoppedError
        return lookup.addresses

    def _look_up(self, key: tuple[str, int], lookup: _Lookup) -> None:
        try:
            lookup.addresses = _looked_up(*key, 0)
        except (OSError, UnicodeError) as error:
            lookup.error = getattr(error, "strerror", None) or str(error)
        with self._lock:
            del self._lookups[key]
        lookup.done.set()


class _Lookup:
    """A question to the resolver that is under way, and its answer."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.addresses: list[Address] = []
        self.error: str | None = None


def _looked_up(host: str, port: int, flags: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _kind, _protocol, _name, address in found]


class Wire:
    """One connection. What it does raises ``TooLateError`` at the deadline, and ``OSError`` for all else."""

    def __init__(self, plain: socket.socket, deadline: Deadline) -> None:
        self._socket = plain
        self._deadline = deadline
        self.certificate: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def connect(self, address: Address, timeout_s: float) -> None:
        """Connect within *timeout_s*; that being too short is an ``OSError`` as well."""
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(address[1])
        except TimeoutError:
            self._deadline.left_s()
            raise TimeoutError(f"no answer from {address[1][0]}") from None

    def encrypt(self, context: SSLContext, host: str) -> None:
        """Go on by TLS with *host*; ``certificate`` is the one that it showed, empty if nobody verifies it."""
        self._deadline.doing = "agreeing on TLS"
        encrypted = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
        self._socket = encrypted
        self._timed(encrypted.do_handshake)
        self.certificate = dict(encrypted.getpeercert() or {})

    def send(self, data: bytes) -> None:
        """Send all of *data*."""
        self._timed(self._socket.sendall, data)

    def receive_into(self, buffer: Any) -> int:
        """Receive what has come, at least a byte; 0 at the end."""
        count: int = self._timed(self._socket.recv_into, buffer)
        return count

    def makefile(self, _mode: str) -> io.BufferedReader:
        """A file to read from: what ``http.client.HTTPResponse`` wants of a socket."""
        return io.BufferedReader(_Reader(self))

    def abort(self) -> None:
        """End what waits on another thread."""
        with suppress(OSError):  # not connected any more, or not yet: then the thread sees its deadline
            self._socket.shutdown(socket.SHUT_RDWR)

    def _timed(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self._socket.settimeout(self._deadline.left_s())
        try:
            return function(*arguments)
        except TimeoutError:
            raise self._deadline.too_late() from None


class _Reader(io.RawIOBase):
    """A wire, as ``io.BufferedReader`` wants it."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._wire.receive_into(buffer)
