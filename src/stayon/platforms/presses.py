"""Being asked to stop by a key: the first time politely, the second time by force."""

from __future__ import annotations

from stayon.core.events import Request
from stayon.core.states import FORCE, STOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Ctrl-C goes to all processes of the terminal, and wrappers (uv run, npm, timeout) pass it on once more: a second one
# within this time is the same one. Nobody presses twice that quickly.
SAME_PRESS_S = 0.1


class Presses:
    """Remembers when it was asked first."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._asked_at: float | None = None

    def request(self, source: str, exit_code: int, detail: str = "") -> Request | None:
        """What one more press asks for; None: nothing new."""
        now = self._monotonic()
        if self._asked_at is None:
            self._asked_at = now
            return Request(STOP, source, detail, exit_code)
        if now - self._asked_at < SAME_PRESS_S:
            return None
        return Request(FORCE, source, detail, exit_code)
