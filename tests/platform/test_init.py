"""PID 1 of a container: a service there is a good one. The container is a pid namespace."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.platform.conftest import Program, Started

pytestmark = [pytest.mark.linux, pytest.mark.needs_root]

UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]

QUIET = """
import os, subprocess, sys, threading, time
from stayon import backoff
service = Service("s"{options})

@service.on_start
def start(ctx):
    {body}

@service.every("1h")
def nothing(ctx):
    pass
"""


class Container:
    """A running one: what started it, and its PID 1 as it is numbered outside."""

    def __init__(self, started: Started, until: Callable[..., Any]) -> None:
        self.started = started
        self.init = until(lambda: children_of(started.pid), "PID 1")[0]

    def send(self, number: signal.Signals) -> None:
        os.kill(self.init, number)

    def stop(self) -> int:
        self.send(signal.SIGTERM)
        return self.started.wait()

    @property
    def service(self) -> int:
        """The only child of PID 1, as it is numbered outside."""
        (pid,) = children_of(self.init)
        return pid


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def contain(program: Program, until: Callable[..., Any]) -> Callable[..., Container]:
    """Call it with what the service does at its start; gives its container once it is RUNNING."""

    def run(body: str = "pass", *words: str, options: str = "", before: str = "", **more: Any) -> Container:
        text = QUIET.format(body=body, options=options) + before
        started = program.start(text, *words, prefix=UNSHARE, **more)
        return Container(started.wait_running(), until)

    return run


def test_the_service_is_a_child_of_pid_1(contain) -> None:
    """PID 1 is another, small program, whose memory does not depend on what the service has imported."""
    container = contain("import asyncio, http.client, decimal")
    assert container.started.wait_log("-> RUNNING")["pid"] == 2
    assert b"init_process.py" in Path(f"/proc/{container.init}/cmdline").read_bytes()
    rollup = Path(f"/proc/{container.init}/smaps_rollup").read_text()
    private = [
        int(line.split()[1]) for line in rollup.splitlines() if line.startswith(("Private_Dirty", "Private_Clean"))
    ]
    assert sum(private) < 3500, rollup
    assert container.stop() == 0


def test_orphans_are_taken(contain, until) -> None:
    """A hundred that lost their parents, and have ended since: not one is there as a zombie."""
    container = contain("subprocess.run(['sh', '-c', 'for i in $(seq 100); do (sleep 0.01 &) ; done'], check=True)")
    until(lambda: len(children_of(container.init)) == 1, "the end of the last zombie")
    assert container.stop() == 0


def test_signals_reach_the_service(contain, program: Program) -> None:
    """What a signal means, it means in a container too, and as often as it is sent."""
    program.config.write_text('[stayon]\nreload = "manual"\n')
    container = contain()
    program.config.write_text('[stayon]\nreload = "manual"\n[stayon.log]\nlevel = "debug"\n')
    container.send(signal.SIGHUP)
    container.started.wait_log("configuration applied")
    container.send(signal.SIGQUIT)
    container.started.wait_log("dump")
    assert container.stop() == 0
    assert len(container.started.records("dump")) == 1
    assert len(container.started.records("stopping; once more forces it")) == 1


def test_it_ends_as_the_service_did(contain, program: Program) -> None:
    """With its exit code; with 128 + n where a signal killed it."""
    failing = program.start(QUIET.format(body="raise OSError('no')", options=""), prefix=UNSHARE)
    assert failing.wait() == 70
    container = contain()
    os.kill(container.service, signal.SIGKILL)
    assert container.started.wait() == 128 + signal.SIGKILL


def test_what_is_left_is_asked_and_then_killed(contain, short_tmp: Path) -> None:
    """What bears no mark is ended by PID 1, within its grace; one that doesn't listen does not keep it."""
    polite = "trap 'echo asked > asked; exit' TERM; echo > up; while :; do sleep 0.05; done"
    deaf = "trap '' TERM; echo > deaf; while :; do sleep 0.05; done"
    container = contain(
        f"[subprocess.run(['sh', '-c', 'env -i setsid sh -c \"$0\" > /dev/null 2>&1 &', text]) "
        f"for text in ({polite!r}, {deaf!r})]; "
        "[time.sleep(0.01) for _ in range(1000) if not (os.path.exists('up') and os.path.exists('deaf'))]"
    )
    assert container.stop() == 0
    assert (short_tmp / "asked").exists()
    assert not container.started.records("left running")


def test_it_can_be_switched_off(contain) -> None:
    """STAYON_INIT=off: the service is PID 1 itself."""
    container = contain(environment={"STAYON_INIT": "off"})
    assert container.started.wait_log("-> RUNNING")["pid"] == 1
    assert container.stop() == 0


def test_a_program_with_threads_begins_anew(contain) -> None:
    """Forking would leave its threads behind: the service is the same program, started again as a child."""
    container = contain(
        before="threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
        "if __name__ == '__main__': print('begun', os.getpid(), flush=True)\n"
    )
    assert container.started.wait_log("-> RUNNING")["pid"] != 1
    assert container.stop() == 0
    assert [line.split()[0] for line in container.started.out.splitlines()] == ["begun", "begun"]


def test_a_restart_in_place_keeps_its_init(contain) -> None:
    """The service replaces itself; for its container nothing has happened."""
    container = contain(
        "if not os.path.exists('once'): open('once', 'w').close(); raise OSError('once')",
        options=", restart=backoff('10ms')",
    )
    assert container.started.wait_log("-> RUNNING")["pid"] == 2
    assert container.stop() == 0


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Its two ends: the person's, and the program's."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


def test_one_press_is_one_signal(contain, terminal) -> None:
    """Ctrl-C at the container's terminal comes to the service once, as nobody passes on what it has heard by itself."""
    person, own = terminal
    container = contain(preexec_fn=lambda: fcntl.ioctl(own, termios.TIOCSCTTY, 0), pass_fds=[own])
    os.write(person, b"\x03")
    assert container.started.wait() == 0
    assert [json.loads(line) for line in container.started.err.splitlines() if "once more forces" in line]
    assert not container.started.records("not waiting any longer")
