"""Ends the process when nobody feeds it, also while C code holds the GIL.

Two nets. A thread of ours sleeps until the time is over, dumps all stacks and ends the process: it holds the GIL
while it reads them, so nothing moves under it. If it gets no turn, because C code keeps the GIL, timers of the
system do the same from outside, a moment later: then no other thread runs Python, and reading their stacks without
the GIL is safe. (Without the first net, that reading met running threads, and three of eight such dumps ended with
SIGSEGV.)
"""

from __future__ import annotations

import faulthandler
import os
from _struct import pack
from _thread import get_native_id

from stayon import exits
from stayon.platforms.libc import Library, Pointer, errno, reference
from stayon.platforms.sentry import END_DELAY_S, STDERR, STDERR_DELAY_S, TURN_S, CrashFile, Sentry

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # the standard module's C half

_CLOCK_MONOTONIC = 1
_SIGEV_THREAD, _SIGEV_THREAD_ID = 2, 4  # <bits/sigevent-consts.h>
_SIGEVENT_BYTES = 64


class TimerDeadman:
    """Linux: the second net is of POSIX timers, which need neither the GIL nor Python. Feeding it takes three system
    calls.

    When its time is over, a signal to the thread that fed it last (never to one that may be asleep in C: a signal would
    wake it) makes faulthandler write all stacks into the crash file, and another on stderr; then a timer calls libc's
    ``_exit`` with ``exits.HANG``. That function *is* the timer's callback: nothing of ours runs.

    A process that was stopped (SIGSTOP, a frozen container) for longer than the timeout counts as hung when it goes on.
    A forked child has no timers, so it is not watched. There can be one in a process, as it takes two signals.
    """

    def __init__(self, crash_path: str) -> None:
        self._crash_file = CrashFile(crash_path)
        self._sentry = Sentry()
        self._libc = _library_with_timers()
        # The last but one and two: SIGUSR1 and 2 have meanings, and the first real-time signals are libc's and
        # valgrind's.
        self._signals = (signal.SIGRTMAX - 1, signal.SIGRTMAX - 2)
        # Each with how long after the time it goes off.
        self._timers: list[tuple[Pointer, float]] = []
        self._fed_by = 0

    def arm(self, timeout_s: float) -> None:
        """(Re)start: after *timeout_s* without another ``arm``, dump all stacks, then end.

        Always call it on one thread. Raises ``OSError`` where the crash file can't be made or the system has no timer
        left.
        """
        if self._fed_by != get_native_id():
            self.disarm()
            self._make_timers()
        self._sentry.expect(timeout_s, self._crash_file.fd())
        for timer, after_s in self._timers:
            self._set(timer, timeout_s + after_s)

    def disarm(self) -> None:
        """Give everything back. Calling it twice, or without having armed it, is harmless."""
        self._sentry.dismiss()
        while self._timers:
            self._libc.timer_delete(self._timers.pop()[0])
        if self._fed_by:
            for number in self._signals:
                faulthandler.unregister(number)
            self._crash_file.close()
            self._fed_by = 0

    def _make_timers(self) -> None:
        thread = self._fed_by = get_native_id()
        dumps = zip(self._signals, (self._crash_file.fd(), STDERR), (TURN_S, TURN_S + STDERR_DELAY_S), strict=True)
        for number, fd, after_s in dumps:
            faulthandler.register(number, file=fd, all_threads=True)
            self._timers.append((self._create(pack("Piii", 0, number, _SIGEV_THREAD_ID, thread)), after_s))
        end = pack("PiiPP", exits.HANG, 0, _SIGEV_THREAD, self._libc.address("_exit"), 0)
        self._timers.append((self._create(end), TURN_S + END_DELAY_S))

    def _create(self, event: bytes) -> Pointer:
        timer = Pointer()
        if self._libc.timer_create(_CLOCK_MONOTONIC, event.ljust(_SIGEVENT_BYTES, b"\0"), reference(timer)) == -1:
            number = errno()
            raise OSError(number, os.strerror(number), "timer_create")
        return timer

    def _set(self, timer: Pointer, delay_s: float) -> None:
        self._libc.timer_settime(timer, 0, pack("llll", 0, 0, int(delay_s), int(delay_s % 1 * 1e9)), None)


class FaulthandlerDeadman:
    """Where there are no POSIX timers (macOS): the second net is faulthandler's own thread.

    It ends the process with 1, not ``exits.HANG``.
    """

    def __init__(self, crash_path: str) -> None:
        self._crash_file = CrashFile(crash_path)
        self._sentry = Sentry()

    def arm(self, timeout_s: float) -> None:
        """(Re)start: after *timeout_s* without another ``arm``, dump all stacks, then end."""
        crash_fd = self._crash_file.fd()
        self._sentry.expect(timeout_s, crash_fd)
        faulthandler.dump_traceback_later(timeout_s + TURN_S, exit=True, file=crash_fd)

    def disarm(self) -> None:
        """Give everything back. Calling it twice, or without having armed it, is harmless."""
        self._sentry.dismiss()
        faulthandler.cancel_dump_traceback_later()
        self._crash_file.close()


def _library_with_timers() -> Library:
    """libc; before glibc 2.34 the timers were in librt."""
    libc = Library()
    return libc if libc.has("timer_create") else Library("librt.so.1")
