"""Where the log of a service is read: in its files, and, where the journal takes it, there, as one story."""

from __future__ import annotations

import os
import threading
from collections import Counter

from stayon.cli import ask, keepers
from stayon.core.events import READABLE
from stayon.core.record import Record
from stayon.errors import StayonError, UnavailableError
from stayon.runtime.logs.follow import follow as follow_files
from stayon.runtime.logs.follow import read_last

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from stayon.cli.command import Call
    from stayon.machine import Machine
    from stayon.ports import LogReader

# Lines that are remembered, so that one which is in both places is shown once.
_REMEMBERED = 4096
_UP_TO_TIME = len('{"time":"')
_TIME = len("2025-11-23T14:36:00.123Z")


class Query(Record):
    """The last *count* lines that are *wanted*; none is, that is older than *since*."""

    count: int
    wanted: Callable[[str], bool]
    since: float | None = None


class Source(Record):
    """The files *log_name* in *directory*; and, of a service that a manager keeps, the journal, where *reader* finds
    it as *name*.
    """

    machine: Machine
    directory: str
    log_name: str
    name: str
    reader: LogReader | None

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return self.directory if self.reader is None else "the journal"


def source_of(call: Call) -> Source:
    """Where the log of the service is that *call* is about."""
    keeper = keepers.find(call)
    kept = None if keeper is None else keeper.ours
    paths = ask.peer_in(call, kept).paths
    reader = keeper.here.log_reader if keeper is not None and kept is not None else None
    return Source(call.here(), paths.places.logs, paths.log_name, keepers.name_of(call), reader)


def read(source: Source, query: Query) -> list[str]:
    """The lines, oldest first. Raises ``StayonError`` if none can be read, or there is no log."""
    lines = _in_both(source, query)
    return lines[max(0, len(lines) - query.count) :]


def _in_both(source: Source, query: Query) -> list[str]:
    """At least the last lines of each place, by their time; those that are in both, once."""
    if source.reader is None:
        return _in_files(source, query)
    try:
        kept = source.reader.last(source.name, query.count, query.wanted, query.since)
    except StayonError:
        # What is in the files is worth more than none.
        lines = _beside(source, query)
        if not lines:
            raise
        return lines
    more = _beside(source, query)
    if not more:
        return kept
    both = Counter(kept) | Counter(more)
    return sorted(both.elements(), key=lambda line: line[_UP_TO_TIME : _UP_TO_TIME + _TIME])


def follow(source: Source, query: Query, show: Callable[[str], object]) -> None:
    """*show* the lines, and then those that come, for ever. Ends by what *show* raises, or by ``KeyboardInterrupt``."""
    wait = _waiter(source.machine, source.directory)
    opener = source.machine.open_shared
    files = follow_files(source.directory, source.log_name, wait, query.count, query.wanted, opener)
    if source.reader is None:
        for line in files:
            show(line)
        return
    lines = _in_both(source, query)
    told = _Told(show, lines)
    for line in lines[max(0, len(lines) - query.count) :]:
        show(line)

    def follow_beside() -> None:
        try:
            for line in files:
                told.tell(line, "files")
        except OSError:
            return  # there are none, or none for this account; the journal is followed all the same

    threading.Thread(target=follow_beside, name="files", daemon=True).start()
    # Both begin with their last lines once more, so that nothing is missing that came meanwhile.
    for line in source.reader.follow(source.name, query.count, query.wanted, query.since):
        told.tell(line, "journal")


class _Told:
    """Shows a line once that comes from two places, and as often as it comes from one of them; *before* are known."""

    def __init__(self, show: Callable[[str], object], before: Sequence[str] = ()) -> None:
        self._show = show
        self._lock = threading.Lock()
        self._shown: dict[str, int] = Counter(before)
        self._came: dict[tuple[str, str], int] = {}

    def tell(self, line: str, place: str) -> None:
        """It has come from *place*."""
        with self._lock:
            self._came[place, line] = came = self._came.get((place, line), 0) + 1
            if came > self._shown.get(line, 0):
                self._shown[line] = came
                self._show(line)
            _forget_oldest(self._shown)
            _forget_oldest(self._came)


def _forget_oldest(memory: dict[Any, int]) -> None:
    if len(memory) > 2 * _REMEMBERED:
        for key in list(memory)[:_REMEMBERED]:
            del memory[key]


def _in_files(source: Source, query: Query) -> list[str]:
    try:
        lines = read_last(source.directory, source.log_name, query.count, query.wanted, source.machine.open_shared)
    except OSError as error:
        raise UnavailableError(
            "the log cannot be read",
            where=error.filename or source.directory,
            why=error.strerror or "",
            code="logs.unreadable",
        ) from error
    if not lines and not os.path.isdir(source.directory):
        raise UnavailableError(
            "there is no log", where=source.directory, hint="Has it been run on this account?", code="logs.none"
        )
    return lines


def _beside(source: Source, query: Query) -> list[str]:
    """What the files have, where they are not all there is."""
    try:
        return _in_files(source, query)
    except StayonError:
        return []


def _waiter(machine: Machine, directory: str) -> Callable[[float], object]:
    """Call it to wait until something happens in *directory*, or so many seconds are over."""
    watch, poller = machine.directory_watch(), machine.poller()
    watch.watch([directory], writes=True)
    fd = watch.fileno()
    if fd >= 0:
        poller.register(fd, READABLE)

    def wait(timeout_s: float) -> None:
        if poller.wait(timeout_s):
            watch.drain()

    return wait
