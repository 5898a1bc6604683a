"""Verdicts move slowly, and one table joins them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core import health
from stayon.core.health import FAILING, OK, UNKNOWN, Rule, Verdict, observe, overall, rule
from stayon.errors import UsageError

rules = st.builds(Rule, st.integers(1, 6), st.integers(1, 6))


def verdicts(by: Rule, results: list[bool]) -> list[Verdict]:
    """The verdict before any result, and after each; moments are 1, 2, 3 …"""
    seen = [Verdict()]
    for at, result in enumerate(results, 1):
        seen.append(observe(seen[-1], by, result, float(at), "" if result else f"refused {at}"))
    return seen


def test_a_new_check_is_unknown() -> None:
    """Before the first result, nothing is claimed."""
    assert Verdict() == Verdict(UNKNOWN, 0, 0.0, "")


def test_a_check_falls_after_three_and_rises_after_one_by_default() -> None:
    """The story of a flapping check: when it turned, how long the streak is, and why it failed."""
    story = verdicts(rule(), [True, True, False, False, False, False, True, False])

    assert story[1:] == [
        Verdict(OK, 1, 1.0),
        Verdict(OK, 2, 1.0),
        Verdict(OK, -1, 1.0, "refused 3"),
        Verdict(OK, -2, 1.0, "refused 4"),
        Verdict(FAILING, -3, 5.0, "refused 5"),
        Verdict(FAILING, -4, 5.0, "refused 6"),
        Verdict(OK, 1, 7.0),
        Verdict(OK, -1, 7.0, "refused 8"),
    ]


def test_a_failing_check_keeps_its_reason_until_it_is_ok() -> None:
    """While it is on its way up, the last reason still explains why it is not up."""
    story = verdicts(rule(rise=2, fall=1), [False, True, True])

    assert [(verdict.status, verdict.why) for verdict in story[1:]] == [
        (FAILING, "refused 1"),
        (FAILING, "refused 1"),
        (OK, ""),
    ]


@given(rules, st.lists(st.booleans(), max_size=40))
def test_a_verdict_turns_exactly_after_rise_or_fall_results_in_a_row(by: Rule, results: list[bool]) -> None:
    """It is what the last long enough streak says, whatever came before."""
    expected = UNKNOWN
    for count in range(1, len(results) + 1):
        if count >= by.rise and all(results[count - by.rise : count]):
            expected = OK
        if count >= by.fall and not any(results[count - by.fall : count]):
            expected = FAILING
        assert verdicts(by, results[:count])[-1].status == expected


@given(st.integers(2, 6), st.integers(2, 6), st.sampled_from([UNKNOWN, OK, FAILING]), st.booleans(), st.integers(1, 30))
def test_alternation_never_turns_a_verdict(rise: int, fall: int, status: str, first: bool, count: int) -> None:
    """A check that flaps with every result stays what it was."""
    verdict = Verdict(status, 0, 0.0)
    for at in range(count):
        verdict = observe(verdict, Rule(rise, fall), first ^ bool(at % 2), at + 1.0, "refused")

    assert verdict.status == status
    assert verdict.since == 0.0


@given(rules, st.lists(st.booleans(), min_size=1, max_size=40))
def test_since_is_the_moment_of_the_last_turn(by: Rule, results: list[bool]) -> None:
    """It moves with the status and with nothing else."""
    for before, after in itertools.pairwise(verdicts(by, results)):
        assert (before.since == after.since) == (before.status == after.status)


@pytest.mark.parametrize(
    ("rise", "fall", "named"), [(0, 3, "rise"), (1, 0, "fall"), (1, -1, "fall"), (1.5, 3, "rise"), (True, 3, "rise")]
)
def test_a_rule_is_made_of_counts(rise: object, fall: object, named: str) -> None:
    """Anything but whole numbers from 1 on is refused by name."""
    with pytest.raises(UsageError, match=rf"^{named}=.* is not usable") as caught:
        rule(rise, fall)

    assert caught.value.code == "spec.check"


@pytest.mark.parametrize(
    ("statuses", "degraded", "whole"),
    [
        ([], [], "ok"),
        ([], ["collect"], "degraded"),
        ([OK], [], "ok"),
        ([OK, OK], ["collect"], "degraded"),
        ([OK, UNKNOWN], [], "unknown"),
        ([OK, UNKNOWN], ["collect"], "unknown"),
        ([UNKNOWN, FAILING, OK], [], "failing"),
        ([FAILING], ["collect"], "failing"),
    ],
)
def test_the_whole_is_as_well_as_its_worst_part(statuses: list[str], degraded: list[str], whole: str) -> None:
    """failing before unknown before degraded before ok."""
    assert overall([Verdict(status) for status in statuses], degraded) == whole


def test_the_table_of_the_whole_is_total() -> None:
    """Every worst verdict, with and without a degraded job."""
    assert set(health.OVERALL) == set(itertools.product(health.STATUSES, (False, True)))


@given(st.lists(st.sampled_from(health.STATUSES)), st.booleans())
def test_the_order_of_checks_does_not_matter(statuses: list[str], degraded: bool) -> None:
    """The whole depends on which verdicts there are, not on who comes first."""
    jobs = ["collect"] if degraded else []
    one, other = ([Verdict(status) for status in order] for order in (statuses, sorted(statuses)))

    assert overall(one, jobs) == overall(other, jobs)
