"""A service's life in the Service Control Manager, asked for by a client that knows nothing of us."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.windows import lab as laboratory

if TYPE_CHECKING:
    from tests.windows.lab import Lab

pytestmark = pytest.mark.slow

ACCEPT_STOP, ACCEPT_PAUSE, ACCEPT_SHUTDOWN, ACCEPT_PARAMCHANGE, ACCEPT_PRESHUTDOWN = 1, 2, 4, 8, 0x100

COLLECTOR = """
    service = Service("{name}")

    @service.every("20ms")
    def collect(ctx):
        ctx.log.info("collected")

    @service.on_event
    def on_event(ctx, event):
        ctx.log.info("told", kind=event.kind, code=event.code)
    """

SLOW_TO_START = """
    import os
    service = Service("{name}", start_timeout="20s")

    @service.run
    def main(ctx):
        while not os.path.exists(os.path.join(ctx.state_dir, "go")):
            assert not ctx.stopping.wait(0.01)
        ctx.ready()
        ctx.stopping.wait()
    """

WAITER = """
    service = Service("{name}")

    @service.run
    def main(ctx):
        ctx.log.info("started with", words=list(ctx.arguments))
        ctx.ready()
        ctx.stopping.wait()
    """


def test_it_starts_pauses_goes_on_and_stops(lab: Lab) -> None:
    """START, PAUSE, CONTINUE, INTERROGATE, a custom code and STOP do what they say; a stop is no failure."""
    service = lab.service(COLLECTOR)
    running = service.start()
    assert running["pid"] > 0
    assert running["accepted"] & (ACCEPT_STOP | ACCEPT_PAUSE | ACCEPT_PARAMCHANGE) == 11
    service.wait_log("collected", 2)

    service.control(laboratory.PAUSE)
    service.wait("PAUSED")
    collected = len(service.records("collected"))
    service.control(laboratory.INTERROGATE)
    service.control(200)
    assert service.wait_log("told")["fields"]["code"] == 200
    assert service.status()["state"] == "PAUSED"
    assert len(service.records("collected")) == collected

    service.control(laboratory.CONTINUE)
    service.wait("RUNNING")
    service.wait_log("collected", collected + 1)
    stopped = service.stop()
    assert (stopped["exit_code"], stopped["specific"], stopped["accepted"]) == (0, 0, 0)
    assert service.records("RUNNING -> STOP_PENDING")


def test_what_has_no_jobs_cannot_be_paused(lab: Lab) -> None:
    """A service with nothing to pause does not accept PAUSE; SHUTDOWN and PRESHUTDOWN are not both accepted."""
    service = lab.service(WAITER)
    accepted = service.start()["accepted"]
    assert accepted & ACCEPT_PAUSE == 0
    assert accepted & (ACCEPT_SHUTDOWN | ACCEPT_PRESHUTDOWN) in (ACCEPT_SHUTDOWN, ACCEPT_PRESHUTDOWN)
    with pytest.raises(laboratory.CallError) as refused:
        service.control(laboratory.PAUSE)
    assert refused.value.code == 1052  # ERROR_INVALID_SERVICE_CONTROL
    assert service.stop()["exit_code"] == 0


def test_it_is_pending_until_it_is_ready(lab: Lab, until: Callable[..., Any]) -> None:
    """START_PENDING lasts until ``ctx.ready()``, with a checkpoint and a wait hint that both grow."""
    service = lab.service(SLOW_TO_START)
    started = lab.begin("start", service.name)

    def pulse_after(checkpoint: int) -> Any:
        found = service.status()
        return found if found["checkpoint"] > checkpoint else None

    first = until(lambda: pulse_after(0), "a pulse")
    later = until(lambda: pulse_after(first["checkpoint"]), "a second one")
    assert first["state"] == later["state"] == "START_PENDING"
    assert later["wait_hint_ms"] > first["wait_hint_ms"] > 0
    (service.place / "state" / "go").touch()
    running = service.wait("RUNNING")
    assert started.result(laboratory.PATIENCE_S) is None
    assert (running["checkpoint"], running["wait_hint_ms"]) == (0, 0)
    assert service.stop()["exit_code"] == 0


def test_words_of_the_start_reach_it(lab: Lab) -> None:
    """What is given to StartService is ``ctx.arguments``."""
    service = lab.service(WAITER)
    service.start("alpha", "two words", 'a "quoted" one')
    assert service.wait_log("started with")["fields"]["words"] == ["alpha", "two words", 'a "quoted" one']
    service.stop()


def test_an_async_service_lives_there_too(lab: Lab) -> None:
    """``async def`` runs on the main thread's event loop, and ends when STOP comes."""
    service = lab.service("""
        import asyncio, threading
        service = Service("{name}")

        @service.run
        async def main(ctx):
            assert threading.current_thread() is threading.main_thread()
            ctx.ready()
            await ctx.stopping.wait_async()
            ctx.log.info("left")
        """)
    service.start()
    assert service.stop()["exit_code"] == 0
    assert service.records("left")


def test_it_can_end_by_itself(lab: Lab) -> None:
    """``run`` that returns is a service that has done its work: STOPPED, with no error."""
    service = lab.service("""
        service = Service("{name}")

        @service.run
        def main(ctx):
            ctx.ready()
        """)
    found = service.start_in_vain()
    assert (found["exit_code"], found["specific"]) == (0, 0)
    assert service.wait_log("stopped")["fields"]["exit_code"] == 0


def test_it_starts_again_and_again(lab: Lab) -> None:
    """Each start has a process of its own, and leaves nothing that is in the way of the next."""
    service = lab.service(WAITER)
    pids = set()
    for _ in range(3):
        pids.add(service.start()["pid"])
        assert service.stop()["exit_code"] == 0
    assert len(pids) == 3
    assert len(service.records("started with")) == 3


@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
def test_paramchange_reloads(lab: Lab, good: bool) -> None:
    """PARAMCHANGE applies a good configuration, and keeps the old one where the new one is bad; it runs on."""
    service = lab.service("""
        service = Service("{name}")

        @service.every("20ms")
        def collect(ctx):
            ctx.log.info(f"the answer is {ctx.config.get('answer')}")
        """)
    service.write_config('answer = 1\n[stayon]\nreload = "manual"\n')
    service.start()
    service.wait_log("the answer is 1")
    service.write_config('answer = 2\n[stayon]\nreload = "manual"\n' if good else "answer = [\n")
    service.control(laboratory.PARAMCHANGE)
    if good:
        service.wait_log("the answer is 2")
    else:
        record = service.wait_log("configuration not applied")
        assert record["event"] == 31
        service.wait_log("the answer is 1", len(service.records("the answer is 1")) + 2)
        assert not service.records("the answer is 2")
    assert service.status()["state"] == "RUNNING"
    assert service.stop()["exit_code"] == 0


def test_a_changed_file_is_applied_by_itself(lab: Lab) -> None:
    """The directory's notifications tell of a changed configuration: nobody has to ask for the reload."""
    service = lab.service("""
        service = Service("{name}")

        @service.every("20ms")
        def collect(ctx):
            ctx.log.info(f"the answer is {ctx.config.get('answer')}")
        """)
    service.write_config("answer = 1\n")
    service.start()
    service.wait_log("the answer is 1")
    service.write_config("answer = 2\n")
    service.wait_log("the answer is 2")
    assert service.records("configuration applied")
    service.stop()
