"""``run --once JOB``: one job of a service, once, as a process of its own; what a timer starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.platform.conftest import Program

SOURCE = """
import asyncio
from stayon import Service, backoff

service = Service("s", restart=backoff("10ms"), probes=1)
runs = []

@service.on_start
def begin(ctx):
    ctx.log.info("begun")

@service.every("1s")
def other(ctx):
    ctx.log.info("other")

@service.every("10ms", name="plain")
def plain(ctx):
    ctx.log.info("plain ran")

@service.every("10ms")
async def later(ctx):
    await asyncio.sleep(0.05)
    ctx.log.info("later ran")

@service.every("1h", delay="1h", retry=backoff("10ms", max_attempts=3), timeout="5s")
def moody(ctx):
    runs.append(1)
    if len(runs) < 3:
        raise OSError("not yet")
    ctx.log.info("moody ran", runs=len(runs))

@service.every("1h", delay="1h", on_failure="log")
def broken(ctx):
    raise LookupError("no such thing")

@service.every("1h", timeout="50ms")
def slow(ctx):
    ctx.stopping.wait(10)

@service.every("1h")
def endless(ctx):
    ctx.log.info("endless ran")
    ctx.stopping.wait()

@service.task
def beside(ctx):
    ctx.log.info("task ran")

@service.on_stop
def end(ctx):
    ctx.log.info("ended")
"""


@pytest.mark.parametrize("job", ["plain", "later", "moody"])
def test_the_job_runs_once_and_the_process_is_done(program: Program, job: str) -> None:
    """With start and stop hooks, nothing else of the service, and 0: whatever its schedule, function or retries."""
    process = program.start(SOURCE, "run", "--once", job)

    assert process.wait() == 0, process.err
    told = [record["message"] for record in process.log()]
    assert [each for each in told if each in {"begun", f"{job} ran", "ended"}] == ["begun", f"{job} ran", "ended"]
    assert not {"other", "task ran"}.intersection(told)


@pytest.mark.parametrize(("job", "why"), [("broken", "no such thing"), ("slow", "took longer")])
def test_a_job_that_fails_is_a_process_that_fails(program: Program, job: str, why: str) -> None:
    """With the failure's exit code, once its retries are used up, and whatever the service does at a failure."""
    process = program.start(SOURCE, "run", "--once", job)

    assert process.wait() == 70
    assert why in process.records("stopped")[0]["fields"]["why"]
    assert len(process.records("begun")) == 1, "no restart policy starts a single run again"


def test_the_operators_schedule_does_not_hold_for_it(program: Program) -> None:
    """A job that is switched off in the configuration is the very one that a timer runs; its limits do hold."""
    settings = ("--set", "stayon.jobs.plain.enabled=false", "--set", "stayon.jobs.other.every=10ms")
    process = program.start(SOURCE, "run", "--once", "plain", *settings)

    assert process.wait() == 0
    assert len(process.records("plain ran")) == 1
    assert not process.records("other")
    limited = program.start(SOURCE, "run", "--once", "endless", "--set", "stayon.jobs.endless.timeout=50ms")
    assert limited.wait() == 70


def test_it_runs_beside_the_service_and_other_jobs(program: Program) -> None:
    """Each job has a lock of its own, so it waits for nobody but itself; a stop ends it with 0."""
    first = program.start(SOURCE, "run", "--once", "endless")
    first.wait_log("endless ran")

    assert program.start(SOURCE, "run", "--once", "plain").wait() == 0
    again = program.start(SOURCE, "run", "--once", "endless")
    assert again.wait() == 75
    first.process.terminate()
    assert first.wait() == 0, first.err


def test_a_job_that_is_not_there_is_named(program: Program) -> None:
    """64, with the nearest that there is."""
    process = program.start(SOURCE, "run", "--once", "plian")

    assert process.wait() == 64
    assert 'Did you mean "plain"?' in process.err
    assert "[usage.no-job]" in process.err
