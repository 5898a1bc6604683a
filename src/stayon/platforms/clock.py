"""The computer's own time."""

from __future__ import annotations

import time
from _thread import TIMEOUT_MAX, allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.ports import Gate


class SystemClock:
    """CLOCK_MONOTONIC for durations, CLOCK_REALTIME for display and calendars."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)
    gate = staticmethod(allocate_lock)

    def wait(self, gate: Gate, timeout_s: float | None) -> bool:
        """Acquire *gate* within *timeout_s* (None: no limit). True if it was acquired. Blocks the calling thread."""
        if timeout_s is None:
            return gate.acquire()
        # A lock takes a negative timeout for "no limit", and refuses those of more than 292 years.
        return gate.acquire(timeout=min(max(timeout_s, 0.0), TIMEOUT_MAX))
