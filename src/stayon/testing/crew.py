"""The threads of a simulated service: one for the host's loop and all plain calls, in turn, and one for each worker."""

from __future__ import annotations

import threading
import time
from _collections import deque
from _thread import allocate_lock, get_ident

from stayon.core.duration import seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stayon.ports import Gate
    from stayon.runtime.loop import Loop
    from stayon.testing.clock import ManualClock, ManualGate

_here = threading.local()


def sleep(duration: str | float) -> None:
    """Sleep, in virtual time on a thread of a simulated service, and in real time elsewhere.

    For fakes that are slow, or hang. A service itself waits with ``ctx.stopping.wait``, so that it can be stopped.
    """
    length_s = seconds(duration, allow_zero=True)
    clock = getattr(_here, "clock", None)
    if clock is None:
        time.sleep(length_s)
        return
    gate = clock.gate()
    gate.acquire()
    clock.wait(gate, length_s)


class Crew:
    """Runs the host's loop and the calls it starts on one thread, the leader, one after the other.

    A call that waits in virtual time hands the lead to a new thread before it rests, and the service goes on meanwhile;
    one that only works costs no change of threads. ``submit`` and ``close`` make it the host's executor.
    """

    limit = 0

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.host_clock = CrewClock(clock, self)
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._leader = 0
        self._work: Callable[[], object] = lambda: None

    def lead(self, loop: Loop, on_end: Callable[[BaseException | None], object]) -> None:
        """Run *loop* until it ends; then, on its thread, ``on_end(None)``, or what went wrong with the loop itself."""
        self._work = lambda: self._lead(loop, on_end)
        self.start_thread(self._work, "leader")

    def submit(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call *function* when the loop's turn is over. For the loop's thread."""
        self._calls.append((function, arguments))

    def close(self) -> None:
        """Nothing is kept that would have to go."""

    def start_thread(self, function: Callable[[], object], name: str) -> None:
        """Have *function* called on a thread that counts as busy from now on, so that no time passes before it
        begins.
        """
        joined = allocate_lock()
        joined.acquire()

        def work() -> None:
            _here.clock = self.host_clock
            self._clock.join()
            joined.release()
            try:
                function()
            finally:
                self._clock.leave()

        threading.Thread(target=work, name=name, daemon=True).start()
        joined.acquire()

    def abandon(self) -> None:
        """Do nothing more, as after kill -9. Once all rest; threads that wait do so for ever."""
        self._leader = -1
        self._calls.clear()

    def step_back(self) -> None:
        """The calling thread is about to rest. If it has the lead, another one takes it."""
        if get_ident() == self._leader:
            self._leader = 0
            self.start_thread(self._work, "leader")

    def _lead(self, loop: Loop, on_end: Callable[[BaseException | None], object]) -> None:
        me = self._leader = get_ident()
        try:
            while self._leader == me and not loop.ended:
                if self._calls:
                    function, arguments = self._calls.popleft()
                    function(*arguments)
                else:
                    loop.turn()
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is for the test to see
            on_end(error)
        else:
            if self._leader == me:
                on_end(None)


class CrewClock:
    """The clock as the host and the service's code have it: as the ``ManualClock``, but who waits steps back first."""

    def __init__(self, clock: ManualClock, crew: Crew) -> None:
        self.monotonic, self.time = clock.monotonic, clock.time
        self._clock, self._crew = clock, crew

    def gate(self) -> ManualGate:
        """A gate that tells the clock when it is opened."""
        return self._clock.gate()

    def wait(self, gate: Gate, timeout_s: float | None) -> bool:
        """Acquire *gate* within *timeout_s* of virtual time (None: no limit). True if it was acquired."""
        if gate.acquire(blocking=False):
            return True
        if timeout_s is not None and timeout_s <= 0:
            return False
        self._crew.step_back()
        return self._clock.wait(gate, timeout_s)
