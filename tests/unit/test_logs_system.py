"""What goes to the computer's own log: which records, how they read, how many, and what settings say of it."""

from __future__ import annotations

import errno
import json

import pytest

from stayon.core import levels
from stayon.core.entry import Entry
from stayon.runtime.config.host_settings import read_host_settings
from stayon.runtime.log_setup import CONSOLE, WITHOUT_STDERR, LogSetup
from stayon.runtime.logs import system_sink
from stayon.runtime.logs.event_text import event_text
from stayon.runtime.logs.pipeline import Pipeline
from stayon.runtime.logs.system_sink import LIMIT, SystemSink
from stayon.testing.machine import FakeMachine
from stayon.testing.system_log import FakeSystemLog


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log() -> FakeSystemLog:
    return FakeSystemLog("price", "price.log")


@pytest.fixture
def pipeline(log: FakeSystemLog, clock: Clock) -> Pipeline:
    made = Pipeline("price", level=levels.TRACE)
    made.use([SystemSink(log, "price", monotonic=clock)])
    return made


def read(message: object, error: BaseException | None = None, **fields: object) -> str:
    return event_text(Entry(0.0, levels.INFO, "price", "", message, 0, fields, error), "price")


def test_notices_and_worse_arrive_with_their_level_and_number(pipeline, log) -> None:
    """From NOTICE on, whatever is of less weight is not for this log."""
    for name in levels.LEVELS:
        getattr(pipeline.logger(), name.lower())(name, event_id=7)
    assert log.texts == ["NOTICE", "WARNING", "ERROR", "CRITICAL"]
    assert [(entry.level, entry.event_id) for entry in log.entries] == [(25, 7), (30, 7), (40, 7), (50, 7)]


def test_a_text_has_what_matters_first() -> None:
    """The message, the exception in a word, the short fields, the stack, and the long fields, as they'd be cut last."""
    try:
        raise ValueError("no price")
    except ValueError as error:
        text = read("job failed", error, result="failure", tries=3, lines=["a", "b"], places={"logs": "x", "n": [1]})
    short, stack, lines, places = text.split("\n\n")

    assert short == "job failed\nValueError: no price\nresult: failure\ntries: 3"
    assert stack.startswith("Traceback (most recent call last):\n")
    assert lines == "lines:\n    a\n    b"
    assert places == "places:\n    logs: x\n    n: [1]"


def test_who_speaks_is_told_where_it_is_not_the_service() -> None:
    """The job, and the logger of others."""
    entry = Entry(0.0, levels.INFO, "urllib3", "collect", "m", 0, {}, None)
    assert event_text(entry, "price") == "m\njob: collect\nlogger: urllib3"


def test_a_text_is_harmless() -> None:
    """Secrets are hidden, characters that move a cursor are escaped, what can't be shown says so, all is bounded."""

    class Secret(str):
        __slots__ = ()
        __secret__ = True

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    shown = read("a\x1b[2J\nb", password=Secret("x"), words=["ok", Secret("y")], table={"k": Secret("z")}, odd=Broken())
    assert shown.startswith("a\\x1b[2J\nb\n")
    assert shown.count("***") == 3
    assert "cannot be shown" in shown or "no text" in shown
    cycle: dict = {}
    cycle["self"] = cycle
    assert len(read("m" * 10**6, big="x" * 10**6, many=["y" * 10**4] * 500, cycle=cycle)) < 500_000


def test_a_flood_is_cut_off_and_told(pipeline, log, clock) -> None:
    """Of ten thousand warnings a few arrive, a word when that begins, and one with the number when it is over."""
    warn = pipeline.logger().warning
    for number in range(10_000):
        warn(f"warning {number}")
    assert len(log.texts) == LIMIT.burst + 1
    assert "left out" in log.texts[-1]
    assert log.entries[-1].event_id == 34
    clock.now += LIMIT.resume / LIMIT.per_s
    warn("afterwards")
    assert log.texts[-1] == "afterwards"
    assert log.texts[-2].startswith("9950 records were left out here")


def test_a_flood_keeps_nothing_vital_out(pipeline, log) -> None:
    """States, the last word and what is critical arrive while others are left out; a flood of those is cut off, too."""
    for _ in range(1000):
        pipeline.logger().error("flood")
    before = len(log.texts)
    pipeline.logger().notice("RUNNING -> PAUSED", event_id=10)
    pipeline.logger().failure("run failed", ValueError("x"), level=levels.CRITICAL)
    pipeline.logger().notice("stopped", event_id=11)
    assert [text.split("\n")[0] for text in log.texts[before:]] == ["RUNNING -> PAUSED", "run failed", "stopped"]
    for _ in range(1000):
        pipeline.logger().critical("flood")
    assert len(log.texts) <= 2 * (LIMIT.burst + 1)


def test_the_end_tells_what_was_left_out(pipeline, log) -> None:
    """What was left out and not yet told is told when the log is closed; closing twice says nothing more."""
    for _ in range(60):
        pipeline.logger().warning("flood")
    pipeline.close()
    assert log.texts[-1].startswith("10 records were left out here")
    assert log.is_closed


def test_a_log_that_is_down_costs_nothing_but_its_lines(pipeline, log) -> None:
    """Nobody who logs sees it; lines are counted as lost, and that is told when it is there again."""
    log.is_down = True
    for _ in range(3):
        pipeline.logger().error("lost")
    log.is_down = False
    pipeline.logger().error("there")
    assert pipeline.lost() == 3
    assert log.texts[0].startswith("3 log lines were lost (the system's log is down)")
    assert log.texts[1] == "there"


@pytest.fixture
def machine():
    with FakeMachine() as fake:
        yield fake


@pytest.fixture
def setup(machine, tmp_path):
    """Call it with what the settings say for the log; gives its pipeline."""
    pipeline = Pipeline("price", "east")
    made = LogSetup(pipeline, str(tmp_path), machine.ports())

    def apply(**said: object) -> Pipeline:
        made.apply(read_host_settings({"log": {"stderr": "off", **said}}, {}, (), lambda path: "f.toml"))
        return pipeline

    yield apply
    pipeline.close()


def file_records(tmp_path) -> list[dict]:
    return [json.loads(line) for line in (tmp_path / "price.log").read_text().splitlines()]


def test_a_service_manager_brings_the_system_log(setup, machine, tmp_path) -> None:
    """By default it is written where a manager has started the service, under its name there, and knows the file."""
    setup().logger().notice("there")
    (log,) = machine.system_logs
    assert (log.source, log.rest) == ("price@east", str(tmp_path / "price.log"))
    assert log.texts == ["there"]
    assert [record["message"] for record in file_records(tmp_path)] == ["there"]


def test_in_a_console_only_who_asks_gets_it(setup, machine, monkeypatch) -> None:
    """A terminal has its reader; a level in the settings brings it there, too."""
    monkeypatch.setattr(machine.starter, "name", CONSOLE, raising=False)
    setup().logger().error("not there")
    assert machine.system_logs == []
    setup(system="error").logger().error("there")
    assert machine.system_logs[0].texts == ["there"]


def test_settings_change_it_while_it_runs(setup, machine) -> None:
    """Its level is taken at once by the log there is; off closes it."""
    setup()
    setup(system="warning").logger().notice("not there")
    setup(system="info").logger().info("there")
    setup(system="off").logger().critical("not there")
    (log,) = machine.system_logs
    assert (log.texts, log.is_closed) == (["there"], True)
    setup().logger().critical("again")
    assert machine.system_logs[1].texts == ["again"]


def test_a_computer_without_one_says_so_to_who_wants_it(machine, tmp_path) -> None:
    """Auto and off are content with none; a level is answered by a warning, and the service goes on."""
    pipeline = Pipeline("price")
    ports = machine.ports().replace(system_log=lambda source, rest: None)
    made = LogSetup(pipeline, str(tmp_path), ports)
    for how in ("auto", "off", "error"):
        made.apply(read_host_settings({"log": {"stderr": "off", "system": how}}, {}, (), lambda path: "f.toml"))
    pipeline.close()
    (record,) = file_records(tmp_path)
    assert (record["level"], record["event"]) == ("WARNING", 32)
    assert 'stayon.log.system is "error"' in record["message"]


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_start_that_failed_is_in_both_logs(machine, tmp_path, is_ours: bool) -> None:
    """And only in the system's where the file belongs to the process that runs already."""
    pipeline = Pipeline("price")
    LogSetup(pipeline, str(tmp_path), machine.ports()).for_failed_start(is_ours=is_ours)
    pipeline.logger().critical("no configuration", event_id=12)
    pipeline.close()
    assert machine.system_logs[0].texts == ["no configuration"]
    assert (tmp_path / "price.log").exists() is is_ours


def test_a_start_that_failed_before_its_starter_was_there_is_in_both_logs(machine, tmp_path, monkeypatch) -> None:
    """What a manager started and could not be imported has no starter yet, and is told there all the same."""
    monkeypatch.setattr(machine.starter, "name", CONSOLE, raising=False)
    pipeline = Pipeline("price")
    LogSetup(pipeline, str(tmp_path), machine.ports()).for_failed_start(is_ours=True, system="notice")
    pipeline.logger().failure("it could not be started", ImportError("no module"), level=levels.CRITICAL, event_id=12)
    pipeline.close()
    assert machine.system_logs[0].texts[0].startswith("it could not be started\nImportError: no module\n")


def test_another_level_holds_until_it_is_ended(pipeline, log) -> None:
    """An override ends by itself, by its own hand only, or by a level that is configured; listeners hear of each."""
    heard: list[int] = []
    pipeline.on_level(heard.append)
    first = pipeline.override_level(levels.DEBUG)
    second = pipeline.override_level(levels.ERROR, until=5.0)
    assert not pipeline.end_override(first), "a later one has taken its place"
    assert pipeline.override is second
    assert pipeline.end_override(second)
    assert not pipeline.end_override()
    pipeline.override_level(levels.DEBUG)
    pipeline.set_level(levels.WARNING)
    assert pipeline.override is None
    assert heard == [levels.TRACE, levels.DEBUG, levels.ERROR, levels.TRACE, levels.DEBUG, levels.WARNING]


def test_errors_of_the_system_are_told_in_words(pipeline, log, monkeypatch) -> None:
    """The text that came with an ``OSError`` says more than its number."""
    monkeypatch.setattr(log, "write", lambda entry, text: (_ for _ in ()).throw(OSError(errno.EIO, "the RPC server")))
    pipeline.logger().error("lost")
    monkeypatch.undo()
    pipeline.logger().error("there")
    assert "(the RPC server)" in log.texts[0]


def test_the_rate_is_one_that_a_log_can_bear() -> None:
    """A day's flood is less than what the Event Log keeps: 20 MB, at a kilobyte a record."""
    assert (86_400 * LIMIT.per_s + LIMIT.burst) * 1000 < 60e6
    assert system_sink.AUTO_LEVEL == levels.NOTICE


def test_standard_error_that_leads_nowhere_is_not_written_to(setup, machine, monkeypatch, capfd) -> None:
    """A Windows service has none that anybody reads; elsewhere, auto writes there."""
    for starter, text in ((WITHOUT_STDERR[0], "into the void"), (CONSOLE, "to somebody")):
        monkeypatch.setattr(machine.starter, "name", starter, raising=False)
        setup(stderr="auto").logger().error(text)

    written = capfd.readouterr().err
    assert "to somebody" in written
    assert "into the void" not in written
