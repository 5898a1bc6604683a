"""What a daemon is to the system: no terminal, no leftovers of who started it, and the verbs work on it as on any."""

from __future__ import annotations

import os
import pty
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.platform import daemons as rooms
from tests.platform.test_idle_modules import FORBIDDEN, OF_THREADING

if TYPE_CHECKING:
    from tests.platform.conftest import Program
    from tests.platform.daemons import Daemons

pytestmark = pytest.mark.linux  # what is looked at is /proc's; the code is the same on every Unix

FAILS_ONCE = """
import stayon, os
service = Service("s", restart=stayon.immediate())

@service.run
def main(ctx):
    if not os.path.exists(GO):
        open(GO, "w").close()
        {before}
        raise ValueError("once")
    ctx.ready()
    ctx.stopping.wait()
"""

HANGS_ONCE = """
import stayon, os, time
service = Service("s", restart=stayon.immediate())
print(next(line for line in open("/proc/self/status") if line.startswith("SigIgn:")), end="", flush=True)

@service.run(hang_timeout="300ms")
def main(ctx):
    ctx.ready()
    if not os.path.exists(GO):
        open(GO, "w").close()
        time.sleep(60)
    while not ctx.stopping.wait(0.05):
        ctx.heartbeat()
"""

TALKS = """
import os, sys
service = Service("s")

@service.on_start
def talk(ctx):
    print("printed")
    os.write(2, b"written by C\\n")

@service.run
def main(ctx):
    ctx.ready()
    ctx.stopping.wait()
    os.abort()
"""


@pytest.fixture
def daemons(program: Program, until: Callable[..., Any]) -> Iterator[Daemons]:
    """The program as a daemon, which is gone after the test."""
    made = rooms.Daemons(program, until)
    yield made
    made.close()


def test_it_has_cut_all_ties(daemons: Daemons) -> None:
    """No terminal, a session that it doesn't lead, another parent than who started it, the root directory, the umask
    027, and no descriptor of anybody's.
    """
    read_fd, write_fd = os.pipe()
    daemons.detach(pass_fds=(write_fd,))
    os.close(write_fd)
    assert os.read(read_fd, 1) == b""  # nobody else has it
    os.close(read_fd)
    pid = daemons.pid
    found, facts, fds = rooms.process(pid), rooms.facts(pid), rooms.descriptors(pid)
    assert found["tty"] == 0
    assert found["session"] not in (pid, os.getsid(0))
    assert found["pgrp"] == pid
    assert not rooms.lives(found["session"]), "the process between has stayed"
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert facts["Umask"] == "0027"
    assert int(facts["SigBlk"], 16) == 0
    assert fds[0] == os.devnull
    assert fds[1] == fds[2] == str(daemons.program.place("logs") / "s.err")
    own = (str(daemons.program.home), "anon_inode:", "pipe:", "socket:", os.devnull)
    assert [path for path in fds.values() if not path.startswith(own)] == []


def test_it_outlives_its_terminal(daemons: Daemons) -> None:
    """Started from the shell of a terminal, which is closed then (ssh -t): the hang-up doesn't reach it."""
    daemons.write()
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(daemons.program.folder)
        words = [sys.executable, "p.py", "run", "--detach"]
        os.execve(words[0], words, daemons.program.environment)  # noqa: S606  # no shell: just what is meant
    said = b""
    while b"process" not in said:
        said += os.read(terminal, 4096)
    os.close(terminal)
    os.waitpid(child, 0)
    assert rooms.process(daemons.pid)["tty"] == 0
    assert daemons.status()["state"] == "RUNNING"


def test_signals_are_as_in_a_new_program(daemons: Daemons) -> None:
    """What was blocked or ignored by who started it (nohup, a shell's background) is neither: SIGTERM stops it."""
    daemons.write()
    program = (
        "import os, signal, sys\n"
        "for name in ('TERM', 'INT', 'HUP', 'CHLD'): signal.signal(getattr(signal, 'SIG' + name), signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD))\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    answer = daemons.program.verb("run", "--detach", prefix=[sys.executable, "-c", program])
    assert (answer.code, answer.err) == (0, "")
    pid = daemons.pid
    blocked, ignored = (int(rooms.facts(pid)[name], 16) for name in ("SigBlk", "SigIgn"))
    assert blocked == 0
    assert ignored & (1 << (signal.SIGCHLD - 1)) == 0
    os.kill(pid, signal.SIGHUP)  # a daemon's word for reload, which has nothing to do here
    os.kill(pid, signal.SIGUSR2)
    daemons.until(lambda: '"dump"' in daemons.program.log_file.read_text(), "the dump")
    os.kill(pid, signal.SIGTERM)
    daemons.wait_gone(pid)
    assert daemons.page()["exit_code"] == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_handles(daemons: Daemons, closed: str) -> None:
    """Whoever starts it may have closed 0, 1 and 2: no file of ours takes their numbers."""
    daemons.write()
    daemons.program.verb("run", "--detach", prefix=["sh", "-c", f'exec "$@" {closed}', "sh"])
    assert daemons.status()["state"] == "RUNNING"
    fds = rooms.descriptors(daemons.pid)
    assert [fds[fd].rpartition("/")[2] for fd in (0, 1, 2)] == ["null", "s.err", "s.err"]


def test_a_directory_that_is_gone(daemons: Daemons) -> None:
    """It can be started where the directory has been removed, and goes on where it is removed later."""
    daemons.write()
    go_away = ["sh", "-c", 'mkdir -p gone && cd gone && rmdir ../gone && exec "$@"', "sh"]
    answer = daemons.program.verb("run", "--detach", prefix=go_away)
    assert (answer.code, answer.err) == (0, "")
    assert daemons.program.verb("restart").code == 0
    assert daemons.status()["restarts"] == 1


def test_a_restart_keeps_what_it_is(daemons: Daemons) -> None:
    """The same pid, session, output and lock, and the terminal doesn't come back."""
    daemons.detach()
    pid = daemons.pid
    before = rooms.process(pid)
    answer = daemons.program.verb("restart")
    assert answer.code == 0
    assert daemons.pid == pid
    after = rooms.process(pid)
    assert {**after, "state": ""} == {**before, "state": ""}
    fds = rooms.descriptors(pid)
    assert [fds[fd].rpartition("/")[2] for fd in (0, 1, 2)] == ["null", "s.err", "s.err"]
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert "STAYON_DAEMON" not in _environment(daemons)


def test_the_verbs_reach_it(daemons: Daemons) -> None:
    """pause, resume, reload, status and stop, as with any that runs; after stop, a pid that is gone."""
    daemons.detach()
    pid, verb = daemons.pid, daemons.program.verb
    assert verb("pause").code == 0
    assert daemons.status()["state"] == "PAUSED"
    assert verb("resume").code == 0
    assert verb("reload").code == 0
    assert daemons.status()["state"] == "RUNNING"
    stopped = verb("stop")
    assert (stopped.code, rooms.lives(pid)) == (0, False)
    assert verb("status").code == 3


def test_the_restart_policy_holds_unwatched(daemons: Daemons) -> None:
    """One that was RUNNING and fails is started again by itself, in the same process."""
    daemons.detach(FAILS_ONCE.format(before="ctx.ready()"))
    page = daemons.until(lambda: daemons.page().get("restarts") == 1 and daemons.page(), "the restart")
    page = daemons.wait_state("RUNNING")
    assert page["restarts"] == 1
    assert rooms.process(page["pid"])["tty"] == 0
    assert "ValueError: once" in daemons.program.log_file.read_text()


def test_the_restart_policy_holds_after_a_hang(daemons: Daemons) -> None:
    """One whose ``run`` hangs, on the main thread, is started again, too; a reload that is asked for before it listens
    doesn't end it.
    """
    daemons.detach(HANGS_ONCE)
    pid = daemons.pid
    # (A process whose other thread calls exec is a zombie for a moment: that is no end.)
    is_gone = lambda: not os.path.exists(f"/proc/{pid}")  # noqa: E731  # it is said once, and asked twice
    daemons.until(lambda: daemons.page().get("restarts") == 1 or is_gone(), "the restart, or the end")
    assert not is_gone(), daemons.err
    page = daemons.wait_state("RUNNING")
    assert (page["pid"], page["restarts"]) == (pid, 1)
    _before, after = (int(line.split()[1], 16) for line in daemons.err.splitlines() if line.startswith("SigIgn:"))
    for signum in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT):
        assert after & 1 << signum - 1, signum


def test_a_policy_by_option(daemons: Daemons) -> None:
    """``--restart`` has the usual policy hold for one that declares none; while it waits, it can be stopped."""
    text = FAILS_ONCE.format(before="ctx.ready()").replace("restart=stayon.immediate()", "description='x'")
    daemons.detach(text, "--restart")
    daemons.until(lambda: "starting again in" in daemons.err, "the decision")
    assert daemons.program.verb("stop").code == 0
    assert daemons.pid == 0


def test_a_failed_start_that_goes_on_trying(daemons: Daemons) -> None:
    """Who waits hears of the first failure, with its code, and that its policy has it tried again; and it is."""
    answer = daemons.detach(FAILS_ONCE.format(before="pass"))
    assert answer.code == 70
    assert "by its restart policy it starts again in 0.0 s" in answer.err
    assert "once" in answer.err
    assert daemons.wait_state("RUNNING")["restarts"] == 1


def test_what_is_printed_is_not_lost(daemons: Daemons) -> None:
    """What Python prints and C code writes is in NAME.err, as are the stacks of a crash; log records are not."""
    daemons.detach(TALKS)
    pid = daemons.pid
    assert daemons.err == "printed\nwritten by C\n"
    os.kill(pid, signal.SIGTERM)
    daemons.wait_gone(pid)
    assert "Fatal Python error: Aborted" in (daemons.program.place("state") / "s.crash").read_text()


def test_a_large_output_is_put_aside(daemons: Daemons) -> None:
    """At a start, a NAME.err of more than a megabyte becomes NAME.err.1, of which one is kept."""
    logs = daemons.program.place("logs")
    logs.mkdir(parents=True)
    (logs / "s.err").write_bytes(b"x" * (1024 * 1024 + 1))
    daemons.detach()
    assert daemons.err == ""
    assert (logs / "s.err.1").stat().st_size == 1024 * 1024 + 1


def test_an_output_that_is_a_link(daemons: Daemons, short_tmp: Path) -> None:
    """It is not followed: 77, and nothing was started."""
    logs = daemons.program.place("logs")
    logs.mkdir(parents=True)
    (logs / "s.err").symlink_to(short_tmp / "other")
    answer = daemons.detach()
    assert answer.code == 77
    assert "[daemon.output]" in answer.err
    assert not (short_tmp / "other").exists()
    assert not daemons.lock.exists()


def test_it_is_not_another_processs_birth(daemons: Daemons) -> None:
    """The variable of its birth, found in the environment of another process, makes that no daemon, and keeps it from
    becoming none.
    """
    started = daemons.program.run(rooms.PATIENT, environment={"STAYON_DAEMON": "1 0 -1 "})
    assert started.stop() == 0
    assert "RUNNING" in started.err  # its log is where it belongs
    words = ("run", "--detach") if os.path.isdir("/run/systemd/system") else ("start",)
    answer = daemons.program.verb(*words, environment={"STAYON_DAEMON": "1 0 -1 "})
    assert answer.code == 0, answer.err
    assert rooms.process(daemons.pid)["tty"] == 0


def test_it_is_as_lean_as_in_a_terminal(daemons: Daemons) -> None:
    """Nothing that costs megabytes is loaded, and of the daemon's own code only what a running one needs."""
    text = """
import sys
service = Service("s")

@service.on_stop
def tell(ctx):
    print(*sys.modules)

@service.every("5s")
def work(ctx): ...
"""
    bare = daemons.program.call(sys.executable, "-c", "import sys; print(*sys.modules)").out.split()
    daemons.detach(text)
    pid = daemons.pid
    os.kill(pid, signal.SIGTERM)
    daemons.wait_gone(pid)
    modules = set(daemons.err.split())
    heavy = {name.split(".")[0] for name in modules - set(bare)} & (FORBIDDEN - OF_THREADING)
    assert sorted(heavy) == []
    own = {name.rpartition(".")[2] for name in modules if name.startswith("stayon.platforms.daemon.")}
    assert own == {"birth", "starter", "words"}


def _environment(daemons: Daemons) -> str:
    """What the daemon hands on to its children now: os.environ, not what it was started with."""
    text = """
import os
service = Service("s")

@service.run
def main(ctx):
    ctx.ready()
    print("environment", sorted(name for name in os.environ if name.startswith("STAYON")))
    ctx.stopping.wait()
"""
    daemons.program.verb("stop")
    daemons.detach(text)
    return daemons.until(lambda: "environment" in daemons.err and daemons.err, "its environment")
