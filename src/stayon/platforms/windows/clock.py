"""The computer's own time, from the performance counter."""

from __future__ import annotations

import time
from _thread import TIMEOUT_MAX, allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.ports import Gate


class WindowsClock:
    """QueryPerformanceCounter for durations: the same for all processes since the computer was started, and exact,
    where ``time.monotonic`` had steps of 15.6 ms before Python 3.13.
    """

    monotonic = staticmethod(time.perf_counter)
    time = staticmethod(time.time)
    gate = staticmethod(allocate_lock)

    def wait(self, gate: Gate, timeout_s: float | None) -> bool:
        """Acquire *gate* within *timeout_s* (None: no limit). True if it was acquired. Blocks the calling thread."""
        if timeout_s is None:
            return gate.acquire()
        deadline = time.perf_counter() + timeout_s
        while True:
            # It may end at the tick before.
            left_s = deadline - time.perf_counter()
            if gate.acquire(timeout=min(max(left_s, 0.0), TIMEOUT_MAX)):
                return True
            if time.perf_counter() >= deadline:
                return False
