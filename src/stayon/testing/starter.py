"""Somebody who starts the service, asks it for things, and notes what it is told."""

from __future__ import annotations

from collections import deque

from stayon.core.events import Event, Request
from stayon.testing.bell import Bell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.core.events import Report


class FakeStarter:
    """A starter whose wishes are calls of ``ask``, and whose news are calls of ``tell``. ``reports`` has all it was
    told, in order.
    """

    name = "fake"
    is_manager = False
    beat_s = 0.0

    def __init__(self) -> None:
        self.bell = Bell()
        self.reports: list[Report] = []
        self.attached = False
        self._asked: deque[Request | Event] = deque()

    def ask(self, event: str, detail: str = "", *, exit_code: int = 0, source: str = "test") -> None:
        """Ask for *event*. From any thread."""
        self._asked.append(Request(event, source, detail, exit_code))
        self.bell.ring()

    def tell(self, kind: str, detail: str = "", code: int = 0) -> None:
        """Tell that something happened. From any thread."""
        self._asked.append(Event(kind, detail, code))
        self.bell.ring()

    def attach(self) -> int:
        """Begin to hear it; gives the descriptor that is readable when ``requests`` has some."""
        self.attached = True
        return self.bell.fileno()

    def requests(self) -> list[Request | Event]:
        """What was asked for, and what happened, since the last call, in order. Never blocks."""
        # First the bell, then the list: an ask in between rings once too often, and none is left unheard.
        self.bell.hush()
        return [self._asked.popleft() for _ in range(len(self._asked))]

    def report(self, report: Report) -> None:
        """Note it."""
        self.reports.append(report)

    def detach(self) -> None:
        """Stop hearing it. Calling it twice is harmless."""
        self.attached = False
