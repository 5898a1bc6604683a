"""What jobs do when they overlap, fail, hang, or are paused: each policy, in simulated time."""

from __future__ import annotations

import pytest

from stayon import Service, UsageError, backoff, exits, immediate, parallel
from stayon.testing import simulate, sleep


def counts_of(sim, name="job"):
    """Of a job's counts, those that are not zero."""
    return {result: count for result, count in sim.job(name).counts.items() if count}


def test_a_fixed_rate_does_not_drift() -> None:
    """The n-th run begins exactly n intervals after the first, however long runs take."""
    service = Service("rate")
    sim = simulate(service)
    starts = []

    @service.every("10s")
    def job(ctx):
        starts.append(sim.elapsed_s)
        sleep("3.7s")

    with sim:
        sim.advance("1h")

    assert [start - starts[0] for start in starts] == [10.0 * number for number in range(361)]


def test_delay_puts_off_the_first_run() -> None:
    """Without ``delay`` the first run is at once; with it, that much later."""
    service = Service("delay")
    service.every("1h", name="now")(lambda ctx: None)
    service.every("1h", name="later", delay="30m")(lambda ctx: None)

    with simulate(service) as sim:
        assert (counts_of(sim, "now"), counts_of(sim, "later")) == ({"success": 1}, {})
        sim.advance("30m")
        assert counts_of(sim, "later") == {"success": 1}


def test_overlap_skip_leaves_out_what_is_due_while_it_runs() -> None:
    """``overlap="skip"``: of runs that take 2.5 intervals, every third moment starts one; the others are counted."""
    service = Service("skip")
    service.every("10s", name="job")(lambda ctx: sleep("25s"))

    with simulate(service) as sim:
        sim.advance("59s")
        assert counts_of(sim) == {"success": 2, "skipped": 4}


def test_overlap_queue_runs_all_of_them_one_after_the_other() -> None:
    """``overlap="queue"``: what comes due waits in line; a pause holds the line, resuming goes on with it."""
    service = Service("queue")
    sim = simulate(service)
    most = []

    @service.every("10s", overlap="queue")
    def job(ctx):
        most.append(len(sim.job("job").runs))
        sleep("25s" if sim.elapsed_s < 60 else "1s")

    with sim:
        sim.advance("60s")
        assert sim.job("job").waiting == 4
        sim.pause()
        assert counts_of(sim) == {"success": 3}
        sim.advance("1h")
        sim.resume()
        sim.advance("4s")
        assert counts_of(sim) == {"success": 7}

    assert max(most) <= 1


def test_overlap_parallel_runs_so_many_beside_each_other() -> None:
    """``overlap=parallel(2)``: two at a time, a third is skipped."""
    service = Service("parallel")
    service.every("10s", name="job", overlap=parallel(2))(lambda ctx: sleep("25s"))

    with simulate(service) as sim:
        sim.advance("10s")
        assert len(sim.job("job").runs) == 2
        sim.advance("10s")
        assert counts_of(sim) == {"skipped": 1}
        sim.advance("10s")
        assert counts_of(sim) == {"skipped": 1, "success": 1}
        assert len(sim.job("job").runs) == 2


def test_a_slow_job_delays_no_other() -> None:
    """While one job takes an hour, the others keep their rhythm to the moment."""
    service = Service("slow")
    service.every("1d", name="slow")(lambda ctx: sleep("1h"))
    service.every("1s", name="quick")(lambda ctx: None)

    with simulate(service) as sim:
        sim.advance("1h")
        assert counts_of(sim, "quick") == {"success": 3601}
        assert sim.job("quick").lateness_s == 0


def test_a_hundred_jobs_all_run() -> None:
    """A hundred jobs of different intervals: each has exactly its runs."""
    service = Service("hundred")
    for number in range(1, 101):
        service.every(number, name=f"job-{number}")(lambda ctx: sleep("500ms"))

    with simulate(service) as sim:
        sim.advance("3m")
        sim.advance("500ms")

        for number in range(1, 101):
            assert counts_of(sim, f"job-{number}") == {"success": 180 // number + 1}, number


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_run_that_takes_too_long_is_a_timeout(kind: str) -> None:
    """After ``timeout`` a run has failed and is asked to leave: by its ``ctx.stopping``, a task by cancelling it.

    The service's own ``ctx.stopping`` is not touched, and one that does leave is not counted twice.
    """
    import asyncio

    service = Service("timeout")
    sim = simulate(service)
    ends = []

    if kind == "def":

        @service.every("1h", timeout="10s")
        def job(ctx):
            assert ctx.stopping.wait(600)
            ends.append(sim.elapsed_s)

    else:

        @service.every("1h", timeout="10s")
        async def job(ctx):
            try:
                await asyncio.sleep(600)
            finally:
                ends.append(sim.elapsed_s)

    with sim:
        sim.advance("9.9s")
        assert counts_of(sim) == {}
        sim.advance("0.1s")
        assert counts_of(sim) == {"timeout": 1}
        assert sim.job("job").last_error == "TimeoutError: it took longer than 10 s"
        assert not sim.host.stopping
        sim.advance("1h")
        assert counts_of(sim) == {"timeout": 2}

    assert len(ends) == 2


def test_a_run_that_ignores_its_timeout_still_counts_as_running() -> None:
    """A thread can't be taken away: until it ends, the next runs are skipped, and its end is logged, not counted."""
    service = Service("ignores")
    sim = simulate(service)
    service.every("10s", name="job", timeout="5s")(lambda ctx: sleep("25s") if sim.elapsed_s < 1 else None)

    with sim:
        sim.advance("29s")
        assert counts_of(sim) == {"timeout": 1, "skipped": 2}
        assert any(record.message == "ended after its timeout" for record in sim.log)
        sim.advance("1s")
        assert counts_of(sim) == {"timeout": 1, "skipped": 2, "success": 1}


def test_retries_back_off_and_give_up() -> None:
    """``retry=backoff(...)``: pauses grow by the factor, and after ``max_attempts`` it waits for its next moment."""
    service = Service("retry")
    sim = simulate(service)
    starts = []

    @service.every("1h", retry=backoff("1s", factor=2, cap="1m", jitter=False, max_attempts=3))
    def job(ctx):
        starts.append(sim.elapsed_s)
        raise OSError("down")

    with sim:
        sim.advance("59m")
        assert starts == pytest.approx([0, 1, 3, 7])
        assert counts_of(sim) == {"failure": 4}
        sim.advance("1m")
        assert counts_of(sim) == {"failure": 5}
        assert sim.state == "RUNNING"


def test_a_success_begins_retries_anew() -> None:
    """A run that succeeds after retries is well again, and the next failure starts with the first pause."""
    service = Service("again")
    sim = simulate(service)
    starts = []

    @service.every("1h", retry=backoff("1s", factor=2, jitter=False))
    def job(ctx):
        starts.append(sim.elapsed_s)
        if len(starts) % 3:
            raise OSError("down")

    with sim:
        sim.advance("61m")
        assert starts == pytest.approx([0, 1, 3, 3600, 3601, 3603])
        assert counts_of(sim) == {"failure": 4, "success": 2}
        assert sim.job("job").last_error == ""
        assert sum(record.message == "well again" for record in sim.log) == 2


def test_a_due_run_takes_the_place_of_a_waiting_retry() -> None:
    """A retry that would come after the next due moment does not come on top of it."""
    service = Service("instead")
    sim = simulate(service)
    starts = []

    @service.every("10s", retry=backoff("15s", jitter=False))
    def job(ctx):
        starts.append(sim.elapsed_s)
        raise OSError("down")

    with sim:
        sim.advance("40s")

    assert starts == [0, 10, 20, 30, 40]


def test_on_failure_log_goes_on() -> None:
    """``on_failure="log"``: the service is as healthy as before, the job runs at its next moment."""
    service = Service("log")

    @service.every("1m")
    def job(ctx):
        raise ValueError("no")

    with simulate(service) as sim:
        sim.advance("10m")
        assert counts_of(sim) == {"failure": 11}
        assert sim.status.health == "ok"
        failures = [record for record in sim.log if record.message == "job failed"]
        assert len(failures) == 11
        assert failures[0].job == "job"
        assert isinstance(failures[0].exception, ValueError)


def test_on_failure_degrade_is_degraded_until_it_succeeds() -> None:
    """``on_failure="degrade"``: health says so until a run succeeds; the service stays ready."""
    service = Service("degrade")
    sim = simulate(service)
    service.every("1m", name="job", on_failure="degrade")(lambda ctx: 1 / (sim.elapsed_s >= 120))

    with sim:
        assert (sim.status.health, sim.is_ready) == ("degraded", True)
        sim.advance("1m")
        assert sim.job("job").degraded
        sim.advance("1m")
        assert (sim.status.health, sim.job("job").degraded) == ("ok", False)


@pytest.mark.parametrize("retries", [0, 2])
def test_on_failure_fail_ends_the_service_when_retries_are_used_up(retries: int) -> None:
    """``on_failure="fail"``: the last failure is the service's; its exit code and reason name the job."""
    service = Service("fail")
    policy = immediate(max_attempts=retries) if retries else None

    @service.every("1h", retry=policy, on_failure="fail")
    def job(ctx):
        raise ValueError("no")

    with simulate(service) as sim:
        assert sim.join() == exits.FAILED
        assert sim.why.startswith("job job: ValueError: no")
        assert counts_of(sim)["failure"] == (retries + 1 if retries else 1)


def test_jitter_puts_each_run_off_by_chance_and_never_the_rhythm() -> None:
    """Each run is up to ``jitter`` late by the given chance; the grid stays, and the seed decides."""

    def starts_with(seed: int) -> list[float]:
        service = Service("jitter")
        starts: list[float] = []
        sim = simulate(service, seed=seed)
        service.every("1m", name="job", jitter="10s")(lambda ctx: starts.append(sim.elapsed_s))
        with sim:
            sim.advance("1h")
        return starts

    starts = starts_with(1)

    assert all(0 <= start - 60 * number <= 10 for number, start in enumerate(starts))
    assert len({start - 60 * number for number, start in enumerate(starts)}) > 30
    assert starts == starts_with(1) != starts_with(2)


def test_a_pause_lets_runs_finish_and_starts_none() -> None:
    """Pausing waits for the run under way; nothing becomes due while PAUSED, and nothing of it is made up for."""
    service = Service("pause")
    sim = simulate(service)
    ends = []

    @service.every("10s", missed="all")
    def job(ctx):
        sleep("4s")
        ends.append(sim.host.state)

    with sim:
        sim.advance("20s")
        sim.pause()
        assert sim.state == "PAUSED"
        assert ends[-1] == "PAUSE_PENDING"
        assert counts_of(sim) == {"success": 3}
        sim.advance("1d")
        assert counts_of(sim) == {"success": 3}
        sim.resume()
        sim.advance("10s")
        assert counts_of(sim) == {"success": 4}


def test_a_retry_that_waits_is_not_run_while_paused() -> None:
    """A pause holds the retry back; it is made up for as soon as the service goes on."""
    service = Service("noretry")

    @service.every("1h", retry=backoff("10s", jitter=False))
    def job(ctx):
        raise OSError("down")

    with simulate(service) as sim:
        sim.pause()
        sim.advance("30m")
        assert counts_of(sim) == {"failure": 1}
        sim.resume()
        sim.advance("1s")
        assert counts_of(sim) == {"failure": 2}


def test_a_retry_waits_for_a_run_that_does_not_leave() -> None:
    """The run that timed out is still there when the retry is due: its end is when the retry comes."""
    service = Service("late")
    starts: list[float] = []

    @service.run
    def main(ctx):
        ctx.ready()
        ctx.stopping.wait()

    @service.every("1d", timeout="5s", retry=backoff("500ms", jitter=False))
    def job(ctx):
        starts.append(1.0)
        if len(starts) == 1:
            ctx.stopping.wait()
            sleep("2s")

    with simulate(service) as sim:
        sim.advance("1m")
        assert counts_of(sim) == {"timeout": 1, "success": 1}


def test_stopping_asks_runs_to_leave_and_waits_for_them() -> None:
    """A run sees ``ctx.stopping``, has time to finish, and the stop is clean; nothing starts any more."""
    service = Service("finish")

    @service.every("1s", timeout="1h")
    def job(ctx):
        assert ctx.stopping.wait()
        sleep("3s")

    with simulate(service) as sim:
        sim.advance("1m")
        assert sim.stop() == exits.DONE
        assert sim.elapsed_s == pytest.approx(63)
        assert sim.job("job").counts["success"] == 1


def test_jobs_come_and_go_while_it_runs() -> None:
    """``ctx.every`` adds a job, ``ctx.cancel`` takes one away and asks its run to leave; a name is taken once."""
    service = Service("dynamic")
    told = []

    def extra(ctx):
        told.append(ctx.stopping.wait(3600))

    @service.every("1d")
    def job(ctx):
        ctx.every("10s", lambda ctx: None, name="quick")
        ctx.every("2h", extra, name="extra", timeout="2h")
        ctx.cron("30 * * * *", lambda ctx: None, name="half")

    @service.every("1d", delay="1h30m")
    def ends_them(ctx):
        with pytest.raises(UsageError, match="quick"):
            ctx.every("10s", extra, name="quick")
        ctx.cancel("quick")
        ctx.cancel("half")
        ctx.cancel("nobody")

    with simulate(service) as sim:
        sim.advance("1h30m")
        assert "quick" not in sim.host.jobs
        assert counts_of(sim, "extra") == {"success": 1}
        assert told == [False]
        assert {job.spec.name for job in sim.host.jobs} == {"job", "ends_them", "extra"}
        assert 'job="quick"' not in sim.metrics.split("stayon_job_duration")[0]


def test_a_cancelled_job_is_asked_to_leave() -> None:
    """A run of a cancelled job sees ``ctx.stopping``; the service goes on."""
    service = Service("cancelled")
    told = []

    @service.every("1d", timeout="12h")
    def long(ctx):
        told.append(ctx.stopping.wait(36000))

    service.every("1d", name="ends_it", delay="10s")(lambda ctx: ctx.cancel("long"))

    with simulate(service) as sim:
        sim.advance("10s")
        assert told == [True]
        assert sim.state == "RUNNING"


def test_a_cancelled_job_without_a_limit_is_asked_to_leave_too() -> None:
    """As above, for a job that has neither ``timeout`` nor ``hang_timeout``."""
    service = Service("cancelled-too")
    told = []

    @service.every("1d")
    def long(ctx):
        told.append(ctx.stopping.wait(36000))

    service.every("1d", name="ends_it", delay="10s")(lambda ctx: ctx.cancel("long"))

    with simulate(service) as sim:
        sim.advance("10s")
        assert told == [True]
        assert not sim.host.stopping


def test_a_job_that_gives_no_heartbeat_is_a_hang() -> None:
    """A job's ``hang_timeout`` counts for each run; a run that ends in time is forgotten."""
    service = Service("hang")
    sim = simulate(service)

    @service.every("10s", hang_timeout="5s")
    def job(ctx):
        for _ in range(3):
            sleep("2s" if sim.elapsed_s < 60 else "6s")
            ctx.heartbeat()

    with sim:
        sim.advance("59s")
        assert sim.state == "RUNNING"
        sim.advance("10s")
        assert sim.exit_code == exits.HANG
        assert "job job gave no heartbeat for 5 s" in sim.why
