"""Hooks: when each is called, in which order, with which limit, and what an error in it means."""

from __future__ import annotations

import pytest

from stayon import FailedError, Service, exits
from stayon.testing import simulate, sleep


def hooked(order: list[str], **behaviours) -> Service:
    """A service with two hooks of each kind that note their name; *behaviours* are called by the second of a kind."""
    service = Service("hooked", hook_timeout="2s", stop_timeout="10s", start_timeout="10s")
    for kind in ("start", "pause", "resume", "stop"):
        declare = getattr(service, f"on_{kind}")
        declare(lambda ctx, kind=kind: order.append(f"{kind} 1"))
        declare(lambda ctx, kind=kind: (order.append(f"{kind} 2"), behaviours.get(kind, lambda: None)()))
    service.every("1h", name="job")(lambda ctx: order.append("job"))
    return service


def fails() -> None:
    """As a hook may."""
    raise OSError("hook")


def test_hooks_come_in_the_order_of_declaration_and_stop_hooks_in_reverse() -> None:
    """Start hooks before the first job, pause and resume hooks around the pause; opened last is closed first."""
    order: list[str] = []

    with simulate(hooked(order)) as sim:
        sim.pause()
        sim.resume()
        sim.stop()

    assert order == ["start 1", "start 2", "job", "pause 1", "pause 2", "resume 1", "resume 2", "stop 2", "stop 1"]


def test_a_start_hook_that_fails_is_a_failed_start() -> None:
    """No job runs, the reason is the hook's, and the stop hooks may clean up."""
    order: list[str] = []

    with simulate(hooked(order, start=fails)) as sim:
        assert sim.join() == exits.FAILED
        assert "OSError: hook" in sim.why

    assert order == ["start 1", "start 2", "stop 2", "stop 1"]


@pytest.mark.parametrize("behaviour", [fails, lambda: sleep("1h")], ids=["raises", "hangs"])
def test_a_pause_hook_that_fails_leaves_it_running(behaviour) -> None:
    """Raising or hanging: the verb fails with the reason, and jobs go on."""
    order: list[str] = []

    with simulate(hooked(order, pause=behaviour)) as sim:
        with pytest.raises(FailedError, match=r"hook|did not return within 2 s"):
            sim.pause()
        assert sim.state == "RUNNING"
        sim.advance("1h")
        assert order.count("job") == 2


@pytest.mark.parametrize("behaviour", [fails, lambda: sleep("1h")], ids=["raises", "hangs"])
def test_a_resume_hook_that_fails_leaves_it_paused(behaviour) -> None:
    """Raising or hanging: it stays PAUSED, and can be asked again."""
    order: list[str] = []
    behaviours = iter([behaviour, lambda: None])

    def second_resume_hook() -> None:
        next(behaviours)()

    with simulate(hooked(order, resume=second_resume_hook)) as sim:
        sim.pause()
        with pytest.raises(FailedError):
            sim.resume()
        assert sim.state == "PAUSED"
        sim.resume()
        assert sim.state == "RUNNING"


@pytest.mark.parametrize("behaviour", [fails, lambda: sleep("1h")], ids=["raises", "hangs"])
def test_a_stop_hook_that_fails_is_a_failure_and_holds_up_nobody(behaviour) -> None:
    """The other hooks are called, the stop ends, and its code is not that of a clean one."""
    order: list[str] = []

    with simulate(hooked(order, stop=behaviour)) as sim:
        assert sim.stop() == exits.FAILED
        assert sim.elapsed_s <= 10.001
        assert "on_stop" in sim.why

    assert order[-2:] == ["stop 2", "stop 1"]


def test_stop_hooks_come_one_after_the_other_while_the_run_leaves() -> None:
    """Each hook waits for the one before, and none for the run: together they take the longer of both times."""
    service = Service("beside", stop_timeout="10s")
    sim = simulate(service)
    moments = []
    for _ in range(2):
        service.on_stop(lambda ctx: (moments.append(sim.elapsed_s), sleep("2s")))

    @service.run
    def run(ctx):
        ctx.ready()
        ctx.stopping.wait()
        sleep("5s")

    with sim:
        assert sim.stop() == exits.DONE
        assert sim.elapsed_s == pytest.approx(5)

    assert moments == pytest.approx([0, 2])


def test_hooks_may_be_coroutines() -> None:
    """``async def`` hooks are awaited, within the same limits."""
    import asyncio

    service = Service("async", hook_timeout="2s")
    order = []

    @service.on_start
    async def start(ctx):
        await asyncio.sleep(1)
        order.append("start")

    @service.on_stop
    async def stop(ctx):
        await asyncio.sleep(1)
        order.append("stop")

    service.every("1h", name="job")(lambda ctx: order.append("job"))

    with simulate(service) as sim:
        assert sim.state == "START_PENDING"
        sim.advance("1s")
        assert sim.stop() == exits.DONE

    assert order == ["start", "job", "stop"]


def test_pausing_twice_and_resuming_twice_are_answered() -> None:
    """The state is what was wanted already: no hook is called again, and the verb succeeds."""
    order: list[str] = []

    with simulate(hooked(order)) as sim:
        sim.pause()
        sim.pause()
        sim.resume()
        sim.resume()

    assert order.count("pause 1") == order.count("resume 1") == 1


def test_a_context_tells_who_and_where() -> None:
    """``ctx`` has the service's name, directory, configuration, flags and metrics, and a logger that names the job."""
    service = Service("context")
    seen: dict[str, object] = {}

    @service.every("1h")
    def job(ctx):
        ctx.metrics.counter("things", "Things.").inc()
        ctx.log.info("here", number=1)
        seen.update(
            name=ctx.name, instance=ctx.instance, paused=bool(ctx.paused), stopping=bool(ctx.stopping),
            arguments=tuple(ctx.arguments), config=ctx.config["answer"], directory=ctx.state_dir,
        )  # fmt: skip
        ctx.status("working")
        ctx.heartbeat()
        ctx.ready()

    with simulate(service, config={"answer": 42}) as sim:
        assert seen == {
            "name": "context", "instance": "", "paused": False, "stopping": False, "arguments": (), "config": 42,
            "directory": str(sim.state_dir),
        }  # fmt: skip
        assert sim.state_dir.is_dir()
        assert "things_total 1" in sim.metrics
        assert sim.status.status == "working"
        here = next(record for record in sim.log if record.message == "here")
        assert (here.job, here.level, here.fields) == ("job", "INFO", {"number": 1})


def test_events_of_the_platform_reach_their_hooks() -> None:
    """``on_event`` is called for each; one that fails or hangs is logged, and the service goes on."""
    service = Service("events", hook_timeout="2s")
    told = []
    service.on_event(lambda ctx, event: told.append((event.kind, event.code)))
    service.on_event(lambda ctx, event: fails() if event.code == 1 else sleep("3s"))
    service.every("1h", name="job")(lambda ctx: None)

    with simulate(service) as sim:
        sim.tell("power", "suspend", 1)
        sim.tell("session", code=2)
        sim.advance("3s")
        assert told == [("power", 1), ("session", 2)]
        assert sim.state == "RUNNING"
        assert {"a hook failed", "a hook takes long"} <= {record.message for record in sim.log}
