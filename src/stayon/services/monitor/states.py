"""What is thought of an endpoint: up, degraded or down, moved by several like results in a row. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

UNKNOWN = "unknown"
UP = "up"
DEGRADED = "degraded"
DOWN = "down"

# What a single check can find, from best to worst.
FINDINGS = (UP, DEGRADED, DOWN)
STATES = (UNKNOWN, *FINDINGS)


class Turn(NamedTuple):
    """What a change of state means: the level it is logged at, and the word for it."""

    level: str
    word: str


# (before, after) -> what it means. Nothing ever becomes unknown.
TURNS = {
    (UNKNOWN, UP): Turn("notice", "is up"),
    (UNKNOWN, DEGRADED): Turn("warning", "is degraded"),
    (UNKNOWN, DOWN): Turn("error", "is down"),
    (UP, DEGRADED): Turn("warning", "is degraded"),
    (UP, DOWN): Turn("error", "is down"),
    (DEGRADED, UP): Turn("notice", "is up again"),
    (DEGRADED, DOWN): Turn("error", "is down"),
    (DOWN, UP): Turn("notice", "is up again"),
    (DOWN, DEGRADED): Turn("warning", "answers again, degraded"),
}


class Hysteresis(NamedTuple):
    """How many like results in a row it takes: *rise* for better, *fall* for worse."""

    rise: int = 1
    fall: int = 2


@dataclass(frozen=True, slots=True)
class Line:
    """A line between better and worse: which side holds (None: not known yet), and how many results in a row were
    beyond it (positive) or before it (negative).
    """

    beyond: bool | None = None
    streak: int = 0


@dataclass(frozen=True, slots=True)
class Health:
    """Beyond the first line it is degraded, beyond the second down; *since* is a moment of the wall clock."""

    degraded: Line = Line()
    down: Line = Line()
    since: float = 0.0

    @property
    def state(self) -> str:
        """One of ``STATES``."""
        if self.down.beyond:
            return DOWN
        if self.degraded.beyond:
            return DEGRADED
        return UNKNOWN if self.degraded.beyond is None else UP


def observe(health: Health, finding: str, rule: Hysteresis, at: float) -> Health:
    """The health after one more *finding*, made *at* a moment of the wall clock."""
    severity = FINDINGS.index(finding)
    after = replace(
        health,
        degraded=_moved(health.degraded, rule, beyond=severity >= 1),
        down=_moved(health.down, rule, beyond=severity >= 2),
    )
    return replace(after, since=at) if after.state != health.state else after


def _moved(line: Line, rule: Hysteresis, *, beyond: bool) -> Line:
    if beyond:
        streak = max(line.streak, 0) + 1
        return Line(True if streak >= rule.fall else line.beyond, streak)
    streak = min(line.streak, 0) - 1
    return Line(False if -streak >= rule.rise else line.beyond, streak)


def remembered(state: str, since: float) -> Health:
    """The health of an endpoint that was in *state* when the monitor was last running."""
    if state not in FINDINGS:
        return Health()
    return Health(Line(state != UP), Line(state == DOWN), since)
