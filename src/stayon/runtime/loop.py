"""One mailbox, one loop: calls posted from anywhere, timers, and descriptors, all run on the loop's own thread."""

from __future__ import annotations

from _collections import deque  # the C half of ``collections``
from _heapq import heapify, heappop, heappush  # the C half of ``heapq``

from stayon.core.events import READABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stayon.ports import Clock, Poller


class Timer:
    """A call that is due at a moment. ``cancel`` is for the loop's thread only."""

    __slots__ = ("arguments", "callback", "due")

    def __init__(self, due: float, callback: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.due, self.arguments = due, arguments
        self.callback: Callable[..., object] | None = callback

    def cancel(self) -> None:
        """Never call it. Cancelling twice, or after the call, is harmless."""
        self.callback = None


class Loop:
    """Runs callbacks one after the other; sleeps when there is nothing to do, and polls nothing.

    ``post`` may be called from any thread, everything else from the loop's thread (or before ``run``). A callback
    must not block. One that raises goes to *on_error*, and the loop goes on. ``ended`` is set by ``end``.
    """

    def __init__(self, clock: Clock, poller: Poller, on_error: Callable[[BaseException], None]) -> None:
        self.clock = clock
        self._poller = poller
        self._on_error = on_error
        self._mailbox: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        # By moment, then by order of asking, so that the heap never compares timers: tuples are compared in C.
        self._timers: list[tuple[float, int, Timer]] = []
        self._cancelled_limit = 64
        self._orders = 0
        self._watched: dict[int, Callable[[int], object]] = {}
        self._sleeping = False
        self.ended = False
        self.turns = 0

    def post(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Call *callback* on the loop's thread, soon, in the order of posting."""
        self._mailbox.append((callback, arguments))
        if self._sleeping:
            self._poller.wake()

    def call_at(self, due: float, callback: Callable[..., object], *arguments: Any) -> Timer:
        """Call *callback* when the monotonic clock has reached *due*; those due together in the order of asking."""
        self._orders += 1
        timer = Timer(due, callback, arguments)
        heappush(self._timers, (due, self._orders, timer))
        if len(self._timers) > self._cancelled_limit:
            self._drop_cancelled()
        return timer

    def call_later(self, delay_s: float, callback: Callable[..., object], *arguments: Any) -> Timer:
        """Call *callback* in *delay_s* seconds."""
        return self.call_at(self.clock.monotonic() + delay_s, callback, *arguments)

    def watch(self, fd: int, on_ready: Callable[[int], object], events: int = READABLE) -> None:
        """Call ``on_ready(events)`` whenever *fd* is ready; watching it again replaces both."""
        self._watched[fd] = on_ready
        self._poller.register(fd, events)

    def forget(self, fd: int) -> None:
        """Stop watching *fd*; call it before closing."""
        if self._watched.pop(fd, None) is not None:
            self._poller.unregister(fd)

    def end(self) -> None:
        """Let ``run`` return after the callback that is running."""
        self.ended = True

    def run(self) -> None:
        """Run until ``end``. Blocks; the calling thread is the loop's thread."""
        while not self.ended:
            self.turn()

    def turn(self) -> None:
        """One round: sleep until something is due, then run all that is ready."""
        # Setting the flag before looking into the mailbox: a post in between sees it and wakes us for nothing, once.
        self._sleeping = True
        ready = self._poller.wait(0.0 if self._mailbox else self._time_to_next())
        self._sleeping = False
        self.turns += 1
        for fd, events in ready:
            on_ready = self._watched.get(fd)
            if on_ready is not None:
                self._call(on_ready, (events,))
        self._run_due()
        for _ in range(len(self._mailbox)):
            self._call(*self._mailbox.popleft())

    def _time_to_next(self) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heappop(self._timers)
        if not self._timers:
            return None
        return max(0.0, self._timers[0][0] - self.clock.monotonic())

    def _run_due(self) -> None:
        if not self._timers:
            return
        now = self.clock.monotonic()
        while self._timers and self._timers[0][0] <= now and not self.ended:
            timer = heappop(self._timers)[2]
            if timer.callback is not None:
                self._call(timer.callback, timer.arguments)

    def _drop_cancelled(self) -> None:
        """Cancelled timers stay in the heap until their time; long ones would pile up, so sweep when it has doubled."""
        self._timers = [entry for entry in self._timers if entry[2].callback is not None]
        heapify(self._timers)
        self._cancelled_limit = max(64, 2 * len(self._timers))

    def _call(self, callback: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        try:
            callback(*arguments)
        except Exception as error:  # noqa: BLE001  # one bad callback must not take the host down; it is reported
            self._on_error(error)
