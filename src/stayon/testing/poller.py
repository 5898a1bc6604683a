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
    ``set_ready`` said so, or when it is a real one (Windows: a socket) that is ready. A real one is only looked at when
    a wait begins or ends: whoever writes to one from another thread calls ``wake``.
    """

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._gate = clock.gate()
        self._gate.acquire()
        self._events: dict[int, int] = {}
        self._ready: dict[int, int] = {}
        self.waits = 0

    def register(self, fd: int, events: int) -> None:
        """Report *fd* when it is ``READABLE`` and/or ``WRITABLE`` (a bit set); calling again replaces the set."""
        self._events[fd] = events

    def unregister(self, fd: int) -> None:
        """Forget *fd*; unknown ones are ignored."""
        self._events.pop(fd, None)

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
        for fd, events in self._real_ones():
            ready[fd] = ready.get(fd, 0) | events
        return [(fd, events) for fd, events in ready.items() if events]

    def _real_ones(self) -> list[tuple[int, int]]:
        """Which are open, and ready; a hang-up or an error counts as readable."""
        if not hasattr(select, "poll"):
            return [(fd, found) for fd, events in self._events.items() if (found := _by_select(fd, events))]
        poll = select.poll()
        for fd, events in self._events.items():
            poll.register(fd, events)
        trouble = select.POLLHUP | select.POLLERR
        return [
            (fd, (READABLE if flags & trouble else 0) | (flags & (READABLE | WRITABLE)))
            for fd, flags in poll.poll(0)
            if not flags & select.POLLNVAL
        ]


def _by_select(fd: int, events: int) -> int:
    """What the socket *fd* is ready for. One at a time, as one that isn't there would spoil it for all."""
    try:
        found = select.select([fd] if events & READABLE else [], [fd] if events & WRITABLE else [], [fd], 0)
    except (OSError, ValueError):
        return 0
    return (READABLE if found[0] or found[2] else 0) | (WRITABLE if found[1] else 0)
