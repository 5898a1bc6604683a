"""Jobs as the host keeps them: what is counted, measured and shown, and that their cost stays small."""

from __future__ import annotations

import pytest

from stayon import Service, parallel
from stayon.runtime.jobs import RESULTS
from stayon.testing import simulate, sleep


def test_a_job_is_counted_by_result_and_measured() -> None:
    """Runs by result, in progress, lateness, last success and a histogram of durations are in ``/metrics``."""
    service = Service("measured")
    outcomes = iter([None, ValueError("bad"), None])

    @service.every("10s", timeout="8s")
    def job(ctx):
        sleep("2s")
        error = next(outcomes, None)
        if error:
            raise error

    with simulate(service) as sim:
        sim.advance("31s")
        metrics = sim.metrics

    assert 'stayon_job_runs_total{job="job",result="success"} 2' in metrics
    assert 'stayon_job_runs_total{job="job",result="failure"} 1' in metrics
    assert 'stayon_job_in_progress{job="job"} 1' in metrics
    assert 'stayon_job_duration_seconds_count{job="job"} 3' in metrics
    assert 'stayon_job_duration_seconds_sum{job="job"} 6' in metrics


def test_every_result_is_counted_from_the_start() -> None:
    """A metric that appears only with the first failure hides it from an alert on its rate."""
    service = Service("zero")
    service.every("1h", name="job", delay="1h")(lambda ctx: None)

    with simulate(service) as sim:
        assert set(sim.job("job").counts) == set(RESULTS)
        for result in RESULTS:
            assert f'stayon_job_runs_total{{job="job",result="{result}"}} 0' in sim.metrics


def test_status_shows_what_happened_last() -> None:
    """``status`` has the job's counts, its last success and its last error until it is well again."""
    service = Service("shown")
    sim = simulate(service)

    @service.every("1h", on_failure="degrade")
    def job(ctx):
        if sim.elapsed_s == 3600:
            raise ValueError("bad")

    with sim:
        sim.advance("1h")
        (fields,) = sim.status.jobs
        assert fields == {
            "job": "job", "running": 0, "success": 1, "failure": 1, "last_success": "2026-01-01T00:00:00.000Z",
            "last_error": "ValueError: bad", "degraded": True,
        }  # fmt: skip
        sim.advance("1h")
        assert "last_error" not in sim.status.jobs[0]


def test_an_error_without_a_text_is_told_all_the_same() -> None:
    """An exception that is empty, or whose text raises, is still a failure with a name."""

    class SilentError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    service = Service("silent")
    errors = iter([KeyError(), SilentError()])

    @service.every("1h")
    def job(ctx):
        raise next(errors)

    with simulate(service) as sim:
        assert sim.job("job").last_error == "KeyError"
        sim.advance("1h")
        assert sim.job("job").last_error.startswith("SilentError")


def test_what_a_job_raises_never_ends_the_host() -> None:
    """``SystemExit``, ``KeyboardInterrupt`` and ``GeneratorExit`` out of a job are failures of the job."""
    service = Service("rough")
    errors = iter([SystemExit(3), KeyboardInterrupt(), GeneratorExit()])

    @service.every("1h")
    def job(ctx):
        raise next(errors)

    with simulate(service) as sim:
        sim.advance("2h")
        assert sim.job("job").counts["failure"] == 3
        assert sim.state == "RUNNING"


def test_a_job_of_its_own_limits_by_the_operator_keeps_its_rhythm() -> None:
    """Changing another job's interval, or this one's timeout, does not begin this one's schedule anew."""
    service = Service("rhythm")
    sim = simulate(service, config={})
    moments = []
    service.every("1h", name="job")(lambda ctx: moments.append(sim.elapsed_s))
    service.every("1h", name="other")(lambda ctx: None)

    with sim:
        sim.advance("90m")
        sim.reload({"stayon": {"jobs": {"job": {"timeout": "5m"}, "other": {"every": "2h"}}}})
        sim.advance("90m")

    assert moments == pytest.approx([0, 3600, 7200, 10800])


def test_the_pool_is_as_big_as_what_may_run_together() -> None:
    """Each job has its ``overlap``'s threads, each check one, and hooks have some: added jobs make it grow."""
    service = Service("sized")
    service.every("1h", name="one")(lambda ctx: None)
    service.every("1h", name="many", overlap=parallel(5))(lambda ctx: None)
    service.check(name="check")(lambda ctx: None)

    with simulate(service) as sim:
        pool = sim.host.equipment.executor
        before = pool.limit
        sim.host.add_job("every", print, {"interval": "1h", "name": "later", "delay": "1h"})
        sim.advance(0)
        assert pool.limit == before + 1
        sim.host.loop.post(sim.host.jobs.remove, "many")
        sim.advance(0)
        assert pool.limit == before + 1 - 5
        assert before >= 1 + 5 + 1


def test_an_idle_job_wakes_nobody() -> None:
    """Between its runs a job costs no turn of the loop."""
    service = Service("idle")
    service.every("1d", name="job", delay="1d")(lambda ctx: None)

    with simulate(service) as sim:
        turns = sim.host.loop.turns
        sim.advance("23h")
        assert sim.host.loop.turns - turns <= 2
