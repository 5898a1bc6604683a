"""What has happened on a simulated SCM, for tests to look at: statuses, controls, events of its log, faults."""

from __future__ import annotations

from stayon.core.record import Record
from stayon.testing.scm_rules import PENDING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.platforms.windows.api import ServiceStatus

# "NSSM's finding": so long without a new checkpoint, or without a larger hint, and a pending service counts as hung.
CHECKPOINT_LIMIT_S = 30.0
HINT_LIMIT_S = 60.0


class Reported(Record):
    """A status that *service* had from *at* on, by the monotonic clock."""

    at: float
    service: str
    status: ServiceStatus


class Controlled(Record):
    """A control that was asked for: *result* is what its handler gave, *error* why the asking one was refused."""

    at: float
    service: str
    code: int
    type: int = 0
    result: int | None = None
    error: int = 0


class Logged(Record):
    """What the SCM wrote to the System log. *id* is its event's, e.g. 7031: it ended unexpectedly."""

    at: float
    service: str
    id: int
    text: str


class Flaw(Record):
    """Something that a real SCM would have taken without a word: a wrong transition, a hang, a lost exception."""

    at: float
    service: str
    text: str


class ScmRecord:
    """Everything in order, oldest first."""

    def __init__(self) -> None:
        self.reported: list[Reported] = []
        self.controlled: list[Controlled] = []
        self.logged: list[Logged] = []
        self.flaws: list[Flaw] = []

    def statuses(self, service: str) -> list[ServiceStatus]:
        """Every status that *service* had."""
        return [one.status for one in self.reported if one.service == service]

    def states(self, service: str) -> list[int]:
        """Every state that *service* was in, without repetitions in a row."""
        found: list[int] = []
        for status in self.statuses(service):
            if not found or found[-1] != status.state:
                found.append(status.state)
        return found

    def event_ids(self, service: str) -> list[int]:
        """The ids of what was logged about *service*."""
        return [one.id for one in self.logged if one.service == service]

    def flaws_of(self, service: str) -> list[str]:
        """What was wrong with *service*."""
        return [one.text for one in self.flaws if one.service == service]


class Progress:
    """When a pending service last showed progress; ``limits`` says until when it has to show more."""

    def __init__(self) -> None:
        self._state = self._checkpoint = self._hint_ms = 0
        self._checkpoint_at = self._hint_at = 0.0

    def note(self, status: ServiceStatus, now: float) -> None:
        """It reported *status*."""
        anew = status.state != self._state
        if anew or status.checkpoint > self._checkpoint:
            self._checkpoint_at = now
        if anew or status.wait_hint_ms > self._hint_ms:
            self._hint_at = now
        self._state, self._checkpoint, self._hint_ms = status.state, status.checkpoint, status.wait_hint_ms

    def limits(self) -> list[tuple[float, str]]:
        """Moments by which it has to have reported again, each with what is wrong if it has not."""
        if self._state not in PENDING:
            return []
        hint_s = self._hint_ms / 1000
        return [
            (self._checkpoint_at + hint_s, f"no new checkpoint within its wait hint, {hint_s:g} s"),
            (self._checkpoint_at + CHECKPOINT_LIMIT_S, f"no new checkpoint for {CHECKPOINT_LIMIT_S:g} s"),
            (self._hint_at + HINT_LIMIT_S, f"no larger wait hint for {HINT_LIMIT_S:g} s"),
        ]
