"""What is sent to a syslog server, and how its address is written. Pure.

RFC 5424 (the message), 5426 (by UDP), 6587 and 5425 (by TCP and TLS: each message with its length before it), and 3164
for the socket of this computer's own, as that is what syslog(3) sends there and its daemons expect.
"""

from __future__ import annotations

from stayon.core.levels import syslog_severity
from stayon.core.record import Record
from stayon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from stayon.core.entry import Entry

LOCAL = "local"
UDP = "udp"
TCP = "tcp"
TLS = "tls"
PORTS = {UDP: 514, TCP: 601, TLS: 6514}

# RFC 5424, section 6.2.1, table 1: those that a service may have.
_NAMED = {"user": 1, "mail": 2, "daemon": 3, "auth": 4, "news": 7, "uucp": 8, "cron": 9, "authpriv": 10, "ftp": 11}
FACILITIES = {**_NAMED, **{f"local{number}": 16 + number for number in range(8)}}

# Bytes of a message: what rsyslog takes unless it is told otherwise; by UDP, a third of it has to find room as well.
LIMIT = 8192
_VALUE_LIMIT = 1024
_ELEMENT_LIMIT = 2048
_NIL = "-"
_BOM = b"\xef\xbb\xbf"
# The number that RFC 5612 keeps for examples: nobody has assigned us one.
_ENTERPRISE = "32473"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Target(Record):
    """Where a server is: *transport* is one of the names above; *host* and *port* are not for LOCAL."""

    transport: str
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}://{host}:{self.port}" if self.host else self.transport


class Speaker(Record):
    """Who sends: the *facility*'s number, the computer's name, the service, its instance and its process."""

    facility: int
    host: str
    service: str
    instance: str
    pid: int


def parse_target(text: str) -> Target:
    """*text* as a target: "local", "udp://HOST", "tcp://HOST:601", "tls://[::1]:6514". Raises ``UsageError``."""
    transport, colon, rest = text.partition("://")
    if text == LOCAL:
        return Target(LOCAL)
    host, port = _host_and_port(rest)
    number = int(port) if port.isascii() and port.isdigit() else PORTS.get(transport, 0) if not port else 0
    if not colon or transport not in PORTS or not _is_host(host) or not 1 <= number <= 65535:
        raise UsageError(
            "this is no syslog server",
            where=text,
            hint='Write "local", "udp://HOST:514", "tcp://HOST:601" or "tls://HOST:6514".',
            code="config.syslog",
        )
    return Target(transport, host, number)


def _host_and_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":") if rest.startswith(":") or not rest else "?"
    host, colon, port = text.partition(":")
    return host, port or ("?" if colon else "")


def _is_host(text: str) -> bool:
    return text != "" and text.isprintable() and not set(text) & set(" /@?#[]")


def message(entry: Entry, stamp: str, speaker: Speaker) -> bytes:
    """*entry*, all of whose values are text, of the moment *stamp* (RFC 3339), as RFC 5424 has it; ``LIMIT`` at
    most.
    """
    header = (
        f"<{_priority(entry, speaker)}>1 {stamp} {_name(speaker.host, 255)} {_name(speaker.service, 48)} {speaker.pid} "
        f"{_name(str(entry.event_id or ''), 32)} {_elements(entry, speaker)} "
    )
    text = str(entry.message)
    # Text that is all ASCII needs no mark, and who doesn't know the mark shows it as part of the text.
    return _fitted(header.encode("utf-8", "backslashreplace") + (b"" if text.isascii() else _BOM), text)


def traditional(entry: Entry, local_time: tuple[int, ...], speaker: Speaker) -> bytes:
    """*entry* as syslog(3) sends it; *local_time* begins with year, month, day, hour, minute and second."""
    _, month, day, hour, minute, second, *_ = local_time
    name = f"{speaker.service}@{speaker.instance}" if speaker.instance else speaker.service
    header = (
        f"<{_priority(entry, speaker)}>{_MONTHS[month - 1]} {day:2d} {hour:02d}:{minute:02d}:{second:02d} "
        f"{_name(name, 48)}[{speaker.pid}]: "
    )
    return _fitted(header.encode("ascii"), str(entry.message))


def framed(data: bytes) -> bytes:
    """*data* with its length before it (RFC 6587, section 3.4.1)."""
    return b"%d %s" % (len(data), data)


def _priority(entry: Entry, speaker: Speaker) -> int:
    return 8 * speaker.facility + syslog_severity(entry.level)


def _name(text: str, limit: int) -> str:
    """*text* as a word of the header: printable ASCII without blanks (RFC 5424, section 6)."""
    return "".join(one if "!" <= one <= "~" else "_" for one in text[:limit]) or _NIL


def _elements(entry: Entry, speaker: Speaker) -> str:
    """The structured data: what we know, and what was given by name, as much of it as there is room for."""
    ours = {"instance": speaker.instance, "logger": entry.logger, "job": entry.job}
    known = _element("stayon", ((name, value) for name, value in ours.items() if value))
    return known + _element("fields", entry.fields.items()) or _NIL


def _element(name: str, parameters: Iterable[tuple[str, str]]) -> str:
    room, shown = _ELEMENT_LIMIT, ""
    for key, value in parameters:
        parameter = f' {_parameter_name(key)}="{_parameter_value(value)}"'
        room -= len(parameter)
        if room >= 0:
            shown += parameter
    return f"[{name}@{_ENTERPRISE}{shown}]" if shown else ""


def _parameter_name(text: str) -> str:
    return "".join("_" if one in '="]' else one for one in _name(text, 32))


def _parameter_value(text: str) -> str:
    r"""*text*, cut, with a backslash before what would end it (RFC 5424, section 6.3.3), and on one line."""
    kept = text if len(text) <= _VALUE_LIMIT else f"{text[:_VALUE_LIMIT]}..."
    if not kept.isprintable():
        kept = "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in kept)
    return kept.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _fitted(header: bytes, text: str) -> bytes:
    """*header* and as much of *text* as there is room for; where it has to be cut, it says so."""
    data = header + text[:LIMIT].encode("utf-8", "backslashreplace")
    if len(data) <= LIMIT and len(text) <= LIMIT:
        return data
    mark = f"... ({len(text)} characters in all)".encode("ascii")
    # Of a character that is cut in two, nothing is left.
    return data[: LIMIT - len(mark)].decode("utf-8", "ignore").encode("utf-8") + mark
