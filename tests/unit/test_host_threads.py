"""The host on real threads and in real time: no job waits for another, and no thread keeps it from ending."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from stayon import Service, exits, platforms
from stayon.core import states
from stayon.core.events import Request
from stayon.platforms.clock import SystemClock
from stayon.runtime.config.live import LiveConfig
from stayon.runtime.config.store import Origin, Store
from stayon.runtime.effective import effective_spec, host_defaults
from stayon.runtime.host import Equipment, Host, Occurrence
from stayon.runtime.logs.pipeline import Pipeline
from stayon.runtime.loop import Loop
from stayon.runtime.metrics import Metrics
from stayon.runtime.pool import Pool
from stayon.runtime.rooms import AsyncRoom, Seat
from stayon.runtime.threads import start_thread
from stayon.testing import FakeMachine

LIMIT_S = 10.0


class Life:
    """A host that runs on a thread of its own."""

    def __init__(self, service: Service, machine: FakeMachine) -> None:
        spec = service.spec()
        clock = SystemClock()
        loaded = Store(Origin(spec.name, defaults=host_defaults(spec)), {}).load()
        self.seat = Seat()
        self.loop = Loop(clock, platforms.current().poller(), lambda error: self.host.fail(error, "the loop"))
        self.host = Host(
            service,
            effective_spec(spec, loaded.host),
            Equipment(
                machine=machine.ports().replace(clock=clock),
                loop=self.loop,
                executor=Pool(1),
                seat=self.seat,
                async_room=AsyncRoom(lambda run: start_thread(run, "async"), lambda context: None),
                logs=Pipeline(spec.name),
                metrics=Metrics(lambda error: None),
                config=LiveConfig(loaded),
                places=machine.ports().places(spec.name, {}),
                chance=lambda: 0.0,
            ),
        )
        self.thread = threading.Thread(target=self._run, daemon=True)
        threading.Thread(target=self.seat.sit, daemon=True).start()
        self.thread.start()

    def _run(self) -> None:
        self.host.handle(Occurrence(states.START))
        self.loop.run()

    def stop(self) -> int:
        """Stop it; its exit code."""
        self.loop.post(self.host.request, Request("stop", "the test"))
        self.thread.join(LIMIT_S)
        assert not self.thread.is_alive()
        self.host.equipment.executor.close()
        self.host.equipment.async_room.close()
        self.seat.leave()
        return self.host.outcome.exit_code


@pytest.fixture
def live() -> Iterator[Callable[[Service], Life]]:
    """Call it with a service to let it live."""
    with FakeMachine() as machine:
        # The fake deadman would count real seconds as virtual ones; the host's loop is not what is tested here.
        yield lambda service: Life(service, machine)


def quiet(name: str, **options) -> Service:
    """A service without a watchdog."""
    return Service(name, hang_timeout="1h", **options)


def test_a_job_that_hangs_delays_no_other(live) -> None:
    """While one job is stuck, another runs a hundred times, and a third that comes later runs, too."""
    service = quiet("stuck")
    stuck, leave, enough, later = (threading.Event() for _ in range(4))
    runs = []

    @service.every("1h")
    def hangs(ctx):
        stuck.set()
        leave.wait(LIMIT_S)

    @service.every("1ms", overlap="queue")
    def quick(ctx):
        runs.append(1)
        if len(runs) == 100:
            ctx.every("1h", lambda ctx: later.set(), name="later")
            enough.set()

    life = live(service)

    assert stuck.wait(LIMIT_S)
    assert enough.wait(LIMIT_S)
    assert later.wait(LIMIT_S)
    leave.set()
    assert life.stop() == exits.DONE


def test_a_hundred_jobs_run_beside_each_other(live) -> None:
    """A hundred jobs that each wait for all the others: only if none waits for a thread do they all get through."""
    service = quiet("hundred")
    barrier = threading.Barrier(101)
    for number in range(100):
        service.every("1h", name=f"job-{number}")(lambda ctx: barrier.wait(LIMIT_S))

    life = live(service)
    barrier.wait(LIMIT_S)

    assert life.stop() == exits.DONE
    assert all(job.counts["success"] == 1 for job in life.host.jobs)


def test_hooks_find_a_thread_when_every_job_is_busy(live) -> None:
    """Jobs, a check and a stop hook at once: the hook is called though everything else is stuck until it is."""
    service = quiet("busy")
    begun = [threading.Event() for _ in range(3)]
    leave = threading.Event()
    for number in range(2):
        service.every("1h", name=f"job-{number}")(lambda ctx, number=number: (begun[number].set(), leave.wait(LIMIT_S)))
    service.check(name="check", timeout="5s")(lambda ctx: (begun[2].set(), leave.wait(LIMIT_S)))
    service.on_stop(lambda ctx: leave.set())

    life = live(service)
    assert all(event.wait(LIMIT_S) for event in begun)

    assert life.stop() == exits.DONE
    assert leave.is_set()


def test_a_thread_that_never_ends_does_not_keep_it(live) -> None:
    """A run that ignores the stop is left behind after ``stop_timeout``, and named."""
    service = quiet("never", stop_timeout="50ms")
    forever = threading.Event()

    @service.run
    def run(ctx):
        ctx.ready()
        forever.wait(LIMIT_S)

    life = live(service)

    assert life.stop() == exits.FAILED
    assert life.host.forced
    assert "waiting for run" in life.host.outcome.why
    forever.set()


def test_waiting_for_stopping_ends_at_once(live) -> None:
    """Threads and tasks that wait for ``ctx.stopping`` leave when it is set, not at their next look."""
    service = quiet("waits", stop_timeout="10s")
    left = []

    @service.run
    def run(ctx):
        ctx.ready()
        left.append(ctx.stopping.wait())

    @service.task
    def thread(ctx):
        left.append(ctx.stopping.wait(3600))

    @service.task
    async def coroutine(ctx):
        left.append(await ctx.stopping.wait_async(3600))

    life = live(service)
    running = threading.Event()
    life.loop.post(life.host.when_settled, running.set)
    assert running.wait(LIMIT_S)

    assert life.stop() == exits.DONE
    assert left == [True] * 3
