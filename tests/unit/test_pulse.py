"""What a manager is told while something is pending."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core.pulse import FIRST_HINT_S, PERIOD_S, pulse

# What NSSM found out: so long without a new checkpoint, or without a larger hint, and it counts as hung.
CHECKPOINT_LIMIT_S, HINT_LIMIT_S = 30.0, 60.0


def test_the_first_pulse_is_at_once() -> None:
    """A state that has just begun has checkpoint 1, and the next pulse one period later."""
    first = pulse(100.0, 100.0, 60.0)

    assert (first.checkpoint, first.wait_hint_s, first.next) == (1, FIRST_HINT_S, 100.0 + PERIOD_S)


@given(st.floats(0, 1e9), st.floats(min_value=10, max_value=600))
def test_both_numbers_grow_from_pulse_to_pulse_in_time(since: float, limit_s: float) -> None:
    """Followed from moment to moment, every pulse is new, larger, before the last one's hint is over, and soon enough;
    and they end with the limit.
    """
    beat = pulse(since, since, limit_s)
    told_at = since
    while beat.next is not None:
        assert told_at < beat.next <= since + limit_s
        assert beat.next - told_at < min(beat.wait_hint_s, CHECKPOINT_LIMIT_S, HINT_LIMIT_S)
        told_at, before = beat.next, beat
        beat = pulse(since, told_at, limit_s)
        assert beat.checkpoint == before.checkpoint + 1
        assert beat.wait_hint_s > before.wait_hint_s
    assert told_at + beat.wait_hint_s > since + limit_s


@pytest.mark.parametrize("early_s", [0.0, 1e-9, 1e-7])
def test_a_timer_that_is_a_little_early_does_not_ring_twice(early_s: float) -> None:
    """At the moment of the next pulse, whatever rounding did to it, the pulse is the next one."""
    first = pulse(0.1, 0.1, None)
    assert first.next is not None

    assert pulse(0.1, first.next - early_s, None).checkpoint == 2


def test_without_a_limit_it_goes_on_for_ever() -> None:
    """A state that may last for ever is pulsed for ever."""
    assert pulse(0.0, 1e6, None).next == 1e6 + PERIOD_S


def test_a_clock_that_goes_back_is_the_beginning() -> None:
    """No pulse is below the first."""
    assert pulse(100.0, 99.0, None) == pulse(100.0, 100.0, None)
