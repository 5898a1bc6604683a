"""The verbs against a service that runs in a console, as text for people and as JSON for scripts."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.platform.conftest import Program

PAUSABLE = """
service = Service("s", stop_timeout="2s")

@service.every("20ms")
def tick(ctx):
    ctx.log.info("tick")
"""


def test_eight_lines_are_a_service_and_its_manager(program: Program) -> None:
    """The file runs, tells its status, and is stopped by its own verb, which waits until it is gone."""
    started = program.run(program.eight_lines)
    status = program.verb("status")
    stopped = program.verb("stop")

    assert status.code == 0
    assert f"RUNNING, process {started.pid}" in status.out
    assert (stopped.code, stopped.err) == (0, "")
    assert started.process.poll() == 0 or started.wait() == 0
    assert started.records("collected")[0]["fields"] == {"prices": 3}
    assert started.out == "", "a service's standard output is its user's"


def test_every_verb_answers_in_json(program: Program) -> None:
    """With ``--json`` each verb prints one JSON document, and exits as without it."""
    started = program.run(PAUSABLE)
    status = program.verb("status", "--json").json
    assert status["verdict"] == "running"
    assert status["pid"] == started.pid
    assert status["state"] == "RUNNING"
    assert status["exit_code"] is None
    assert [job["job"] for job in status["jobs"]] == ["tick"]
    assert program.verb("pause", "--json").json == {"state": "PAUSED"}
    assert program.verb("resume", "--json").json == {"state": "RUNNING"}
    assert program.verb("reload", "--json").json == {"outcome": "unchanged", "generation": 1, "changed": []}
    dump = program.verb("dump", "--json").json
    assert dump["state"] == "RUNNING"
    assert "thread MainThread" in dump["stacks"]
    assert {finding["verdict"] for finding in program.verb("doctor", "--json").json} <= {"ok", "warning"}
    assert program.verb("logs", "--json", "-n", "1").json["service"] == "s"
    assert program.verb("restart", "--json").json == {"state": "RUNNING"}
    assert program.verb("stop", "--json").json == {"state": "STOPPED", "exit_code": 0}
    assert started.wait() == 0
    after = program.verb("status", "--json")
    assert (after.code, after.json["verdict"], after.json["exit_code"]) == (3, "ended", 0)


def test_status_before_the_first_run(program: Program) -> None:
    """A service that never ran is told as such, with the code that the LSB gives to "not running"; nothing is made."""
    program.write(PAUSABLE)

    answer = program.verb("status")

    assert (answer.code, answer.err) == (3, "")
    assert "has not been run" in answer.out
    assert not program.home.exists()


def test_stop_of_what_does_not_run(program: Program) -> None:
    """To stop what is stopped is done already: exit code 0, and it says so."""
    program.write(PAUSABLE)

    answer = program.verb("stop")

    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "s is not running: it has not been run on this computer, or left no trace\n"


@pytest.mark.parametrize("verb", ["pause", "resume", "restart", "reload", "dump"])
def test_verbs_need_a_service_that_runs(program: Program, verb: str) -> None:
    """Asking what does not run is one line that says how it is and what to do, and exit code 69."""
    program.write(PAUSABLE)

    answer = program.verb(verb)

    assert (answer.code, answer.out, answer.err.count("\n")) == (69, "", 1)
    assert f"cannot {verb} s" in answer.err
    assert "Start it first" in answer.err


def test_pause_starts_no_job_and_resume_goes_on(program: Program) -> None:
    """While it is paused no job is started; afterwards they go on. The process stays the same."""
    started = program.run(PAUSABLE)
    started.wait_log("tick", 2)
    assert program.verb("pause").out == "s is PAUSED\n"
    ticks = len(started.records("tick"))
    assert program.verb("status", "--json").json["state"] == "PAUSED"
    assert len(started.records("tick")) == ticks
    assert program.verb("resume").out == "s is RUNNING\n"
    started.wait_log("tick", ticks + 2)
    assert started.stop() == 0


def test_pause_lets_running_jobs_finish(program: Program) -> None:
    """PAUSED is reached when the run under way has ended, not before; ``ctx.paused`` tells it to hurry."""
    started = program.run("""
        service = Service("s")

        @service.every("10s")
        def long(ctx):
            ctx.log.info("begun")
            ctx.paused.wait(10)
            ctx.log.info("ended")
        """)
    started.wait_log("begun")
    assert program.verb("pause").code == 0
    messages = [record["message"] for record in started.log()]
    assert messages.index("ended") < messages.index("PAUSE_PENDING -> PAUSED")


def test_a_pause_hook_that_raises_leaves_it_running(program: Program) -> None:
    """The verb says what the hook raised and exits 70; the service goes on running."""
    started = program.run("""
        service = Service("s")

        @service.on_pause
        def no(ctx):
            raise ValueError("not now")

        @service.every("20ms")
        def tick(ctx):
            ctx.log.info("tick")
        """)
    answer = program.verb("pause")

    assert (answer.code, answer.err.count("\n")) == (70, 1)
    assert "not now" in answer.err
    started.wait_log("tick", len(started.records("tick")) + 2)
    assert program.verb("status").code == 0


def test_restart_keeps_the_process_and_starts_the_program_anew(program: Program) -> None:
    """``restart`` stops it gracefully and starts the file again: same pid, same arguments, one restart counted."""
    started = program.run(
        """
        import sys
        service = Service("s")

        @service.on_stop
        def bye(ctx):
            ctx.log.info("bye")

        @service.run
        def main(ctx):
            ctx.log.info("begun", arguments=list(ctx.arguments))
            ctx.ready()
            ctx.stopping.wait()
        """,
        "run", "--set", "stayon.log.level=debug", "--", "a", "b",
    )  # fmt: skip
    answer = program.verb("restart")

    assert (answer.code, answer.err) == (0, "")
    assert started.wait_log("begun", 2)["fields"] == {"arguments": ["a", "b"]}
    assert len(started.records("bye")) == 1
    status = program.verb("status", "--json").json
    assert (status["pid"], status["restarts"], status["state"]) == (started.pid, 1, "RUNNING")
    assert started.stop() == 0


def test_a_restart_that_fails_is_told(program: Program) -> None:
    """If it does not come back, ``restart`` says so instead of waiting, and exits 70."""
    started = program.run("""
        import os
        service = Service("s")

        @service.run
        def main(ctx):
            if os.path.exists("broken"):
                raise ValueError("no database")
            ctx.ready()
            ctx.stopping.wait()
        """)
    (program.folder / "broken").touch()
    answer = program.verb("restart")

    assert (answer.code, answer.err.count("\n")) == (70, 1)
    assert "did not come back" in answer.err
    assert "no database" in answer.err
    assert started.wait() == 70


def test_reload_says_what_changed(program: Program) -> None:
    """``reload`` answers with the outcome and the names of the keys that changed; a refusal is one line and 78."""
    program.config.write_text("[stayon]\nreload = 'manual'\n")
    started = program.run(PAUSABLE)
    program.config.write_text("[stayon]\nreload = 'manual'\nlog.level = 'debug'\n")
    assert program.verb("reload").out == "s: applied, generation 2, changed: stayon.log.level\n"
    program.config.write_text("[stayon]\nlog.levl = 'debug'\n")
    refused = program.verb("reload")
    assert (refused.code, refused.err.count("\n")) == (78, 1)
    assert f"{program.config}:2: stayon.log.levl" in refused.err
    assert started.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_signals_that_reload(program: Program, number: signal.Signals) -> None:
    """SIGHUP and SIGUSR1 are the verb reload."""
    program.config.write_text("[stayon]\nreload = 'manual'\n")
    started = program.run(PAUSABLE)
    program.config.write_text("[stayon]\nreload = 'manual'\nlog.level = 'debug'\n")
    started.send(number)
    assert started.wait_log("configuration applied")["fields"]["changed"] == ["stayon.log.level"]


def test_dump_shows_threads_tasks_and_what_is_under_way(program: Program) -> None:
    """The dump names each function that is under way, and has the stacks of its thread or task."""
    started = program.run("""
        import asyncio
        service = Service("s")

        @service.every("100s")
        def slow(ctx):
            ctx.log.info("a thread")
            ctx.stopping.wait()

        @service.every("100s")
        async def patient(ctx):
            ctx.log.info("a task")
            await ctx.stopping.wait_async()
        """)
    started.wait_log("a thread")
    started.wait_log("a task")
    text = program.verb("dump").out
    assert "under way: job slow" in text
    assert "under way: job patient" in text
    assert "in slow" in text
    assert "task job patient:" in text
    assert "await ctx.stopping.wait_async()" in text
    started.send(signal.SIGQUIT)
    assert "in slow" in started.wait_log("dump")["fields"]["stacks"]
    assert started.stop() == 0


def test_sigusr2_dumps_and_hurts_nobody(program: Program) -> None:
    """Fifty dumps of a service whose threads come and go: each is in the log, and the service goes on."""
    started = program.run(
        """
service = Service("busy")

@service.every("10ms")
def tick(ctx):
    threading.Thread(target=sum, args=(range(1000),)).start()
"""
    )
    for _ in range(50):
        started.send(signal.SIGUSR2)
        started.wait_log("dump")
    assert program.verb("status").code == 0
    assert started.stop() == 0


def test_a_second_start_names_the_first(program: Program) -> None:
    """One at a time: the second start names the pid of the first, exits 75, and leaves the first alone."""
    started = program.run(PAUSABLE)
    second = program.verb("run")

    assert (second.code, second.out, second.err.count("\n")) == (75, "", 1)
    assert f"running already, pid {started.pid}" in second.err
    assert "--instance" in second.err
    assert program.verb("status").code == 0
    assert started.stop() == 0
    assert len(started.records("stopped")) == 1


def test_instances_are_apart(program: Program) -> None:
    """With ``--instance`` a second one runs beside the first, with files and verbs of its own."""
    first = program.run(PAUSABLE)
    second = program.run(None, "run", "--instance", "b")

    assert second.records("RUNNING")[0]["instance"] == "b"
    assert program.verb("status", "--instance", "b", "--json").json["pid"] == second.pid
    assert program.verb("status", "--json").json["pid"] == first.pid
    assert program.verb("stop", "--instance", "b").code == 0
    assert second.wait() == 0
    assert first.process.poll() is None
    assert program.place("logs", "b").is_dir()


def test_the_command_takes_a_file_a_module_or_a_name(program: Program) -> None:
    """``stayon VERB`` finds the service by file, file:attribute, module:attribute, or the name of one that runs."""
    started = program.start(PAUSABLE, "run", "p.py", command=[sys.executable, "-m", "stayon"]).wait_running()
    for target in ("p.py", "p.py:service", "p:service", "./p.py", str(program.file), "s"):
        answer = program.stayon("status", target, "--json")
        assert answer.code == 0, (target, answer)
        assert answer.json["pid"] == started.pid
    assert program.stayon("stop", "s").code == 0
    assert started.wait() == 0


def test_nothing_in_the_working_directory_goes_before_pythons_own(program: Program) -> None:
    """Who says ``stayon VERB module:service`` where others may write must not run what they have called json.py."""
    program.write(PAUSABLE)
    (program.folder / "json.py").write_text("raise SystemExit('it was taken in')\n")
    for words in (("status", "p:service"), ("status", "p:service", "--json")):
        answer = program.call(sys.executable, "-P", "-m", "stayon", *words)
        assert answer.code == 3, answer
        assert "has not been run" in answer.out


def test_restart_of_one_that_the_command_runs(program: Program) -> None:
    """What was started by ``stayon run module:service`` is started again in the same way."""
    started = program.start(PAUSABLE, "run", "p:service", command=[sys.executable, "-m", "stayon"]).wait_running()
    assert program.stayon("restart", "s").code == 0
    started.wait_running(2)
    assert program.stayon("status", "s", "--json").json["restarts"] == 1


TWO = """
from stayon import Service
one, two = Service("one"), Service("two")

@one.every("5s")
@two.every("5s")
def work(ctx):
    pass
"""


def test_several_services_in_a_file(program: Program) -> None:
    """Each is meant by its attribute; without one, the command names those there are, and exits 64."""
    program.file.write_text(TWO)
    started = program.start(None, "run", "p.py:two", command=[sys.executable, "-m", "stayon"]).wait_running()
    unclear = program.stayon("status", "p.py")

    assert program.stayon("status", "p.py:two").code == 0
    assert program.stayon("status", "p.py:one").code == 3
    assert unclear.code == 64
    assert "Say which: p.py:one, p.py:two." in unclear.err
    assert started.stop() == 0


def test_importing_a_module_starts_nothing(program: Program) -> None:
    """Importing the user's file makes no thread, no file, no directory, and takes no signal."""
    program.write(PAUSABLE)
    answer = program.call(
        sys.executable, "-c",
        "import threading, signal, p; print(threading.active_count(), p.service.name,"
        " signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)",
    )  # fmt: skip

    assert (answer.code, answer.out) == (0, "1 s True\n")
    assert not program.home.exists()
    assert sorted(os.listdir(program.folder)) == ["p.py"]


def test_doctor_examines_before_the_first_run(program: Program) -> None:
    """``doctor`` looks at everything a start needs, changes nothing, and gives the code that the start would."""
    program.write(PAUSABLE)
    answer = program.verb("doctor")

    assert (answer.code, answer.err) == (0, "")
    assert {line.split()[1] for line in answer.out.splitlines()} >= {"python", "configuration", "state", "logs", "lock"}
    assert not program.home.exists()
    program.config.write_text("[stayon]\nlog.levl = 'debug'\n")
    sick = program.verb("doctor")
    assert sick.code == 78
    assert 'Did you mean "level"?' in sick.out


def test_help_is_for_people(program: Program) -> None:
    """``--help`` and ``VERB --help`` print on standard output, and exit 0."""
    program.write(PAUSABLE)
    for words in (["--help"], ["status", "--help"]):
        answer = program.verb(*words)
        assert (answer.code, answer.err) == (0, "")
        assert answer.out.startswith("usage: p.py")
    assert program.stayon("--version").out.startswith("stayon ")


def test_output_into_a_closed_pipe(program: Program) -> None:
    """A reader that leaves early (``| head -1``) is no error of ours: nothing is said, and the code is 0."""
    program.write(PAUSABLE)
    command = f"{sys.executable} {program.file} status --help | true; echo ${{PIPESTATUS[0]}}"
    answer = program.call("bash", "-c", command)
    assert (answer.out, answer.err) in (("0\n", ""), ("0\n", ""))
