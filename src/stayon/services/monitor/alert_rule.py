"""When people are told of an endpoint: once per state in a window, never twice the same, recovery at once. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from stayon.services.monitor.states import UNKNOWN, UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Told:
    """What people know of an endpoint: its *state* by the last alert that arrived (before any: that it is up).

    *at* has the moment of the last alert of each state; *changes* counts the changes of state since the last alert.
    """

    state: str = UP
    at: Mapping[str, float] = field(default_factory=dict)
    changes: int = 0


class Word(NamedTuple):
    """An alert that is due: the *state* to tell, decided *at* a moment, and the *changes* that it sums up."""

    state: str
    at: float
    changes: int

    @property
    def suppressed(self) -> int:
        """How many changes before this one nobody was told of."""
        return max(self.changes - 1, 0)


def changed(told: Told) -> Told:
    """The endpoint has changed its state."""
    return replace(told, changes=told.changes + 1)


def due(told: Told, state: str, now: float, window_s: float) -> Word | None:
    """The alert to be sent *now* about an endpoint in *state*, or None: nothing new, or too soon after the last.

    To be asked after every check, not only after changes: what was too soon becomes due when the window is over.
    """
    if state in (UNKNOWN, told.state):
        return None
    last = told.at.get(state)
    if state != UP and last is not None and now - last < window_s:
        return None
    return Word(state, now, told.changes)


def arrived(told: Told, word: Word) -> Told:
    """*word* has been told. Changes since it was decided go on counting."""
    return Told(word.state, {**told.at, word.state: word.at}, told.changes - word.changes)


def shifted(told: Told, by_s: float) -> Told:
    """The same by another clock, which is *by_s* ahead: over a restart, only the wall clock goes on."""
    return replace(told, at={state: at + by_s for state, at in told.at.items()})
