"""Several processes and several wishes at the same time: one runs, nothing is lost, and no child holds the house."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.platform.conftest import Program, Started

RESTING = """
import os, subprocess, sys, time
service = Service("s", stop_timeout="2s", probes={port})

@service.run
def main(ctx):
    {body}
    ctx.ready()
    ctx.log.info("ready")
    ctx.stopping.wait()
"""


def resting(body: str, port: int | None = None) -> str:
    """A service that does *body* before it is ready."""
    return RESTING.format(body=body, port=port)


def test_many_starts_at_once(program: Program, until: Callable[..., object]) -> None:
    """Of six that are started at the same moment one runs; the others exit 75, and the one does not notice."""
    program.write(resting("pass"))
    starts = [program.start(None) for _ in range(6)]
    until(lambda: sum(started.process.poll() is None for started in starts) == 1, "the end of five")
    living = next(started for started in starts if started.process.poll() is None)
    living.wait_running()
    others = [started for started in starts if started is not living]
    assert [started.wait() for started in others] == [75] * 5
    assert all("running already" in started.err for started in others)
    assert program.verb("status", "--json").json["pid"] == living.pid
    assert living.stop() == 0


def test_many_verbs_at_once(program: Program) -> None:
    """Eight visitors with different wishes are all answered, and the service stays whole."""
    started = program.run(resting("pass"))
    verbs = ["pause", "resume", "reload", "dump"] * 2
    asked = [program.start(None, verb) for verb in verbs]
    codes = [one.wait() for one in asked]
    # Pause and resume may come while the other is under way: then the answer is a refusal, which says so.
    assert {code for verb, code in zip(verbs, codes, strict=True) if verb in ("reload", "dump")} == {0}
    assert set(codes) <= {0, 70, 75}
    assert program.verb("status").code == 0
    assert started.stop() == 0


def test_two_stops_at_once(program: Program) -> None:
    """Both say that it is stopped, and neither is an error."""
    started = program.run(resting("pass"))
    asked = [program.start(None, "stop") for _ in range(2)]
    assert [one.wait() for one in asked] == [0, 0], [one.err for one in asked]
    assert started.wait() == 0


def test_a_stop_while_it_starts(program: Program) -> None:
    """A stop during a slow start is no failure of the start: the hook may end, and nothing after it is begun."""
    started = program.start("""
        import time
        service = Service("s", stop_timeout="5s")

        @service.on_start
        def slow(ctx):
            ctx.log.info("begun")
            ctx.stopping.wait(10)
            ctx.log.info("ended")

        @service.run
        def main(ctx):
            ctx.log.info("never")
        """)
    started.wait_log("begun")
    assert started.stop() == 143
    assert started.records("ended")
    assert not started.records("never")


CHILDREN = {
    "subprocess": "subprocess.Popen([sys.executable, '-c', 'import time; open(\"up\", \"w\"); time.sleep(60)'])",
    "fork": """
    if (pid := os.fork()) == 0:
        open("up", "w").close()
        time.sleep(60)
        os._exit(0)
""",
}


@pytest.fixture
def child_of(program: Program, until: Callable[..., object]) -> Iterator[Callable[[Started], int]]:
    """Call it with a service for the pid of its only child, once that is up; the child is killed after the test."""
    found: list[int] = []

    def child(started: Started) -> int:
        started.wait_log("ready")
        until((program.folder / "up").exists, "the child")
        found.extend(map(int, Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()))
        assert len(found) == 1
        return found[0]

    yield child
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.mark.linux
@pytest.mark.parametrize("kind", CHILDREN)
def test_a_child_does_not_hold_the_house(
    program: Program, kind: str, free_port: Callable[[], int], child_of: Callable[[Started], int]
) -> None:
    """A child of the user's that outlives the service has neither its lock nor its socket nor its port."""
    port = free_port()
    started = program.run(resting(CHILDREN[kind], port))
    child = child_of(started)
    started.process.kill()
    # (The child has the pipes as well, so standard error does not end with the service.)
    started.process.wait()
    again = program.run(resting("pass", port))
    assert program.verb("status", "--json").json["pid"] == again.pid
    assert again.stop() == 0
    assert Path(f"/proc/{child}").exists(), "it had to outlive the service for all this to mean something"


@pytest.mark.linux
def test_a_signal_to_a_forked_child_is_the_childs(
    program: Program, until: Callable[..., object], child_of: Callable[[Started], int]
) -> None:
    """SIGTERM to a child that the user's code has forked ends the child, and not the service."""
    started = program.run(resting(CHILDREN["fork"]))
    child = child_of(started)
    os.kill(child, signal.SIGTERM)
    status = Path(f"/proc/{child}/stat")
    until(lambda: ") Z " in status.read_text(), "the child's end")
    assert program.verb("status").code == 0
    assert not started.records("STOP_PENDING")
    assert started.stop() == 0


@pytest.mark.linux
def test_nothing_piles_up(program: Program) -> None:
    """Pausing, resuming and reloading again and again leaves no file and no thread behind."""
    started = program.run(resting("pass"))

    def rounds(count: int) -> tuple[int, int]:
        for _ in range(count):
            for verb in ("pause", "resume", "reload"):
                assert program.verb(verb).code == 0
        return len(os.listdir(f"/proc/{started.pid}/fd")), len(os.listdir(f"/proc/{started.pid}/task"))

    assert rounds(3) == rounds(1)
    assert started.stop() == 0
