"""Where the probes listen: an address as text, and the listening socket for it."""

from __future__ import annotations

import errno

from stayon.core.record import Record
from stayon.errors import NotPermittedError, StayonError, UnavailableError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
else:
    import _socket as socket  # the standard module's C half: the rest (enum, selectors) costs 0.9 MB

_HOW_TO_CHANGE = "choose another with probes= or in stayon.probes.listen"
_BACKLOG = 128


class Address(Record):
    """An IP address and a port; port 0 is any that is free."""

    host: str
    port: int

    @property
    def is_ipv6(self) -> bool:
        """Whether it is one of version 6."""
        return ":" in self.host

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.is_ipv6 else f"{self.host}:{self.port}"


def parse_address(listen: str | int) -> Address:
    """*listen* as an address: 9100 (a port, on loopback), "127.0.0.1:9100", "[::1]:9100", "localhost:9100".

    To be reached from other computers it takes an address that says so, "0.0.0.0:9100". Raises ``UsageError``.
    """
    text = str(listen)
    host, colon, port_text = text.rpartition(":")
    if not colon:
        host = "127.0.0.1"
    elif host == "localhost":
        host = "127.0.0.1"
    elif host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    port = int(port_text) if port_text.isascii() and port_text.isdigit() else -1
    if not 0 <= port <= 65535 or not _is_ip(host):
        raise UsageError(
            "this is no address to listen on",
            where=text,
            hint="Write a port (9100, on loopback), or an IP address and a port: 127.0.0.1:9100, [::1]:9100.",
            code="probes.address",
        )
    return Address(host, port)


def _is_ip(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return True
    return False


def listening_socket(address: Address) -> socket.socket:
    """A non-blocking socket that listens at *address*.

    Raises ``UnavailableError`` (the port is taken, the address is not this computer's) or ``NotPermittedError``.
    """
    family = socket.AF_INET6 if address.is_ipv6 else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:  # a computer without IPv6
        raise _cannot_listen(address, error) from error
    try:
        exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
        # Elsewhere SO_REUSEADDR only forgives connections that are still closing; on Windows it would share the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR if exclusive is None else exclusive, 1)
        if address.host == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.setblocking(False)
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(address, error) from error
    return listener


def _cannot_listen(address: Address, error: OSError) -> StayonError:
    where, why = str(address), error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        return UnavailableError(
            "the probes cannot listen here, the port is in use",
            where=where,
            why=why,
            hint=f"Look for the program that listens on port {address.port}, perhaps another instance of this service; "
            f"or {_HOW_TO_CHANGE}.",
            code="probes.port-in-use",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotPermittedError(
            "the probes may not listen here",
            where=where,
            why=why,
            hint=f"Ports below 1024 take a right of their own; {_HOW_TO_CHANGE}.",
            code="probes.not-permitted",
        )
    return UnavailableError(
        "the probes cannot listen here",
        where=where,
        why=why,
        hint=f"Is it an address of this computer? If not, {_HOW_TO_CHANGE}.",
        code="probes.address-unavailable",
    )
