"""Loggers and the pipeline: levels, bound fields, failing sinks, and the account of what was lost."""

from __future__ import annotations

import contextvars
import errno
import json
import os
import signal
import threading

import pytest

from stayon.core import levels
from stayon.runtime.logs.job import current_job
from stayon.runtime.logs.pipeline import OWN_LOGGER, Pipeline
from stayon.runtime.logs.sinks import DescriptorSink


class Recorder:
    """A sink that keeps what it gets, and fails as often as it is told to."""

    render = None

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.levels: list[int] = []
        self.failure: Exception | None = None
        self.reopened = self.closed = 0

    def write(self, data: bytes, level: int) -> None:
        if self.failure is not None:
            raise self.failure
        self.lines.append(data)
        self.levels.append(level)

    def reopen(self) -> None:
        self.reopened += 1

    def close(self) -> None:
        self.closed += 1

    @property
    def records(self) -> list[dict]:
        return [json.loads(line) for line in self.lines]

    @property
    def messages(self) -> list[str]:
        return [record["message"] for record in self.records]


@pytest.fixture
def sink() -> Recorder:
    """Where the records go."""
    return Recorder()


@pytest.fixture
def pipeline(sink) -> Pipeline:
    """A pipeline of the service "price" whose clock stands still."""
    made = Pipeline("price", level=levels.TRACE, now=lambda: 1000.5)
    made.use([sink])
    return made


def test_each_method_has_its_level(pipeline, sink):
    """From trace to critical."""
    log = pipeline.logger()
    for name in levels.LEVELS:
        getattr(log, name.lower())("x")
    assert [record["level"] for record in sink.records] == list(levels.LEVELS)
    assert sink.levels == list(levels.LEVELS.values())
    assert pipeline.counts() == dict.fromkeys(levels.LEVELS, 1)


def test_the_level_changes_live_for_loggers_made_before(pipeline, sink):
    """And whoever asked is told, at once and at each change."""
    log = pipeline.logger().bind(a=1)
    told: list[int] = []
    pipeline.on_level(told.append)
    for level in levels.NAMES:
        pipeline.set_level(level)
        sink.lines.clear()
        for name in levels.LEVELS:
            getattr(log, name.lower())("x")
        log.failure("x", ValueError(), level=level)
        assert sorted(record["level"] for record in sink.records) == sorted(
            [name for name, number in levels.LEVELS.items() if number >= level] + [levels.NAMES[level]]
        )
    pipeline.forget_level(told.append)
    pipeline.set_level(levels.INFO)
    assert told == [levels.TRACE, *levels.NAMES]


def test_binding_makes_a_new_logger(pipeline, sink):
    """What a call gives wins over what was bound later, and that over what was bound first."""
    log = pipeline.logger("price.http", job="fetch")
    bound = log.bind(a=1, b=1).bind(b=2, c=2)
    bound.info("x", c=3, event_id=9)
    log.info("y")
    first, second = sink.records
    assert first["fields"] == {"a": 1, "b": 2, "c": 3}
    assert (first["event"], first["job"], first["logger"], first["time"]) == (
        9,
        "fetch",
        "price.http",
        "1970-01-01T00:16:40.500Z",
    )
    assert "fields" not in second


def test_fields_may_have_any_name(pipeline, sink):
    """Also those of the methods' own parameters and of the record's own keys."""
    names = ("message", "self", "level", "time", "error", "logger", "name")
    fields = dict.fromkeys(names, 1)
    pipeline.logger().info("x", **fields)
    pipeline.logger().bind(**fields).info("x")
    assert [record["fields"] for record in sink.records] == [fields, fields]
    assert sink.messages == ["x", "x"]


def test_records_name_the_job_that_runs(pipeline, sink):
    """Where the logger has none of its own."""
    log = pipeline.logger()
    context = contextvars.copy_context()
    context.run(current_job.set, "collect")
    context.run(log.info, "x")
    context.run(pipeline.logger(job="own").info, "x")
    log.info("x")
    assert [record.get("job") for record in sink.records] == ["collect", "own", None]


def test_exception_takes_the_one_being_handled(pipeline, sink):
    """And with none it is a plain error."""
    log = pipeline.logger()
    try:
        raise ValueError("bad")
    except ValueError:
        log.exception("failed", n=1)
    log.exception("nothing")
    first, second = sink.records
    assert first["level"] == "ERROR"
    assert first["exception"]["type"] == "ValueError"
    assert "exception" not in second


def test_a_failing_sink_hurts_nobody_and_tells_when_it_works_again(pipeline, sink):
    """The others get everything; the count and the time of the first lost line are in its notice."""
    broken = Recorder()
    pipeline.use([broken, sink])
    log = pipeline.logger()
    broken.failure = OSError(errno.ENOSPC, "full")
    for n in range(3):
        log.info("lost", n=n)
    assert pipeline.lost() == 3
    broken.failure = None
    log.info("back")
    assert sink.messages == ["lost", "lost", "lost", "back"]
    assert broken.messages == ["3 log lines were lost (disk full)", "back"]
    notice = broken.records[0]
    assert (notice["level"], notice["logger"]) == ("WARNING", OWN_LOGGER)
    assert notice["fields"] == {"lost": 3, "since": "1970-01-01T00:16:40.500Z", "why": "disk full"}
    broken.failure = RuntimeError("bug")
    log.info("lost")
    broken.failure = None
    log.info("back")
    assert broken.messages[2:] == ["1 log line was lost (RuntimeError)", "back"]
    assert pipeline.lost() == 4


def test_a_sink_that_renders_for_itself_gets_the_entry(pipeline, sink):
    """Its own form, for notices too; one that can't render is counted."""
    sink.render = lambda entry, line: f"{entry.level} {entry.message}".encode()
    pipeline.logger().notice("hello")
    assert sink.lines == [b"25 hello"]
    sink.render = lambda _entry, _line: 1 / 0
    pipeline.logger().notice("lost")
    assert pipeline.lost() == 1


def test_changing_sinks_closes_those_that_go(pipeline, sink):
    """The one that stays is neither closed nor forgets what it lost; what the others lost stays in the sum."""
    going = Recorder()
    going.failure = sink.failure = ValueError()
    pipeline.use([sink, going])
    pipeline.logger().info("x")
    pipeline.use([sink])
    assert (sink.closed, going.closed, pipeline.lost()) == (0, 1, 2)
    sink.failure = None
    pipeline.logger().info("y")
    assert sink.messages == ["1 log line was lost (ValueError)", "y"]
    pipeline.reopen()
    pipeline.close()
    pipeline.close()
    assert (sink.reopened, sink.closed) == (1, 1)


def test_the_last_lines_are_remembered(sink):
    """As many as asked for, long ones cut, also with no sink at all."""
    pipeline = Pipeline("price", keep=3)
    log = pipeline.logger()
    log.debug("below the level")
    for n in range(5):
        log.info(f"{n}" + "x" * 5000 * (n == 4))
    recent = pipeline.recent()
    assert [json.loads(line)["message"] for line in recent[:2]] == ["2", "3"]
    assert len(recent) == 3
    assert recent[2].endswith("... (cut)")
    assert len(recent[2]) < 4200


def test_a_sink_that_logs_does_not_deadlock(pipeline, sink):
    """What it says comes after what it was writing."""
    log = pipeline.logger()

    class Talker(Recorder):
        def write(self, data: bytes, level: int) -> None:
            super().write(data, level)
            if len(self.lines) == 1:
                log.warning("talking")

    talker = Talker()
    pipeline.use([talker, sink])
    log.info("x")
    assert talker.messages == sink.messages == ["x", "talking"]


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs a signal that a test can send to itself")
def test_a_signal_handler_may_log_while_a_line_is_written(pipeline, sink):
    """On the very thread that holds the lock."""
    log = pipeline.logger()

    class Interrupted(Recorder):
        def write(self, data: bytes, level: int) -> None:
            if not self.lines:
                signal.raise_signal(signal.SIGALRM)
            super().write(data, level)

    interrupted = Interrupted()
    pipeline.use([interrupted])
    before = signal.signal(signal.SIGALRM, lambda *_: log.info("signal"))
    try:
        log.info("x")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupted.messages == ["x", "signal"]


def test_many_threads_write_whole_lines(pipeline, sink, tmp_path):
    """Nothing is lost, doubled or mixed, and the counts agree."""
    path = tmp_path / "out"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    pipeline.use([DescriptorSink(fd), sink])

    def write(thread: int) -> None:
        log = pipeline.logger().bind(thread=thread)
        for n in range(200):
            log.info("x" * (n % 50), n=n)

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(fd)
    written = [json.loads(line)["fields"] for line in path.read_bytes().splitlines()]
    assert sorted((line["thread"], line["n"]) for line in written) == [(t, n) for t in range(8) for n in range(200)]
    assert pipeline.counts()["INFO"] == 1600
    assert len(sink.lines) == 1600


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_while_another_thread_writes_can_log(pipeline):
    """With its own pid in the line."""
    inside, go = threading.Event(), threading.Event()
    reader, writer = os.pipe()

    class Slow(DescriptorSink):
        def write(self, data: bytes, level: int) -> None:
            if threading.current_thread() is not threading.main_thread():
                inside.set()
                go.wait(10)
            super().write(data, level)

    pipeline.use([Slow(writer)])
    log = pipeline.logger()
    other = threading.Thread(target=log.info, args=("parent",))
    other.start()
    assert inside.wait(10)
    child = os.fork()
    if not child:
        signal.alarm(10)
        log.info("child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    record = json.loads(os.read(reader, 65536))
    assert (record["message"], record["pid"]) == ("child", child)
    go.set()
    other.join()
    os.close(reader)
    os.close(writer)


@pytest.mark.linux
@pytest.mark.macos
def test_a_pipe_that_is_full_costs_lines_but_no_cut_ones():
    """Non-blocking standard error, with a reader that stops: what is half written is ended before the next line."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    sink = DescriptorSink(writer)

    def fill() -> None:
        while True:
            sink.write(b"x" * 30_000 + b"\n", 20)

    try:
        with pytest.raises(TimeoutError):
            fill()
        got = os.read(reader, 1 << 20)
        sink.write(b"after\n", 20)
        got += os.read(reader, 1 << 20)
    finally:
        os.close(reader)
        os.close(writer)
    lines = got.split(b"\n")
    assert lines[-2:] == [b"after", b""]
    assert {len(whole) for whole in lines[:-3]} == {30_000}
