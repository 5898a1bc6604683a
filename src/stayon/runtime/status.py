"""The status page: one small file that says how the service is, for whoever asks without HTTP, or when it hangs."""

from __future__ import annotations

import os

from stayon.core.record import Record
from stayon.runtime.logs.values import quote, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from stayon.runtime.loop import Loop, Timer

PAGE_BYTES = 4096
_MARK = "stayon-status 1"
# A prime below 2**61: the rest of a division by it is a checksum that needs no module.
_CHECK_PRIME = 2**61 - 1
# While it is open: not on Windows, which has no pwrite either.
_CAN_BE_REMOVED = hasattr(os, "pwrite")
# How much of a text is kept, tried in this order until the page holds everything.
_TEXT_ROOMS = (1024, 384, 128, 48)
_JOB_ROOM = 128


class Status(Record):
    """What the page says. Times of day are ISO 8601 text in UTC; *beat_s* is on the monotonic clock of this boot.

    *process* tells this process from a later one with its pid: boot id and start time. *exit_code* is None while it
    lives. *beat_every_s* is how often it means to write; *log_level* is there while it isn't the configured one; *jobs*
    are flat mappings, shown as far as they fit (*jobs_left_out* says how many did not).
    """

    service: str
    instance: str
    pid: int
    process: str
    state: str
    since: str
    started_at: str
    beat_s: float
    beat_every_s: float
    status: str = ""
    ready: bool = False
    health: str = ""
    exit_code: int | None = None
    why: str = ""
    generation: int = 0
    restarts: int = 0
    probes: str = ""
    logs: str = ""
    log_level: str = ""
    jobs: tuple[Mapping[str, Any], ...] = ()
    jobs_left_out: int = 0


def page_bytes(status: Status, sequence: int, at_least: int = 0) -> bytes:
    """The page: a head with *sequence*, length and checksum, JSON a field a line, and *sequence* again at its tail.

    At most ``PAGE_BYTES`` long: texts are cut and jobs left out until it is. Padded with spaces to *at_least*.
    """
    for room in _TEXT_ROOMS:
        body = _body(status, room)
        if len(body) <= PAGE_BYTES - 128:
            break
    tail = f"{sequence}\n".encode()
    padding = b" " * (at_least - len(_head(sequence, 0, 0)) - len(body) - len(tail))
    rest = body + padding + tail
    return _head(sequence, len(rest), checksum(rest)) + rest


def _head(sequence: int, length: int, check: int) -> bytes:
    return f"{_MARK} {sequence} {length:04d} {check:019d}\n".encode()


def checksum(data: bytes) -> int:
    """A number that differs, but for one case in 10**18, when *data* does."""
    return int.from_bytes(data, "little") % _CHECK_PRIME


def page_fields(page: bytes) -> str | None:
    """The JSON text of a page, or None if it is torn, cut off, or none at all."""
    head, _, rest = page.partition(b"\n")
    words = head.split(b" ")
    numbers = all(word.isdigit() and len(word) < 20 for word in words[2:])
    if len(words) != 5 or b" ".join(words[:2]) != _MARK.encode() or not numbers:
        return None
    sequence, length, check = words[2], int(words[3]), int(words[4])
    rest = rest[:length]
    body, _, tail = rest.rstrip(b"\n").rpartition(b"\n")
    if len(rest) != length or tail.strip() != sequence or checksum(rest) != check:
        return None
    return body.decode("ascii", "replace")


def _body(status: Status, room: int) -> bytes:
    """The fields as JSON, texts cut to *room* characters, and as many jobs as there is room for."""
    fields = status.as_dict()
    del fields["jobs"], fields["jobs_left_out"]
    lines = [f'"{name}": {_scalar(value, room)}' for name, value in fields.items()]
    left = PAGE_BYTES - 256 - sum(len(line) + 2 for line in lines)
    shown: list[str] = []
    for job in status.jobs:
        pairs = (f"{quote(name, _JOB_ROOM)}: {_scalar(value, _JOB_ROOM)}" for name, value in job.items())
        text = f"{{{', '.join(pairs)}}}"
        left -= len(text) + 4
        if left < 0:
            break
        shown.append(text)
    lines.append(f'"jobs_left_out": {len(status.jobs) - len(shown)}')
    jobs = ",\n  ".join(shown)
    lines.append(f'"jobs": [\n  {jobs}\n]' if shown else '"jobs": []')
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode("ascii")


def _scalar(value: Any, room: int) -> str:
    """*value* as JSON: a number, a boolean, None, or the text of anything else, cut to *room* characters."""
    if value is None or value is True or value is False:
        return "null" if value is None else str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value) if value - value == 0 else "null"
    return quote(value if isinstance(value, str) else text_of(value), room)


class StatusPage:
    """The writer's side of the page at *path*. Nothing here raises: a page that cannot be written is counted."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.failures = 0
        self._fd = -1
        self._sequence = 0
        self._length = 0

    def publish(self, status: Status) -> bool:
        """Write the whole page by one call of the system; False if that failed."""
        try:
            self._open()
            page = page_bytes(status, self._sequence + 1, self._length)
            self._sequence += 1
            written = _write_at_start(self._fd, page)
        except (OSError, ValueError):
            written, page = -1, b""
        if written == len(page):
            self._length = max(self._length, written)
            return True
        self.failures += 1
        self.close()
        return False

    def close(self) -> None:
        """Leave the page as it is. Publishing again opens it again."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                os.close(fd)
            except OSError:  # a full or lost network disk says here what it thinks of the last write
                self.failures += 1

    def _open(self) -> None:
        """Open the page, or open it anew if somebody has removed it: cleaners of temporary directories do."""
        if self._fd >= 0 and _CAN_BE_REMOVED and os.fstat(self._fd).st_nlink == 0:
            self.close()
        if self._fd < 0:
            # The file is neither emptied nor replaced: a reader in between finds the page before.
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            self._fd = os.open(self.path, flags, 0o640)
            self._length = min(os.lseek(self._fd, 0, os.SEEK_END), PAGE_BYTES)


def _write_at_start(fd: int, page: bytes) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(fd, page, 0)
    os.lseek(fd, 0, os.SEEK_SET)  # Windows
    return os.write(fd, page)


def next_write(now_s: float, last_s: float, interval_s: float) -> float:
    """When something new is to be written: now, but not sooner than *interval_s* after the last time."""
    return max(now_s, last_s + interval_s)


class StatusWriter:
    """Publishes what *gather* gives, soon after each ``mark``, but at most once in *interval_s*. Loop's thread only."""

    def __init__(self, loop: Loop, page: StatusPage, gather: Callable[[], Status], interval_s: float = 0.25) -> None:
        self.page = page
        self._loop, self._gather, self._interval_s = loop, gather, interval_s
        self._last_s = loop.clock.monotonic() - interval_s
        self._timer: Timer | None = None

    def mark(self) -> None:
        """Something has changed."""
        if self._timer is None:
            due = next_write(self._loop.clock.monotonic(), self._last_s, self._interval_s)
            self._timer = self._loop.call_at(due, self.write_now)

    def write_now(self) -> None:
        """Publish at once: the heartbeat, and the last word before the end."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._last_s = self._loop.clock.monotonic()
        self.page.publish(self._gather())
