"""What somebody meant who mistyped a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core.nearest import did_you_mean, distance, is_near, nearest

words = st.text("abc", max_size=8)


@given(words, words)
def test_distance_counts_the_wrong_letters(one: str, other: str) -> None:
    """Zero for the same only, the same in both directions, and never more than the longer one has."""
    assert (distance(one, other) == 0) == (one == other)
    assert distance(one, other) == distance(other, one)
    assert abs(len(one) - len(other)) <= distance(one, other) <= max(len(one), len(other))


@given(words, words)
def test_nearness_is_symmetric_and_never_of_the_same(one: str, other: str) -> None:
    """The right name is not a guess at itself."""
    assert is_near(one, other) is is_near(other, one)
    assert not is_near(one, one)


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("intervall", ["interval", "timeout"], "interval"),
        ("stauts", ["status", "stop"], "status"),
        ("xyz", ["status", "stop"], ""),
        ("sto", ["stop", "step"], "stop"),
        ("", ["a"], "a"),
        ("inof", ["info", "into"], "info"),
        ("--folow", ["--follow", "--lines"], "--follow"),
    ],
)
def test_the_nearest_name_is_found(word: str, known: list[str], meant: str) -> None:
    """The one with the fewest wrong letters, or none where all are far."""
    assert nearest(word, known) == meant


def test_a_hint_names_the_nearest_or_all() -> None:
    """Somebody with a far guess sees what there is; where there is nothing, nothing is said."""
    assert did_you_mean("stauts", ["status"]) == 'Did you mean "status"?'
    assert did_you_mean("xyzzy", ["b", "a"]) == "Known are: a, b."
    assert did_you_mean("x", []) == ""
