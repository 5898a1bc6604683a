"""Connections to a syslog server: made when there is something to send, and again after each failure."""

from __future__ import annotations

import errno

from stayon.core.syslog import LOCAL, TLS, UDP, framed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from stayon.core.syslog import Target
else:
    import _socket as socket  # the standard module's C half: the rest (enum, selectors) costs 0.9 MB

    Protocol = object

# Where Linux, macOS and the BSDs have the socket of their syslog.
LOCAL_PATHS = ("/dev/log", "/var/run/syslog", "/var/run/log")
# For a connection, and for each message: a server that takes longer counts as away.
PATIENCE_S = 5.0


class Link(Protocol):
    """A way to a server, for one thread."""

    def send(self, data: bytes) -> None:
        """Send the message *data*, connecting first if need be. Raises ``OSError``; then it may be sent again."""
        ...

    def close(self) -> None:
        """Disconnect. Calling it twice is harmless."""
        ...


def link_to(target: Target, authorities: str, paths: Sequence[str] = LOCAL_PATHS) -> Link:
    """A link to *target*; nothing is connected yet."""
    if target.transport == LOCAL:
        return DatagramLink(lambda: _connected_locally(paths))
    if target.transport == UDP:
        return DatagramLink(lambda: _connected(target, socket.SOCK_DGRAM))
    if target.transport == TLS:
        return StreamLink(lambda: _connected_by_tls(target, authorities))
    return StreamLink(lambda: _connected(target, socket.SOCK_STREAM))


class DatagramLink:
    """Each message is a datagram, or written into a local stream with a zero after it, as syslog(3) does."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self._connect = connect
        self._socket: socket.socket | None = None

    def send(self, data: bytes) -> None:
        """Send it; where that fails, the next one has a new socket."""
        if self._socket is None:
            self._socket = self._connect()
        try:
            if self._socket.type & socket.SOCK_STREAM:
                self._socket.sendall(data + b"\0")
            else:
                self._socket.send(data)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect."""
        old, self._socket = self._socket, None
        if old is not None:
            old.close()


class StreamLink:
    """Messages with their length before them, through TCP or TLS."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._socket: Any = None

    def send(self, data: bytes) -> None:
        """Send it whole; a server that has hung up since the last one is connected to again."""
        if self._socket is not None and self._has_hung_up():
            self.close()
        if self._socket is None:
            self._socket = self._connect()
        try:
            self._socket.sendall(framed(data))
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect."""
        old, self._socket = self._socket, None
        if old is not None:
            old.close()

    def _has_hung_up(self) -> bool:
        """Whether the end was received: what is sent into such a connection is lost without an error."""
        self._socket.settimeout(0.0)
        try:
            return not self._socket.recv(1024)
        except BlockingIOError:
            return False
        except OSError as error:
            # TLS says by an exception of its own that there is nothing to be read.
            return type(error).__name__ != "SSLWantReadError"
        finally:
            self._socket.settimeout(PATIENCE_S)


def _connected(target: Target, kind: int) -> socket.socket:
    failure = OSError(errno.EHOSTUNREACH, f"{target.host} has no address")
    for family, _, protocol, _, address in socket.getaddrinfo(target.host, target.port, 0, kind):
        new = socket.socket(family, kind, protocol)
        try:
            new.settimeout(PATIENCE_S)
            new.connect(address)
        except OSError as error:
            new.close()
            failure = error
        else:
            return new
    raise failure


def _connected_by_tls(target: Target, authorities: str) -> Any:
    import socket as whole_socket
    import ssl  # 6 MB, so only for who wants it

    context = ssl.create_default_context(cafile=authorities or None)
    plain = whole_socket.create_connection((target.host, target.port), PATIENCE_S)
    try:
        return context.wrap_socket(plain, server_hostname=target.host)
    except BaseException:
        plain.close()
        raise


def _connected_locally(paths: Sequence[str]) -> socket.socket:
    failure = OSError(errno.ENOENT, "this computer has no syslog socket")
    for path in paths:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            try:
                new = socket.socket(socket.AF_UNIX, kind)
            except AttributeError:  # Windows
                raise failure from None
            try:
                new.settimeout(PATIENCE_S)
                new.connect(path)
            except OSError as error:
                new.close()
                if error.errno == errno.ENOENT:
                    break
                failure = error
            else:
                return new
    raise failure
