"""The monitor's pure decisions: the state by several results in a row, and when people are told of it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.services.monitor import alert_rule, states
from stayon.services.monitor.alert_rule import Told
from stayon.services.monitor.states import DEGRADED, DOWN, FINDINGS, STATES, UNKNOWN, UP, Health, Hysteresis

SEVERITY = {UP: 0, DEGRADED: 1, DOWN: 2}
WINDOW_S = 10.0

findings = st.lists(st.sampled_from(FINDINGS), max_size=60)
rules = st.builds(Hysteresis, rise=st.integers(1, 4), fall=st.integers(1, 4))
# (the state that a check leaves behind, how long after the one before, whether an alert sent then arrives)
checks = st.lists(st.tuples(st.sampled_from(STATES), st.floats(0, 4), st.booleans()), max_size=80)


def healths(results, rule):
    """The health after each of *results*, the n-th of which is seen at moment n."""
    health, seen = Health(), []
    for at, finding in enumerate(results, 1):
        health = states.observe(health, finding, rule, float(at))
        seen.append(health)
    return seen


def test_every_change_of_state_has_a_meaning() -> None:
    """The table has a row for each pair of different states, but none that leads back to unknown."""
    wanted = {(before, after) for before in STATES for after in FINDINGS if before != after}

    assert set(states.TURNS) == wanted


@given(results=findings, rule=rules)
def test_a_state_changes_only_after_enough_results_in_a_row(results, rule) -> None:
    """Worse takes ``fall`` results at least so bad, better takes ``rise`` at least so good; and then it does change."""
    for number, (before, after) in enumerate(pairwise([Health(), *healths(results, rule)]), 1):
        if before.state in {after.state, UNKNOWN}:
            continue
        if SEVERITY[after.state] > SEVERITY[before.state]:
            last = results[number - rule.fall : number]
            assert len(last) == rule.fall
            assert all(SEVERITY[finding] >= SEVERITY[after.state] for finding in last)
        else:
            last = results[number - rule.rise : number]
            assert len(last) == rule.rise
            assert all(SEVERITY[finding] <= SEVERITY[after.state] for finding in last)


@given(results=findings, rule=rules, last=st.sampled_from(FINDINGS))
def test_like_results_always_win_in_the_end(results, rule, last) -> None:
    """Whatever went before, as many like results as the rule asks for make the state that they show."""
    needed = max(rule.rise, rule.fall)

    assert healths([*results, *[last] * needed], rule)[-1].state == last


@given(results=findings, rule=rules)
def test_since_is_the_moment_of_the_last_change(results, rule) -> None:
    """``since`` moves exactly when the state does, to the moment of the result that moved it."""
    for at, (before, after) in enumerate(pairwise([Health(), *healths(results, rule)]), 1):
        assert after.since == (float(at) if before.state != after.state else before.since)


@given(results=findings, rule=rules)
def test_a_remembered_health_is_the_same_state(results, rule) -> None:
    """What was kept over a restart stands as it stood, and one like result does not move it."""
    for health in healths(results, rule):
        again = states.remembered(health.state, health.since)
        assert again.state == health.state
        if health.state != UNKNOWN:
            assert again.since == health.since
            assert states.observe(again, health.state, rule, 0.0).state == health.state


def test_garbage_is_remembered_as_unknown() -> None:
    """A state that this version does not know is none."""
    assert states.remembered("on fire", 5.0) == Health()


class Bookkeeping:
    """The rule as the monitor uses it: asked after each check; what is sent arrives at once, or is lost."""

    def __init__(self, results) -> None:
        self.told, self.state, self.now = Told(), UNKNOWN, 100.0
        self.sent: list[tuple[float, str, int]] = []
        self.changes = 0
        for state, later_s, arrives in results:
            self.now += later_s
            self.see(state, arrives=arrives)

    def see(self, state, *, arrives=True):
        if state != self.state:
            self.state, self.changes = state, self.changes + 1
            self.told = alert_rule.changed(self.told)
        word = alert_rule.due(self.told, state, self.now, WINDOW_S)
        if word is not None and arrives:
            self.told = alert_rule.arrived(self.told, word)
            self.sent.append((word.at, word.state, word.suppressed))


@given(results=checks)
def test_bad_news_of_one_kind_comes_once_in_a_window(results) -> None:
    """Between two alerts of the same bad state lies at least the window, however it flaps."""
    sent = Bookkeeping(results).sent
    for state in (DEGRADED, DOWN):
        moments = [at for at, told, _suppressed in sent if told == state]
        assert all(later - earlier >= WINDOW_S for earlier, later in pairwise(moments))


@given(results=checks)
def test_nobody_is_told_the_same_twice_and_good_news_only_after_bad(results) -> None:
    """Each alert tells another state than the one before it; the first is bad news."""
    told = [state for _at, state, _suppressed in Bookkeeping(results).sent]

    assert all(earlier != later for earlier, later in pairwise([UP, *told]))


@given(results=checks, last=st.sampled_from(FINDINGS))
def test_people_know_the_truth_once_the_window_is_over(results, last) -> None:
    """If an endpoint stays as it is, what people were told is true after the window, even if alerts were lost."""
    book = Bookkeeping(results)
    book.see(last)
    book.now += WINDOW_S
    book.see(last)

    assert book.told.state == last


@given(results=checks)
def test_every_change_is_told_or_counted(results) -> None:
    """An alert stands for itself and the changes that it says were suppressed; none is forgotten or counted twice."""
    book = Bookkeeping(results)
    counted = sum(1 + suppressed for _at, _state, suppressed in book.sent)

    assert counted + book.told.changes == book.changes


def test_recovery_is_told_at_once() -> None:
    """Whoever was told that it is down learns that it is up without waiting for the window."""
    book = Bookkeeping([(UP, 0, True), (DOWN, 1, True), (UP, 1, True)])

    assert [state for _at, state, _suppressed in book.sent] == [DOWN, UP]


def test_getting_worse_is_told_at_once() -> None:
    """The window is for each state: a degraded endpoint that goes down is told, though it was just told degraded."""
    book = Bookkeeping([(DEGRADED, 0, True), (DOWN, 1, True)])

    assert [state for _at, state, _suppressed in book.sent] == [DEGRADED, DOWN]


def test_changes_while_an_alert_is_on_its_way_are_not_forgotten() -> None:
    """What changes between deciding and arriving counts for the next alert."""
    told = alert_rule.changed(Told())
    word = alert_rule.due(told, DOWN, 0.0, WINDOW_S)
    assert word is not None
    told = alert_rule.arrived(alert_rule.changed(alert_rule.changed(told)), word)

    assert told.changes == 2


@pytest.mark.parametrize("by_s", [-1e9, 0.0, 12.5])
def test_another_clock_changes_nothing(by_s) -> None:
    """Kept by the wall clock and taken up by a new monotonic one, the window ends at the same moment."""
    told = Told(UP, {DOWN: 100.0}, 1)
    moved = alert_rule.shifted(told, by_s)

    for now in (105.0, 111.0):
        early, late = alert_rule.due(told, DOWN, now, WINDOW_S), alert_rule.due(moved, DOWN, now + by_s, WINDOW_S)
        assert (early is None) == (late is None)
