"""``run --detach``, and ``start`` where nobody keeps services: the prompt comes when it is RUNNING or has failed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.platform import daemons as rooms

if TYPE_CHECKING:
    from tests.platform.conftest import Program
    from tests.platform.daemons import Daemons

pytestmark = pytest.mark.linux  # what is looked at is /proc's; the code is the same on every Unix

FAILS_AT_START = """
service = Service("s")

@service.on_start
def connect(ctx):
    raise ValueError("no database")

@service.every("5s")
def work(ctx): ...
"""

OWN_ERROR = """
import stayon
service = Service("s")

@service.run
def main(ctx):
    raise stayon.UnavailableError("the database is away", hint="Start it.", code="shop.database")
"""

NEVER_READY = """
service = Service("s", start_timeout="0.3s")

@service.run
def main(ctx):
    ctx.stopping.wait()
"""

# What only the daemon's own import does: the verb imports the file as well.
IN_THE_DAEMON = """
import os
if "STAYON_DAEMON" in os.environ:
    {what}
service = Service("s", stop_timeout="1s")

@service.every("5s")
def work(ctx): ...
"""

DONE_AT_ONCE = """
service = Service("s")

@service.run
def main(ctx): ...
"""


@pytest.fixture
def daemons(program: Program, until: Callable[..., Any]) -> Iterator[Daemons]:
    """The program as a daemon, which is gone after the test."""
    made = rooms.Daemons(program, until)
    yield made
    made.close()


def test_the_prompt_comes_when_it_is_running(daemons: Daemons) -> None:
    """As long as it is START_PENDING, the command waits; then it names the process, and ends with 0."""
    started = daemons.begin(rooms.READY_LATE)
    daemons.wait_state("START_PENDING")
    assert started.process.poll() is None
    daemons.go.touch()
    assert started.wait() == 0, started.err
    page = daemons.status()
    assert page["state"] == "RUNNING"
    assert started.out == f"s is RUNNING, process {page['pid']}\n"
    assert started.err == ""


def test_start_makes_a_daemon_where_nobody_keeps_services(daemons: Daemons) -> None:
    """``start``, with its answer in JSON; a second one finds it RUNNING, which is what was wanted: 0."""
    if os.path.isdir("/run/systemd/system"):
        pytest.skip("systemd keeps services on this computer, so start is for those that it has")
    daemons.write()
    first = daemons.program.verb("start", "--json")
    assert (first.code, first.json["state"], first.err) == (0, "RUNNING", "")
    second = daemons.program.verb("start")
    assert (second.code, second.out) == (0, f"s is RUNNING already, process {first.json['pid']}\n")
    assert daemons.pid == first.json["pid"]


def test_a_failed_start_is_told_with_its_text_and_its_code(daemons: Daemons) -> None:
    """What an on_start hook raises is on the standard error of the command; 70, and nobody is left."""
    answer = daemons.detach(FAILS_AT_START)
    assert (answer.code, answer.out) == (70, "")
    first = answer.err.splitlines()[0]
    assert "s ended before it was RUNNING: exit code 70 (failed): " in first
    assert "no database" in first
    assert "[daemon.not-started]" in first
    assert "Traceback" in answer.err
    assert daemons.pid == 0


def test_the_exit_code_is_the_services_own(daemons: Daemons) -> None:
    """An error with a code and a hint comes through, with its exit code: 69."""
    answer = daemons.detach(OWN_ERROR)
    assert answer.code == 69
    assert "the database is away. Start it. [shop.database]" in answer.err


def test_a_wrong_configuration(daemons: Daemons) -> None:
    """78, with the line that names the file, the key and the nearest one."""
    daemons.program.config.write_text('[stayon.log]\nlevl = "info"\n')
    answer = daemons.detach()
    assert answer.code == 78
    assert "levl" in answer.err
    assert "[config.unknown-key]" in answer.err


def test_a_mistake_in_the_file(daemons: Daemons) -> None:
    """What the verb itself finds wrong is told by the verb, and no process was made."""
    answer = daemons.detach("service = Service('s')\n")
    assert (answer.code, answer.out) == (64, "")
    assert "[spec.empty]" in answer.err
    assert not daemons.program.home.exists()


def test_a_start_that_takes_too_long(daemons: Daemons) -> None:
    """The service's own start_timeout holds, and is told in its words: 70."""
    answer = daemons.detach(NEVER_READY)
    assert answer.code == 70
    assert "it had not started after 0.3 s: run did not call ctx.ready()" in answer.err
    assert daemons.pid == 0


def test_a_program_that_hangs_before_it_is_a_service(daemons: Daemons) -> None:
    """With --timeout, one that gives no sign of life is ended then, with all that it has: 70."""
    mark = daemons.program.folder / "pid"
    hang = f"open({str(mark)!r}, 'w').write(str(os.getpid())); import time; time.sleep(60)"
    daemons.write(IN_THE_DAEMON.format(what=hang))
    answer = daemons.program.verb("start", "--timeout", "0.7s")
    assert answer.code == 70
    assert "s was not RUNNING in time, and was ended: it gave no sign of life" in answer.err
    assert "[daemon.too-long]" in answer.err
    assert not rooms.lives(int(mark.read_text()))


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("raise OSError('no such module')", 1, "OSError: no such module"),
        ("os._exit(5)", 5, "exit code 5"),
        ("os.kill(os.getpid(), 11)", 139, "killed by signal 11"),
        ("os.write(2, b'out of memory\\n'); os.abort()", 134, "out of memory"),
    ],
)
def test_a_program_that_does_not_get_so_far(daemons: Daemons, what: str, code: int, said: str) -> None:
    """Whatever ends it, even in C code: its exit code (a signal's as a shell has it), and what it wrote last."""
    answer = daemons.detach(IN_THE_DAEMON.format(what=what))
    assert answer.code == code
    assert said in answer.err


def test_a_service_that_is_done_at_once(daemons: Daemons) -> None:
    """One whose run returns without having been ready has done its work: 0, and it says so."""
    answer = daemons.detach(DONE_AT_ONCE)
    assert (answer.code, answer.out, answer.err) == (0, "s has run, and is done\n", "")


def test_a_second_one(daemons: Daemons) -> None:
    """``run --detach`` of one that runs: 75 with its pid; the first doesn't notice."""
    daemons.detach()
    pid = daemons.pid
    answer = daemons.program.verb("run", "--detach")
    assert answer.code == 75
    assert f"s is running already, pid {pid}" in answer.err
    assert "[lock.held]" in answer.err
    assert daemons.status()["state"] == "RUNNING"


def test_who_waits_may_be_killed(daemons: Daemons) -> None:
    """The start goes on without the command, to its end."""
    started = daemons.begin(rooms.READY_LATE)
    daemons.wait_state("START_PENDING")
    started.send(signal.SIGKILL)
    assert started.wait() == -signal.SIGKILL
    daemons.go.touch()
    assert daemons.wait_state("RUNNING")["pid"] == daemons.pid


def test_ctrl_c_while_it_starts(daemons: Daemons) -> None:
    """Who waits and presses Ctrl-C has it stopped, waits for that, and ends with 130."""
    started = daemons.begin(rooms.READY_LATE)
    pid = daemons.wait_state("START_PENDING")["pid"]
    started.send(signal.SIGINT)
    assert started.wait() == 130
    assert "s was stopped before it was RUNNING" in started.err
    assert not rooms.lives(pid)


def test_threads_of_the_users_module_are_in_nobodys_way(daemons: Daemons) -> None:
    """A module that starts a thread when it is imported, and holds a lock in it, becomes a daemon all the same."""
    text = f"""
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
{rooms.PATIENT}"""
    answer = daemons.detach(text, prefix=["env", "PYTHONWARNINGS=error"])
    assert (answer.code, answer.err) == (0, "")
    assert daemons.status()["state"] == "RUNNING"


def test_nothing_is_done_twice(daemons: Daemons) -> None:
    """What the module has printed and not flushed, and its atexit functions, are once for each process that imported
    it.
    """
    ended = daemons.program.folder / "ended"
    text = f"""
import atexit, os, sys
sys.stdout.write("imported ")
atexit.register(lambda: open({str(ended)!r}, "a").write(f"{{os.getpid()}} "))
{rooms.PATIENT}"""
    answer = daemons.detach(text)
    pid = daemons.pid
    assert answer.out == f"imported s is RUNNING, process {pid}\n"
    assert len(ended.read_text().split()) == 1
    assert os.kill(pid, signal.SIGTERM) is None
    daemons.wait_gone(pid)
    assert ended.read_text().split()[1:] == [str(pid)]
    assert daemons.err.count("imported ") == 1


@pytest.mark.parametrize("option", ["--account=nobody", "--limit=nofile=100", "--pid-file=x.pid"])
def test_options_that_are_the_daemons_alone(program: Program, option: str) -> None:
    """In the foreground they are refused by name: 64."""
    program.write(rooms.PATIENT)
    answer = program.verb("run", option)
    assert answer.code == 64
    assert f"{option.partition('=')[0]} is for what runs in the background" in answer.err


def test_a_name_alone_is_not_enough(program: Program) -> None:
    """Nobody keeps it, so its program is needed: 64."""
    answer = program.stayon("run", "s", "--detach")
    assert answer.code == 64
    assert "its program is needed" in answer.err


def test_the_file_may_be_said_to_stayon(daemons: Daemons) -> None:
    """``stayon run FILE --detach``, with a path relative to where it was said, restarts as well."""
    daemons.write()
    answer = daemons.program.stayon("run", "p.py", "--detach", "--set", "stayon.log.level=debug")
    assert (answer.code, answer.err) == (0, "")
    pid = daemons.pid
    assert daemons.program.verb("restart").code == 0
    assert (daemons.pid, daemons.status()["restarts"]) == (pid, 1)
