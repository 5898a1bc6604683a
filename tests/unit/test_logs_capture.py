"""What doesn't log with us arrives all the same, and nothing is imported for its sake."""

from __future__ import annotations

import asyncio
import faulthandler
import json
import logging
import os
import subprocess
import sys
import threading
import warnings

import pytest

from stayon.core import levels
from stayon.runtime.logs.capture import Capture, enable_crash_file, leftovers
from stayon.runtime.logs.job import current_job
from stayon.runtime.logs.pipeline import Pipeline


class Lines:
    """A sink in memory."""

    render = None

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, data: bytes, level: int) -> None:
        self.lines.append(data)

    def reopen(self) -> None: ...

    def close(self) -> None: ...

    @property
    def records(self) -> list[dict]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def lines() -> Lines:
    """Where the records go."""
    return Lines()


@pytest.fixture
def pipeline(lines) -> Pipeline:
    """The pipeline of the service "price"."""
    made = Pipeline("price")
    made.use([lines])
    return made


@pytest.fixture
def capture(pipeline):
    """Installed for the time of the test."""
    made = Capture(pipeline)
    made.install()
    yield made
    made.remove()


@pytest.mark.usefixtures("capture")
def test_records_of_logging_join(lines):
    """With their logger, level, arguments, extras, job and exception."""
    current_job.set("collect")
    log = logging.getLogger("requests.pool")
    log.warning("%d open", 3, extra={"host": "a", "tags": {1}})
    try:
        raise ValueError("bad")
    except ValueError:
        log.exception("failed")
    log.log(35, "odd level")
    first, second, third = lines.records
    assert first["logger"] == "requests.pool"
    assert (first["level"], first["message"], first["job"]) == ("WARNING", "3 open", "collect")
    assert first["fields"] == {"host": "a", "tags": [1]}
    assert second["exception"]["type"] == "ValueError"
    assert third["level"] == "WARNING"
    assert "fields" not in third
    current_job.set("")


def test_logging_follows_our_level_live(pipeline, capture, lines):
    """Also for a logger that has a level of its own."""
    eager = logging.getLogger("eager")
    eager.setLevel(logging.DEBUG)
    quiet = logging.getLogger("quiet")
    for level, expected in (
        (levels.DEBUG, ["eager", "quiet"]),
        (levels.WARNING, []),
        (levels.DEBUG, ["eager", "quiet"]),
    ):
        pipeline.set_level(level)
        lines.lines.clear()
        eager.debug("x")
        quiet.debug("x")
        assert [record["logger"] for record in lines.records] == expected
    capture.remove()
    eager.setLevel(logging.NOTSET)


def test_removing_restores_everything(pipeline):
    """Hooks, handlers, levels; twice is harmless."""

    def state():
        root = logging.getLogger()
        hooks = (sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning)
        return (*hooks, tuple(root.handlers), root.level, tuple(sys.meta_path))

    before = state()
    capture = Capture(pipeline)
    capture.install()
    assert state() != before
    capture.remove()
    capture.remove()
    assert state() == before


@pytest.mark.usefixtures("capture")
@pytest.mark.filterwarnings("default")
def test_warnings_arrive(lines):
    """With category and place."""
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    (record,) = lines.records
    assert (record["logger"], record["level"], record["message"]) == ("py.warnings", "WARNING", "old")
    assert record["fields"]["category"] == "DeprecationWarning"
    assert record["fields"]["file"] == __file__


@pytest.mark.usefixtures("capture")
def test_an_exception_that_ends_a_thread_arrives(lines):
    """With the thread's name; SystemExit is a quiet way to end one."""

    def fail() -> None:
        raise ValueError("bad")

    for target in (fail, sys.exit):
        thread = threading.Thread(target=target, name="worker-7")
        thread.start()
        thread.join()
    (record,) = lines.records
    assert (record["level"], record["fields"]) == ("ERROR", {"thread": "worker-7"})
    assert "in fail" in record["exception"]["stack"]


@pytest.mark.usefixtures("capture")
def test_an_exception_in_a_finalizer_arrives(lines):
    """With the text of what was being finalized."""

    class Bad:
        def __del__(self) -> None:
            raise ValueError("in del")

    Bad()
    (record,) = lines.records
    assert record["exception"]["message"] == "in del"
    assert "__del__" in record["fields"]["object"]


@pytest.mark.usefixtures("capture")
def test_an_uncaught_exception_arrives(lines):
    """As the gravest there is."""
    try:
        raise ValueError("bad")
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    (record,) = lines.records
    assert (record["level"], record["message"]) == ("CRITICAL", "uncaught exception")


def test_a_failed_task_arrives(capture, lines):
    """One that nobody waited for, and a callback that raised."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: capture.asyncio_failure(context))
        called = asyncio.Event()

        def bad() -> None:
            called.set()
            raise ValueError("in callback")

        loop.call_soon(bad)
        await called.wait()
        await asyncio.sleep(0)
        loop.call_exception_handler({"message": "by hand", "error": 1, "self": 2})

    asyncio.run(main())
    first, second = lines.records
    assert first["exception"]["message"] == "in callback"
    assert "bad" in first["fields"]["handle"]
    assert (second["message"], second["fields"]) == ("by hand", {"error": 1, "self": 2})


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """*code* in a process of its own that has stayon and an installed ``capture`` writing to standard output."""
    before = (
        f"import sys; sys.path[:0] = {[path for path in sys.path if path]!r}\n"
        "from stayon.runtime.logs.pipeline import Pipeline\nfrom stayon.runtime.logs.sinks import DescriptorSink\n"
        "from stayon.runtime.logs.capture import *\n"
        "pipeline = Pipeline('price')\npipeline.use([DescriptorSink(1)])\n"
        "capture = Capture(pipeline)\ncapture.install()\n"
    )
    return subprocess.run([sys.executable, *options, "-c", before + code], capture_output=True, text=True, check=False)


def test_logging_joins_at_the_moment_of_its_import():
    """It isn't imported for that, and what basicConfig would do is done."""
    ran = run(
        "assert not {'logging', 'json', 're', 'traceback', 'asyncio'} & set(sys.modules)\n"
        "import logging\n"
        "assert not any('logs.late' in type(f).__module__ and f._name == 'logging' for f in sys.meta_path)\n"
        "assert type(logging.__spec__.loader).__module__ != 'stayon.runtime.logs.late'\n"
        "assert logging.__loader__ is logging.__spec__.loader\n"
        "logging.basicConfig(level=logging.CRITICAL)\n"
        "logging.info('%s', 'hello')\n",
        "-I",
        "-S",
    )
    assert ran.stderr == ""
    assert json.loads(ran.stdout)["message"] == "hello"


def test_arguments_that_do_not_fit_cost_nothing():
    """The record arrives with what was given; nothing is printed. (Apart, as pytest's own handler would raise.)"""
    ran = run("import logging\nlogging.error('%d and %d', 'one')\n")
    record = json.loads(ran.stdout)
    assert ran.stderr == ""
    assert record["message"] == "%d and %d"
    assert record["fields"]["args"] == ["one"]
    assert record["fields"]["format_error"].startswith("TypeError")


def test_a_warning_that_is_meant_for_a_file_goes_there():
    """As ``showwarning`` promises."""
    ran = run("import warnings\nwarnings.showwarning('old', UserWarning, 'f', 1, sys.stderr)\nwarnings.warn('new')\n")
    assert ran.stderr == "f:1: UserWarning: old\n"
    assert json.loads(ran.stdout)["message"] == "new"


def test_a_dying_main_thread_says_why():
    """On the way out of the interpreter."""
    ran = run("raise KeyError('bad')")
    record = json.loads(ran.stdout)
    assert ran.returncode == 1
    assert ran.stderr == ""
    assert (record["level"], record["exception"]["type"]) == ("CRITICAL", "KeyError")


def test_what_logging_loads_is_left_alone_when_its_import_fails():
    """An import that raises is tried again like any other, and joins then."""
    ran = run(
        "sys.modules['string'] = None\n"
        "try:\n    import logging\nexcept ImportError:\n    print('refused', flush=True)\n"
        "del sys.modules['string']\nimport logging\nlogging.error('hello')\n",
        "-I",
        "-S",
    )
    assert ran.stderr == ""
    refused, line = ran.stdout.splitlines()
    assert refused == "refused"
    assert json.loads(line)["message"] == "hello"


def test_the_stacks_of_a_crash_are_read_once(tmp_path):
    """By the next start: what the faulthandler wrote while the process died."""
    path = str(tmp_path / "price.crash")
    assert leftovers(path) is None
    ran = run(f"enable_crash_file({path!r})\nimport faulthandler\nfaulthandler._sigsegv()\n")
    assert ran.returncode != 0
    text = leftovers(path)
    assert text is not None
    assert "Segmentation fault" in text or "access violation" in text
    assert leftovers(path) is None
    assert os.path.getsize(path) == 0


def test_a_crash_file_is_appended_to(tmp_path):
    """What nobody has read yet stays."""
    path = tmp_path / "price.crash"
    path.write_bytes(b"earlier \xff\n")
    was_on = faulthandler.is_enabled()
    fd = enable_crash_file(str(path))
    try:
        faulthandler.dump_traceback(fd, all_threads=False)
    finally:
        faulthandler.disable()
        os.close(fd)
        if was_on:
            faulthandler.enable()
    text = leftovers(str(path))
    assert text is not None
    assert text.startswith("earlier \\xff")
    assert "test_a_crash_file_is_appended_to" in text
