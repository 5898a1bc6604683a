"""Schedules: which moment is next, and what becomes of missed ones. The caller brings time and chance.

``due = first(rule, now, chance)``; sleep ``wait_s(rule, due, now)``; ``turn(rule, due, now, chance)`` says how many
runs to start, and the next due. Moments of ``Every`` are the monotonic clock's, those of ``Cron`` the wall clock's.
"""

from __future__ import annotations

from stayon.core.duration import seconds, text
from stayon.core.record import Record
from stayon.core.spec import checked_choice
from stayon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypedDict, Unpack

    class Options(TypedDict, total=False):
        """What ``every`` and ``cron`` share; durations as text or seconds."""

        jitter: str | float
        delay: str | float
        missed: str


SKIP = "skip"
ONCE = "once"
ALL = "all"
POLICIES = (SKIP, ONCE, ALL)

_OPTIONS = {"jitter": "0s", "delay": "0s", "missed": SKIP}

# A run that is later than this is missed; less, and it is merely late, and is run whatever the rule says. Without this,
# a job whose interval is shorter than the timer's resolution would never run.
GRACE_S = 60.0

# The shortest interval: below it the timers of most systems cannot tell two runs apart.
SHORTEST_S = 0.001

# The most runs that ``missed="all"`` makes up for at a time, and the most missed moments of a calendar that are
# counted.
CATCH_UP_LIMIT = 1_000

# A wall clock set back by up to this much repeats nothing: jobs wait until it has caught up. Set back by more, it was
# wrong before, and the calendar begins anew.
CORRECTION_S = 86_400.0

# A wall clock can be set at any time and tells nobody, so nobody sleeps longer than this on it.
LOOK_AGAIN_S = 60.0


class Due(Record):
    """The next run: *at* is *slot*, a moment of the grid, plus its jitter; *number* counts from 0.

    ``Every``: *slot* is exactly ``origin + number * interval_s``, so that rounding never adds up. ``Cron``: *origin* is
    the moment at which *slot* was looked up.
    """

    at: float
    slot: float
    number: int
    origin: float


class Turn(Record):
    """What to do at a due moment: start *runs* runs, then wait for *next*, which is never in the past.

    *missed*: slots that get no run of their own (a calendar's are counted up to ``CATCH_UP_LIMIT``). *lateness_s*: how
    long ago the run was due that was waited for.
    """

    runs: int
    missed: int
    lateness_s: float
    next: Due


class Every(Record):
    """A fixed rate: after *delay_s*, then every *interval_s*, however long a run takes. ``every`` makes it."""

    interval_s: float
    jitter_s: float = 0.0
    delay_s: float = 0.0
    missed: str = SKIP

    def begin(self, now: float) -> Due:
        """The first slot of a job that starts *now*."""
        origin = now + self.delay_s
        return Due(origin, origin, 0, origin)

    def passed(self, due: Due, until: float) -> tuple[int, bool]:
        """How many slots, from *due*'s, are not later than *until*; and if the last of them is within ``GRACE_S``."""
        last = self._number(due.origin, until)
        return last - due.number + 1, until - self._slot(due.origin, last) <= GRACE_S

    def following(self, due: Due, until: float) -> Due:
        """The first slot later than *until*."""
        number = self._number(due.origin, until) + 1
        slot = self._slot(due.origin, number)
        return Due(slot, slot, number, due.origin)

    def _slot(self, origin: float, number: int) -> float:
        return origin + number * self.interval_s

    def _number(self, origin: float, until: float) -> int:
        """The last slot that is not later than *until*."""
        number = int((until - origin) // self.interval_s)
        # The division rounds, and so does the slot: settle it by the slots themselves.
        while self._slot(origin, number) > until:
            number -= 1
        while self._slot(origin, number + 1) <= until:
            number += 1
        return number


class Cron(Record):
    """The moments of a cron expression in a time zone, none before *delay_s* after the start. ``cron`` makes it."""

    expression: str
    zone: str = "UTC"
    jitter_s: float = 0.0
    delay_s: float = 0.0
    missed: str = SKIP

    def begin(self, now: float) -> Due:
        """The first slot of a job that starts *now*."""
        slot = self._after(now + self.delay_s)
        return Due(slot, slot, 0, now)

    def passed(self, due: Due, until: float) -> tuple[int, bool]:
        """As ``Every.passed``, but counts no further than ``CATCH_UP_LIMIT``."""
        count, slot = 1, self._after(due.slot)
        while slot <= until and count < CATCH_UP_LIMIT:
            count, slot = count + 1, self._after(slot)
        current = until - due.slot <= GRACE_S or self._after(until - GRACE_S) <= until
        return count, current

    def following(self, due: Due, until: float) -> Due:
        """The first slot later than *until*."""
        slot = self._after(until)
        return Due(slot, slot, due.number + 1, until)

    def _after(self, moment: float) -> float:
        from stayon.core import calendar

        return calendar.next_after(self.expression, self.zone, moment)


def every(interval: str | float, **options: Unpack[Options]) -> Every:
    """A validated ``Every``: ``every("5s", jitter="0s", delay="0s", missed="skip")``.

    *jitter*: each run comes later by a random part of it (at most one interval). *delay*: before the first run.
    *missed*: what becomes of runs whose time passed while nothing could run: ``"skip"`` those later than ``GRACE_S``,
    run ``"once"`` for all of them, or run them ``"all"`` (at most ``CATCH_UP_LIMIT``).
    Raises ``UsageError`` ("spec.schedule", "spec.duration", "spec.choice").
    """
    interval_s = seconds(interval, where="interval")
    rule = Every(interval_s, **_checked(options))
    if interval_s < SHORTEST_S:
        raise UsageError(
            f"the interval {interval!r} is too short", hint=f"Give at least {text(SHORTEST_S)}.", code="spec.schedule"
        )
    if rule.jitter_s > interval_s:
        raise UsageError(
            f"the jitter {options['jitter']!r} is longer than the interval",
            hint=f"Give at most {text(interval_s)}.",
            code="spec.schedule",
        )
    return rule


def cron(expression: str, zone: str = "UTC", **options: Unpack[Options]) -> Cron:
    """A validated ``Cron``; the options are those of ``every``. Raises ``UsageError``, also that of ``calendar``."""
    from stayon.core import calendar

    calendar.validate(expression, zone)
    return Cron(expression, zone, **_checked(options))


def first(rule: Every | Cron, now: float, chance: Callable[[], float]) -> Due:
    """The first run of a job that starts *now*. *chance* gives an even random number in [0, 1), only for jitter."""
    return _jittered(rule, rule.begin(now), now, chance)


def wait_s(rule: Every | Cron, due: Due, now: float, look_again_s: float = LOOK_AGAIN_S) -> float:
    """How long to sleep before asking ``turn``, which may find that it is still too early."""
    left_s = max(0.0, due.at - now)
    return min(left_s, look_again_s) if isinstance(rule, Cron) else left_s


def turn(rule: Every | Cron, due: Due, now: float, chance: Callable[[], float]) -> Turn:
    """What to do *now* about a job whose next run was *due*. Too early: no run, and the same due again.

    Of several slots that passed unnoticed, one that is within ``GRACE_S`` is run under every rule: it is just late.
    """
    if now < due.at:
        if isinstance(rule, Cron) and due.origin - now > CORRECTION_S:
            due = _jittered(rule, rule.following(due, now), now, chance)
        return Turn(0, 0, 0.0, due)
    until = max(due.slot, now - (due.at - due.slot))
    count, current = rule.passed(due, until)
    runs = min(count, CATCH_UP_LIMIT) if rule.missed == ALL else int(current or rule.missed == ONCE)
    following = _jittered(rule, rule.following(due, until), now, chance)
    return Turn(runs, count - runs, now - due.at, following)


def _jittered(rule: Every | Cron, due: Due, now: float, chance: Callable[[], float]) -> Due:
    if not rule.jitter_s:
        return due
    return due.replace(at=max(due.slot + chance() * rule.jitter_s, now))


def _checked(options: Options) -> dict[str, Any]:
    """*options* as fields of a rule, completed and checked. Raises ``TypeError`` for an unknown one."""
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        raise TypeError(f"a schedule has no option {unknown[0]!r}; it has {', '.join(_OPTIONS)}")
    given: dict[str, Any] = {**_OPTIONS, **options}
    return {
        "jitter_s": seconds(given["jitter"], allow_zero=True, where="jitter"),
        "delay_s": seconds(given["delay"], allow_zero=True, where="delay"),
        "missed": checked_choice(given["missed"], POLICIES, "missed"),
    }
