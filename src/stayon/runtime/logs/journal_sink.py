"""All of the log into a log of the computer's own that takes all, and into the log file while that takes nothing."""

from __future__ import annotations

from stayon.runtime.logs.plain import plain
from stayon.runtime.logs.stamps import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from stayon.core.entry import Entry
    from stayon.ports import SystemLog
    from stayon.runtime.logs.file_sink import FileSink
    from stayon.runtime.logs.pipeline import Pipeline


class JournalSink:
    """Gives *log* what has at least the level ``least``; a sink of *pipeline*, which is told, and counts.

    ``file`` has what the log did not take; None, where a sink of its own writes all there anyway.
    """

    def __init__(self, pipeline: Pipeline, log: SystemLog, file: FileSink | None = None) -> None:
        self.least = 0
        self.file = file
        # A sink gets whole entries here only, so this is where they are taken; nothing is left to be written.
        self.render: Callable[[Entry, bytes], bytes] | None = self._take
        self._pipeline, self._log = pipeline, log
        # Since when the log takes nothing (0: it does), and how many records have gone elsewhere since.
        self._since, self._diverted = 0.0, 0

    def write(self, data: bytes, level: int) -> None:
        """Nothing: ``render`` has done it."""

    def reopen(self) -> None:
        """Let the file be a new one, if it was moved away."""
        if self.file is not None:
            self.file.reopen()

    def close(self) -> None:
        """Give the log back, and the file."""
        try:
            self._log.close()
        finally:
            if self.file is not None:
                self.file.close()

    def _take(self, entry: Entry, line: bytes) -> bytes:
        if entry.level >= self.least:
            try:
                self._log.write(plain(entry), line[:-1].decode("ascii"))
            except OSError as error:
                self._divert(entry, line, error)
            else:
                if self._since:
                    self._tell_back()
        return b""

    def _divert(self, entry: Entry, line: bytes, error: OSError) -> None:
        if self.file is not None:
            self.file.write(line, entry.level)  # if this fails, too, the record is lost, and counted as such
        self._diverted += 1
        self._pipeline.diverted += 1
        if not self._since:
            self._since = entry.time
            self._pipeline.logger("stayon.log").warning(
                "the journal takes no records; until it does, they are in the log file only",
                event_id=38,
                why=error.strerror or str(error),
            )

    def _tell_back(self) -> None:
        count, since = self._diverted, text_of(self._since)
        self._since, self._diverted = 0.0, 0
        self._pipeline.logger("stayon.log").notice(
            "the journal takes records again; those in between are in the log file only",
            event_id=39,
            records=count,
            since=since,
        )
