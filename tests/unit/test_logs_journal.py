"""The log in the journal: what goes there, what happens while it takes nothing, and what settings make of it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from stayon.core import levels
from stayon.core.entry import Entry
from stayon.platforms.journald import Journal
from stayon.runtime.config.host_settings import HostSettings, read_host_settings
from stayon.runtime.log_setup import WITH_JOURNAL, LogSetup, is_journal
from stayon.runtime.logs.file_sink import FileSink
from stayon.runtime.logs.journal_sink import JournalSink
from stayon.runtime.logs.pipeline import Pipeline
from stayon.testing.machine import FakeMachine
from stayon.testing.system_log import FakeSystemLog


def records(directory: Path, name: str = "price") -> list[dict]:
    path = directory / f"{name}.log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def log() -> FakeSystemLog:
    return FakeSystemLog("price", "price.log", takes_all=True)


@pytest.fixture
def pipeline(log: FakeSystemLog, tmp_path: Path):
    made = Pipeline("price", level=levels.TRACE)
    made.use([JournalSink(made, log, FileSink(str(tmp_path), "price"))])
    yield made
    made.close()


def test_every_record_is_there_as_text_and_as_its_line(pipeline: Pipeline, log: FakeSystemLog, tmp_path: Path) -> None:
    """Of any level; the log gets text only, the line that a file would have, and no file is begun."""
    for name in levels.LEVELS:
        getattr(pipeline.logger(), name.lower())(name, number=1.5, nothing=None)
    assert [entry.level for entry in log.entries] == list(levels.NAMES)
    assert log.entries[0].message == "TRACE number=1.5 nothing=null"
    assert log.entries[0].fields == {"number": "1.5", "nothing": "null"}
    assert log.texts == pipeline.recent()
    assert records(tmp_path) == []


def test_while_it_takes_nothing_the_file_does(pipeline: Pipeline, log: FakeSystemLog, tmp_path: Path) -> None:
    """Nothing is lost: the file has it, it is counted and said once, and said again when the journal is back."""
    tell = pipeline.logger().info
    tell("before")
    log.is_down = True
    for number in range(3):
        tell(f"between {number}")
    log.is_down = False
    tell("after")
    tell("later")

    assert [record["message"] for record in records(tmp_path)][0::2] == ["between 0", "between 1"]
    (told,) = [record for record in records(tmp_path) if record.get("event") == 38]
    assert told["fields"] == {"why": "the system's log is down"}
    assert [json.loads(text)["message"] for text in log.texts[:2]] == ["before", "after"]
    back = json.loads(log.texts[2])
    assert (back["event"], back["fields"]["records"], back["fields"]["since"]) == (39, 4, records(tmp_path)[0]["time"])
    assert (pipeline.lost(), pipeline.diverted) == (0, 4)


def test_what_neither_takes_is_lost_and_told(pipeline: Pipeline, log: FakeSystemLog, tmp_path: Path) -> None:
    """With the journal away and no file to be had, lines are counted as lost, and that is told when one is back."""
    (tmp_path / "price.log").mkdir()
    log.is_down = True
    pipeline.logger().error("lost")
    log.is_down = False
    pipeline.logger().error("there")
    assert pipeline.lost() == 1
    assert [json.loads(text)["message"] for text in log.texts] == ["1 log line was lost (Is a directory)", "there"]


def test_settings_give_it_a_level(pipeline: Pipeline, log: FakeSystemLog) -> None:
    """What is below that is not for the journal."""
    sink = JournalSink(pipeline, log)
    sink.least = levels.WARNING
    pipeline.use([sink])
    pipeline.logger().info("not there")
    pipeline.logger().warning("there")
    assert len(log.texts) == 1


@pytest.mark.linux
def test_a_real_socket_that_is_removed_and_comes_back(short_tmp: Path, tmp_path: Path) -> None:
    """The journal's socket goes away and is there again: each record is in one of the two places, in order."""
    path = short_tmp / "socket"
    pipeline = Pipeline("price")
    pipeline.use([JournalSink(pipeline, Journal("price", str(path)), FileSink(str(tmp_path), "price"))])

    def listen() -> socket.socket:
        daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        daemon.bind(str(path))
        daemon.settimeout(10)
        return daemon

    with listen() as daemon:
        pipeline.logger().info("one")
        assert b"\nMESSAGE=one\n" in daemon.recv(65536)
    path.unlink()
    pipeline.logger().info("two")
    with listen() as daemon:
        pipeline.logger().info("three")
        assert b"\nMESSAGE=three\n" in daemon.recv(65536)
        assert b"STAYON_EVENT=39\n" in daemon.recv(65536)
    pipeline.close()
    assert records(tmp_path)[0]["message"] == "two"
    assert pipeline.diverted == 2


class Computer:
    """A machine with a journal, where systemd has started the service; ``apply`` is what the settings say."""

    def __init__(self, machine: FakeMachine, directory: Path) -> None:
        self.machine, self.directory = machine, directory
        machine.starter.name = WITH_JOURNAL
        self.logs: list[FakeSystemLog] = []
        self.pipeline = Pipeline("price", level=levels.TRACE)
        self.setup = LogSetup(self.pipeline, str(directory), machine.ports().replace(system_log=self._log))

    def _log(self, source: str, rest: str) -> FakeSystemLog:
        self.logs.append(FakeSystemLog(source, rest, takes_all=True))
        return self.logs[-1]

    @staticmethod
    def settings(**said: object) -> HostSettings:
        return read_host_settings({"log": said}, {}, (), lambda path: "f.toml")

    def apply(self, **said: object) -> None:
        self.setup.apply(self.settings(**{"stderr": "off", **said}))

    def messages(self) -> list[str]:
        return [json.loads(text)["message"] for text in self.logs[-1].texts]


@pytest.fixture
def computer(tmp_path: Path):
    with FakeMachine() as machine:
        made = Computer(machine, tmp_path)
        yield made
        made.pipeline.close()


def test_with_systemd_all_is_in_the_journal_and_no_file(computer: Computer, tmp_path: Path) -> None:
    """By default; the level is the log's own."""
    computer.apply(level="debug")
    computer.pipeline.logger().debug("there")
    assert computer.messages() == ["there"]
    assert records(tmp_path) == []


@pytest.mark.parametrize(
    ("said", "in_journal", "in_file"),
    [
        ({"file": True}, ["info", "error"], ["info", "error"]),
        ({"file": False}, ["info", "error"], []),
        ({"system": "error"}, ["error"], ["info", "error"]),
        ({"system": "error", "file": False}, ["error"], []),
        ({"system": "trace"}, ["info", "error"], ["info", "error"]),
    ],
)
def test_settings_say_where_it_goes(
    computer: Computer, tmp_path: Path, said: dict, in_journal: list[str], in_file: list[str]
) -> None:
    """Both, the journal alone, or a part of it there and all in the file."""
    computer.apply(**said)
    computer.pipeline.logger().info("info")
    computer.pipeline.logger().error("error")
    assert computer.messages() == in_journal
    assert [record["message"] for record in records(tmp_path)] == in_file


def test_off_means_the_file_and_a_reload_brings_it_back(computer: Computer, tmp_path: Path) -> None:
    """Each setting holds from its reload on; what was in use is closed."""
    computer.apply()
    computer.apply(system="off")
    computer.pipeline.logger().info("in the file")
    assert computer.logs[0].is_closed
    computer.apply()
    computer.pipeline.logger().info("in the journal")
    assert computer.messages() == ["in the journal"]
    assert [record["message"] for record in records(tmp_path)] == ["in the file"]


def test_auto_is_for_who_was_started_by_systemd(computer: Computer, tmp_path: Path) -> None:
    """Whoever else starts it has a log file; a level brings the journal there, too, and auto takes it away again."""
    computer.machine.starter.name = "other"
    computer.apply()
    computer.pipeline.logger().info("in the file")
    assert [record["message"] for record in records(tmp_path)] == ["in the file"]
    computer.apply(system="info")
    computer.pipeline.logger().info("in both")
    assert computer.messages() == ["in both"]
    computer.apply()
    computer.pipeline.logger().info("in the file")
    assert computer.messages() == ["in both"]


def test_before_the_configuration_is_read_the_journal_has_it(computer: Computer, capfd: pytest.CaptureFixture) -> None:
    """And standard error, as long as that is something else."""
    computer.setup.before_settings()
    computer.pipeline.logger().error("early")
    assert computer.messages() == ["early"]
    assert "early" in capfd.readouterr().err


def test_standard_error_is_not_written_where_it_is_the_journal(
    computer: Computer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    """Nothing is there twice; without the journal's own protocol, standard error is what brings it there."""
    status = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    computer.setup.before_settings()
    computer.pipeline.logger().error("early")
    computer.apply(stderr="auto")
    computer.pipeline.logger().error("once")
    assert capfd.readouterr().err == ""
    computer.apply(stderr="auto", system="off")
    computer.pipeline.logger().error("by standard error")
    computer.apply(stderr="json")
    computer.pipeline.logger().error("wanted")
    assert [json.loads(line)["message"] for line in capfd.readouterr().err.splitlines()] == [
        "by standard error",
        "wanted",
    ]


def test_which_descriptor_is_the_journal() -> None:
    """JOURNAL_STREAM names it; a parent's that we have inherited, with another standard error, doesn't count."""
    status = os.fstat(2)
    assert is_journal(2, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
    assert not is_journal(2, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"})
    assert not is_journal(2, {})
    assert not is_journal(-1, {"JOURNAL_STREAM": "1:1"})


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_start_that_failed_is_in_the_journal(computer: Computer, tmp_path: Path, is_ours: bool) -> None:
    """And, if the journal is away, in the file, unless that belongs to the process that runs already."""
    computer.setup.for_failed_start(is_ours=is_ours)
    computer.pipeline.logger().critical("no configuration", event_id=12)
    assert computer.messages() == ["no configuration"]
    computer.logs[0].is_down = True
    computer.pipeline.logger().critical("no journal", event_id=12)
    assert [record["message"] for record in records(tmp_path)][:1] == (["no journal"] if is_ours else [])


def test_text_of_any_field_name() -> None:
    """A name that isn't one, by ``extra`` of ``logging``, becomes text, and costs nobody the record."""
    from stayon.runtime.logs.plain import plain

    fields: dict = {("a", 1): 1, "a\nb": 2}
    entry = plain(Entry(0.0, levels.INFO, "s", "", "m", 0, fields, None))
    assert entry.fields == {"('a', 1)": "1", "a\nb": "2"}
    assert entry.message == "m ('a', 1)=1 a\nb=2"
