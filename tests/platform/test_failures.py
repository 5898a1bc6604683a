"""Whatever fails in the user's code is seen: in the exit code, in the log, and in one report with all that helps."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.platform.conftest import Program

PLACES = {
    "on_start": """
        @service.on_start
        def begin(ctx):
            raise ValueError("boom")

        @service.every("5s")
        def work(ctx):
            pass
        """,
    "run": """
        @service.run
        def main(ctx):
            ctx.ready()
            raise ValueError("boom")
        """,
    "run, async": """
        @service.run
        async def main(ctx):
            ctx.ready()
            raise ValueError("boom")
        """,
    "waiter": """
        @service.task
        def waiter(ctx):
            raise ValueError("boom")

        @service.run
        def main(ctx):
            ctx.ready()
            ctx.stopping.wait()
        """,
    "waiter, async": """
        @service.task
        async def waiter(ctx):
            raise ValueError("boom")
        """,
    "job work": """
        @service.every("5s", on_failure="fail")
        def work(ctx):
            raise ValueError("boom")
        """,
    "job work, async": """
        @service.every("5s", on_failure="fail")
        async def work(ctx):
            raise ValueError("boom")
        """,
}


@pytest.mark.parametrize("place", PLACES)
def test_an_exception_ends_the_service_with_one_report(program: Program, place: str) -> None:
    """Wherever it is raised: exit code 70, one report with exception, stack, last lines, account, versions and paths.

    The report is out before STOPPED, and the log file has it as well.
    """
    started = program.start(f"service = Service('s', version='1.2', stop_timeout='1s')\n{dedent(PLACES[place])}")

    assert started.wait() == 70, started.err
    origin = place.partition(",")[0]
    messages = [record["message"] for record in started.log()]
    reports = [record for record in started.log() if record.get("event") == 13]
    assert [record["message"] for record in reports] == [f"{origin} failed"]
    assert messages.index(f"{origin} failed") < messages.index("STOP_PENDING -> STOPPED")
    report = reports[0]
    assert report["level"] == "CRITICAL"
    assert report["exception"]["type"] == "ValueError"
    assert report["exception"]["message"] == "boom"
    assert 'raise ValueError("boom")' in report["exception"]["stack"]
    fields = report["fields"]
    assert any("START_PENDING" in line for line in fields["last_lines"])
    assert fields["account"]
    assert fields["python"] == sys.version.split()[0]
    assert fields["places"]["state"] == str(program.place("state"))
    assert fields["program"] == str(program.file)
    assert {
        "host",
        "system",
        "kernel",
        "executable",
        "directory",
        "config",
        "up_s",
        "stayon",
        "version",
    } <= fields.keys()
    assert started.records("stopped")[0]["fields"] == {"exit_code": 70, "why": f"{origin}: ValueError: boom"}
    assert [record["message"] for record in program.stored_log()] == messages
    assert "ValueError: boom" in program.verb("status").out


def test_the_first_failure_is_kept(program: Program) -> None:
    """What fails while stopping is logged and counted behind the first: it never takes its place."""
    started = program.start("""
        service = Service("s", stop_timeout="1s", hook_timeout="200ms")

        @service.on_stop
        def first(ctx):
            raise KeyError("the cleaning up")

        @service.on_stop
        def second(ctx):
            raise OSError("as well")

        @service.on_stop
        def third(ctx):
            ctx.log.info("done all the same")

        @service.run
        def main(ctx):
            ctx.ready()
            raise ValueError("boom")
        """)
    assert started.wait() == 70
    assert len([record for record in started.log() if record.get("event") == 13]) == 1
    assert len(started.records("failed while stopping")) == 2
    assert started.records("done all the same")
    why = started.records("stopped")[0]["fields"]["why"]
    assert why.startswith("run: ValueError: boom (then also ")
    assert "on_stop first: KeyError: 'the cleaning up'" in why
    assert "on_stop second: OSError: as well" in why


def test_a_failure_while_stopping_is_a_failure(program: Program) -> None:
    """A stop hook that raises, or does not return in time, makes a clean stop a failed one: 70, and it says which."""
    started = program.run("""
        import time
        service = Service("s", stop_timeout="2s", hook_timeout="200ms")

        @service.on_stop
        def slow(ctx):
            time.sleep(0.5)

        @service.every("5s")
        def work(ctx):
            pass
        """)
    assert started.stop() == 70
    assert "on_stop slow did not return within 0.2 s" in started.records("stopped")[0]["fields"]["why"]


def test_a_job_that_fails_does_not_end_the_service(program: Program, until: Callable[..., object]) -> None:
    """By default the failure is logged with its stack and counted, and the job is called again."""
    started = program.run("""
        service = Service("s")

        @service.every("30ms")
        def work(ctx):
            raise ValueError("boom")

        @service.every("30ms")
        def leave(ctx):
            raise SystemExit(3)
        """)
    failed = started.wait_log("job failed", 4)
    assert {record["job"] for record in started.records("job failed")} == {"work", "leave"}
    assert failed["exception"]["stack"].count("Traceback") == 1
    last_errors = {"ValueError: boom", "SystemExit: 3"}
    until(
        lambda: {job.get("last_error") for job in program.verb("status", "--json").json["jobs"]} == last_errors,
        "the failures on the status page",
    )
    assert started.stop() == 0


def test_what_goes_past_the_log_arrives_all_the_same(program: Program) -> None:
    """Uncaught exceptions of the user's threads and tasks, warnings, and records of ``logging`` become log records."""
    started = program.run("""
        import asyncio, logging, threading, warnings
        service = Service("s")

        def thread():
            raise ValueError("in a thread of mine")

        async def task():
            raise ValueError("in a task of mine")

        class Odd:
            def __del__(self):
                raise ValueError("in a finalizer of mine")

        @service.every("60s")
        async def work(ctx):
            mine = threading.Thread(target=thread, name="mine")
            mine.start()
            mine.join()
            lost = asyncio.ensure_future(task())
            await asyncio.sleep(0.01)
            del lost
            Odd()
            warnings.warn("this is old", stacklevel=1)
            logging.getLogger("lib").warning("%s of a library", "record", extra={"size": 3})
            logging.getLogger("lib").debug("not at this level")
            ctx.log.info("done")
        """)
    started.wait_log("done")
    assert started.stop() == 0
    thread = started.records("uncaught exception in a thread")[0]
    assert (thread["fields"]["thread"], thread["exception"]["message"]) == ("mine", "in a thread of mine")
    told = [record.get("exception", {}).get("message") for record in started.log()]
    assert "in a task of mine" in told
    assert "in a finalizer of mine" in told
    warning = started.records("this is old")[0]
    assert (warning["level"], warning["logger"], warning["fields"]["category"]) == (
        "WARNING",
        "py.warnings",
        "UserWarning",
    )
    record = started.records("record of a library")[0]
    assert (record["level"], record["logger"], record["fields"]) == ("WARNING", "lib", {"size": 3})
    assert not started.records("not at this level")


def test_a_crash_is_told_by_the_next_start(program: Program) -> None:
    """After a segmentation fault, the next start logs the stacks that it left behind; the one after it does not."""
    started = program.start("""
        import ctypes
        service = Service("s")

        @service.run
        def main(ctx):
            ctx.ready()
            if "crash" in ctx.arguments:
                ctypes.string_at(0)
            ctx.stopping.wait()
        """, "run", "--", "crash")  # fmt: skip
    assert started.wait() == -11
    status = program.verb("status")
    assert (status.code, "died without a word" in status.out) == (70, True)
    after = program.run(None)
    left = after.records("crashed or hung")[0]
    assert "Segmentation fault" in left["fields"]["stacks"]
    assert "in main" in left["fields"]["stacks"]
    assert after.stop() == 0
    last = program.run(None)
    assert last.stop() == 0
    assert not last.records("crashed or hung")


def test_killed_without_a_word(program: Program) -> None:
    """After kill -9: ``status`` says that it died, ``stop`` that nothing runs, and the next start works as ever."""
    started = program.run(program.eight_lines)
    started.process.kill()
    assert started.wait() == -9
    status = program.verb("status", "--json")
    assert (status.code, status.json["verdict"], status.json["pid"]) == (70, "died", started.pid)
    assert program.place("run").joinpath("s.sock").exists(), "what kill -9 leaves behind is what this is about"
    doctor = program.verb("doctor")
    assert doctor.code == 0
    assert "a socket is left of a former run" in doctor.out
    assert program.verb("stop").code == 0
    again = program.run(None)
    assert program.verb("status", "--json").json["pid"] == again.pid
    assert program.verb("pause").code == 0
    assert again.stop() == 0


def test_garbage_where_the_files_belong(program: Program) -> None:
    """A status page, lock and crash file of nonsense keep no service from starting, nor ``status`` from telling."""
    run = program.place("run")
    run.mkdir(parents=True)
    program.place("state").mkdir()
    for path in (run / "s.lock", run / "s.status", program.place("state") / "s.crash"):
        path.write_bytes(os.urandom(2000))
    program.write(program.eight_lines)
    assert program.verb("status").code == 3
    started = program.run(None)
    assert program.verb("status", "--json").json["pid"] == started.pid
    assert started.stop() == 0


def test_no_socket_where_something_else_lies(program: Program) -> None:
    """What is in the socket's place and is no socket is not taken away: 69, one line that names it."""
    path = program.place("run") / "s.sock"
    path.parent.mkdir(parents=True)
    path.write_text("precious")
    started = program.start(program.eight_lines)

    assert started.wait() == 69
    assert started.err.count("\n") == 1
    assert str(path) in started.err
    assert path.read_text() == "precious"
    assert program.verb("status", "--json").json["exit_code"] == 69


def test_the_import_of_the_users_file_fails(program: Program) -> None:
    """One line with the file, the line and the exception: 70; the directories of the service are not made."""
    for name, text, line in (
        ("broken", "import nothere\n", 1),
        ("wrong", "x = 1\nif x\n", 2),
        ("zero", "\n\n1 / 0\n", 3),
    ):
        file = program.folder / f"{name}.py"
        file.write_text(text)
        answer = program.stayon("run", file.name)
        assert (answer.code, answer.out, answer.err.count("\n")) == (70, "", 1), answer
        assert f"{file}:{line}: it cannot be imported" in answer.err
        assert "The whole traceback: python" in answer.err
    assert not program.home.exists()
