"""Time that is moved by hand, or jumps by itself when there is nothing left to do."""

from __future__ import annotations

import threading
import time as real_time
from _thread import allocate_lock, get_ident
from contextlib import contextmanager

from stayon.runtime.stacks import current_frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stayon.ports import Gate

# A lock that is not of ours can't tell the clock that it was opened, so it is looked at that often, in real time.
LOOK_EVERY_S = 0.001
# How long, in real time, ``advance`` waits for busy threads to come to rest before it says that one never does.
PATIENCE_S = 10.0


class ManualClock:
    """A clock for tests: no time passes but by ``advance``, or, with *autojump*, as soon as everybody waits.

    Any thread may ``wait`` in it. So that time doesn't run away from under a thread that still works, the thread says
    so: it works inside ``with clock.busy()``. While one does and isn't in ``wait``, autojump does not jump, and
    ``advance`` waits for it before it goes on to the next deadline. Then all that is due happens in the order of its
    deadlines, and the same test takes the same course each time.
    """

    def __init__(self, monotonic: float = 1000.0, time: float = 1_700_000_000.0, *, autojump: bool = False) -> None:
        self.autojump = autojump
        self._now = monotonic
        self._wall_ahead = time - monotonic
        self._lock = allocate_lock()
        self._rested = threading.Condition(self._lock)
        self._sleepers: list[_Sleeper] = []
        self._busy: dict[int, bool] = {}
        self._orders = 0
        self._calling = 0

    # -- what every clock has ----------------------------------------------------------------------

    def monotonic(self) -> float:
        """Seconds of virtual time."""
        return self._now

    def time(self) -> float:
        """The wall clock: as far from ``monotonic`` as it was at first, but for ``jump``."""
        return self._now + self._wall_ahead

    def wait(self, gate: Gate, timeout_s: float | None) -> bool:
        """Acquire *gate* within *timeout_s* of virtual time (None: no limit). True if it was acquired."""
        if gate.acquire(blocking=False):
            return True
        if timeout_s is not None and timeout_s <= 0:
            return False
        sleeper = _Sleeper(None if timeout_s is None else self._now + timeout_s, gate=gate)
        with self._lock:
            if isinstance(gate, ManualGate) and gate.take():
                return True
            self._add(sleeper)
            self._rest(sleeper.thread)
        self._jump()
        if isinstance(gate, ManualGate):
            sleeper.woken.acquire()
        else:
            self._look_at(gate, sleeper)
        return sleeper.opened

    # -- what a test does with it ------------------------------------------------------------------

    def gate(self) -> ManualGate:
        """A gate that tells the clock when it is opened, so nobody has to look."""
        return ManualGate(self)

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass. What falls due happens on the way, each at its own moment, and is done when this returns.

        Raises ``RuntimeError`` if a busy thread neither waits nor ends for ten real seconds.
        """
        target = self._now + seconds
        self._await_rest()
        while self._wake_next(target):
            self._await_rest()
        self._now = max(self._now, target)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward (or back, if negative). Durations are not concerned."""
        self._wall_ahead += seconds

    def stall(self, seconds: float) -> None:
        """Let *seconds* pass in which nothing ran, as when the computer sleeps: what fell due comes late, and next."""
        self._now += seconds

    def call_at(self, moment: float, callback: Callable[[], object]) -> Callable[[], None]:
        """Call *callback* when the monotonic time is *moment*, on the thread that moves the time; returns how to cancel
        it.
        """
        sleeper = _Sleeper(moment, callback=callback)
        with self._lock:
            self._add(sleeper)
        return lambda: self._forget(sleeper)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While the calling thread is in here, and not in ``wait``, time stands still."""
        self.join()
        try:
            yield
        finally:
            self.leave()

    def join(self) -> bool:
        """Count the calling thread among those who are busy when they don't wait. False if it was so already."""
        with self._lock:
            is_new = get_ident() not in self._busy
            self._busy[get_ident()] = True
            return is_new

    def leave(self) -> None:
        """Count the calling thread no more."""
        with self._lock:
            self._busy.pop(get_ident(), None)
            self._rested.notify_all()
        self._jump()

    # -- inside ------------------------------------------------------------------------------------

    def open(self, gate: ManualGate) -> None:
        """Let the one who waits for *gate* longest through, or leave it open. ``ManualGate.release`` calls it."""
        with self._lock:
            for sleeper in self._sleepers:
                if sleeper.gate is gate:
                    sleeper.opened = True
                    self._wake(sleeper)
                    return
            gate.leave_open()

    def _add(self, sleeper: _Sleeper) -> None:
        self._orders += 1
        sleeper.order = self._orders
        self._sleepers.append(sleeper)

    def _forget(self, sleeper: _Sleeper) -> None:
        with self._lock:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    def _rest(self, thread: int) -> None:
        if thread in self._busy:
            self._busy[thread] = False
            self._rested.notify_all()

    def _wake(self, sleeper: _Sleeper) -> None:
        """Its thread counts as busy from this moment, not only from when the system lets it run."""
        self._sleepers.remove(sleeper)
        if sleeper.thread in self._busy:
            self._busy[sleeper.thread] = True
        sleeper.woken.release()
        self._rested.notify_all()

    def _look_at(self, gate: Gate, sleeper: _Sleeper) -> None:
        while not sleeper.woken.acquire(blocking=False):
            if gate.acquire(timeout=LOOK_EVERY_S):
                with self._lock:
                    sleeper.opened = True
                    if sleeper in self._sleepers:
                        self._wake(sleeper)
                return

    def _jump(self) -> None:
        """With autojump: if nobody is busy, go to the next deadline.

        Whoever wakes there jumps on when he rests again.
        """
        while self.autojump and self._wake_next(None) == "callback":
            pass

    def _wake_next(self, limit: float | None) -> str:
        """Move to the earliest deadline (not after *limit*) and do what it is for: a "callback", a "thread", or "" for
        none. Without a limit, only if nobody is busy.
        """
        with self._lock:
            # Under the lock: of two threads that come to rest together, the second finds busy whom the first has woken.
            if limit is None and self._others_busy(None):
                return ""
            due = [sleeper for sleeper in self._sleepers if sleeper.deadline is not None]
            sleeper = min(due, key=lambda sleeper: (sleeper.deadline, sleeper.order), default=None)
            if sleeper is None or sleeper.deadline is None or (limit is not None and sleeper.deadline > limit):
                return ""
            self._now = max(self._now, sleeper.deadline)
            self._wake(sleeper)
            if sleeper.callback is None:
                return "thread"
            self._calling += 1
        try:
            sleeper.callback()
        finally:
            with self._lock:
                self._calling -= 1
                self._rested.notify_all()
        return "callback"

    def _others_busy(self, me: int | None) -> bool:
        if self._calling:
            return True
        working = [thread for thread, busy in self._busy.items() if busy and thread != me]
        if working and not _alive().isdisjoint(working):  # a thread that ended without leaving is not busy
            return True
        return any(sleeper.is_about_to_wake() for sleeper in self._sleepers)

    def _await_rest(self) -> None:
        me, limit = get_ident(), real_time.monotonic() + PATIENCE_S
        with self._lock:
            while self._others_busy(me):
                if real_time.monotonic() > limit:
                    raise RuntimeError(f"time can't pass: a busy thread neither waits nor ends ({self._busy})")
                # A thread that ends without a word tells nobody, so look now and then.
                self._rested.wait(50 * LOOK_EVERY_S)


def _alive() -> set[int]:
    """The threads that there are."""
    return set(current_frames())


class ManualGate:
    """A lock as ``_thread.allocate_lock`` makes them, whose waiting takes virtual time."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._lock = allocate_lock()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Shut it, once it is open. A *timeout* (-1: none) is in virtual seconds."""
        if self.take():
            return True
        return blocking and self._clock.wait(self, None if timeout < 0 else timeout)

    def release(self) -> None:
        """Open it. Raises ``RuntimeError`` if it is open."""
        if not self._lock.locked():
            raise RuntimeError("release unlocked lock")
        self._clock.open(self)

    def locked(self) -> bool:
        """Whether it is shut."""
        return self._lock.locked()

    def take(self) -> bool:
        """Shut it if it is open."""
        return self._lock.acquire(blocking=False)

    def leave_open(self) -> None:
        """Nobody waits."""
        self._lock.release()


class _Sleeper:
    """A thread in ``wait``, or a callback."""

    def __init__(
        self, deadline: float | None, gate: Gate | None = None, callback: Callable[[], object] | None = None
    ) -> None:
        self.deadline, self.gate, self.callback = deadline, gate, callback
        self.order = 0
        self.thread = get_ident() if gate is not None else 0
        self.opened = False
        self.woken = allocate_lock()
        self.woken.acquire()

    def is_about_to_wake(self) -> bool:
        """Its gate was opened, and it will see that at its next look."""
        locked = getattr(self.gate, "locked", None)
        return locked is not None and not isinstance(self.gate, ManualGate) and not locked()
