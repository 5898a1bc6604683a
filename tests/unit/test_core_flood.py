"""A flood gets through in whole stretches, at a bounded rate, and what was left out is counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stayon.core.flood import BEGIN, LEAVE_OUT, LET_THROUGH, RESUME, Bucket, Limit, pour

LIMIT = Limit(burst=3, per_s=0.5, resume=2)


def verdicts(moments: list[float], limit: Limit = LIMIT) -> tuple[list[str], list[int]]:
    """What happens to a record at each of *moments*, and the numbers told at each RESUME and at the end."""
    bucket, said, told = Bucket(limit.burst, 0.0), [], []
    for moment in moments:
        before = bucket
        verdict, bucket = pour(limit, bucket, moment)
        said.append(verdict)
        if verdict == RESUME:
            told.append(before.left_out)
    return said, [*told, bucket.left_out]


def test_a_burst_passes_and_the_rest_of_a_flood_does_not() -> None:
    """As many as the limit says; the first that doesn't is a beginning, those after it are only counted."""
    assert verdicts([0.0] * 6) == ([LET_THROUGH] * 3 + [BEGIN, LEAVE_OUT, LEAVE_OUT], [3])


def test_after_a_flood_records_pass_again_together() -> None:
    """Room for one is not enough to go on; with room for two it goes on, and says how many were left out."""
    assert verdicts([0.0] * 5 + [2.0, 4.0, 6.0]) == (
        [LET_THROUGH] * 3 + [BEGIN, LEAVE_OUT, LEAVE_OUT, RESUME, LET_THROUGH],
        [3, 0],
    )


def test_what_comes_slowly_enough_always_passes() -> None:
    """At the rate of the limit nothing is ever left out."""
    assert verdicts([2.0 * number for number in range(100)]) == ([LET_THROUGH] * 100, [0])


def test_a_clock_that_stands_still_or_goes_back_gives_no_room() -> None:
    """Room comes with time that passes, and with nothing else."""
    assert verdicts([5.0, 5.0, 5.0, 4.0, 1.0])[0] == [LET_THROUGH, LET_THROUGH, LET_THROUGH, BEGIN, LEAVE_OUT]


@given(st.lists(st.floats(0, 30), max_size=300))
def test_nothing_is_lost_from_the_count_and_the_rate_holds(gaps: list[float]) -> None:
    """Each record passed, or is in one of the numbers told; and never more pass than burst and rate allow."""
    moments = [sum(gaps[: number + 1]) for number in range(len(gaps))]
    said, told = verdicts(moments)

    assert said.count(LET_THROUGH) + said.count(RESUME) + sum(told) == len(moments)
    words = 2 * said.count(RESUME) + said.count(LET_THROUGH)
    assert words <= LIMIT.burst + (moments[-1] if moments else 0) * LIMIT.per_s + 1e-6
