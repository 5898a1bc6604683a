"""What happens when a job is due while it runs, and which names may be given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core.overlap import QUEUE_LIMIT, RUN, SKIP, WAIT, Overlap, admit, overlap_of, parallel
from stayon.core.spec import NAME_LIMIT, checked_choice, checked_name, optional_seconds
from stayon.errors import UsageError


@given(st.builds(Overlap, st.integers(1, 5), st.integers(0, 5)), st.integers(0, 9), st.integers(0, 9))
def test_no_more_run_or_wait_than_the_rule_says(rule: Overlap, running: int, waiting: int) -> None:
    """A run begins only below the limit, and waits only where there is room in line."""
    verdict = admit(rule, running, waiting)

    assert (verdict == RUN) == (running < rule.limit)
    assert (verdict == WAIT) == (running >= rule.limit and waiting < rule.waiting)
    assert verdict in (RUN, WAIT, SKIP)


def test_the_words_mean_what_they_say() -> None:
    """skip: one at a time; queue: one, and a bounded line; parallel(n): n, and no line."""
    assert overlap_of("skip") == Overlap(1, 0)
    assert overlap_of("queue") == Overlap(1, QUEUE_LIMIT)
    assert overlap_of(parallel(3)) == Overlap(3, 0)


@pytest.mark.parametrize("value", ["sometimes", None, 3, ""])
def test_an_unknown_overlap_is_refused(value: object) -> None:
    """With what may be said instead."""
    with pytest.raises(UsageError, match=r"parallel\(n\).*\[spec.overlap\]"):
        overlap_of(value)


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "2"])
def test_parallel_takes_a_whole_number_from_one(limit: object) -> None:
    """True is a number to Python, not to us."""
    with pytest.raises(UsageError, match=r"\[spec.overlap\]"):
        parallel(limit)


@pytest.mark.parametrize("name", ["a", "price-collector", "A.b_c-9", "x" * NAME_LIMIT])
def test_names_that_every_system_takes_are_taken(name: str) -> None:
    """A name becomes a file, a unit, a key in the registry and a label."""
    assert checked_name(name, "a service") == name


@pytest.mark.parametrize("name", ["", "x" * (NAME_LIMIT + 1), "a b", "-a", ".a", "a/b", "é", None, 3, "a\n"])
def test_other_names_are_refused(name: object) -> None:
    """With the character that is wrong, or the length."""
    with pytest.raises(UsageError, match=r"\[spec.name\]"):
        checked_name(name, "a service")


def test_a_choice_is_one_of_those_there_are() -> None:
    """The error lists them."""
    assert checked_choice("log", ("log", "fail"), "on_failure") == "log"
    with pytest.raises(UsageError, match="log, fail"):
        checked_choice("explode", ("log", "fail"), "on_failure")


def test_no_limit_stays_none() -> None:
    """A duration that isn't given is no limit."""
    assert optional_seconds(None) is None
    assert optional_seconds("2s") == 2.0
