"""Sockets that systemd opens for a service: a unit each, as a descriptor's name is the unit's (systemd.socket(5))."""

from __future__ import annotations

from stayon.core import installation
from stayon.errors import UsageError
from stayon.platforms.systemd.quoting import line, word
from stayon.platforms.systemd.unit import OURS, socket_units, unit_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.core.installation import Installation
    from stayon.platforms.systemd.unit import Sections

SOCKET = ".socket"
_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def sections_of(wanted: Installation) -> dict[str, Sections]:
    """Its socket units, by name. Raises ``UsageError`` "systemd.socket"."""
    return {
        unit: _sections(wanted, name, address)
        for unit, (name, address) in zip(socket_units(wanted), wanted.sockets, strict=True)
    }


def starts_with_computer(wanted: Installation) -> bool:
    """Whether systemd listens from the computer's start on; else from the service's."""
    return wanted.start in (installation.AUTO, installation.DELAYED)


def _sections(wanted: Installation, name: str, address: str) -> Sections:
    if not _NAME_LETTERS.issuperset(name):
        raise UsageError(
            f"the socket {name!r} can't be called so",
            hint="Use letters, digits, '-', '_' and '.'.",
            code="systemd.socket",
        )
    stream = listened(address)
    lines = [
        ("ListenStream", word(stream)),
        ("FileDescriptorName", name),
        ("Service", unit_of(wanted.name)),
    ]
    if stream.startswith("/"):
        lines.append(("RemoveOnStop", "yes"))
    return {
        "Unit": [("Description", line(f"Socket {name} of {wanted.name}"))],
        "Socket": lines,
        "Install": [("WantedBy", "sockets.target")],
        OURS: [("Version", line(wanted.mark))],
    }


def listened(address: str) -> str:
    """*address* as ListenStream= has it: a path, a port of all interfaces, or IP:PORT; names of hosts it has not.

    Raises ``UsageError`` "systemd.socket".
    """
    if address.startswith("/"):
        return address
    host, _, port = address.rpartition(":")
    if host in ("", "*"):
        return port
    if _is_address(host.strip("[]")):
        return address
    raise UsageError(
        f"systemd can't listen at {address!r}",
        why=f"{host!r} is not an IP address",
        hint="Write 127.0.0.1:PORT, [::1]:PORT, :PORT for all interfaces, or a path.",
        code="systemd.socket",
    )


def _is_address(host: str) -> bool:
    import socket

    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False
