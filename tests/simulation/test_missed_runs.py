"""Jobs when time does not pass as it should: the process is frozen, or the wall clock is set."""

from __future__ import annotations

import pytest

from stayon import Service
from stayon.testing import simulate, sleep


def counts_of(sim, name="job"):
    """Of a job's counts, those that are not zero."""
    return {result: count for result, count in sim.job(name).counts.items() if count}


def test_a_calendar_keeps_to_the_wall_clock_of_its_zone() -> None:
    """A cron job runs at its local time before and after the clocks go forward."""
    service = Service("calendar")
    sim = simulate(service, start="2026-03-28T00:00:00Z")
    runs = []
    service.cron("0 3 * * *", tz="Europe/Berlin", name="job")(lambda ctx: runs.append(sim.now.strftime("%d %H:%M")))

    with sim:
        sim.advance("2d")

    assert runs == ["28 02:00", "29 01:00"]


@pytest.mark.parametrize(
    ("missed", "runs", "left_out"), [("skip", 1, 0), ("once", 1, 0), ("all", 3, 0)], ids=["skip", "once", "all"]
)
def test_moments_that_passed_while_the_process_was_frozen(missed: str, runs: int, left_out: int) -> None:
    """After the computer slept over three moments, the last of them just now: one run, or with ``"all"`` three."""
    service = Service("frozen")
    service.every("1h", name="job", missed=missed)(lambda ctx: None)

    with simulate(service) as sim:
        sim.freeze("3h")
        assert counts_of(sim).get("success") == 1 + runs
        assert sim.job("job").counts["missed"] == 3 - runs


@pytest.mark.parametrize(("missed", "runs"), [("skip", 0), ("once", 1), ("all", 3)])
def test_moments_that_are_long_past(missed: str, runs: int) -> None:
    """Woken half an hour after the last of three missed moments: none, one, or all of them are made up for."""
    service = Service("past")
    service.every("1h", name="job", missed=missed)(lambda ctx: None)

    with simulate(service) as sim:
        sim.freeze("3h30m")
        assert sim.job("job").counts["success"] == 1 + runs
        assert sim.job("job").counts["missed"] == 3 - runs
        sim.advance("30m")
        assert sim.job("job").counts["success"] == 2 + runs


@pytest.mark.parametrize("overlap", ["skip", "queue"])
def test_missed_runs_are_made_up_for_one_after_the_other(overlap: str) -> None:
    """``missed="all"`` leaves none of them out, and never runs two of them at once, whatever ``overlap`` says."""
    service = Service("all")
    sim = simulate(service)
    most = []

    @service.every("1h", missed="all", overlap=overlap)
    def job(ctx):
        most.append(len(sim.job("job").runs))
        sleep("1s")

    with sim:
        sim.advance("1m")
        sim.freeze("3h")
        sim.advance("10s")
        assert counts_of(sim) == {"success": 4}

    assert max(most) <= 1


@pytest.mark.parametrize(("missed", "runs"), [("skip", 0), ("once", 1), ("all", 3)])
def test_a_wall_clock_that_jumps_forward_misses_calendar_moments(missed: str, runs: int) -> None:
    """The clock is set forward over three nights: a cron job makes up for none, one, or all; an ``every`` job none."""
    service = Service("jump")
    service.cron("0 3 * * *", name="nightly", missed=missed)(lambda ctx: None)
    service.every("1h", name="hourly", delay="1h")(lambda ctx: None)

    with simulate(service) as sim:
        sim.jump_clock("3d")
        assert sim.job("nightly").counts["success"] == runs
        assert sim.job("nightly").counts["missed"] == 3 - runs
        assert sim.job("hourly").counts["success"] == 0
        sim.advance("1d")
        assert sim.job("nightly").counts["success"] == runs + 1
        assert sim.job("hourly").counts["success"] == 24


def test_a_wall_clock_set_back_a_little_repeats_nothing() -> None:
    """Set back an hour after its run, a daily job does not run again for the same night."""
    service = Service("back")
    service.cron("0 3 * * *", name="nightly")(lambda ctx: None)

    with simulate(service) as sim:
        sim.advance("3h30m")
        sim.jump_clock("-1h")
        sim.advance("1h")
        assert counts_of(sim, "nightly") == {"success": 1}
        sim.advance("24h")
        assert counts_of(sim, "nightly") == {"success": 2}
