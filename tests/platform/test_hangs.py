"""What gives no sign of life is found, shown with its stacks, and ended with 86; what answers meanwhile, answers."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.platform.conftest import Program

HANGS = {
    "run": """
        @service.run(hang_timeout="300ms")
        def main(ctx):
            ctx.ready()
            time.sleep(60)
        """,
    "job work": """
        @service.every("60s", hang_timeout="300ms")
        def work(ctx):
            time.sleep(60)
        """,
    "waiter": """
        @service.task(hang_timeout="300ms")
        def waiter(ctx):
            time.sleep(60)
        """,
    "run, async": """
        @service.run(hang_timeout="300ms")
        async def main(ctx):
            ctx.ready()
            await asyncio.sleep(60)
        """,
}


@pytest.mark.parametrize("who", HANGS)
def test_no_heartbeat_is_a_hang(program: Program, who: str) -> None:
    """Where hang_timeout was asked for and no ``ctx.heartbeat()`` came: the stacks, one report, exit code 86."""
    started = program.start(f"import asyncio, time\nservice = Service('s')\n{dedent(HANGS[who])}")

    assert started.wait() == 86, started.err
    name = who.partition(",")[0]
    hang = started.records("gave no heartbeat for 0.3 s")[0]
    assert hang["message"].startswith(name)
    stacks = hang["fields"]["stacks"]
    assert "time.sleep(60)" in stacks or "await asyncio.sleep(60)" in stacks, stacks
    assert [call["name"] for call in hang["fields"]["under_way"]] == [name]
    assert len([record for record in started.log() if record.get("event") == 13]) == 1
    status = program.verb("status", "--json").json
    assert (status["verdict"], status["exit_code"]) == ("ended", 86)


def test_heartbeats_keep_it_alive(program: Program, until: Callable[..., object]) -> None:
    """Who calls ``ctx.heartbeat()`` more often than every hang_timeout may work for as long as it likes."""
    started = program.run("""
        import time
        service = Service("s")

        @service.run(hang_timeout="300ms")
        def main(ctx):
            ctx.ready()
            begun = time.monotonic()
            while time.monotonic() - begun < 1:
                ctx.heartbeat()
                ctx.stopping.wait(0.02)
            ctx.log.info("done")
        """)
    assert started.wait() == 0
    assert started.records("done")


STUCK = {
    "the GIL is held": "ctypes.PyDLL(None).usleep(60_000_000)",
    "the host's loop is stuck": "ctx._host.loop.post(time.sleep, 60)",
}


@pytest.mark.linux
@pytest.mark.parametrize("how", STUCK)
def test_a_stuck_host_ends_with_its_stacks(program: Program, how: str) -> None:
    """When the host itself does not come round, also as C code holds the GIL: 86 in hang_timeout and a little more.

    The stacks are on standard error, and in the log of the next start.
    """
    started = program.start(f"""
        import ctypes, time
        service = Service("s", hang_timeout="500ms")

        @service.run
        def main(ctx):
            ctx.ready()
            if "hang" in ctx.arguments:
                {STUCK[how]}
            ctx.stopping.wait()
        """, "run", "--", "hang")  # fmt: skip
    begun = time.monotonic()
    assert started.wait() == 86, started.err
    assert time.monotonic() - begun < 5
    assert "most recent call first" in started.err
    assert "in main" in started.err
    assert "died without a word" in program.verb("status").out
    after = program.run(None)
    assert "in main" in after.records("crashed or hung")[0]["fields"]["stacks"]
    assert after.stop() == 0


@pytest.mark.linux
def test_a_hung_process_is_told_from_outside(program: Program) -> None:
    """``status`` works on a process that does not answer, and says for how long it has been silent."""
    started = program.run("""
        service = Service("s", hang_timeout=None)

        @service.every("60s")
        def work(ctx):
            pass
        """)
    started.send(signal.SIGSTOP)
    begun = time.monotonic()
    status = program.verb("status", "--json")
    pause = program.verb("pause", "--timeout", "200ms")
    started.send(signal.SIGCONT)

    assert (status.code, status.json["pid"]) == (0, started.pid)
    assert (pause.code, pause.err.count("\n")) == (75, 1)
    assert "has not answered within 0.2 s" in pause.err
    assert time.monotonic() - begun < 5
    assert started.stop() == 0


@pytest.mark.linux
def test_ctrl_z_is_no_hang(program: Program, until: Callable[..., object]) -> None:
    """A service that is suspended (Ctrl-Z) for longer than hang_timeout goes on when it is continued."""
    started = program.run("""
        service = Service("s", hang_timeout="1s")

        @service.every("20ms")
        def tick(ctx):
            ctx.log.info("tick")
        """)
    started.wait_log("tick", 2)
    started.send(signal.SIGTSTP)
    until(lambda: state_of(started.pid) == "T", "the suspension")
    later = time.monotonic() + 1.5
    until(lambda: time.monotonic() > later, "a second")
    ticks = len(started.records("tick"))
    started.send(signal.SIGCONT)
    started.wait_log("tick", ticks + 3)
    assert started.stop() == 0


def state_of(pid: int) -> str:
    """The state letter of proc_pid_stat(5)."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0]
