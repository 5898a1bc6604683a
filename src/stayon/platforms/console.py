"""A terminal (or a shell, or a container) as the one who started us: signals ask, and the log is what it is told."""

from __future__ import annotations

import os
import time

from stayon import exits
from stayon.core.events import Request
from stayon.platforms import signals
from stayon.platforms.presses import Presses

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from stayon.core.events import Report
else:
    import _signal as signal  # the standard module's C half

_STOPS: dict[int, tuple[str, int]] = {
    signal.SIGINT: ("SIGINT", exits.INTERRUPTED),
    signal.SIGTERM: ("SIGTERM", exits.TERMINATED),
}


class Console:
    """Signals as requests: SIGINT and SIGTERM stop (a second one forces), SIGHUP and SIGUSR1 reload, SIGQUIT and
    SIGUSR2 dump, SIGTSTP (Ctrl-Z) suspends, after the host was told.

    SIGHUP means stop when the terminal is gone.
    """

    name = "console"
    is_manager = False
    beat_s = 0.0

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._presses = Presses(monotonic)
        self._signals = signals.Signals((*signals.MEANINGFUL, signal.SIGTSTP))
        self._terminal_fd = -1

    def attach(self) -> int:
        """Take the signals over; gives the descriptor that is readable when ``requests`` has some.

        On the main thread, once.
        """
        fd = self._signals.attach()
        self._terminal_fd = next((fd for fd in (0, 1, 2) if os.isatty(fd)), -1)
        return fd

    def requests(self) -> list[Request]:
        """What was asked for since the last call, in order; several reloads or dumps are one. Never blocks."""
        return signals.requests(self._signals.heard(), self._request)

    def report(self, report: Report) -> None:
        """Nothing: who sits at a terminal reads the log, and a shell sees the exit code."""

    def detach(self) -> None:
        """Give the signals back. On the main thread; calling it twice is harmless."""
        self._signals.detach()

    def _request(self, signum: int) -> Request | None:
        if signum in _STOPS:
            return self._presses.request(*_STOPS[signum])
        if signum == signal.SIGTSTP:
            return Request("suspend", "SIGTSTP")
        if signum == signal.SIGHUP and self._terminal_fd != -1 and not os.isatty(self._terminal_fd):
            return self._presses.request("SIGHUP", exits.TERMINATED, "the terminal was closed")
        return signals.meaning(signum)
