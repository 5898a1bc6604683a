"""The monitor's memory: what is kept, for how long, and what happens when it cannot be kept."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stayon.services.monitor import history
from stayon.services.monitor.alert_rule import Told
from stayon.services.monitor.history import Entry, History
from stayon.services.monitor.probes import Finding
from stayon.services.monitor.settings import Keeping
from stayon.services.monitor.states import DOWN, UP

PATIENCE_S = 10.0


class Log:
    """Keeps messages; tells who waits for one."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self._told = threading.Condition()

    def _note(self, message: str, **fields: Any) -> None:
        with self._told:
            self.messages.append((message, fields))
            self._told.notify_all()

    error = warning = notice = info = _note

    def wait(self, text: str) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            return [fields for message, fields in self.messages if text in message]

        with self._told:
            assert self._told.wait_for(found, PATIENCE_S), f"no {text!r} in {self.messages}"
        return found()[0]


class Desk:
    """What the history needs of a ``ctx``."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = str(state_dir)
        self.log = Log()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def writing(desk: Desk) -> Iterator[Callable[[History], History]]:
    """Let a history write on a thread of its own until the test is over."""
    threads: list[tuple[History, threading.Thread]] = []

    def begin(one: History) -> History:
        thread = threading.Thread(target=one.write, args=(desk,))
        thread.start()
        threads.append((one, thread))
        return one

    yield begin
    for one, thread in threads:
        one.close()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def entry(endpoint: str = "a", at: float | None = None, state: str = UP, **more: Any) -> Entry:
    moment = time.time() if at is None else at
    return Entry(
        endpoint, f"tcp://{endpoint}:1", moment, Finding(state, 0.01, "why"), state, moment, **{"told": Told(), **more}
    )


def write(one: History, desk: Desk, *entries: Entry) -> None:
    """Write *entries*, and wait until that is done."""
    for each in entries:
        one.put(each)
    one.close()
    one.write(desk)  # type: ignore[arg-type]  # a desk is all it needs


def rows(one: History) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(one.path)) as database:
        return database.execute("SELECT endpoint, at, result FROM results ORDER BY at").fetchall()


def recalled(desk: Desk, *names: str) -> tuple[History, dict[str, Any]]:
    one = History()
    return one, one.recall(names, desk)  # type: ignore[arg-type]  # as above


def test_the_last_state_is_there_after_a_restart(desk) -> None:
    """State, since when, and what people were told of it come back; only for endpoints that are still watched."""
    one, nothing = recalled(desk, "a", "b")
    told = Told(DOWN, {DOWN: 1000.0}, 3)
    write(one, desk, entry("a", 5.0, UP), entry("a", 6.0, DOWN, told=told), entry("b", 7.0))
    _again, found = recalled(desk, "a")

    assert nothing == {}
    assert list(found) == ["a"]
    assert (found["a"].state, found["a"].since, found["a"].told) == (DOWN, 6.0, told)
    assert found["a"].url == "tcp://a:1"


def test_an_endpoint_that_was_away_is_a_new_one(desk) -> None:
    """A start without an endpoint forgets how it stood: later, its name may mean something else."""
    one, _ = recalled(desk, "a")
    write(one, desk, entry("a", state=DOWN))
    recalled(desk)

    assert recalled(desk, "a")[1] == {}


def test_the_database_can_be_read_while_it_is_written(desk) -> None:
    """It is in WAL mode, so a reader does not stop the writer."""
    one, _ = recalled(desk, "a")
    with closing(sqlite3.connect(one.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM results").fetchall()
        write(one, desk, entry())

    assert len(rows(one)) == 1
    assert desk.log.messages == []


def test_history_is_bounded_by_count(desk, monkeypatch) -> None:
    """Of each endpoint the newest results stay; another endpoint's are not touched by it."""
    monkeypatch.setattr(history, "TRIM_AFTER", 10)
    one, _ = recalled(desk, "a", "b")
    one.keeping = Keeping(results=5)
    now = time.time()
    write(one, desk, entry("b", now), *(entry("a", now + number) for number in range(10)))

    assert [round(at - now) for name, at, _ in rows(one) if name == "a"] == [5, 6, 7, 8, 9]
    assert [name for name, _, _ in rows(one)].count("b") == 1


def test_history_is_bounded_by_age(desk, monkeypatch) -> None:
    """What is older than it may be goes, also that of endpoints that are watched no more."""
    monkeypatch.setattr(history, "TRIM_AFTER", 2)
    one, _ = recalled(desk, "a", "b")
    one.keeping = Keeping(age=timedelta(hours=1))
    now = time.time()
    write(one, desk, entry("gone", now - 4000), entry("a", now - 3700), entry("a", now - 3500))

    assert [(name, round(now - at)) for name, at, _ in rows(one)] == [("a", 3500)]


def test_a_database_that_is_held_loses_results_but_goes_on(desk, writing, monkeypatch) -> None:
    """What cannot be written is counted and told once it can be again; ``trouble`` says it in between."""
    monkeypatch.setattr(history, "BUSY_S", 0.01)
    one, _ = recalled(desk, "a")
    writing(one)
    with closing(sqlite3.connect(one.path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        one.put(entry("a", 1.0))
        desk.log.wait("cannot be written")
        assert "locked" in one.trouble
        holder.execute("ROLLBACK")
    one.put(entry("a", 2.0))
    told = desk.log.wait("written again")

    assert told["results_lost"] == 1
    assert one.trouble == ""
    assert [at for _, at, _ in rows(one)] == [2.0]


def test_a_full_disk_is_survived(desk, writing, monkeypatch) -> None:
    """As above, with SQLite's own "database or disk is full"."""
    one, _ = recalled(desk, "a")
    real = sqlite3.connect
    room = [1]

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        database = real(*arguments, **options)
        if room:
            database.execute(f"PRAGMA max_page_count = {room[0]}")
        return database

    monkeypatch.setattr(sqlite3, "connect", connect)
    writing(one)
    for number in range(200):
        one.put(entry("a", float(number)))
    assert "full" in desk.log.wait("cannot be written")["why"]
    room.clear()
    one.put(entry("a", 1000.0))
    desk.log.wait("written again")

    assert rows(one)[-1][1] == 1000.0


def test_a_file_that_is_no_database_is_put_aside(desk, tmp_path) -> None:
    """The monitor starts all the same, with a new file, and the old one is there to be looked at."""
    file = tmp_path / "history.sqlite"
    file.write_bytes(b"this is not a database, whatever its name says" * 100)
    one, found = recalled(desk, "a")
    write(one, desk, entry())

    assert found == {}
    assert (tmp_path / "history.sqlite.broken").read_bytes().startswith(b"this is not")
    assert len(rows(one)) == 1


def test_what_a_later_version_has_written_does_no_harm(desk) -> None:
    """A word that this version does not know counts as nothing known."""
    one, _ = recalled(desk, "a")
    write(one, desk, entry("a", told=Told("on fire", {}, 1)))

    assert recalled(desk, "a")[1]["a"].told.state == UP


def test_a_directory_that_cannot_be_used_is_told(desk) -> None:
    """Without a place for the history there is a line in the log, and the watching goes on."""
    desk.state_dir += "/missing"
    one, found = recalled(desk, "a")
    write(one, desk, entry())

    assert found == {}
    assert "cannot be read" in desk.log.messages[0][0]
    assert "unable to open" in one.trouble
