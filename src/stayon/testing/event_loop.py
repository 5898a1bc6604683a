"""An asyncio event loop whose time is virtual."""

from __future__ import annotations

import asyncio
import selectors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context
    from typing import TypeVarTuple

    from stayon.testing.clock import ManualClock

    Ts = TypeVarTuple("Ts")

# Who talks to a real socket is given so much real time for it whenever virtual time would pass otherwise.
SOCKET_PATIENCE_S = 0.02


class VirtualEventLoop(asyncio.SelectorEventLoop):
    """``asyncio.sleep``, timeouts and ``loop.time`` go by a ``ManualClock``; real sockets get a little real time."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._rest = _Rest(clock)
        super().__init__(self._rest)

    def time(self) -> float:
        """Virtual seconds."""
        return self._clock.monotonic()

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's; and those who rest in virtual time are told."""
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        self._rest.wake()
        return handle


class _Rest(selectors.DefaultSelector):
    """Sleeps in virtual time when no descriptor is ready."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock
        self._gate = clock.gate()
        self._gate.acquire()

    def wake(self) -> None:
        """Make a ``select`` (now or the next) look at its descriptors. From any thread."""
        try:
            self._gate.release()
        except RuntimeError:
            return  # awake already

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if len(self.get_map()) > 1:  # besides the pipe that every event loop has
            ready = super().select(SOCKET_PATIENCE_S)
            if ready:
                return ready
        self._clock.wait(self._gate, timeout)
        return super().select(0)
