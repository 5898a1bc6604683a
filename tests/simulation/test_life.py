"""A service's life, from START_PENDING to its exit code, as the real host lives it in simulated time."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import pytest

from stayon import ConfigError, FailedError, Service, TemporaryError, UnavailableError, exits
from stayon.testing import naughty, simulate, sleep


def test_a_service_of_jobs_alone_is_running_at_once_and_stops_cleanly() -> None:
    """Without ``run`` a service is RUNNING when its start hooks have returned; asked to stop, it ends with 0."""
    service = Service("jobs")
    service.every("1h", name="job")(lambda ctx: None)

    with simulate(service) as sim:
        assert sim.state == "RUNNING"
        assert sim.exit_code is None
        assert sim.stop() == exits.DONE

    assert sim.states == ["STOPPED", "START_PENDING", "RUNNING", "STOP_PENDING", "STOPPED"]


def test_a_service_is_running_only_when_it_says_so() -> None:
    """With ``run`` it is START_PENDING until ``ctx.ready()``, and no job is called before."""
    service = Service("slow")

    @service.run
    def run(ctx):
        sleep("3s")
        ctx.ready()
        ctx.stopping.wait()

    @service.every("1s")
    def job(ctx):
        pass

    with simulate(service) as sim:
        assert sim.state == "START_PENDING"
        sim.advance("2.9s")
        assert sim.state == "START_PENDING"
        assert sim.job("job").counts["success"] == 0
        sim.advance("0.1s")
        assert sim.state == "RUNNING"
        assert sim.job("job").counts["success"] == 1


def test_a_start_that_never_ends_is_ended() -> None:
    """Start does not block for ever: after ``start_timeout`` it has failed, and the reason names who was waited for."""
    with simulate(naughty.service("never-ready")) as sim:
        sim.advance("9.9s")
        assert sim.state == "START_PENDING"
        sim.advance("0.1s")

        assert sim.exit_code == exits.FAILED
        assert "run did not call ctx.ready()" in sim.why


def test_a_hanging_start_hook_is_ended() -> None:
    """A start hook has ``hook_timeout``; who never returns fails the start, and doesn't keep the process."""
    service = Service("hook", hook_timeout="2s", stop_timeout="5s")

    @service.on_start
    def never(ctx):
        while True:
            sleep("1h")

    service.every("1s", name="job")(lambda ctx: None)

    with simulate(service) as sim:
        sim.advance("2s")
        assert sim.state == "STOP_PENDING"
        sim.advance("5s")

        assert sim.exit_code == exits.FAILED
        assert "on_start never did not return within 2 s" in sim.why
        assert "RUNNING" not in sim.states


def test_stopping_during_the_start_is_no_failure_but_not_done_either() -> None:
    """Stopped before it was ready, it ends with the code of whoever asked (143 for SIGTERM), its hooks unfinished."""
    service = Service("early")
    seen = []

    @service.on_start
    def slow(ctx):
        sleep("3s")
        seen.append("slow")

    @service.on_start
    def never_called(ctx):
        seen.append("never_called")

    with simulate(service) as sim:
        sim.ask("stop", exit_code=exits.TERMINATED, source="SIGTERM")
        assert sim.state == "STOP_PENDING"
        assert sim.join() == exits.TERMINATED

    assert seen == ["slow"]
    assert "before it was ready by SIGTERM" in sim.why


def test_stop_during_start_does_not_hide_the_real_error() -> None:
    """What went wrong while starting is the reason it ended, even if somebody asked to stop in between."""
    service = Service("hidden")

    @service.run
    def run(ctx):
        ctx.stopping.wait()
        raise ValueError("the database said no")

    with simulate(service) as sim:
        sim.ask("stop", exit_code=exits.TERMINATED)
        code = sim.join()

    assert code == exits.FAILED
    assert "the database said no" in sim.why


def test_starting_while_it_stops_is_refused() -> None:
    """A start during the stop changes nothing, and says why."""
    with simulate(naughty.service("ignores-stop")) as sim:
        sim.ask("stop")
        sim.ask("start")

        assert sim.state == "STOP_PENDING"
        assert any(record.message == "refused" and record.fields["verb"] == "start" for record in sim.log)


def test_returning_from_run_is_done() -> None:
    """``run`` that returns is a job well done: exit code 0, and nobody is to restart it."""
    with simulate(naughty.service("finishes")) as sim:
        assert sim.join() == exits.DONE
        assert sim.why == "run returned"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("x"), exits.FAILED),
        (UnavailableError("x"), exits.UNAVAILABLE),
        (TemporaryError("x"), exits.TEMPORARY),
        (ConfigError("x"), exits.BAD_CONFIG),
        (SystemExit(3), 3),
        (SystemExit("words"), exits.FAILED),
        (SystemExit(), exits.DONE),
        (KeyboardInterrupt(), exits.FAILED),
    ],
)
@pytest.mark.parametrize("when", ["before ready", "after ready"])
def test_what_run_raises_is_the_exit_code(error: BaseException, code: int, when: str) -> None:
    """An exception in the worker is never lost: it is the exit code, the reason, and a report with its stack."""
    service = Service("raises")

    @service.run
    def run(ctx):
        if when == "after ready":
            ctx.ready()
        raise error

    with simulate(service) as sim:
        assert sim.join() == code
        reports = [record for record in sim.log if record.event_id == 13]

    if code:
        assert [record.exception for record in reports] == [error]
        assert reports[0].level == "CRITICAL"
        assert type(error).__name__ in sim.why or str(error) in sim.why


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_an_error_in_a_task_ends_the_service(kind: str) -> None:
    """A ``task`` that raises, thread or coroutine, fails the service under its name; one that returns is just done."""
    service = Service("tasks")

    @service.task
    def returns(ctx):
        ctx.stopping.wait(1)

    if kind == "def":

        @service.task
        def breaks(ctx):
            ctx.stopping.wait(3600)
            raise RuntimeError("broken")

    else:

        @service.task
        async def breaks(ctx):
            await ctx.stopping.wait_async(3600)
            raise RuntimeError("broken")

    with simulate(service) as sim:
        sim.advance("59m59s")
        assert sim.state == "RUNNING"
        assert any(record.message == "task done" and record.fields == {"task": "returns"} for record in sim.log)
        sim.advance("1s")

        assert sim.exit_code == exits.FAILED
        assert sim.why == "breaks: RuntimeError: broken"


def test_the_first_failure_is_reported_before_it_is_stopped_and_is_not_masked() -> None:
    """What fails on the way down is kept beside the first failure, and the report comes before STOPPED."""
    service = Service("twice")

    @service.run
    def run(ctx):
        ctx.ready()
        raise ValueError("first")

    @service.on_stop
    def closing(ctx):
        raise OSError("second")

    with simulate(service) as sim:
        assert sim.join() == exits.FAILED
        assert sim.why == "run: ValueError: first (then also on_stop closing: OSError: second)"
        messages = [record.message for record in sim.log]

    assert messages.index("run failed") < messages.index("STOP_PENDING -> STOPPED")


def test_who_ignores_stop_is_left_behind_by_name() -> None:
    """A worker that never leaves costs ``stop_timeout`` and not more; its name and its stack are in the log."""
    with simulate(naughty.service("ignores-stop")) as sim:
        sim.advance("1m")
        sim.ask("stop")
        sim.advance("4.9s")
        assert sim.state == "STOP_PENDING"
        sim.advance("0.1s")

        assert sim.state == "STOPPED"
        assert sim.exit_code == exits.FAILED
        late = next(record for record in sim.log if record.event_id == 14)
        assert late.fields["who"] == ["run"]
        assert "_ignores_stop" in late.fields["stacks"]


def test_asking_twice_to_stop_changes_nothing_and_force_does() -> None:
    """A second ``stop`` is heard and waits as the first; ``force`` ends it at once with the code of who forced it."""
    with simulate(naughty.service("ignores-stop")) as sim:
        sim.ask("stop")
        sim.ask("stop")
        assert sim.state == "STOP_PENDING"
        sim.ask("force", exit_code=exits.INTERRUPTED, source="SIGINT")

        assert sim.state == "STOPPED"
        assert sim.exit_code == exits.INTERRUPTED
        assert sim.why == "forced by SIGINT"


def test_raising_on_stop_is_no_clean_stop() -> None:
    """A worker that was asked to leave and raises instead has failed."""
    with simulate(naughty.service("raises-on-stop")) as sim:
        assert sim.stop() == exits.FAILED
        assert "on stop" in sim.why


def test_coroutines_are_cancelled_when_they_do_not_look() -> None:
    """An ``async def`` run that sleeps through the stop is cancelled after half of ``stop_timeout``: a clean stop."""
    service = Service("coroutine", stop_timeout="10s")

    @service.run
    async def run(ctx):
        ctx.ready()
        await asyncio.sleep(86400)

    with simulate(service) as sim:
        sim.advance("1h")
        sim.ask("stop")
        assert sim.join() == exits.DONE
        assert sim.elapsed_s == pytest.approx(3605)


def test_a_coroutine_that_refuses_to_be_cancelled_is_left_behind() -> None:
    """Cancelling is asking: a task that swallows it is left after ``stop_timeout``, and named."""
    service = Service("stubborn", stop_timeout="10s")

    @service.task
    async def stays(ctx):
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(86400)

    with simulate(service) as sim:
        assert sim.stop() == exits.FAILED
        assert sim.elapsed_s == pytest.approx(10)
        assert next(record for record in sim.log if record.event_id == 14).fields["who"] == ["stays"]


def test_a_hang_of_run_ends_with_86() -> None:
    """``run`` with a ``hang_timeout`` that gives no heartbeat ends the service with the hang code, before any stop."""
    with simulate(naughty.service("hangs")) as sim:
        sim.advance("4.9s")
        assert sim.state == "RUNNING"
        sim.advance("0.1s")

        assert sim.exit_code == exits.HANG
        assert "run gave no heartbeat for 5 s" in sim.why


def test_a_heartbeat_is_a_sign_of_life() -> None:
    """Who calls ``ctx.heartbeat()`` often enough never counts as hung."""
    service = Service("alive")

    @service.run(hang_timeout="5s")
    def run(ctx):
        ctx.ready()
        while not ctx.stopping.wait(4.9):
            ctx.heartbeat()

    with simulate(service) as sim:
        sim.advance("1h")
        assert sim.state == "RUNNING"
        assert sim.stop() == exits.DONE


def test_a_status_line_reaches_whoever_started_it() -> None:
    """``ctx.status`` is in ``status`` and in what the manager is told."""
    service = Service("status")

    @service.run
    def run(ctx):
        ctx.status("connecting")
        ctx.ready()
        ctx.stopping.wait()

    with simulate(service) as sim:
        assert sim.status.status == "connecting"
        assert sim.machine.starter.reports[-1].status == "connecting"


def test_the_manager_is_told_of_every_state() -> None:
    """Each state is reported, pending ones with a pulse, the last with exit code and reason."""
    with simulate(naughty.service("fails-after-ready")) as sim:
        sim.join()
        reports = sim.machine.starter.reports

    told = [report.state for report in reports]
    assert [state for index, state in enumerate(told) if state not in told[:index]] == [
        "START_PENDING", "RUNNING", "STOP_PENDING", "STOPPED",
    ]  # fmt: skip
    pending = [report for report in reports if report.state.endswith("PENDING")]
    assert all(report.checkpoint > 0 and report.wait_hint_s > 0 for report in pending)
    assert all(report.checkpoint == report.wait_hint_s == 0 for report in reports if report not in pending)
    assert (reports[-1].exit_code, reports[-1].why) == (exits.FAILED, "run: NaughtyError: after ready")


def test_a_pause_that_cannot_be_done_is_told_to_who_asked() -> None:
    """The verb fails with the hook's error; the service is as it was."""
    with simulate(naughty.service("raises-in-hooks")) as sim:
        with pytest.raises(FailedError, match="in a hook"):
            sim.pause()
        assert sim.state == "RUNNING"


def test_stop_during_a_start_hook_does_not_hide_its_error() -> None:
    """The hook fails after the stop was asked for: its error is still the reason."""
    service = Service("hidden")
    service.every("1h", name="job")(lambda ctx: None)

    @service.on_start
    async def open_the_database(ctx):
        await asyncio.sleep(5)
        raise ValueError("password refused")

    with simulate(service) as sim:
        sim.ask("stop", exit_code=exits.TERMINATED)
        code = sim.join()

    assert code == exits.FAILED
    assert "password refused" in sim.why


def test_a_pause_hook_that_is_too_late_does_not_end_the_service() -> None:
    """The pause is given up at its limit; what the hook does afterwards is logged, and the service runs on."""
    service = Service("late", stop_timeout="3s", hook_timeout="30s")
    service.every("1h", name="job")(lambda ctx: None)

    @service.on_pause
    async def slow(ctx):
        await asyncio.sleep(10)
        raise ValueError("too late")

    with simulate(service) as sim:
        sim.ask("pause")
        sim.advance("5s")
        assert sim.state == "RUNNING"
        sim.advance("1m")
        assert sim.state == "RUNNING"
        assert any("too late" in str(record.fields) for record in sim.log)
        assert sim.stop() == exits.DONE


@pytest.mark.parametrize("code", [0, 256, -1, None])
def test_an_exit_in_a_start_hook_never_looks_like_a_clean_stop(code: int | None) -> None:
    """``sys.exit(0)`` where nobody may exit is a failure: managers must see it."""
    service = Service("exits")
    service.every("1h", name="job")(lambda ctx: None)
    service.on_start(lambda ctx: sys.exit(code))

    with simulate(service) as sim:
        assert sim.join() == exits.FAILED


def test_an_async_job_is_cancelled_at_half_the_time_to_stop() -> None:
    """A coroutine can be taken away, so a stop need not fail for it."""
    service = Service("async", stop_timeout="10s")

    @service.every("1h")
    async def job(ctx):
        await asyncio.sleep(3600)

    with simulate(service) as sim:
        sim.advance("1s")
        assert sim.stop() == exits.DONE


def test_a_check_whose_exception_cannot_be_told_is_only_a_failing_check() -> None:
    """An exception with a broken ``__str__`` must not take the host along."""

    class EvilError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    service = Service("evil")
    service.every("1h", name="job")(lambda ctx: None)

    @service.check(every="1s", fall=1)
    def check(ctx):
        raise EvilError

    with simulate(service) as sim:
        sim.advance("5s")
        assert sim.state == "RUNNING"
        assert not sim.is_ready
        assert sim.stop() == exits.DONE
