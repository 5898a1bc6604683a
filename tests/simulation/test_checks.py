"""Health checks in simulated time: verdicts with hysteresis, and what a late or failing check means."""

from __future__ import annotations

import pytest

from stayon import Service, exits
from stayon.testing import simulate, sleep


def test_checks_turn_only_after_several_like_results() -> None:
    """A check falls after ``fall`` bad results in a row and rises after ``rise`` good ones; readiness follows."""
    service = Service("checks")
    answers = iter([True, False, False, True, False, False, False, True, True])

    @service.check(every="10s", rise=2, fall=3)
    def database(ctx):
        return next(answers, True)

    with simulate(service) as sim:
        seen = []
        for _ in range(9):
            seen.append(sim.check("database").status)
            sim.advance("10s")

        assert seen == ["unknown"] * 6 + ["failing"] * 2 + ["ok"]
        assert sim.is_ready
        assert 'stayon_check_up{check="database"} 1' in sim.metrics


def test_a_check_that_raises_or_is_late_is_a_bad_result() -> None:
    """An exception and a missing answer count alike, and the reason is told; a late check is not asked twice."""
    service = Service("bad")
    sim = simulate(service)
    asked = []

    @service.check(every="10s", timeout="5s", fall=1)
    def late(ctx):
        asked.append(sim.elapsed_s)
        sleep("25s")

    @service.check(every="10s", fall=1)
    def broken(ctx):
        raise ConnectionError("refused")

    with sim:
        sim.advance("5s")
        assert sim.check("late").why == "no answer within 5 s"
        assert sim.check("broken").why == "ConnectionError: refused"
        assert (sim.status.health, sim.is_ready) == ("failing", False)
        sim.advance("35s")
        assert len(asked) == 2


def test_a_check_under_way_does_not_hold_up_the_stop() -> None:
    """A check that hangs when asked to stop costs no more than it has to: it may finish, and the stop is clean."""
    service = Service("midcheck", stop_timeout="20s")
    service.check(every="1h", timeout="10s", name="slow")(lambda ctx: sleep("3s"))
    service.every("1h", name="job")(lambda ctx: None)

    with simulate(service) as sim:
        assert sim.stop() == exits.DONE
        assert sim.elapsed_s == pytest.approx(3)
