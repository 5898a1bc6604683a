"""Results and last states in SQLite: written by one thread, bounded, and never a reason to stop watching."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from stayon.services.monitor.alert_rule import Told
from stayon.services.monitor.settings import Keeping
from stayon.services.monitor.states import DEGRADED, DOWN, FINDINGS, UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection
    from typing import Any

    from stayon import Context
    from stayon.services.monitor.probes import Finding

SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    endpoint TEXT NOT NULL, at REAL NOT NULL, result TEXT NOT NULL, latency_s REAL NOT NULL, why TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS results_of_endpoint ON results (endpoint, at);
CREATE INDEX IF NOT EXISTS results_by_age ON results (at);
CREATE TABLE IF NOT EXISTS states (
    endpoint TEXT PRIMARY KEY, url TEXT NOT NULL, state TEXT NOT NULL, since REAL NOT NULL,
    told TEXT NOT NULL, told_degraded_at REAL, told_down_at REAL, changes INTEGER NOT NULL
);
"""

STANDING = "SELECT endpoint, url, state, since, told, told_degraded_at, told_down_at, changes FROM states"

# How long to wait for somebody else who holds the database, such as a backup.
BUSY_S = 1.0
# After so many results of an endpoint, what is too old or too much is deleted.
TRIM_AFTER = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One result, and how the endpoint stands after it. Moments are the wall clock's."""

    endpoint: str
    url: str
    at: float
    finding: Finding
    state: str
    since: float
    told: Told


@dataclass(frozen=True, slots=True)
class Remembered:
    """How an endpoint stood when the monitor was last running."""

    url: str
    state: str
    since: float
    told: Told


class History:
    """``recall`` once, at the start; ``put`` from any thread; ``write`` is the thread that writes.

    *keeping* may be replaced at any time. *trouble* is why the last results could not be written, or nothing.
    """

    def __init__(self) -> None:
        self.keeping = Keeping()
        self.path = self.trouble = ""
        self._queue: SimpleQueue[Entry | None] = SimpleQueue()
        self._database: sqlite3.Connection | None = None
        self._lost = 0
        self._untrimmed: Counter[str] = Counter()

    def put(self, entry: Entry) -> None:
        """Have *entry* written. Never blocks."""
        self._queue.put(entry)

    def close(self) -> None:
        """Let ``write`` return when it has written everything that was put."""
        self._queue.put(None)

    def recall(self, endpoints: Collection[str], ctx: Context) -> dict[str, Remembered]:
        """How *endpoints* stood; the others are forgotten. Makes the database, in the state directory of *ctx*.

        A file that is no database is put aside, with ``.broken`` behind its name. Raises nothing: without a history the
        watching goes on.
        """
        import sqlite3

        self.path = os.path.join(ctx.state_dir, "history.sqlite")
        try:
            return self._recall(endpoints)
        except (sqlite3.Error, OSError) as error:
            why, code = str(error), getattr(error, "sqlite_errorcode", None)
        ctx.log.error("the history cannot be read, so nothing is remembered", file=self.path, why=why)
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            self._put_aside(ctx)
        return {}

    def _recall(self, endpoints: Collection[str]) -> dict[str, Remembered]:
        with closing(self._opened()) as database, database:
            rows = database.execute(STANDING).fetchall()
            gone = [(row[0],) for row in rows if row[0] not in endpoints]
            database.executemany("DELETE FROM states WHERE endpoint = ?", gone)
        return {row[0]: _remembered(row) for row in rows if row[0] in endpoints}

    def _put_aside(self, ctx: Context) -> None:
        for ending in ("-wal", "-shm"):  # SQLite would take them for the new file's
            with suppress(FileNotFoundError):
                os.remove(f"{self.path}{ending}")
        os.replace(self.path, f"{self.path}.broken")
        ctx.log.warning("the broken history was put aside", file=f"{self.path}.broken")

    def write(self, ctx: Context) -> None:
        """Write what is put until ``close``; for a thread of its own. What is lost is counted, and told afterwards."""
        going_on = True
        while going_on:
            entries = [self._queue.get()]
            while True:
                try:
                    entries.append(self._queue.get_nowait())
                except Empty:
                    break
            going_on = None not in entries
            self._write_or_count([entry for entry in entries if entry is not None], ctx)
        if self._database is not None:
            self._database.close()

    def _write_or_count(self, entries: list[Entry], ctx: Context) -> None:
        import sqlite3

        try:
            self._write(entries)
            trouble = ""
        except (sqlite3.Error, OSError) as error:
            trouble = str(error) or type(error).__name__
            self._lost += len(entries)
            self._reopen_next_time()
        before, self.trouble = self.trouble, trouble
        if trouble and not before:
            ctx.log.error("the history cannot be written; watching goes on", file=self.path, why=trouble)
        if before and not trouble:
            ctx.log.warning("the history is written again", results_lost=self._lost)
            self._lost = 0

    def _reopen_next_time(self) -> None:
        """The file may have been taken away or replaced, so a new connection is needed to see what is there."""
        import sqlite3

        database, self._database = self._database, None
        with suppress(sqlite3.Error):  # the trouble has been told
            if database is not None:
                database.close()

    def _write(self, entries: list[Entry]) -> None:
        if not entries:
            return
        if self._database is None:
            self._database = self._opened()
        with self._database as database:
            database.executemany(
                "INSERT INTO results VALUES (?, ?, ?, ?, ?)",
                [(one.endpoint, one.at, one.finding.state, one.finding.latency_s, one.finding.why) for one in entries],
            )
            database.executemany("INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?, ?, ?, ?, ?)", map(_state, entries))
            self._untrimmed.update(each.endpoint for each in entries)
            for endpoint, count in list(self._untrimmed.items()):
                if count >= TRIM_AFTER:
                    self._trim(database, endpoint)

    def _trim(self, database: sqlite3.Connection, endpoint: str) -> None:
        database.execute("DELETE FROM results WHERE at < ?", (time.time() - self.keeping.age.total_seconds(),))
        database.execute(
            "DELETE FROM results WHERE endpoint = :endpoint AND at < "
            "(SELECT at FROM results WHERE endpoint = :endpoint ORDER BY at DESC LIMIT 1 OFFSET :kept - 1)",
            {"endpoint": endpoint, "kept": self.keeping.results},
        )
        del self._untrimmed[endpoint]

    def _opened(self) -> sqlite3.Connection:
        import sqlite3

        database = sqlite3.connect(self.path, timeout=BUSY_S)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.executescript(SCHEMA)
        except BaseException:
            database.close()
            raise
        return database


def _state(entry: Entry) -> tuple[object, ...]:
    told = entry.told
    told_at = (told.at.get(DEGRADED), told.at.get(DOWN))
    return (entry.endpoint, entry.url, entry.state, entry.since, told.state, *told_at, told.changes)


def _remembered(row: tuple[Any, ...]) -> Remembered:
    _endpoint, url, state, since, told, degraded_at, down_at, changes = row
    told_at = {DEGRADED: degraded_at, DOWN: down_at}
    at = {each: moment for each, moment in told_at.items() if moment is not None}
    return Remembered(url, state, since, Told(told if told in FINDINGS else UP, at, changes))
