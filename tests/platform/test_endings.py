"""The very end of a process: whatever is in its way, it ends, and if it is to start again, it does."""

from __future__ import annotations

import shutil
import signal
import sys
import threading

import pytest

pytestmark = pytest.mark.linux


def test_a_child_that_is_waited_for_at_exit_does_not_keep_the_process(program) -> None:
    """multiprocessing joins its children at exit; one that sleeps must not make a stopped service stay."""
    started = program.run(
        """
import multiprocessing, time
service = Service("s")

@service.run
def main(ctx):
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(9,)).start()
    ctx.ready()
    ctx.stopping.wait()
"""
    )
    started.send(signal.SIGTERM)
    # (Not ``started.wait``: the child has standard error, and so keeps it open.)
    assert started.process.wait(8) == 0


def test_a_restart_finds_its_program_after_a_change_of_directory(program) -> None:
    """The program was started by a relative path, and has changed its directory since."""
    program.write(
        """
import os
service = Service("s")

@service.run
def main(ctx):
    os.chdir("/")
    ctx.ready()
    ctx.stopping.wait()
"""
    )
    started = program.start(command=[sys.executable, "p.py"]).wait_running()
    assert program.verb("restart").code == 0
    assert program.verb("status").code == 0
    assert started.stop() == 0


def test_a_signal_during_a_restart_is_a_stop(program) -> None:
    """Somebody asked for a restart, and then somebody stops it: the last word holds."""
    started = program.run(
        """
import time
service = Service("s")
service.every("1h", name="job")(lambda ctx: None)

@service.on_stop
def slow(ctx):
    ctx.log.info("stopping slowly")
    time.sleep(1)
"""
    )
    asking = program.start(None, "restart", "--timeout", "5s")
    started.wait_log("stopping slowly")
    started.send(signal.SIGTERM)
    assert started.wait() == 0
    assert asking.wait() != 0


def test_a_program_that_cannot_be_started_again_ends_with_its_code(program) -> None:
    """The interpreter was upgraded in place, say: the policy wants a restart that is not to be had."""
    started = program.start(
        """
import sys, time, stayon
service = Service("s", restart=stayon.immediate())
sys.executable = "/gone/python"

@service.run
def main(ctx):
    ctx.ready()
    raise RuntimeError("no luck")
"""
    )
    assert started.wait() == 70
    assert "cannot start again" in started.err


def test_a_hang_with_nothing_to_start_again_ends_all_the_same(program) -> None:
    """The same, where the main thread cannot be waited for."""
    started = program.start(
        """
import sys, time, stayon
service = Service("s", restart=stayon.immediate())
sys.executable = "/gone/python"

@service.run(hang_timeout="300ms")
def main(ctx):
    ctx.ready()
    time.sleep(60)
"""
    )
    assert started.wait() == 86
    assert "cannot start again" in started.err


def test_a_file_changed_during_the_start_is_applied_once_it_runs(program) -> None:
    """A reload hook may need what the start hook makes, so it is not called before."""
    program.config.parent.mkdir(parents=True, exist_ok=True)
    program.config.write_text("v = 1\n")
    started = program.start(
        """
import time
service = Service("s")
service.every("1h", name="job")(lambda ctx: None)

@service.on_start
def slow(ctx):
    ctx.log.info("start begins")
    time.sleep(0.8)
    ctx.log.info("start ends")

@service.on_reload
def reload(ctx, new, old):
    ctx.log.info("reload", v=new.v)
"""
    )
    started.wait_log("start begins")
    program.config.write_text("v = 2\n")
    started.wait_log("configuration applied")
    said = [record["message"] for record in started.log() if record["message"] in ("start ends", "reload")]
    assert said == ["start ends", "reload"]
    assert started.stop() == 0


def test_a_run_directory_that_was_removed_is_made_again(program, until) -> None:
    """Something cleans up under a running service: it is found again, and no second one can start beside it."""
    started = program.run(
        """
from stayon.runtime import view
view.BEAT_S = 0.2
service = Service("s")
service.every("1h", name="job")(lambda ctx: None)
"""
    )
    shutil.rmtree(program.place("run"))
    started.wait_log("the run directory was removed")
    until(lambda: program.verb("status").code == 0, "the status")
    assert program.verb("run").code == 75
    assert program.verb("stop").code == 0
    assert started.wait() == 0


@pytest.mark.parametrize("taken", [(".sock",), (".status", ".sock"), (".lock", ".status", ".sock")])
def test_what_was_removed_from_the_run_directory_is_made_again(program, until, taken) -> None:
    """The directory is still there, but emptied, or half of it: its verbs find it again, and the log says so."""
    started = program.run(
        """
from stayon.runtime import view
view.BEAT_S = 0.2
service = Service("s")
service.every("1h", name="job")(lambda ctx: None)
"""
    )
    run = program.place("run")
    for ending in taken:
        (run / f"s{ending}").unlink()
    assert started.wait_log("removed; it is made again")["event"] == 27
    until(lambda: (run / "s.sock").exists() and (run / "s.status").exists(), "the socket and the page")
    assert program.verb("reload").code == 0
    assert program.verb("stop").code == 0
    assert started.wait() == 0


def test_a_service_whose_socket_was_removed_is_not_said_to_be_starting(program) -> None:
    """It is RUNNING and nobody listens: the answer is that, and what to do."""
    started = program.run(program.eight_lines)
    (program.place("run") / "s.sock").unlink()
    answer = program.verb("reload")
    assert answer.code == 69
    assert "it is RUNNING, but does not listen" in answer.err
    assert "restart" in answer.err
    assert "[control.lost]" in answer.err
    assert started.stop() == 0


@pytest.mark.parametrize(
    ("verb", "says", "code"),
    [
        (("reload",), '{"ok": true}', "control.bad-answer"),
        (("pause",), '{"ok": true, "state": 1}', "control.bad-answer"),
        (("level", "debug"), '{"ok": true}', "control.bad-answer"),
        (("dump",), '{"ok": true, "state": "RUNNING", "under_way": [1], "stacks": ""}', "control.bad-answer"),
        (("reload",), '{"error": 1}', "control.gone"),
        (("reload",), '{"error": {"details": 1}}', "control.gone"),
        (("reload",), "[" * 60000, "control.gone"),
    ],
)
def test_who_answers_nonsense_is_told_from_a_service(program, verb, says, code) -> None:
    """A service that was taken over may say anything: it is one error, without a traceback."""
    from stayon.platforms.door import UnixDoor

    started = program.run(program.eight_lines)
    path = program.place("run") / "s.sock"
    path.unlink()
    door = UnixDoor()
    listener = door.open(str(path))
    listener.setblocking(True)

    def lie() -> None:
        visitor = door.accept(listener)
        assert visitor is not None
        visitor.setblocking(True)
        visitor.recv(65536)
        visitor.sendall(says.encode() + b"\n")
        visitor.close()

    liar = threading.Thread(target=lie)
    liar.start()
    answer = program.verb(*verb)
    liar.join()
    listener.close()
    assert f"[{code}]" in answer.err
    assert "Traceback" not in answer.err
    started.kill()


def test_the_verb_reload_tells_every_problem(program) -> None:
    """As ``run`` does: the key, the line, the nearest name."""
    program.config.parent.mkdir(parents=True, exist_ok=True)
    program.config.write_text("[stayon]\nreload = 'manual'\n")
    started = program.run(program.eight_lines)
    program.config.write_text("[stayon]\nreload = 'manual'\nstop_timeut = 3\nprobse = 1\n")
    answer = program.verb("reload")
    assert answer.code == 78
    assert ":3: stayon.stop_timeut" in answer.err
    assert ":4: stayon.probse" in answer.err
    assert started.stop() == 0
