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
import threading
import time
from _struct import pack
from _thread import allocate_lock, get_native_id

from stayon import exits
from stayon.platforms.libc import Library, Pointer, errno, reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # the standard module's C half

STDERR = 2

# How long the first net has before the second falls. Five milliseconds a running thread would do; a busy computer
# needs more.
TURN_S = 1.0
# In the second, from the dump into the crash file to the one on stderr, and from there to the end. Two dumps, because a
# pipe that nobody reads can block the second, and a dead file system the first.
STDERR_DELAY_S = 0.1
END_DELAY_S = 0.3

_CLOCK_MONOTONIC = 1
_SIGEV_THREAD, _SIGEV_THREAD_ID = 2, 4  # <bits/sigevent-consts.h>
_SIGEVENT_BYTES = 64


class CrashFile:
    """Where the stacks go; made at the first use, mode 0600.

    What a former process left there is gone then: read it before.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def fd(self) -> int:
        """Its descriptor, with nothing in it but what this process has written."""
        if self._fd == -1:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(self._path, flags, 0o600)
        return self._fd

    def close(self) -> None:
        """Give the descriptor back. The file stays."""
        if self._fd != -1:
            os.close(self._fd)
            self._fd = -1


class Sentry:
    """The first net: a thread that wakes only when the time that it was told last is over."""

    def __init__(self) -> None:
        self._deadline = self._sleeps_until = 0.0
        self._crash_fd = -1
        self._bell = allocate_lock()
        self._bell.acquire()
        # The shift that is on: a thread leaves when it sees another, also if it was slow to hear that it was dismissed.
        self._shift = 0
        self._is_there = False

    def expect(self, timeout_s: float, crash_fd: int) -> None:
        """Dump into *crash_fd* and on stderr, and end with ``exits.HANG``, after *timeout_s* without another call."""
        self._crash_fd = crash_fd
        self._deadline = time.monotonic() + timeout_s
        if not self._is_there:
            self._is_there = True
            self._shift += 1
            threading.Thread(target=self._stand, args=(self._shift,), name="deadman", daemon=True).start()
        elif self._deadline < self._sleeps_until:
            self._ring()

    def dismiss(self) -> None:
        """Expect nothing more; the thread leaves."""
        if self._is_there:
            self._is_there = False
            self._ring()

    def _ring(self) -> None:
        if self._bell.locked():
            self._bell.release()

    def _stand(self, shift: int) -> None:
        while self._is_there and self._shift == shift:
            self._sleeps_until = self._deadline
            left_s = self._sleeps_until - time.monotonic()
            if left_s <= 0:
                self._end()
            self._bell.acquire(timeout=left_s)

    def _end(self) -> None:
        faulthandler.dump_traceback(self._crash_fd, all_threads=True)
        try:
            faulthandler.dump_traceback(STDERR, all_threads=True)
        finally:
            os._exit(exits.HANG)


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
