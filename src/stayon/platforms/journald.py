"""The journal of systemd, in its native protocol: each record with all its fields, to be searched by any of them.

https://systemd.io/JOURNAL_NATIVE_PROTOCOL/ and systemd.journal-fields(7).
"""

from __future__ import annotations

import errno
import os
import sys
from _struct import pack

from stayon.core.levels import syslog_severity

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from stayon.core.entry import Entry
else:
    import _socket as socket  # the standard module's C half: the rest (enum, selectors) costs 0.9 MB

SOCKET_PATH = "/run/systemd/journal/socket"

# How long the journal may keep one record waiting; after that, none waits until it takes one at once.
PATIENCE_S = 1

# A MESSAGE_ID is 128 bits: these, and the number of the event. Those of a service's own events would mean something
# else in each service, so only the host's have one.
MESSAGE_ID_BASE = "6c8574a6a5ea16ee098183da"
EVENTS_OF_HOST = range(10, 100)

NAME_LIMIT = 64
_PREFIXES_KEPT = 256
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_NOT_AT_BEGIN = frozenset("0123456789_")
# Fields that mean something to the journal itself (systemd.journal-fields(7)), and ours.
_TAKEN = frozenset(
    {
        "CODE_FILE", "CODE_FUNC", "CODE_LINE", "COREDUMP_UNIT", "COREDUMP_USER_UNIT", "DOCUMENTATION",
        "ERRNO", "INVOCATION_ID", "MESSAGE", "MESSAGE_ID", "OBJECT_PID", "PRIORITY", "STAYON_EVENT",
        "STAYON_INSTANCE", "STAYON_JOB", "STAYON_LOGGER", "STAYON_RECORD", "STAYON_SERVICE",
        "SYSLOG_FACILITY", "SYSLOG_IDENTIFIER", "SYSLOG_PID", "SYSLOG_RAW", "SYSLOG_TIMESTAMP", "TID",
        "UNIT", "USER_INVOCATION_ID", "USER_UNIT",
    }
)  # fmt: skip

# linux/fcntl.h: F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE; the journal takes no file without them.
_SEALS = 0x1 | 0x2 | 0x4 | 0x8
# A datagram of this size doesn't fit, or there is no memory for it.
_TOO_LARGE = frozenset({errno.EMSGSIZE, errno.ENOBUFS})
# The socket that we are connected to is not there any more; there may be a new one.
_BROKEN = frozenset({errno.ECONNREFUSED, errno.ECONNRESET, errno.ENOTCONN, errno.EPIPE, errno.EDESTADDRREQ})


def journal(source: str, _rest: str) -> Journal | None:
    """The journal of this computer for what *source* says; None if there is none."""
    return Journal(source) if os.path.exists(SOCKET_PATH) else None


def message_id(event_id: int) -> str:
    """The MESSAGE_ID of the event with that number, in hexadecimal; "" if it has none."""
    return f"{MESSAGE_ID_BASE}{event_id:08x}" if event_id in EVENTS_OF_HOST else ""


def field_name(name: str) -> str:
    """What the field *name* is called in the journal: upper case, only characters that may be there, no name of the
    journal's own or of ours.
    """
    shown = "".join(one if one in _NAME_CHARACTERS else "_" for one in name.upper())
    if not shown or shown[0] in _NOT_AT_BEGIN:
        shown = f"FIELD_{shown}"
    return shown[: NAME_LIMIT - 1] + "_" if shown in _TAKEN else shown[:NAME_LIMIT]


class Encoder:
    """Makes the datagrams of what *source*, NAME or NAME@INSTANCE, says. Any thread may call it."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._prefixes: dict[tuple[int, str, str, int], bytes] = {}
        self._names: dict[str, str] = {}

    def datagram(self, entry: Entry, record: str) -> bytes:
        """*entry*, all of whose values are text, with its line of JSON, *record*."""
        prefix = self._prefixes.get((entry.level, entry.logger, entry.job, entry.event_id)) or self._prefix(entry)
        names, fields = self._names, entry.fields
        lines = f"MESSAGE={entry.message}\nSTAYON_RECORD={record}\n"
        for name, value in fields.items():
            lines += f"{names.get(name) or self._name(name)}={value}\n"
        if lines.count("\n") != len(fields) + 2:
            return prefix + self._in_binary(entry, record)
        return prefix + lines.encode("utf-8", "backslashreplace")

    def _in_binary(self, entry: Entry, record: str) -> bytes:
        """The same where some value has a line break, and so has to say how long it is."""
        parts = [_field("MESSAGE", str(entry.message)), _field("STAYON_RECORD", record)]
        parts += [_field(self._name(name), value) for name, value in entry.fields.items()]
        return b"".join(parts)

    def _prefix(self, entry: Entry) -> bytes:
        """What many records have in common."""
        service, _, instance = self._source.partition("@")
        fields = {
            "PRIORITY": str(syslog_severity(entry.level)),
            "SYSLOG_IDENTIFIER": self._source,
            "MESSAGE_ID": message_id(entry.event_id),
            "STAYON_SERVICE": service,
            "STAYON_INSTANCE": instance,
            "STAYON_LOGGER": entry.logger,
            "STAYON_JOB": entry.job,
            "STAYON_EVENT": str(entry.event_id or ""),
        }
        prefix = b"".join(_field(name, value) for name, value in fields.items() if value)
        if len(self._prefixes) < _PREFIXES_KEPT:
            self._prefixes[entry.level, entry.logger, entry.job, entry.event_id] = prefix
        return prefix

    def _name(self, raw: str) -> str:
        name = field_name(raw)
        if len(self._names) < _PREFIXES_KEPT:
            self._names[raw] = name
        return name


def _field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "backslashreplace")
    if b"\n" not in data:
        return b"%s=%s\n" % (name.encode("ascii"), data)
    return b"%s\n%s%s\n" % (name.encode("ascii"), pack("<Q", len(data)), data)


class Journal:
    """The port ``SystemLog``: records of *source* for the journal that listens at *path*."""

    takes_all = True

    def __init__(self, source: str, path: str = SOCKET_PATH) -> None:
        self._encoder = Encoder(source)
        self._path = path
        self._socket: socket.socket | None = None
        self._is_slow = False

    def write(self, entry: Entry, text: str) -> None:
        """Send it. Waits for a journal that is busy, but not again until that has taken one at once."""
        data = self._encoder.datagram(entry, text)
        was_open = self._socket is not None
        try:
            self._send(data)
        except OSError as error:
            if error.errno not in _BROKEN or not was_open:
                raise
            self._send(data)

    def close(self) -> None:
        """Give the socket back."""
        old, self._socket = self._socket, None
        if old is not None:
            old.close()

    def _send(self, data: bytes) -> None:
        """Raises ``OSError``; then the next record has a new socket, unless the journal is only busy."""
        connected = self._socket or self._connect()
        flags = socket.MSG_DONTWAIT if self._is_slow else 0
        try:
            try:
                connected.send(data, flags)
            except OSError as error:
                if error.errno not in _TOO_LARGE:
                    raise
                _send_as_file(connected, data, flags)
            self._is_slow = False
        except BlockingIOError as error:
            self._is_slow = True
            raise OSError(errno.EAGAIN, "the journal does not answer") from error
        except OSError:
            self.close()
            raise

    def _connect(self) -> socket.socket:
        new = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            new.settimeout(None)  # whatever the program has made the default
            new.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, pack("ll", PATIENCE_S, 0))
            new.connect(self._path)
        except OSError:
            new.close()
            raise
        self._socket = new
        return new


def _send_as_file(connected: socket.socket, data: bytes, flags: int) -> None:
    """Send what is too large for a datagram as a file in memory that nobody can change any more
    (memfd_create(2)).
    """
    import fcntl

    fd = os.memfd_create("stayon-record", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        descriptor = fd.to_bytes(4, sys.byteorder)
        connected.sendmsg([], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptor)], flags)
    finally:
        os.close(fd)
