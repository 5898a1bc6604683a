"""Schedules keep their grid, and account for every moment of it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core import schedule
from stayon.core.calendar import next_after
from stayon.core.schedule import Cron, Due, Every, Turn, cron, every, first, turn, wait_s
from stayon.errors import UsageError

YEAR_S = 365 * 86_400.0
POLICIES = st.sampled_from(schedule.POLICIES)

intervals = st.floats(0.001, 1e6)
moments = st.floats(0, 1e8)
chances = st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=8)


# What a user without a type checker may write.
MISSPELT: Any = {"misses": "all"}


class Chance:
    """Gives the numbers it was made of, round and round, and counts."""

    def __init__(self, numbers: list[float]) -> None:
        self.numbers, self.asked = numbers, 0

    def __call__(self) -> float:
        self.asked += 1
        return self.numbers[self.asked % len(self.numbers)]


def no_chance() -> float:
    """For rules without jitter."""
    raise AssertionError("chance was asked for")


def due_at(rule: Every, number: int, origin: float = 0.0) -> Due:
    """The due of a slot, without jitter."""
    slot = origin + number * rule.interval_s
    return Due(slot, slot, number, origin)


# -- every ------------------------------------------------------------------------------------------------------------


def test_the_first_run_is_at_once_or_after_the_delay() -> None:
    """The grid begins where the job does."""
    assert first(every("5s"), 100.0, no_chance) == Due(100.0, 100.0, 0, 100.0)
    assert first(every("5s", delay="30s"), 100.0, no_chance) == Due(130.0, 130.0, 0, 130.0)


def test_a_run_in_time_is_followed_by_the_next_slot() -> None:
    """However late within its own interval, the next due is the grid's, not the run's."""
    rule = every("5s")

    assert turn(rule, due_at(rule, 3), 15.0, no_chance) == Turn(1, 0, 0.0, due_at(rule, 4))
    assert turn(rule, due_at(rule, 3), 19.5, no_chance) == Turn(1, 0, 4.5, due_at(rule, 4))


def test_too_early_changes_nothing() -> None:
    """A sleep that ended early is slept on."""
    rule = every("5s", jitter="5s")

    assert turn(rule, due_at(rule, 3), 14.9, no_chance) == Turn(0, 0, 0.0, due_at(rule, 3))


@pytest.mark.parametrize(
    ("missed", "now", "runs", "lost"),
    [
        # an hour's job is late by half a minute, which is not missed ...
        ("skip", 3_630.0, 1, 0),
        ("once", 3_630.0, 1, 0),
        ("all", 3_630.0, 1, 0),
        # ... by half an hour ...
        ("skip", 5_400.0, 0, 1),
        ("once", 5_400.0, 1, 0),
        ("all", 5_400.0, 1, 0),
        # ... by two hours and a half: three slots have passed ...
        ("skip", 12_600.0, 0, 3),
        ("once", 12_600.0, 1, 2),
        ("all", 12_600.0, 3, 0),
        # ... and by two hours and half a minute, so that the third is merely late.
        ("skip", 10_830.0, 1, 2),
        ("once", 10_830.0, 1, 2),
        ("all", 10_830.0, 3, 0),
    ],
)
def test_what_becomes_of_missed_runs(missed: str, now: float, runs: int, lost: int) -> None:
    """Skipped, made up for once, or all; then it goes on with the next slot of the grid."""
    rule = every("1h", missed=missed)
    done = turn(rule, due_at(rule, 1), now, no_chance)

    assert (done.runs, done.missed, done.lateness_s) == (runs, lost, now - 3_600)
    assert done.next == due_at(rule, math.floor(now / 3_600) + 1)


def test_catching_up_has_a_limit() -> None:
    """A night's stop does not become a hundred thousand runs in the morning."""
    rule = every("1s", missed="all")
    done = turn(rule, due_at(rule, 0), 100_000.0, no_chance)

    assert (done.runs, done.missed) == (1_000, 99_001)


@pytest.mark.parametrize("missed", schedule.POLICIES)
def test_a_timer_coarser_than_the_interval_does_not_starve_the_job(missed: str) -> None:
    """Every wake-up is later than a whole interval, as with a timer of 15.6 ms, and every one starts a run."""
    rule, now = every("10ms", missed=missed), 0.0
    due = first(rule, now, no_chance)
    for _ in range(100):
        now = due.at + 0.015_6
        done = turn(rule, due, now, no_chance)
        assert done.runs >= 1
        due = done.next


def test_a_year_stays_on_the_grid() -> None:
    """A hundred thousand runs later, the slot is the one that multiplying gives, to the last bit."""
    rule, origin = every(301.7), 12_345.678
    due = first(rule, origin, no_chance)
    while due.at < origin + YEAR_S:
        due = turn(rule, due, due.at + 0.003, no_chance).next

    assert due.number == math.ceil(YEAR_S / 301.7)
    assert due.slot == origin + due.number * 301.7


@given(intervals, moments, POLICIES, st.lists(st.floats(0, 5), min_size=1, max_size=30))
def test_every_slot_is_run_or_missed_and_none_twice(
    interval_s: float, origin: float, missed: str, late: list[float]
) -> None:
    """Runs and missed add up to the slots that passed, and the next is the first one to come."""
    rule = Every(interval_s, missed=missed)
    due = first(rule, origin, no_chance)
    for intervals_late in late:
        now = due.at + intervals_late * interval_s
        done = turn(rule, due, now, no_chance)

        assert done.runs + done.missed == done.next.number - due.number
        assert done.next.at == done.next.slot == origin + done.next.number * interval_s
        assert origin + (done.next.number - 1) * interval_s <= now < done.next.at
        due = done.next


@pytest.mark.parametrize(
    ("interval_s", "origin", "number", "now"),
    [(0.1, 495.44, 6_220, 1_117.44), (0.333_333_333_333_333_3, 42.09, 872, 333.09)],
)
def test_rounding_moves_no_run_to_another_slot(interval_s: float, origin: float, number: int, now: float) -> None:
    """Dividing alone would find the slot before, in the first case, and the slot after, in the second."""
    rule = Every(interval_s)

    assert int((now - origin) // interval_s) != number
    assert turn(rule, due_at(rule, number, origin), now, no_chance).next.number == number + 1


@given(st.floats(0.01, 1e4), st.floats(0.001, 1), moments, chances)
def test_jitter_delays_each_run_and_loses_none(
    interval_s: float, part: float, origin: float, numbers: list[float]
) -> None:
    """Each run comes within its jitter, in order, and every slot has one; chance is asked once a run."""
    rule, chance = Every(interval_s, jitter_s=part * interval_s), Chance(numbers)
    due = first(rule, origin, chance)
    for number in range(20):
        assert due.number == number
        assert due.slot <= due.at <= due.slot + rule.jitter_s
        done = turn(rule, due, due.at, chance)
        assert (done.runs, done.missed) == (1, 0)
        assert done.next.at >= due.at
        due = done.next
    assert chance.asked == 21


def test_jitter_uses_the_whole_of_what_is_allowed() -> None:
    """Chance is a part of the jitter: none of it at 0, half of it at 0.5."""
    rule = every("10s", jitter="4s")

    assert first(rule, 0.0, lambda: 0.0).at == 0.0
    assert first(rule, 0.0, lambda: 0.5) == Due(2.0, 0.0, 0, 0.0)


@given(st.floats(0.01, 100), moments, chances, st.lists(st.floats(0, 30), min_size=1, max_size=10))
def test_the_next_due_is_never_in_the_past(
    interval_s: float, origin: float, numbers: list[float], late: list[float]
) -> None:
    """Not even with as much jitter as there may be, and wake-ups at any time."""
    rule, chance = Every(interval_s, jitter_s=interval_s, missed="all"), Chance(numbers)
    due = first(rule, origin, chance)
    for late_s in late:
        now = due.at + late_s
        done = turn(rule, due, now, chance)
        assert done.next.at >= now
        assert done.next.number > due.number
        due = done.next


@pytest.mark.parametrize(
    ("make", "error", "code", "message"),
    [
        (lambda: every("0s"), UsageError, "spec.duration", "interval: '0s' is not a usable duration"),
        (lambda: every("0.5ms"), UsageError, "spec.schedule", "the interval '0.5ms' is too short. Give at least 1ms."),
        (
            lambda: every("5s", jitter="6s"),
            UsageError,
            "spec.schedule",
            "the jitter '6s' is longer than the interval. Give at most 5s.",
        ),
        (lambda: every("5s", jitter="-1s"), UsageError, "spec.duration", "jitter: '-1s' is not a usable duration"),
        (lambda: every("5s", delay="later"), UsageError, "spec.duration", "delay: 'later' is not a usable duration"),
        (lambda: every("5s", missed="never"), UsageError, "spec.choice", "missed='never' is not known"),
        (lambda: cron("0 3 * *"), UsageError, "spec.cron", "'0 3 \\* \\*' is not a usable cron expression"),
        (lambda: cron("0 3 * * *", "Mars"), UsageError, "spec.time-zone", "'Mars' is not a known time zone"),
        (lambda: cron("0 3 * * *", missed="never"), UsageError, "spec.choice", "missed='never' is not known"),
        (
            lambda: every("5s", **MISSPELT),
            TypeError,
            None,
            "a schedule has no option 'misses'; it has jitter, delay, missed",
        ),
    ],
)
def test_a_wrong_schedule_is_refused(make, error: type[Exception], code: str | None, message: str) -> None:
    """The error names the option and what it may be."""
    with pytest.raises(error, match=f"^{message}") as caught:
        make()

    assert getattr(caught.value, "code", None) == code


def test_options_are_text_or_seconds() -> None:
    """They arrive as seconds."""
    assert every("1ms", jitter="1ms") == Every(0.001, 0.001)
    assert every("1m", jitter=5, delay="1s", missed="all") == Every(60.0, 5.0, 1.0, "all")
    assert cron("@daily", "Europe/Berlin", jitter="1m", delay=2, missed="once") == Cron(
        "@daily", "Europe/Berlin", 60.0, 2.0, "once"
    )


# -- cron -------------------------------------------------------------------------------------------------------------

NOON = 1_778_760_000.0  # 2026-05-14T12:00Z
DAY_S = 86_400.0


def test_cron_begins_with_the_next_moment_after_the_delay() -> None:
    """A job does not run at its start, but when the clock says so."""
    rule = cron("*/10 * * * *")

    assert first(rule, NOON, no_chance) == Due(NOON + 600, NOON + 600, 0, NOON)
    assert first(rule.replace(delay_s=700.0), NOON, no_chance).slot == NOON + 1_200


@pytest.mark.parametrize(
    ("missed", "late_s", "runs", "lost"),
    [
        ("skip", 0.25, 1, 0),
        ("skip", 60.0, 1, 0),
        ("skip", 3_600.0, 0, 1),
        ("once", 3_600.0, 1, 0),
        ("all", 3_600.0, 1, 0),
        ("skip", 2.5 * DAY_S, 0, 3),
        ("once", 2.5 * DAY_S, 1, 2),
        ("all", 2.5 * DAY_S, 3, 0),
        ("skip", 2 * DAY_S + 30, 1, 2),
        ("once", 2 * DAY_S + 30, 1, 2),
    ],
)
def test_what_becomes_of_missed_moments(missed: str, late_s: float, runs: int, lost: int) -> None:
    """A daily job that wakes up late, as after a night in a closed laptop, or when the clock was set forward."""
    rule = cron("0 12 * * *", missed=missed)
    done = turn(rule, Due(NOON, NOON, 4, NOON - DAY_S), NOON + late_s, no_chance)

    assert (done.runs, done.missed, done.lateness_s) == (runs, lost, late_s)
    assert done.next == Due(slot := NOON + DAY_S * (late_s // DAY_S + 1), slot, 5, NOON + late_s)


def test_a_clock_set_forward_by_decades_is_counted_to_a_limit() -> None:
    """A computer without a battery starts in 1970; what it missed since is not enumerated."""
    rule = cron("* * * * *", missed="all")
    done = turn(rule, first(rule, 0.0, no_chance), NOON + 30, no_chance)

    assert done == Turn(1_000, 0, NOON - 30, Due(NOON + 60, NOON + 60, 1, NOON + 30))


def test_a_clock_set_back_repeats_no_moment() -> None:
    """Set back by an hour right after a run: the job waits until its next moment, which is later than what was."""
    rule = cron("*/10 * * * *")
    due = turn(rule, first(rule, NOON, no_chance), NOON + 600, no_chance).next

    assert turn(rule, due, NOON - 3_000, no_chance) == Turn(0, 0, 0.0, due)


def test_a_clock_set_back_by_more_than_a_day_begins_anew() -> None:
    """It was wrong before: waiting for the year 2066 would be worse than repeating a moment."""
    rule = cron("*/10 * * * *")
    from_2066, from_tomorrow = (first(rule, NOON + ahead_s, no_chance) for ahead_s in (40 * YEAR_S, DAY_S))

    assert turn(rule, from_2066, NOON, no_chance) == Turn(0, 0, 0.0, Due(NOON + 600, NOON + 600, 1, NOON))
    assert turn(rule, from_tomorrow, NOON - 1, no_chance) == Turn(0, 0, 0.0, Due(NOON, NOON, 1, NOON - 1))
    assert turn(rule, from_tomorrow, NOON, no_chance) == Turn(0, 0, 0.0, from_tomorrow)


@given(
    st.sampled_from(["* * * * *", "*/7 * * * *", "30 2 * * *", "0 12 * * *"]),
    POLICIES,
    st.lists(st.floats(-DAY_S, 2 * DAY_S), min_size=1, max_size=8),
)
def test_no_moment_is_run_twice_however_the_clock_is_set(expression: str, missed: str, steps: list[float]) -> None:
    """The clock jumps up to a day back and more forward, from where it was at its furthest: slots only ever grow."""
    rule = Cron(expression, "Europe/Berlin", missed=missed)
    furthest = NOON
    due = first(rule, furthest, no_chance)
    for step_s in steps:
        now = furthest + step_s
        done = turn(rule, due, now, no_chance)
        if now < due.at:
            assert (done.runs, done.next) == (0, due)
        else:
            assert done.next.slot > now >= due.slot
            assert done.next.slot > due.slot
        due, furthest = done.next, max(furthest, now)


@given(
    st.sampled_from(["*/20 * * * *", "30 2 * * *"]),
    POLICIES,
    st.lists(st.floats(0, DAY_S), min_size=1, max_size=6),
)
def test_every_moment_of_the_calendar_is_run_or_missed(expression: str, missed: str, steps: list[float]) -> None:
    """Through the night in which the clocks go forward: runs and missed add up to the moments that passed."""
    start = 1_774_695_600.0  # 2026-03-28T12:00+01:00
    rule = Cron(expression, "Europe/Berlin", missed=missed)
    due, now, counted, passed = first(rule, start, no_chance), start, 0, 0
    for step_s in steps:
        now += step_s
        done = turn(rule, due, now, no_chance)
        counted, due = counted + done.runs + done.missed, done.next
    slot = next_after(expression, "Europe/Berlin", start)
    while slot <= now:
        passed, slot = passed + 1, next_after(expression, "Europe/Berlin", slot)

    assert counted == passed


def test_jitter_of_a_calendar_is_added_to_each_moment() -> None:
    """The job at noon comes up to an hour later, and tomorrow's is not affected."""
    rule = cron("0 12 * * *", jitter="1h")
    due = first(rule, NOON - 1, lambda: 0.5)
    done = turn(rule, due, NOON + 1_800, lambda: 0.25)

    assert due.at == NOON + 1_800
    assert (done.runs, done.missed, done.next.at) == (1, 0, NOON + DAY_S + 900)


def test_a_wait_on_the_wall_clock_is_short() -> None:
    """A wall clock may be set meanwhile; the monotonic one is waited for to the end."""
    assert wait_s(every("1h"), Due(3_600.0, 3_600.0, 1, 0.0), 0.0) == 3_600.0
    assert wait_s(cron("@daily"), Due(NOON, NOON, 0, 0.0), NOON - 3_600) == 60.0
    assert wait_s(cron("@daily"), Due(NOON, NOON, 0, 0.0), NOON - 5) == 5.0
    assert wait_s(cron("@daily"), Due(NOON, NOON, 0, 0.0), NOON + 5) == 0.0
