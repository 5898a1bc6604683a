"""What of the log goes to the computer's own log: what its operators want to see there, and never a flood."""

from __future__ import annotations

import time

from stayon.core.entry import Entry
from stayon.core.flood import BEGIN, LET_THROUGH, RESUME, Bucket, Limit, pour
from stayon.core.levels import CRITICAL, NOTICE, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from stayon.ports import SystemLog

# What an operator wants to see there: starts and stops, reloads, and whatever somebody has to look at.
AUTO_LEVEL = NOTICE

# The Event Log has 20 MB for all programs of a computer: at this rate, the longest flood takes half a day to fill it.
LIMIT = Limit(burst=50, per_s=0.5, resume=20)

# States, the last word, why it could not start, its first failure, a hang: no flood of others may keep these out.
LIFE_EVENTS = frozenset({10, 11, 12, 13, 19})


class SystemSink:
    """Gives *log* what has at least the level ``least``, as text, at most so much of it as ``LIMIT`` says; a sink.

    *service* is who speaks where nothing else is said. *monotonic* gives seconds.
    """

    def __init__(
        self, log: SystemLog, service: str, least: int = AUTO_LEVEL, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.least = least
        # A sink gets whole entries here only, so this is where they are taken; nothing is left to be written.
        self.render: Callable[[Entry, bytes], bytes] | None = self._take
        self._log, self._service, self._monotonic = log, service, monotonic
        self._ordinary = self._of_life = Bucket(LIMIT.burst, monotonic())

    def write(self, data: bytes, level: int) -> None:
        """Nothing: ``render`` has done it."""

    def reopen(self) -> None:
        """Nothing: it is no file."""

    def close(self) -> None:
        """Tell of what was left out until now, and give the log back."""
        try:
            left_out = self._ordinary.left_out + self._of_life.left_out
            if left_out:
                self._tell(time.time(), _left_out(left_out))
        finally:
            self._log.close()

    def _take(self, entry: Entry, _line: bytes) -> bytes:
        if entry.level >= self.least:
            now = self._monotonic()
            if entry.event_id in LIFE_EVENTS or entry.level >= CRITICAL:
                before = self._of_life
                verdict, self._of_life = pour(LIMIT, before, now)
            else:
                before = self._ordinary
                verdict, self._ordinary = pour(LIMIT, before, now)
            if verdict == BEGIN:
                self._tell(entry.time, "too many records: from here on they are left out, until fewer come")
            if verdict == RESUME:
                self._tell(entry.time, _left_out(before.left_out))
            if verdict in (LET_THROUGH, RESUME):
                self._write(entry)
        return b""

    def _tell(self, moment: float, message: str) -> None:
        nothing: dict[str, object] = {}
        self._write(Entry(moment, WARNING, "stayon.log", "", message, event_id=34, fields=nothing, exception=None))

    def _write(self, entry: Entry) -> None:
        from stayon.runtime.logs.event_text import event_text

        self._log.write(entry, event_text(entry, self._service))


def _left_out(count: int) -> str:
    return f"{count} record{'s were' if count > 1 else ' was'} left out here, as too many came; the log file has them"
