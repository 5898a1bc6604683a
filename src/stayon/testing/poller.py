"""The loop's sleep in virtual time."""

from __future__ import annotations

import select

from stayon.core.events import READABLE, WRITABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.testing.clock import ManualClock


class FakePoller:
    """Sleeps in a ``ManualClock``.

    The thread that waits in it counts as busy when it doesn't (see ``ManualClock.busy``). A descriptor is ready when
    ``set_ready`` said so, or when it is a real one that is ready. A real one is only looked at when a wait begins or
    ends: whoever writes to one from another thread calls ``wake``.
    """

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._gate = clock.gate()
        self._gate.acquire()
        self._poll = select.poll()
        self._events: dict[int, int] = {}
        self._ready: dict[int, int] = {}
        self.waits = 0

    def register(self, fd: int, events: int) -> None:
        """Report *fd* when it is ``READABLE`` and/or ``WRITABLE`` (a bit set); calling again replaces the set."""
        self._events[fd] = events
        self._poll.register(fd, events)

    def unregister(self, fd: int) -> None:
        """Forget *fd*; unknown ones are ignored."""
        if self._events.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def wait(self, timeout_s: float | None) -> list[tuple[int, int]]:
        """Sleep until something is ready, ``wake`` was called or *timeout_s* of virtual time is over."""
        self._clock.join()
        self.waits += 1
        ready = self._look()
        if ready:
            return ready
        if self._clock.wait(self._gate, timeout_s):
            return self._look()
        return []

    def wake(self) -> None:
        """Make a ``wait`` (now or the next) return. From any thread."""
        try:
            self._gate.release()
        except RuntimeError:
            return  # awake already

    def set_ready(self, fd: int, events: int = READABLE) -> None:
        """From now on *fd* (any number, it needn't be open) is ready for *events*; 0: no more."""
        self._ready[fd] = events
        self.wake()

    def close(self) -> None:
        """The thread that calls it will not wait any more."""
        self._clock.leave()

    def _look(self) -> list[tuple[int, int]]:
        ready = {fd: events & self._events[fd] for fd, events in self._ready.items() if fd in self._events}
        for fd, flags in self._poll.poll(0):
            if not flags & select.POLLNVAL:
                trouble = READABLE if flags & (select.POLLHUP | select.POLLERR) else 0
                ready[fd] = ready.get(fd, 0) | trouble | (flags & (READABLE | WRITABLE))
        return [(fd, events) for fd, events in ready.items() if events]
