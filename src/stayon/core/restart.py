"""Restart policies: one pure function decides whether, and when, a service that ended is started again.

SCM recovery actions, systemd and launchd directives and the supervisor are renderings of the same ``Policy``.
"""

from __future__ import annotations

from stayon import exits
from stayon.core.duration import seconds, text
from stayon.core.record import Record
from stayon.core.spec import checked_choice
from stayon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypedDict, Unpack

    class Limits(TypedDict, total=False):
        """What ``immediate`` and ``backoff`` share; all by keyword, durations as text or seconds."""

        on: str
        reset_after: str | float
        max_attempts: int | None
        budget: int | None
        half_life: str | float
        final: Iterable[int]


NEVER = "never"
IMMEDIATE = "immediate"
BACKOFF = "backoff"

ON_FAILURE = "failure"
ON_ALWAYS = "always"

# The shortest wait before any restart but the first in a row. Full jitter may draw zero, and a program that dies at
# once would then be restarted hundreds of times a second; ten times is fast enough and costs nothing.
FLOOR_S = 0.1

FACTOR_LIMIT = 1_000

_LIMITS = {
    "on": ON_FAILURE,
    "reset_after": "10m",
    "max_attempts": None,
    "budget": None,
    "half_life": "10m",
    "final": exits.FINAL,
}


class Policy(Record):
    """When to start again. Made by ``never``, ``immediate`` and ``backoff``, which validate.

    The n-th wait in a row is ``first_s * factor ** (n - 1)``, from the second on at least ``FLOOR_S``, and at most
    ``cap_s``; with ``jitter``, a random part of it.
    """

    name: str
    on: str = ON_FAILURE
    first_s: float = 0.0
    factor: float = 1.0
    cap_s: float = 300.0
    jitter: bool = False
    reset_after_s: float = 600.0
    max_attempts: int | None = None
    budget: int | None = None
    half_life_s: float = 600.0
    final: tuple[int, ...] = exits.FINAL


class History(Record):
    """What is remembered from one restart to the next: restarts in a row, and failures that fade with the half-life."""

    attempts: int = 0
    failures: float = 0.0
    failures_at: float = 0.0


class Ended(Record):
    """A run that is over: its exit code (negative: a signal), and when it began and ended, by the monotonic clock."""

    exit_code: int
    at: float
    started_at: float


class Restart(Record):
    """Start again in *in_s* seconds, and remember *history*."""

    in_s: float
    history: History
    why: str


class GiveUp(Record):
    """It failed and stays down; *why* is a clause for the log."""

    why: str


class Done(Record):
    """It finished, as it was meant to."""


def never() -> Policy:
    """Start it once; whatever happens, do not start it again."""
    return Policy(NEVER)


def immediate(**limits: Unpack[Limits]) -> Policy:
    """Start again at once, then every ``FLOOR_S`` while it keeps failing. The limits are those of ``backoff``."""
    return Policy(IMMEDIATE, **_checked(limits))


def backoff(
    first: str | float = "1s",
    factor: float = 2.0,
    cap: str | float = "5m",
    *,
    jitter: bool = True,
    **limits: Unpack[Limits],
) -> Policy:
    """Start again after *first*, then after *factor* times as long, and so on up to *cap*.

    *jitter*: draw each wait evenly between ``FLOOR_S`` and its full length ("full jitter"), so that many services that
    failed together do not return together. The limits, by keyword:

    - ``on="failure"``: restart after a failure; ``"always"``: also after exit code 0.
    - ``reset_after="10m"``: a run that lasted this long was stable, and the waits begin anew.
    - ``max_attempts=None``: give up after this many restarts in a row.
    - ``budget=None``: failures that may be on the books, each fading by *half_life*. Beyond it every wait is *cap*,
      even when the runs in between looked stable; with *max_attempts* given, too, it gives up instead.
    - ``half_life="10m"``: the time in which a failure comes to count half.
    - ``final=exits.FINAL``: exit codes after which starting again cannot help.

    Raises ``UsageError`` ("spec.restart", "spec.duration", "spec.choice").
    """
    first_s = seconds(first, where="first")
    cap_s = seconds(cap, where="cap")
    if cap_s < max(first_s, FLOOR_S):
        raise _wrong(f"cap={cap!r} is too short", f"Give at least first, {text(first_s)}, and {text(FLOOR_S)}.")
    growth = _checked_factor(factor)
    return Policy(BACKOFF, first_s=first_s, factor=growth, cap_s=cap_s, jitter=jitter, **_checked(limits))


def decide(policy: Policy, history: History, ended: Ended, chance: Callable[[], float]) -> Restart | GiveUp | Done:
    """What to do about a run that *ended*. *chance* gives an even random number in [0, 1), called only for jitter.

    A clock that went backwards makes a run look short and lets no failure fade; nothing else.
    """
    failed = ended.exit_code != exits.DONE
    if not failed and policy.on != ON_ALWAYS:
        return Done()
    how = f"exit code {ended.exit_code} ({exits.meaning(ended.exit_code)})"
    if ended.exit_code in policy.final:
        return GiveUp(f"{how}: starting it again cannot help")
    if policy.name == NEVER:
        return GiveUp(f"{how}: its restart policy is {NEVER!r}")
    history = _remembered(policy, history, ended)
    if policy.max_attempts is not None and history.attempts > policy.max_attempts:
        return GiveUp(f"{how}: tried again {policy.max_attempts} times in a row, the most allowed")
    if policy.budget is not None and history.failures > policy.budget:
        why = f"{how}: more than {policy.budget} failures, fading by half in {text(policy.half_life_s)}"
        if policy.max_attempts is not None:
            return GiveUp(why)
        return Restart(policy.cap_s, history, why)
    return Restart(_drawn(policy, history.attempts, chance), history, how)


def delays(policy: Policy, count: int) -> list[float]:
    """The first *count* waits in a row, in seconds and without jitter; fewer where the policy allows fewer."""
    allowed = 0 if policy.name == NEVER else count if policy.max_attempts is None else min(count, policy.max_attempts)
    return [_full(policy, attempt) for attempt in range(1, allowed + 1)]


def _remembered(policy: Policy, history: History, ended: Ended) -> History:
    """*history* with this end in it."""
    stable = ended.at - ended.started_at >= policy.reset_after_s
    faded_s = max(0.0, ended.at - history.failures_at)
    failures = history.failures * 0.5 ** (faded_s / policy.half_life_s)
    if ended.exit_code != exits.DONE:
        failures += 1.0
    return History(1 if stable else history.attempts + 1, failures, ended.at)


def _full(policy: Policy, attempt: int) -> float:
    """The wait before restart number *attempt* in a row (from 1), without jitter."""
    floor_s = FLOOR_S if attempt > 1 else 0.0
    try:
        grown_s = policy.first_s * policy.factor ** (attempt - 1)
    except OverflowError:
        grown_s = policy.cap_s
    return min(policy.cap_s, max(floor_s, grown_s))


def _drawn(policy: Policy, attempt: int, chance: Callable[[], float]) -> float:
    full_s = _full(policy, attempt)
    if not policy.jitter:
        return full_s
    # The full length may be below the floor, the first time; and rounding may carry the sum a hair above it.
    return min(full_s, FLOOR_S + chance() * (full_s - FLOOR_S))


def _checked(limits: Limits) -> dict[str, Any]:
    """*limits* as fields of ``Policy``, completed and checked. Raises ``TypeError`` for an unknown one."""
    unknown = [name for name in limits if name not in _LIMITS]
    if unknown:
        raise TypeError(f"a restart policy has no option {unknown[0]!r}; it has {', '.join(_LIMITS)}")
    given: dict[str, Any] = {**_LIMITS, **limits}
    return {
        "on": checked_choice(given["on"], (ON_FAILURE, ON_ALWAYS), "on"),
        "reset_after_s": seconds(given["reset_after"], where="reset_after"),
        "max_attempts": _checked_limit(given["max_attempts"], "max_attempts"),
        "budget": _checked_limit(given["budget"], "budget"),
        "half_life_s": seconds(given["half_life"], where="half_life"),
        "final": _checked_codes(given["final"]),
    }


def _checked_factor(factor: object) -> float:
    if not isinstance(factor, (int, float)) or not 1 <= factor <= FACTOR_LIMIT:
        raise _wrong(f"factor={factor!r} is not usable", f"Give a number from 1 to {FACTOR_LIMIT}.")
    return float(factor)


def _checked_limit(value: object, what: str) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise _wrong(f"{what}={value!r} is not usable", "Give a whole number from 1 on, or None for no limit.")
    return value


def _checked_codes(codes: object) -> tuple[int, ...]:
    if not isinstance(codes, (tuple, list, set, frozenset)) or not all(type(code) is int for code in codes):
        raise _wrong(f"final={codes!r} is not usable", "Give a list of exit codes, e.g. (64, 78).")
    return tuple(codes)


def _wrong(what: str, hint: str) -> UsageError:
    return UsageError(what, hint=hint, code="spec.restart")
