"""What happens when a job is due while it is still running: skip, queue, or run beside it."""

from __future__ import annotations

from stayon.core.record import Record
from stayon.errors import UsageError

QUEUE_LIMIT = 100

RUN = "run"
WAIT = "wait"
SKIP = "skip"


class Overlap(Record):
    """At most *limit* runs at a time and *waiting* more in line; what comes on top is skipped and counted."""

    limit: int = 1
    waiting: int = 0


def parallel(limit: object) -> Overlap:
    """Let up to *limit* runs of one job go on at the same time; a further one is skipped."""
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise UsageError(
            f"parallel({limit!r}) is not a number of runs", hint="Give a whole number from 1 on.", code="spec.overlap"
        )
    return Overlap(limit)


WORDS = {"skip": Overlap(), "queue": Overlap(1, QUEUE_LIMIT)}


def overlap_of(value: object) -> Overlap:
    """The rule that ``overlap=`` means: ``"skip"``, ``"queue"`` or ``parallel(n)``."""
    if isinstance(value, Overlap):
        return value
    rule = WORDS.get(value) if isinstance(value, str) else None
    if rule is None:
        raise UsageError(
            f"overlap={value!r} is not known", hint='Say "skip", "queue" or parallel(n).', code="spec.overlap"
        )
    return rule


def admit(rule: Overlap, running: int, waiting: int) -> str:
    """``RUN``, ``WAIT`` or ``SKIP`` for a run that is due while *running* are under way and *waiting* in line."""
    if running < rule.limit:
        return RUN
    return WAIT if waiting < rule.waiting else SKIP
