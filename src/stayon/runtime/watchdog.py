"""Hang detection: a deadman fed by the host's loop, and beats that the user's functions give."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from stayon.ports import Clock, Deadman
    from stayon.runtime.loop import Loop, Timer


class Beat:
    """One function's sign of life: ``touch`` it more often than every *timeout_s*. Touching is for any thread."""

    __slots__ = ("clock", "last", "name", "timeout_s", "timer")

    def __init__(self, name: str, timeout_s: float, clock: Clock) -> None:
        self.name, self.timeout_s, self.clock = name, timeout_s, clock
        self.last = clock.monotonic()
        self.timer: Timer | None = None

    def touch(self) -> None:
        """I am alive."""
        self.last = self.clock.monotonic()


class Watchdog:
    """Watches beats by one timer each, set for the moment the beat would be overdue; nothing ticks.

    The deadman watches the host's own loop: it ends the process when the loop has not come round for *timeout_s*, also
    when C code holds the GIL. *on_hang* is called with an overdue beat, on the loop's thread.
    """

    def __init__(
        self, loop: Loop, deadman: Deadman, timeout_s: float | None, on_hang: Callable[[Beat], object]
    ) -> None:
        self._loop, self._deadman, self._timeout_s, self._on_hang = loop, deadman, timeout_s, on_hang
        self._feeding: Timer | None = None
        self._is_started = False
        self._beats: set[Beat] = set()

    def start(self) -> None:
        """Arm the deadman, from now on until ``stop``."""
        self._is_started = True
        self._feed()

    def set_timeout(self, timeout_s: float | None) -> None:
        """Let the loop come round within *timeout_s* from now on; None: however long it takes."""
        if timeout_s != self._timeout_s:
            self._timeout_s = timeout_s
            if self._is_started:
                self.stop()
                self.start()

    def stop(self) -> None:
        """Disarm the deadman. Beats are forgotten one by one."""
        self._is_started = False
        if self._feeding is not None:
            self._feeding.cancel()
        self._deadman.disarm()

    def suspended(self, suspend: Callable[[], object]) -> None:
        """Call *suspend*, which stops the whole process for a while, and hold the time it took against nobody."""
        self.stop()
        suspend()
        for beat in self._beats:
            beat.touch()
        self.start()

    def _feed(self) -> None:
        if self._timeout_s is not None:
            self._deadman.arm(self._timeout_s)
            self._feeding = self._loop.call_later(self._timeout_s / 3, self._feed)

    def watch(self, name: str, timeout_s: float) -> Beat:
        """A new beat, counted from now."""
        beat = Beat(name, timeout_s, self._loop.clock)
        self._beats.add(beat)
        self._expect(beat)
        return beat

    def forget(self, beat: Beat) -> None:
        """Watch it no more."""
        self._beats.discard(beat)
        if beat.timer is not None:
            beat.timer.cancel()

    def _expect(self, beat: Beat) -> None:
        beat.timer = self._loop.call_at(beat.last + beat.timeout_s, self._look, beat)

    def _look(self, beat: Beat) -> None:
        if self._loop.clock.monotonic() - beat.last >= beat.timeout_s:
            self._on_hang(beat)
        else:
            self._expect(beat)
