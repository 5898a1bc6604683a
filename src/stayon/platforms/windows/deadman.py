"""Ends the process when nobody feeds it, also while C code holds the GIL: the same two nets as on Unix (``sentry``),
and no thread of ours that stands by.
"""

from __future__ import annotations

import faulthandler
import os

from stayon import exits
from stayon.platforms.sentry import END_DELAY_S, STDERR, TURN_S, CrashFile
from stayon.platforms.windows import win32

# From the end by ExitProcess to the one by TerminateProcess.
LAST_DELAY_S = 2.0

_THIS_PROCESS = win32.INVALID_HANDLE_VALUE  # what GetCurrentProcess gives
_EXECUTE_DEFAULT, _EXECUTE_IN_TIMER_THREAD = 0, 0x20
_ONCE = 0
# Such a timer counts milliseconds, at most 49 days of them.
_NEVER_MS = 0xFFFFFFFE
_SIGABRT, _SIG_IGN = 22, 1  # <signal.h>

_kernel32 = win32.Library(
    "kernel32.dll",
    ChangeTimerQueueTimer="PPII>i",
    CreateTimerQueueTimer="PPPPIII>i",
    DeleteTimerQueueTimer="PPP>i",
    ExitProcess="I>",
    TerminateProcess="PI>i",
)
_ucrt = win32.Library("ucrtbase.dll", signal="iP>P", **{"raise": "i>i"})


class WindowsDeadman:
    """Timers of the system, whose one thread is all that it takes.

    The first calls Python, on a thread of the pool: with the GIL, all stacks can be read in peace. If it gets no turn,
    the next are for the second net, and their callbacks *are* functions of C, as in x64's calling convention a
    callback's first parameter is the function's: ``raise(SIGABRT)``, which faulthandler answers with all stacks, and
    which ends nothing, as SIGABRT was ignored before faulthandler took it; then ExitProcess with ``exits.HANG``. It
    waits for the loader's lock, so should the hang be in a DLL's start, TerminateProcess ends it two seconds later; its
    exit code is what a timer gives as its second parameter, 1.

    There can be one in a process, as faulthandler has one file.
    """

    def __init__(self, crash_path: str) -> None:
        self._crash_file = CrashFile(crash_path)
        self._is_crash_file_lent = False
        # What faulthandler finds as SIGABRT's action is what it goes back to when it has answered one; so this comes
        # before it is enabled.
        _ucrt.signal(_SIGABRT, _SIG_IGN)
        self._end = win32.callback("PB>", self._dump_and_end)
        # Each with how long after the time it goes off.
        self._timers: list[tuple[int, float]] = []

    def arm(self, timeout_s: float) -> None:
        """(Re)start: after *timeout_s* without another ``arm``, dump all stacks, then end.

        Raises ``OSError`` where the crash file can't be made or the system has no timer left.
        """
        if not self._timers:
            self._make()
        for timer, after_s in self._timers:
            due_ms = min(int((timeout_s + after_s) * 1000), _NEVER_MS)
            if not _kernel32.ChangeTimerQueueTimer(None, timer, due_ms, _ONCE):
                raise _failure("ChangeTimerQueueTimer")

    def disarm(self) -> None:
        """Give everything back. Calling it twice, or without having armed it, is harmless."""
        while self._timers:
            _kernel32.DeleteTimerQueueTimer(None, self._timers.pop()[0], None)
        if self._is_crash_file_lent:
            faulthandler.disable()
            self._is_crash_file_lent = False
        self._crash_file.close()

    def _make(self) -> None:
        crash_fd = self._crash_file.fd()
        if not faulthandler.is_enabled():
            faulthandler.enable(crash_fd, all_threads=True)
            self._is_crash_file_lent = True
        last_s = TURN_S + END_DELAY_S + LAST_DELAY_S
        self._add(win32.function_address(self._end), None, 0.0, _EXECUTE_DEFAULT)
        # By turns on the timers' own thread, which needs no loader's lock to begin, and on one of the pool: should one
        # of them be stuck, the next isn't.
        self._add(_ucrt.address("raise"), _SIGABRT, TURN_S, _EXECUTE_IN_TIMER_THREAD)
        self._add(_kernel32.address("ExitProcess"), exits.HANG, TURN_S + END_DELAY_S, _EXECUTE_DEFAULT)
        self._add(_kernel32.address("TerminateProcess"), _THIS_PROCESS, last_s, _EXECUTE_IN_TIMER_THREAD)

    def _dump_and_end(self, _parameter: int | None, _is_timer: int) -> None:
        """The first net."""
        faulthandler.dump_traceback(self._crash_file.fd(), all_threads=True)
        try:
            faulthandler.dump_traceback(STDERR, all_threads=True)
        finally:
            os._exit(exits.HANG)

    def _add(self, function: int, parameter: int | None, after_s: float, flags: int) -> None:
        timer = win32.POINTER()
        if not _kernel32.CreateTimerQueueTimer(win32.byref(timer), None, function, parameter, _NEVER_MS, _ONCE, flags):
            raise _failure("CreateTimerQueueTimer")
        self._timers.append((timer.value, after_s))


def _failure(call: str) -> OSError:
    code = win32.last_error()
    return OSError(code, f"{call}: {win32.text_of(code)}")
