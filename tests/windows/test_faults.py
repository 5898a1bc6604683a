"""What must not go wrong when everything else does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.windows import lab as laboratory

if TYPE_CHECKING:
    from tests.windows.lab import Lab

pytestmark = pytest.mark.slow

ALREADY_RUNNING = 1056
CANNOT_ACCEPT = 1061
NOT_ACCEPTED = 1052
HANG = 86

TICKER = """
    service = Service("{name}")

    @service.every("20ms")
    def tick(ctx):
        ctx.log.info("tick")

    @service.on_event
    def on_event(ctx, event):
        pass
    """

SLOW = """
    import time
    service = Service("{name}", start_timeout="20s", stop_timeout="20s")

    @service.on_start
    def begin(ctx):
        ctx.log.info("beginning")
        ctx.stopping.wait(1)

    @service.on_stop
    def end(ctx):
        ctx.log.info("ending")
        time.sleep(0.5)

    @service.every("1s")
    def work(ctx):
        pass
    """

WITH_CHILD = """
    import subprocess, sys, time
    service = Service("{name}", stop_timeout="600ms")

    @service.run
    def main(ctx):
        child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"])
        ctx.log.info("child", number=child.pid)
        ctx.ready()
        while not {ignores} or not ctx.stopping:
            time.sleep(0.05)
            if ctx.stopping and not {ignores}:
                return
        time.sleep(600)
    """


def test_after_kill_it_starts_again(lab: Lab) -> None:
    """A process that was ended from outside is in nobody's way: the next start works, and says what happened."""
    service = lab.service(TICKER)
    first = service.start()["pid"]
    lab.ask("terminate", first, 1)
    second = service.start()["pid"]
    assert second != first
    assert service.stop()["exit_code"] == 0


def test_stop_during_start(lab: Lab) -> None:
    """A STOP while START_PENDING stops it as soon as its hooks let it, and is no success that nobody asked for."""
    service = lab.service(SLOW)
    service.begin_start()
    service.wait_log("beginning")
    try:
        service.control(laboratory.STOP)
    except laboratory.CallError as refused:
        assert refused.code == CANNOT_ACCEPT  # noqa: PT017  # a SCM may let no control pass while START_PENDING
        service.wait("RUNNING")
        service.control(laboratory.STOP)
    service.wait("STOPPED")
    assert not service.records("died")
    assert service.start()["state"] == "RUNNING"
    service.stop()


def test_start_during_stop(lab: Lab) -> None:
    """A start while STOP_PENDING is refused as already running, and spoils nothing; once STOPPED it works."""
    service = lab.service(SLOW)
    service.start()
    service.control(laboratory.STOP)
    assert service.status()["state"] == "STOP_PENDING"
    with pytest.raises(laboratory.CallError) as refused:
        service.begin_start()
    assert refused.value.code == ALREADY_RUNNING
    assert service.wait("STOPPED")["exit_code"] == 0
    service.start()
    service.stop()


def test_two_starts_at_once(lab: Lab) -> None:
    """Of two starts at the same moment one is the start, and the other is told so; there is one process."""
    service = lab.service(TICKER)
    both = [lab.begin("start", service.name) for _ in range(2)]
    errors = [each.exception(laboratory.PATIENCE_S) for each in both]
    assert sorted(getattr(error, "code", 0) for error in errors) == [0, ALREADY_RUNNING]
    service.wait("RUNNING")
    service.wait_log("tick")
    assert len(service.records("START_PENDING -> RUNNING")) == 1
    service.stop()


def test_a_storm_of_controls(lab: Lab, until: Callable[..., Any]) -> None:
    """1,000 INTERROGATEs, and PAUSE, CONTINUE and custom codes as fast as they come: all answered at once, none lost
    its way, and no handle is left.
    """
    service = lab.service(TICKER)
    pid = service.start()["pid"]
    service.wait_log("tick")
    lab.ask("storm", service.name, [laboratory.INTERROGATE, 200], 10)
    before = lab.ask("figures", pid)
    calm = lab.ask("storm", service.name, [laboratory.INTERROGATE], 1000)
    assert calm["errors"] == {"0": 1000}
    mixed = [laboratory.PAUSE, laboratory.INTERROGATE, 128, laboratory.CONTINUE, 255, laboratory.INTERROGATE]
    wild = lab.ask("storm", service.name, mixed, 50)
    assert set(wild["errors"]) <= {"0", str(CANNOT_ACCEPT), str(NOT_ACCEPTED)}
    assert max(calm["longest_s"], wild["longest_s"]) < 1
    lab.ask("storm", service.name, [laboratory.CONTINUE], 1)
    until(lambda: service.status()["state"] == "RUNNING", "RUNNING")
    ticks = len(service.records("tick"))
    service.wait_log("tick", ticks + 2)

    def is_as_before() -> bool:
        after = lab.ask("figures", pid)
        return after["handles"] <= before["handles"] + 5 and after["threads"] <= before["threads"] + 2

    # The system's own threads for calls stay a moment.
    until(is_as_before, "as few handles and threads as before")
    assert service.stop()["exit_code"] == 0


@pytest.mark.parametrize("ignores", [False, True], ids=["leaves", "ignores the stop"])
def test_children_end_with_it(lab: Lab, until: Callable[..., Any], ignores: bool) -> None:
    """A process that the service has started is gone when it is STOPPED; who ignores the stop is told by name, and
    ended at the timeout.
    """
    service = lab.service(WITH_CHILD.replace("{ignores}", str(ignores)))
    pid = service.start()["pid"]
    child = service.wait_log("child")["fields"]["number"]
    assert lab.ask("alive", child)
    began = time.monotonic()
    stopped = service.stop()
    assert time.monotonic() - began < 10
    until(lambda: not lab.ask("alive", child), "the child's end")
    until(lambda: not lab.ask("alive", pid), "the service's end")
    assert stopped["exit_code"] == 0
    late = [record["fields"]["who"] for record in service.records("these did not stop")]
    assert ("run" in str(late)) == ignores
    assert service.records("stopped")[-1]["fields"]["exit_code"] == (70 if ignores else 0)


def test_children_die_with_a_killed_service(lab: Lab, until: Callable[..., Any]) -> None:
    """A service that was ended from outside leaves no process behind: they are in its Job object."""
    service = lab.service(WITH_CHILD.replace("{ignores}", "False"))
    pid = service.start()["pid"]
    child = service.wait_log("child")["fields"]["number"]
    lab.ask("terminate", pid, 1)
    until(lambda: not lab.ask("alive", child), "the child's end")


STUCK = {
    "the GIL is held": "ctypes.PyDLL('kernel32').Sleep(60_000)",
    "the host's loop is stuck": "ctx._host.loop.post(time.sleep, 60)",
}


@pytest.mark.parametrize("how", STUCK)
def test_a_hang_ends_it(lab: Lab, how: str) -> None:
    """When the host does not come round, also as C code holds the GIL, the process ends with 86, and the next start
    has the stacks in its log.
    """
    service = lab.service(f"""
        import ctypes, os, time
        service = Service("{{name}}", hang_timeout="1s")

        @service.run
        def main(ctx):
            ctx.ready()
            if "hang" in ctx.arguments:
                ctx.stopping.wait(1)
                {STUCK[how]}
            ctx.stopping.wait()
        """)
    pid = service.start("hang")["pid"]
    ended = lab.begin("exit_code", pid, laboratory.PATIENCE_S)
    assert ended.result(2 * laboratory.PATIENCE_S) == HANG
    service.start()
    assert "in main" in service.wait_log("crashed or hung")["fields"]["stacks"]
    service.stop()
