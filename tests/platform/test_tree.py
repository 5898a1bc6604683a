"""What a service has started ends with it, wherever it has gone; nothing else does."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.platform.conftest import Program, Started

pytestmark = [pytest.mark.linux, pytest.mark.macos]

# What it starts says its number in a file of its name.
PROGRAM = """
import os, subprocess, sys, time
from stayon import backoff
service = Service("s"{options})

def tell(name, pid):
    with open(name + ".new", "w") as file:
        file.write(str(pid))
    os.rename(name + ".new", name)

def daemon(name, then):
    if os.fork():
        os.wait()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(3, 1000)
    tell(name, os.getpid())
    then()
    os._exit(0)

@service.on_start
def start(ctx):
{body}

@service.every("1h", name="nothing")
def nothing(ctx):
    pass
"""

CHILD = "    tell('child', subprocess.Popen(['sleep', '600']).pid)"
EXECUTED = "    daemon('executed', lambda: os.execvp('sleep', ['sleep', '600']))"
FORKED = "    daemon('forked', lambda: time.sleep(600))"
# Ignores SIGTERM once it has said so.
DEAF = """    deaf = subprocess.Popen(["sh", "-c", "trap '' TERM; echo; sleep 600"], stdout=subprocess.PIPE)
    deaf.stdout.read(1)
    tell("deaf", deaf.pid)"""


@pytest.fixture
def run(program: Program, until: Callable[..., Any]) -> Callable[..., tuple[Started, dict[str, int]]]:
    """Call it with lines of its start hook; gives the run, and the pids by name once all of them are told."""

    def start(*lines: str, names: tuple[str, ...], options: str = "", words: tuple[str, ...] = ()) -> Any:
        # (Python 3.12 warns of forks beside threads.)
        text = PROGRAM.format(body="\n".join(lines), options=options)
        started = program.start(text, *words, environment={"PYTHONWARNINGS": "ignore::DeprecationWarning"})
        started.wait_running()
        until(lambda: all((program.folder / name).exists() for name in names), "what it starts")
        return started, {name: int((program.folder / name).read_text()) for name in names}

    return start


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    from stayon.platforms.identity import process_identity

    return process_identity(pid) != ""


def test_nothing_stays_behind(run) -> None:
    """A child, a daemon of another program, and one that was only forked: all are asked to end, and told by name."""
    forked = (FORKED,) if sys.platform == "linux" else ()
    names = ("child", "executed", "forked")[: 2 + len(forked)]
    started, pids = run(CHILD, EXECUTED, *forked, names=names)
    assert all(is_alive(pid) for pid in pids.values())
    assert started.stop() == 0
    assert not any(is_alive(pid) for pid in pids.values())
    record = started.wait_log("ended what the service had left running")
    assert (record["level"], record["event"], record["fields"]["count"]) == ("WARNING", 40, len(pids))
    for name, pid in pids.items():
        told = [said for said in record["fields"]["processes"] if said.endswith(f"(pid {pid})")]
        assert len(told) == 1
        assert told[0].startswith("sleep " if name != "forked" else "python")


def test_a_second_signal_leaves_nothing_behind_either(run) -> None:
    """Forced to stop, while something still works: the same."""
    started, pids = run(EXECUTED, names=("executed",))
    started.send(signal.SIGTERM)
    started.send(signal.SIGTERM)
    started.wait()
    assert not is_alive(pids["executed"])


@pytest.mark.slow
def test_who_does_not_listen_is_killed(run) -> None:
    """After a second's grace, and not before."""
    started, pids = run(DEAF, names=("deaf",))
    before = time.monotonic()
    assert started.stop() == 0
    assert 1.0 <= time.monotonic() - before < 10.0
    assert not is_alive(pids["deaf"])


def test_a_service_that_started_nothing_says_nothing(program: Program) -> None:
    """No warning, and no time spent on it."""
    started = program.run(program.eight_lines)
    assert started.stop() == 0
    assert not started.records("left running")


def test_helpers_of_multiprocessing_clean_up_themselves(program: Program) -> None:
    """They end when they see that we have; killed, they would leave behind what they are there to remove."""
    started = program.run(
        """
        from multiprocessing import shared_memory
        service = Service("s")

        @service.on_start
        def start(ctx):
            ctx.log.info("made", name=shared_memory.SharedMemory(create=True, size=10).name)

        @service.every("1h")
        def nothing(ctx):
            pass
        """
    )
    assert started.stop() == 0
    assert not started.records("left running")


def test_another_service_that_it_started_lives_on(program: Program, until: Callable[..., Any]) -> None:
    """``run --detach`` is for good, whoever says it."""
    other = program.write('service = Service("other")\n@service.every("1h")\ndef nothing(ctx): pass\n', "other.py")
    started = program.run(
        f"""
        import subprocess, sys
        service = Service("s")

        @service.on_start
        def start(ctx):
            subprocess.run([sys.executable, {str(other)!r}, "run", "--detach"], check=True)

        @service.every("1h")
        def nothing(ctx):
            pass
        """
    )
    try:
        assert started.stop() == 0
        assert program.call(sys.executable, str(other), "status").code == 0
    finally:
        assert program.call(sys.executable, str(other), "stop").code == 0


@pytest.mark.linux
def test_a_restart_in_place_leaves_no_zombies(run) -> None:
    """The process stays the same one, and what it has ended is taken by it, as nobody else would."""
    once = "    if not os.path.exists('once'): tell('once', os.getpid()); raise RuntimeError('once')"
    started, pids = run(
        "    if not os.path.exists('child'):", f"    {CHILD}", EXECUTED, once,
        names=("child", "executed", "once"), options=", restart=backoff('100ms')",
    )  # fmt: skip
    started.wait_log("ended what the service had left running")
    assert pids["once"] == int(started.wait_log("-> RUNNING")["pid"])
    assert not os.path.exists(f"/proc/{pids['child']}")
    assert started.stop() == 0
