"""The runtime of a service with nothing of Linux' own, kept by the fake launchd: no import, call or file that macOS
lacks is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import stayon
from stayon.core import restart, states
from stayon.errors import FailedError

pytestmark = [pytest.mark.linux, pytest.mark.slow]
desk_of = pytest.importorskip("tests.launchd.desk", reason="launchd's rooms are for Unix")

SOURCE = str(Path(stayon.__file__).parents[1])
MACLIKE = Path(__file__).with_name("maclike.py")

PROGRAM = """
import asyncio
from stayon import Service

service = Service("collector", hang_timeout="1s", stop_timeout="5s")

@service.every("50ms")
def collect(ctx):
    ctx.log.info("collected")

@service.every("50ms")
async def watch(ctx):
    await asyncio.sleep(0)

@service.task
def work(ctx):
    import subprocess, sys
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    ctx.stopping.wait(None)
"""

HANGING = """
import threading, time
from stayon import Service

service = Service("collector", hang_timeout="300ms")

@service.on_start
def hold_the_lock(ctx):
    def hang():
        import ctypes
        time.sleep(0.5)
        ctypes.PyDLL(None).usleep(60_000_000)
    threading.Thread(target=hang, daemon=True).start()

@service.every("1h")
def collect(ctx):
    pass
"""


@pytest.fixture
def desk() -> Iterator[Any]:
    """launchd, and a service that believes to be on macOS."""
    with desk_of.opened() as desk:
        yield desk


def _install(desk: Any, program: str, **fields: Any) -> None:
    desk.file.write_text(program, "utf-8")
    python, dash, _entry, *rest = desk.wanted().command
    environment = (*desk.wanted().environment, ("MACLIKE_SOURCE", SOURCE))
    desk.install(command=(python, dash, str(MACLIKE), *rest), environment=environment, **fields)


def _log(desk: Any) -> list[dict[str, Any]]:
    path = desk.folder / "home" / "collector" / "logs" / "collector.log"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def test_a_service_lives_without_anything_of_linux(desk) -> None:
    """It starts, works, pauses, goes on, reloads, restarts and stops; and logs no failure."""
    _install(desk, PROGRAM)

    assert desk.ask("start").state == states.RUNNING, _log(desk)
    desk.until(lambda: any(one["message"] == "collected" for one in _log(desk)), "its job runs")
    assert desk.ask("pause").state == states.PAUSED
    assert desk.ask("resume").state == states.RUNNING
    assert desk.ask("reload").state == states.RUNNING
    assert desk.ask("restart").state == states.RUNNING
    stopped = desk.ask("stop")

    assert (stopped.state, stopped.exit_code) == (states.STOPPED, 0)
    worse = [one for one in _log(desk) if one["level"] in ("WARNING", "ERROR", "CRITICAL")]
    assert not worse
    assert [path.read_text("utf-8") for path in desk.folder.rglob("*.out")] == [""]


def test_a_hang_that_holds_the_lock_is_ended(desk) -> None:
    """By faulthandler's thread, as there are no timers of the system: with 1, and the stacks in the crash file."""
    _install(desk, HANGING, restart=restart.never())
    desk.ask("start")

    desk.until(lambda: desk.look().state == states.STOPPED, "it is ended")
    assert desk.look().exit_code == 1
    crash = desk.folder / "home" / "collector" / "state" / "collector.crash"
    assert "hang" in crash.read_text("utf-8")


def test_a_start_that_fails_says_so(desk) -> None:
    """As everywhere."""
    _install(desk, "import nothing_of_that_name\n")

    with pytest.raises(FailedError, match="exit code 70"):
        desk.ask("start")
