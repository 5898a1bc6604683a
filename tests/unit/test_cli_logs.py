"""``logs`` where a service's log is in the journal: one story of what is there and what is in the files."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stayon import exits
from stayon.cli import log_source
from stayon.cli.command import execute
from stayon.cli.log_source import Query, Source, follow, read
from stayon.core import states
from stayon.core.installation import Managed
from stayon.errors import NotPermittedError
from stayon.runtime.service import Service
from stayon.testing import FakeMachine
from stayon.testing.installed import FakeServices

NAME = "collector"

# At the top level, as it has to be for whoever starts it later.
service = Service(NAME, description="Collects prices")


@service.every("5s")
def collect(_ctx: object) -> None:
    """A service needs something to do."""


def line(second: int, message: str, level: str = "INFO", **more: object) -> str:
    """A record of the log."""
    return json.dumps({"time": f"2030-01-31T08:00:{second:02d}.000Z", "level": level, "message": message, **more})


class FakeReader:
    """A journal with *lines*; those of ``coming`` are there for who follows. ``asked`` is what was asked for."""

    def __init__(self, lines: list[str]) -> None:
        self.lines, self.coming = lines, list[str]()
        self.asked: list[tuple[str, float | None]] = []
        self.refusal: Exception | None = None

    def last(self, name: str, count: int, wanted: Callable[[str], bool], since: float | None = None) -> list[str]:
        self.asked.append((name, since))
        if self.refusal is not None:
            raise self.refusal
        return [one for one in self.lines if wanted(one)][-count:]

    def follow(self, name: str, count: int, wanted: Callable[[str], bool], since: float | None = None) -> Iterator[str]:
        yield from self.last(name, count, wanted, since)
        yield from filter(wanted, self.coming)


class Desk:
    """A computer whose manager's services log to a journal, and somebody who types."""

    def __init__(self, machine: FakeMachine, capsys: pytest.CaptureFixture) -> None:
        self._machine, self._capsys = machine, capsys
        self.reader = FakeReader([])
        machine.services = services = FakeServices()
        services.log_reader = self.reader
        services.kept[NAME] = Managed(NAME, states.STOPPED, mark="stayon 1")
        self.services = services

    @property
    def logs(self) -> Path:
        directory = self._machine.folder / NAME / "logs"
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def write_file(self, *lines: str) -> None:
        with open(self.logs / f"{NAME}.log", "a") as file:
            file.write("".join(f"{one}\n" for one in lines))

    def say(self, *words: str) -> tuple[int, list[str], str]:
        code = execute(words, program="collector.py", service=service, machine=self._machine.ports())
        printed = self._capsys.readouterr()
        return code, printed.out.splitlines(), printed.err

    def source(self) -> Source:
        return Source(self._machine.ports(), str(self.logs), NAME, NAME, self.reader)


@pytest.fixture
def desk(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.delenv("STAYON_HOME", raising=False)
    with FakeMachine() as machine:
        yield Desk(machine, capsys)


def test_a_kept_service_is_read_from_the_journal(desk: Desk) -> None:
    """As the lines that they are; with the filters that hold for files."""
    lines = [line(1, "a"), line(2, "b", "ERROR"), line(3, "c", job="collect"), line(4, "d", "ERROR")]
    desk.reader.lines = lines
    assert desk.say("logs", "--json") == (exits.DONE, lines, "")
    assert desk.say("logs", "--json", "--level", "error", "-n", "1")[1] == lines[3:]
    assert desk.say("logs", "--json", "--job", "collect")[1] == lines[2:3]
    assert desk.say("logs", "--json", "--since", "2030-01-31T08:00:04Z")[1] == lines[3:]
    assert desk.reader.asked[-1] == (NAME, 1896076804.0)
    assert desk.say("logs", "-n", "0") == (exits.DONE, [], "")


def test_what_the_files_have_besides_is_in_its_place(desk: Desk) -> None:
    """What was written while the journal took nothing; and what is in both is shown as often as it is in one."""
    desk.reader.lines = [line(1, "a"), line(2, "twice"), line(2, "twice"), line(5, "e")]
    desk.write_file(line(2, "twice"), line(3, "c"), line(4, "d"))
    _, shown, _ = desk.say("logs", "--json", "-n", "5")
    assert [json.loads(one)["message"] for one in shown] == ["twice", "twice", "c", "d", "e"]


def test_who_may_not_read_the_journal_is_told_or_gets_the_file(desk: Desk) -> None:
    """The error says what to do; a file, if there is one, is better than an error."""
    desk.reader.refusal = NotPermittedError(
        "the log is in the journal", hint="Join the group.", code="logs.not-permitted"
    )
    code, shown, said = desk.say("logs")
    assert (code, shown) == (exits.NOT_PERMITTED, [])
    assert "Join the group. [logs.not-permitted]" in said
    desk.write_file(line(3, "c"))
    assert desk.say("logs", "--json")[:2] == (exits.DONE, [line(3, "c")])


def test_a_service_that_nobody_keeps_has_files(desk: Desk) -> None:
    """What runs in a console does not log to the journal."""
    desk.services.kept.clear()
    desk.write_file(line(3, "c"))
    assert desk.say("logs", "--json")[1] == [line(3, "c")]
    assert desk.reader.asked == []


def test_the_last_words_of_a_start_are_in_the_journal(desk: Desk) -> None:
    """Those of the service; what its manager says of it, the error says already."""
    desk.services.exits_at_start[NAME] = exits.BAD_CONFIG
    desk.reader.lines = [
        line(1, "no such host", "CRITICAL", logger=NAME),
        line(2, "Main process exited", logger="systemd"),
        line(3, "Traceback", logger="stderr"),
    ]
    code, _, said = desk.say("start")
    assert code != exits.DONE
    assert "no such host" in said
    assert "Traceback" in said
    assert "Main process" not in said
    desk.reader.lines = []
    assert "its log is in the journal" in desk.say("start")[2]


class EnoughError(Exception):
    """What was waited for has been shown."""


def test_following_shows_both_as_they_come_and_each_line_once(desk: Desk) -> None:
    """The end of what there is; then the journal's, and what only the file gets; nothing twice."""
    desk.reader.lines = [line(1, "a"), line(2, "b")]
    desk.write_file(line(1, "a"), line(3, "only in the file"))
    shown: list[str] = []
    all_shown = threading.Event()

    class Coming(list):
        def __iter__(self) -> Iterator[str]:
            yield line(4, "d")
            yield line(4, "d")
            desk.write_file(line(4, "d"), line(5, "later in the file"))
            assert all_shown.wait(20)
            raise EnoughError

    desk.reader.coming = Coming()

    def show(one: str) -> None:
        shown.append(json.loads(one)["message"])
        if shown[-1] == "later in the file":
            all_shown.set()

    with pytest.raises(EnoughError):
        follow(desk.source(), Query(10, lambda _line: True), show)
    assert shown == ["a", "b", "only in the file", "d", "d", "later in the file"]


def test_what_is_remembered_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Following for days takes no more memory than for minutes."""
    monkeypatch.setattr(log_source, "_REMEMBERED", 10)
    shown: list[str] = []
    told = log_source._Told(shown.append)  # noqa: SLF001  # its memory is what this is about
    for number in range(1000):
        told.tell(str(number), "journal")
    assert len(shown) == 1000
    assert max(len(told._shown), len(told._came)) <= 21  # noqa: SLF001  # as above
    assert read(desk.source(), Query(1, lambda _line: True)) == []
