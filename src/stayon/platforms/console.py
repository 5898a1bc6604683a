"""A terminal (or a shell, or a container) as the one who started us: signals ask, and the log is what it is told."""

from __future__ import annotations

import os
import time

from stayon import exits
from stayon.core.events import Request
from stayon.core.states import RELOAD
from stayon.errors import UsageError
from stayon.platforms.presses import Presses

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import Any

    from stayon.core.events import Report
else:
    import _signal as signal  # the standard module's C half: the rest makes enums of its constants, 0.5 MB

_STOPS: dict[int, tuple[str, int]] = {
    signal.SIGINT: ("SIGINT", exits.INTERRUPTED),
    signal.SIGTERM: ("SIGTERM", exits.TERMINATED),
}
# (faulthandler could dump on a signal by itself, but it reads running threads' stacks without the GIL: that crashes.)
_DUMPS: dict[int, str] = {signal.SIGQUIT: "SIGQUIT", signal.SIGUSR2: "SIGUSR2"}
_HANDLED = (*_STOPS, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTSTP)


class Console:
    """Signals as requests: SIGINT and SIGTERM stop (a second one forces), SIGHUP and SIGUSR1 reload, SIGQUIT and
    SIGUSR2 dump, SIGTSTP (Ctrl-Z) suspends, after the host was told.

    The C half of Python's signal handling writes each signal's number into a pipe at once, on whatever thread it comes,
    so that a main thread stuck in C code does not keep the host from hearing. SIGHUP means stop when the terminal is
    gone. SIGPIPE is ignored.
    """

    name = "console"
    is_manager = False
    beat_s = 0.0

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._presses = Presses(monotonic)
        self._read_fd = self._write_fd = self._wakeup_before = -1
        self._before: dict[int, Any] = {}
        self._terminal_fd = -1

    def attach(self) -> int:
        """Take the signals over; gives the descriptor that is readable when ``requests`` has some.

        On the main thread, once.
        """
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        try:
            self._wakeup_before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        except ValueError as error:
            self._close_pipe()
            raise UsageError(
                "only the main thread can take signals",
                why=str(error),
                hint="Run the service from the main thread.",
                code="console.not-main-thread",
            ) from error
        self._before = {signum: signal.signal(signum, self._heard) for signum in _HANDLED}
        self._before[signal.SIGPIPE] = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        # A forked child has our handlers and our pipe: a signal sent to it would look like one sent to us.
        os.register_at_fork(after_in_child=self.detach)
        self._terminal_fd = next((fd for fd in (0, 1, 2) if os.isatty(fd)), -1)
        return self._read_fd

    def requests(self) -> list[Request]:
        """What was asked for since the last call, in order; several reloads or dumps are one. Never blocks."""
        try:
            heard = os.read(self._read_fd, 65536)
        except OSError:
            return []
        found: list[Request] = []
        for signum in heard:
            request = self._request(signum)
            if request is not None and request not in found:
                found.append(request)
        return found

    def report(self, report: Report) -> None:
        """Nothing: who sits at a terminal reads the log, and a shell sees the exit code."""

    def detach(self) -> None:
        """Give the signals back. On the main thread; calling it twice is harmless."""
        if self._read_fd == -1:
            return
        for signum, handler in self._before.items():
            if handler is not None:  # None: it was set by C code, and Python cannot set it again
                signal.signal(signum, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._close_pipe()

    def _close_pipe(self) -> None:
        os.close(self._read_fd)
        os.close(self._write_fd)
        self._read_fd = self._write_fd = -1

    def _heard(self, signum: int, _frame: object) -> None:
        """Python's half of a handler, on the main thread.

        The C half has written the number already, unless somebody else (asyncio's add_signal_handler) has taken the
        wake-up descriptor: then it is for us to write it.
        """
        current = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        if current != self._write_fd:
            signal.set_wakeup_fd(current, warn_on_full_buffer=False)
            os.write(self._write_fd, bytes([signum]))

    def _request(self, signum: int) -> Request | None:
        if signum in _STOPS:
            return self._presses.request(*_STOPS[signum])
        if signum in _DUMPS:
            return Request("dump", _DUMPS[signum])
        if signum == signal.SIGTSTP:
            return Request("suspend", "SIGTSTP")
        if signum == signal.SIGUSR1:
            return Request(RELOAD, "SIGUSR1")
        if signum == signal.SIGHUP:
            if self._terminal_fd != -1 and not os.isatty(self._terminal_fd):
                return self._presses.request("SIGHUP", exits.TERMINATED, "the terminal was closed")
            return Request(RELOAD, "SIGHUP")
        return None
