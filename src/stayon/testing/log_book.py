"""A sink that keeps the last records, for a test to look at."""

from __future__ import annotations

from _collections import deque

from stayon.core.levels import NAMES
from stayon.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from stayon.core.entry import Entry


class LogRecord(Record):
    """One record as it was logged. *time* is in seconds since 1970; *level* is a name such as ``"WARNING"``."""

    time: float
    level: str
    logger: str
    job: str
    message: str
    event_id: int
    fields: Mapping[str, Any]
    exception: BaseException | None


class LogBook:
    """Keeps the last *keep* records."""

    def __init__(self, keep: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=keep)
        self.render: Callable[[Entry, bytes], bytes] | None = self._note

    def records(self) -> list[LogRecord]:
        """What is kept, oldest first."""
        return [
            LogRecord(
                entry.time, NAMES.get(entry.level, str(entry.level)), entry.logger, entry.job, str(entry.message),
                entry.event_id, entry.fields, entry.exception,
            )
            for entry in tuple(self._entries)
        ]  # fmt: skip

    def write(self, data: bytes, level: int) -> None:
        """Nothing is left to do: ``render`` has kept the record."""

    def reopen(self) -> None:
        """There is no file."""

    def close(self) -> None:
        """There is no file."""

    def _note(self, entry: Entry, _line: bytes) -> bytes:
        self._entries.append(entry)
        return b""
