"""When a manager that waits for a pending state is told that we are still at it, and what."""

from __future__ import annotations

from stayon.core.record import Record

# A service that brings no new checkpoint for 30 s, or no larger wait hint for 60 s, counts as hung to the SCM.
PERIOD_S = 5.0
# Three periods, so that a computer which is busy starting everything else does not make us look hung.
FIRST_HINT_S = 15.0
GROWTH_S = 1.0

# What a timer set for the end of a period may be early by.
_ROUNDING = 1e-6


class Pulse(Record):
    """A sign of life: both numbers grow from pulse to pulse. *next* is the moment of the one after it, None if there
    is to be none: then whoever limits the state acts.
    """

    checkpoint: int
    wait_hint_s: float
    next: float | None


def pulse(since: float, now: float, limit_s: float | None) -> Pulse:
    """The pulse for *now* of a state that has lasted since *since* and may last *limit_s* (None: for ever)."""
    periods = max(0, int((now - since) / PERIOD_S + _ROUNDING))
    following = (periods + 1) * PERIOD_S
    return Pulse(
        periods + 1,
        FIRST_HINT_S + periods * GROWTH_S,
        None if limit_s is not None and following >= limit_s else since + following,
    )
