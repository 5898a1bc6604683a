"""A deadman who doesn't kill."""

from __future__ import annotations

import faulthandler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from stayon.testing.clock import ManualClock


class FakeDeadman:
    """Counts how often it was fed.

    When virtual time runs out it writes all stacks to the crash file and notes ``fired_at``. The process lives on: what
    its death would bring about is for *on_fire*, called on the thread that moves the time.
    """

    def __init__(
        self, clock: ManualClock, crash_path: str, on_fire: Callable[[FakeDeadman], object] = lambda _deadman: None
    ) -> None:
        self._clock, self._on_fire = clock, on_fire
        self._cancel: Callable[[], None] = lambda: None
        self.crash_path = crash_path
        self.fed = 0
        self.fired_at: float | None = None

    def arm(self, timeout_s: float) -> None:
        """(Re)start: after *timeout_s* of virtual time without another ``arm`` it fires."""
        self._cancel()
        self.fed += 1
        self._cancel = self._clock.call_at(self._clock.monotonic() + timeout_s, self._fire)

    def disarm(self) -> None:
        """Never fire. Calling it twice is harmless."""
        self._cancel()

    def _fire(self) -> None:
        self.fired_at = self._clock.monotonic()
        with open(self.crash_path, "wb") as file:
            # Of all threads it writes a hundred at most, the youngest: who moves the time comes first.
            faulthandler.dump_traceback(file, all_threads=False)
            faulthandler.dump_traceback(file, all_threads=True)
        self._on_fire(self)
