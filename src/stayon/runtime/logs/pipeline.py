"""From an entry to the sinks: one level for all, one lock, and an account of what could not be written."""

from __future__ import annotations

import errno
import os
import time
from _thread import allocate_lock, get_ident

from stayon.core.entry import Entry
from stayon.core.levels import INFO, NAMES, WARNING, band
from stayon.core.record import Record
from stayon.runtime.logs.encode import JsonEncoder
from stayon.runtime.logs.logger import Logger
from stayon.runtime.logs.stamps import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Sequence

    from stayon.runtime.logs.sinks import Sink
else:
    from _collections import deque  # the C half of ``collections``

# Who says what happened to the log itself.
OWN_LOGGER = "stayon.log"

_RECENT_LINE_LIMIT = 4096
_WAITING_LIMIT = 256
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Override(Record):
    """A level that holds for a while instead of the configured one; *until* as in ``Pipeline.override_level``."""

    level: int
    until: float = 0.0


class Pipeline:
    """Where all records of a process go. Written when ``emit`` returns: there is no queue to lose in a crash.

    ``level`` and ``override`` (None, unless another level holds for a while) are for reading; ``diverted`` counts the
    records that a sink had to write to where they don't belong. *now* gives seconds since 1970; ``recent`` remembers
    *keep* lines.
    ``use``, ``reopen`` and ``close`` are not for signal handlers, which may run in the midst of a write.
    """

    def __init__(
        self,
        service: str,
        instance: str = "",
        *,
        level: int = INFO,
        now: Callable[[], float] = time.time,
        keep: int = 50,
    ) -> None:
        self.level = self._configured_level = level
        self.override: Override | None = None
        self.diverted = 0
        self.now = now
        self.service, self.instance = service, instance
        self._encoder = JsonEncoder(service, instance)
        self._outlets: list[_Outlet] = []
        self._on_level: list[Callable[[int], object]] = []
        self._counts = dict.fromkeys(NAMES, 0)
        self._recent: deque[bytes] = deque(maxlen=keep)
        self._lost_before = 0
        # Not a reentrant lock: a signal handler or a finalizer that logs while this very thread writes has to wait.
        self._lock = allocate_lock()
        self._writer = 0
        self._waiting: deque[tuple[Entry, bytes]] = deque(maxlen=_WAITING_LIMIT)
        if hasattr(os, "register_at_fork"):
            # A child forked while another thread was writing would find the lock held for ever.
            # (Held by reference for good: a lock, not a pipeline.)
            reinit = self._lock._at_fork_reinit  # type: ignore[attr-defined]  # noqa: SLF001  # as threading does
            os.register_at_fork(after_in_child=reinit)

    def logger(self, name: str = "", *, job: str = "") -> Logger:
        """A logger called *name* (empty: as the service). Without *job* its records name the job that is running."""
        return Logger(self, name or self.service, job)

    def set_level(self, level: int) -> None:
        """From now on records below *level* are dropped, everywhere. Ends what ``override_level`` began."""
        self._configured_level, self.override = level, None
        self._change_level(level)

    def override_level(self, level: int, until: float = 0.0) -> Override:
        """Drop what is below *level* instead of what is configured, until ``end_override`` or ``set_level``.

        *until*, in seconds since 1970 (0: nobody knows), is only to be shown.
        """
        self.override = override = Override(level, until)
        self._change_level(level)
        return override

    def end_override(self, override: Override | None = None) -> bool:
        """Back to the configured level. With *override*: only if it is that one that holds. True if anything did."""
        if self.override is None or (override is not None and self.override is not override):
            return False
        self.set_level(self._configured_level)
        return True

    def _change_level(self, level: int) -> None:
        self.level = level
        for listener in self._on_level:
            listener(level)

    def on_level(self, listener: Callable[[int], object]) -> None:
        """Call *listener* with the level now, and whenever it is set."""
        self._on_level.append(listener)
        listener(self.level)

    def forget_level(self, listener: Callable[[int], object]) -> None:
        """Undo ``on_level``."""
        self._on_level = [other for other in self._on_level if other != listener]

    def emit(self, entry: Entry) -> None:
        """Write *entry*, whatever its level, to all sinks. Blocks as long as they do; what they raise is counted."""
        line = self._encoder.line(entry)
        me = get_ident()
        if self._writer == me:
            self._waiting.append((entry, line))
            return
        with self._lock:
            self._writer = me
            try:
                self._write(entry, line)
                if self._waiting:
                    # One round only: what the sinks log while these are written comes with the next record.
                    for _ in range(len(self._waiting)):
                        self._write(*self._waiting.popleft())
            finally:
                self._writer = 0

    def use(self, sinks: Sequence[Sink]) -> None:
        """Write to *sinks* from now on. The others are closed; one that stays keeps the account of its lost lines."""
        with self._lock:
            kept = [outlet for outlet in self._outlets if outlet.sink in sinks]
            for outlet in self._outlets:
                if outlet not in kept:
                    self._lost_before += outlet.lost_in_all
                    outlet.close()
            staying = {id(outlet.sink): outlet for outlet in kept}
            self._outlets = [staying[id(sink)] if id(sink) in staying else _Outlet(sink) for sink in sinks]

    def reopen(self) -> None:
        """Let every sink write to a new file where the old one was moved away."""
        with self._lock:
            for outlet in self._outlets:
                outlet.reopen()

    def close(self) -> None:
        """Close all sinks. Records that come later are only counted and remembered."""
        self.use(())

    def recent(self) -> list[str]:
        """The last lines of JSON, oldest first, long ones cut."""
        return [line.decode("ascii").rstrip("\n") for line in tuple(self._recent)]

    def counts(self) -> dict[str, int]:
        """Records written since the start, by the name of their level."""
        return {NAMES[level]: count for level, count in self._counts.items()}

    def lost(self) -> int:
        """Lines that a sink could not write, since the start, told already or not."""
        return self._lost_before + sum(outlet.lost_in_all for outlet in self._outlets)

    def _write(self, entry: Entry, line: bytes) -> None:
        level = entry.level
        self._counts[level if level in self._counts else band(level)] += 1
        self._recent.append(line if len(line) <= _RECENT_LINE_LIMIT else line[:_RECENT_LINE_LIMIT] + b"... (cut)\n")
        for outlet in self._outlets:
            try:
                if outlet.lost:
                    self._tell_loss(outlet, entry.time)
                sink = outlet.sink
                sink.write(line if sink.render is None else sink.render(entry, line), level)
            except Exception as error:  # noqa: BLE001  # a log that fails must not fail who logs; it is counted, and told
                outlet.count(entry.time, error)

    def _tell_loss(self, outlet: _Outlet, moment: float) -> None:
        notice = outlet.notice(moment)
        sink, line = outlet.sink, self._encoder.line(notice)
        sink.write(line if sink.render is None else sink.render(notice, line), notice.level)
        outlet.lost = 0


class _Outlet:
    """A sink with the account of what it could not write."""

    __slots__ = ("lost", "lost_in_all", "since", "sink", "why")

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.lost = 0
        self.lost_in_all = 0
        self.since = 0.0
        self.why = ""

    def count(self, moment: float, error: Exception) -> None:
        """One more line is lost, at *moment*, because of *error*."""
        if not self.lost:
            self.since = moment
        self.why = _reason(error)
        self.lost += 1
        self.lost_in_all += 1

    def notice(self, moment: float) -> Entry:
        """The record that stands where the lost ones would have."""
        lines = "1 log line was" if self.lost == 1 else f"{self.lost} log lines were"
        fields = {"lost": self.lost, "since": text_of(self.since), "why": self.why}
        return Entry(moment, WARNING, OWN_LOGGER, "", f"{lines} lost ({self.why})", 0, fields, None)

    def reopen(self) -> None:
        try:
            self.sink.reopen()
        except Exception as error:  # noqa: BLE001  # its next write fails for the same reason, and is counted
            self.why = _reason(error)

    def close(self) -> None:
        try:
            self.sink.close()
        except Exception as error:  # noqa: BLE001  # nobody is left to be told
            self.why = _reason(error)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return "disk full" if error.errno in _FULL else error.strerror or os.strerror(error.errno)
    return type(error).__name__
