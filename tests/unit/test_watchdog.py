"""The watchdog: a deadman that the loop feeds, and beats that functions give."""

from __future__ import annotations

import pytest

from stayon.runtime.loop import Loop
from stayon.runtime.watchdog import Watchdog
from stayon.testing import ManualClock
from stayon.testing.deadman import FakeDeadman
from stayon.testing.poller import FakePoller


class Watched:
    """A loop in virtual time with a watchdog of nine seconds."""

    def __init__(self, tmp_path, timeout_s: float | None = 9.0) -> None:
        self.clock = ManualClock(autojump=True)
        self.loop = Loop(self.clock, FakePoller(self.clock), self.fail)
        self.deadman = FakeDeadman(self.clock, str(tmp_path / "crash"))
        self.hung: list[tuple[str, float]] = []
        self.watchdog = Watchdog(
            self.loop, self.deadman, timeout_s, lambda beat: self.hung.append((beat.name, self.passed()))
        )
        self._began = self.clock.monotonic()

    def fail(self, error: BaseException) -> None:
        """Nothing may go wrong in the loop."""
        raise error

    def passed(self) -> float:
        """Seconds since the beginning."""
        return self.clock.monotonic() - self._began

    def run(self, seconds: float) -> None:
        """Let the loop run for a time."""
        self.loop.ended = False
        self.loop.call_later(seconds, self.loop.end)
        self.loop.run()


def test_a_loop_that_comes_round_feeds_the_deadman(tmp_path) -> None:
    """It is armed three times within its time, and never fires; stopped, it is disarmed for good."""
    watched = Watched(tmp_path)
    watched.watchdog.start()
    watched.run(90)
    fed = watched.deadman.fed
    watched.watchdog.stop()
    watched.run(90)

    assert fed == pytest.approx(31, abs=1)
    assert watched.deadman.fed == fed
    assert watched.deadman.fired_at is None


def test_a_loop_that_is_stuck_sets_it_off(tmp_path) -> None:
    """A callback that takes longer than the time: the deadman fires while it is stuck, with all stacks."""
    watched = Watched(tmp_path)
    watched.watchdog.start()
    gate = watched.clock.gate()
    gate.acquire()
    watched.loop.call_later(20, lambda: watched.clock.wait(gate, 10))
    watched.run(40)

    assert watched.deadman.fired_at is not None
    assert 20 < watched.deadman.fired_at - 1000 <= 30
    assert "(most recent call first)" in (tmp_path / "crash").read_text()


def test_without_a_timeout_there_is_no_deadman(tmp_path) -> None:
    """None switches it off, and a new timeout on, while it runs."""
    watched = Watched(tmp_path, None)
    watched.watchdog.start()
    watched.run(60)
    assert watched.deadman.fed == 0
    watched.watchdog.set_timeout(9.0)
    watched.watchdog.set_timeout(9.0)
    watched.run(60)
    assert watched.deadman.fed == pytest.approx(21, abs=1)
    watched.watchdog.set_timeout(None)
    fed = watched.deadman.fed
    watched.run(60)

    assert watched.deadman.fed == fed
    assert watched.deadman.fired_at is None


def test_a_new_timeout_before_the_start_does_not_start_it(tmp_path) -> None:
    """A watchdog that has not been started, or was stopped, stays so whatever its timeout is set to."""
    watched = Watched(tmp_path)
    watched.watchdog.set_timeout(5.0)
    watched.run(60)

    assert watched.deadman.fed == 0


def test_a_beat_that_is_overdue_is_told_at_its_moment(tmp_path) -> None:
    """Touching puts it off by its whole time; the last touch counts."""
    watched = Watched(tmp_path)
    beat = watched.watchdog.watch("run", 5.0)
    for moment in (1, 4, 8.5):
        watched.loop.call_later(moment, beat.touch)
    watched.run(60)

    assert [(name, round(moment, 6)) for name, moment in watched.hung] == [("run", 13.5)]


def test_a_beat_that_was_forgotten_is_never_told(tmp_path) -> None:
    """Forgetting it works at any time, and twice."""
    watched = Watched(tmp_path)
    beat = watched.watchdog.watch("run", 5.0)
    watched.loop.call_later(4, watched.watchdog.forget, beat)
    watched.run(60)
    watched.watchdog.forget(beat)

    assert watched.hung == []


def test_nothing_ticks_for_a_beat(tmp_path) -> None:
    """A beat that is touched a thousand times wakes the loop only when it might be overdue."""
    watched = Watched(tmp_path, None)
    beat = watched.watchdog.watch("run", 1000.0)
    beat.touch()
    turns = watched.loop.turns
    watched.run(999)

    assert watched.loop.turns - turns <= 2


def test_a_suspended_process_is_not_a_hung_one(tmp_path) -> None:
    """The time in which the whole process was stopped is held against neither the loop nor a beat."""
    watched = Watched(tmp_path)
    watched.watchdog.start()
    watched.watchdog.watch("run", 5.0)
    watched.loop.call_later(3, watched.watchdog.suspended, lambda: watched.clock.stall(3600))
    watched.run(3607)
    assert watched.hung == []
    watched.run(2)

    assert [(name, round(moment, 6)) for name, moment in watched.hung] == [("run", 3608)]
    assert watched.deadman.fired_at is None
