"""Health: a check's verdict moves only after several like results, and one table joins all verdicts."""

from __future__ import annotations

from stayon.core.record import Record
from stayon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

UNKNOWN = "unknown"
OK = "ok"
DEGRADED = "degraded"
FAILING = "failing"

# From best to worst.
STATUSES = (OK, UNKNOWN, FAILING)


class Rule(Record):
    """Hysteresis: *rise* good results in a row make a check ok, *fall* bad ones in a row make it failing."""

    rise: int = 1
    fall: int = 3


class Verdict(Record):
    """What is thought of one check: ``unknown``, ``ok`` or ``failing``, *since* a moment of the caller's clock.

    *streak* counts like results in a row: 3 is three good ones, -2 two bad ones. *why* is the reason of the last bad
    result; it is empty while the check is ok and its last result was good.
    """

    status: str = UNKNOWN
    streak: int = 0
    since: float = 0.0
    why: str = ""


# (the worst verdict, is a job degraded) -> the whole. "unknown" outranks "degraded": a service is not called fit for
# work before every check has had its say.
OVERALL = {
    (OK, False): OK,
    (OK, True): DEGRADED,
    (UNKNOWN, False): UNKNOWN,
    (UNKNOWN, True): UNKNOWN,
    (FAILING, False): FAILING,
    (FAILING, True): FAILING,
}


def rule(rise: object = 1, fall: object = 3) -> Rule:
    """A validated ``Rule``. Raises ``UsageError`` ("spec.check") for anything but whole numbers from 1 on."""
    return Rule(_checked_count(rise, "rise"), _checked_count(fall, "fall"))


def observe(verdict: Verdict, rule: Rule, ok: bool, at: float, why: str = "") -> Verdict:
    """The verdict after one more result, seen *at* a moment; *why* is the reason of a bad one.

    A check has no status but ``unknown`` until *rise* or *fall* like results have come in a row.
    """
    if ok:
        streak = max(verdict.streak, 0) + 1
        status = OK if streak >= rule.rise else verdict.status
        why = "" if status == OK else verdict.why
    else:
        streak = min(verdict.streak, 0) - 1
        status = FAILING if -streak >= rule.fall else verdict.status
    since = verdict.since if status == verdict.status else at
    return Verdict(status, streak, since, why)


def overall(verdicts: Iterable[Verdict], degraded_jobs: Collection[str]) -> str:
    """One word for the service, ``ok``, ``degraded``, ``failing`` or ``unknown``: from its checks and degraded jobs."""
    worst = max((verdict.status for verdict in verdicts), key=STATUSES.index, default=OK)
    return OVERALL[worst, bool(degraded_jobs)]


def _checked_count(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(
            f"{what}={value!r} is not usable",
            hint="Give the number of like results in a row that it takes, from 1 on.",
            code="spec.check",
        )
    return value
