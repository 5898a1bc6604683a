"""What a service says at its end is in the log before its manager hears that it is STOPPED."""

from __future__ import annotations

from stayon import Service
from stayon.core.events import Report
from stayon.testing import simulate
from stayon.testing.simulation import Simulation


class Listening:
    """Whoever has started *sim*; notes number and level of all that was logged when it first hears STOPPED."""

    def __init__(self, sim: Simulation) -> None:
        self.found: list[tuple[int, str]] = []
        self._sim, self._starter = sim, sim.machine.starter
        self._pass_on = self._starter.report
        setattr(self._starter, "report", self.report)  # noqa: B010  # this one object's, to be heard in between

    def report(self, told: Report) -> None:
        if told.state == "STOPPED" and not self.found:
            self.found = [(record.event_id, record.level) for record in self._sim.log]
        self._pass_on(told)


def test_a_failure_and_the_last_word_come_first() -> None:
    """The first-failure report and ``stopped`` are there as errors, so that the system's log has them by then."""
    service = Service("fails")

    @service.every("1s", on_failure="fail")
    def job(ctx):
        raise ValueError("no price")

    listening = Listening(sim := simulate(service))
    with sim:
        sim.advance("1s")
        assert sim.exit_code == 70
        found = listening.found
    assert (13, "CRITICAL") in found
    assert (11, "ERROR") in found


def test_a_hang_comes_first() -> None:
    """Who hangs is on record, with the stacks, before the process is done away with."""
    service = Service("hangs")

    @service.task(hang_timeout="2s")
    def work(ctx):
        ctx.stopping.wait()

    listening = Listening(sim := simulate(service))
    with sim:
        sim.advance("3s")
        assert sim.exit_code == 86
        found = listening.found
    assert [number for number, level in found if level == "CRITICAL"] == [19, 13]
    assert found[-1] == (11, "ERROR")


def test_a_clean_end_comes_first() -> None:
    """A stop that was asked for ends with a notice."""
    service = Service("jobs")
    service.every("1h", name="job")(lambda ctx: None)

    listening = Listening(sim := simulate(service))
    with sim:
        sim.stop()
        found = listening.found
    assert found[-1] == (11, "NOTICE")
    assert [number for number, level in found if level == "NOTICE"] == [10, 18, 11]
