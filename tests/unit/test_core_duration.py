"""Durations are read strictly and written for people."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core import duration
from stayon.core.duration import seconds, text
from stayon.errors import UsageError


@pytest.mark.parametrize(
    ("value", "length_s"),
    [
        (5, 5.0),
        (0.25, 0.25),
        ("5s", 5.0),
        ("250ms", 0.25),
        ("9ms", 0.009),
        ("1m30s", 90.0),
        ("2h", 7_200.0),
        ("1d", 86_400.0),
        ("1w", 604_800.0),
        ("1w2d3h4m5s6ms", 604_800 + 2 * 86_400 + 3 * 3_600 + 4 * 60 + 5 + 0.006),
        ("1.5h", 5_400.0),
        (".5s", 0.5),
        ("2.s", 2.0),
        (" 1m 30 s ", 90.0),
        ("90m", 5_400.0),
    ],
)
def test_a_duration_is_read(value: object, length_s: float) -> None:
    """Numbers are seconds; text is numbers with units, from large to small."""
    assert seconds(value) == length_s
    assert type(seconds(value)) is float


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("soon", "'soon' does not start with a number"),
        ("-5s", "'-5s' does not start with a number"),
        ("5s-", "'-' does not start with a number"),
        ("5", "'5' has no unit"),
        ("1m30", "'30' has no unit"),
        ("5 %", "'5' has no unit"),
        ("5x", "'x' is not a unit"),
        ("5S", "'S' is not a unit"),
        ("5sec", "'sec' is not a unit"),
        ("1.2.3s", "'1.2.3' is not a number"),
        (".s", "'.' is not a number"),
        ("30s1m", "'m' is out of order"),
        ("1s1s", "'s' is out of order"),
        ("٣s", "'٣s' does not start with a number"),
        ("0s", "it is zero"),
        (0, "it is zero"),
        (0.0, "it is zero"),
        (-1, "it is negative"),
        (-math.inf, "it is negative"),
        (math.inf, "it is longer than 100 years"),
        (10**400, "it is longer than 100 years"),
        ("9" * 400 + "s", "it is longer than 100 years"),
        ("5300w", "it is longer than 100 years"),
        (math.nan, "it is not a number"),
        (True, "it is of type bool"),
        (None, "it is of type NoneType"),
        ([5], "it is of type list"),
    ],
)
def test_nonsense_is_refused_and_says_why(value: object, why: str) -> None:
    """The error shows the setting, the value, what is wrong with it, an example and the code."""
    with pytest.raises(UsageError) as caught:
        seconds(value, where="timeout")

    error = caught.value
    assert error.code == "spec.duration"
    assert error.why == why
    assert str(error).startswith(f"timeout: {value!r} is not a usable duration: {why}. ")
    assert '"1m30s"' in error.hint


@pytest.mark.parametrize("value", [0, 0.0, "0s", "0ms"])
def test_zero_is_allowed_where_asked_for(value: object) -> None:
    """A delay may be nothing; a timeout may not."""
    assert seconds(value, allow_zero=True) == 0.0


def test_allowing_zero_allows_nothing_else() -> None:
    """The other limits stay."""
    with pytest.raises(UsageError, match="it is negative"):
        seconds(-0.001, allow_zero=True)


@pytest.mark.parametrize(
    ("length_s", "written"),
    [
        (0, "0s"),
        (0.000_000_1, "0s"),
        (0.000_25, "0.25ms"),
        (0.25, "250ms"),
        (0.999_999_9, "1s"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.999_999_9, "1m"),
        (90, "1m30s"),
        (3_600, "1h"),
        (3_601, "1h1s"),
        (604_800, "7d"),
        (90_061.25, "1d1h1m1.25s"),
        (-90, "-1m30s"),
    ],
)
def test_a_duration_is_written_for_people(length_s: float, written: str) -> None:
    """Days, hours, minutes and seconds that are there; milliseconds alone, below a second."""
    assert text(length_s) == written


@given(st.integers(1, round(duration.LONGEST_S) * 1_000))
def test_what_is_written_is_read_back(length_ms: int) -> None:
    """To the millisecond, up to the longest."""
    assert round(seconds(text(length_ms / 1_000)) * 1_000) == length_ms


@given(st.floats(1e-6, 1e6))
def test_no_more_than_half_a_microsecond_is_lost(length_s: float) -> None:
    """Writing rounds to the microsecond."""
    assert seconds(text(length_s), allow_zero=True) == pytest.approx(length_s, rel=1e-12, abs=0.500_1e-6)


@given(st.text(alphabet="0123456789.wdhms -\u00b2\u0663e", max_size=12) | st.text())
def test_any_text_is_a_positive_length_or_a_usage_error(written: str) -> None:
    """No text gets through as something else, or breaks the parser."""
    try:
        length_s = seconds(written)
    except UsageError as error:
        why = error.why
    else:
        why = "" if 0 < length_s <= duration.LONGEST_S else "let through"

    assert why != "let through"
