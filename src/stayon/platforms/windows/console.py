"""A console of Windows as the one who started us: its control events ask, and the log is what it is told.

(https://learn.microsoft.com/windows/console/handlerroutine)
"""

from __future__ import annotations

import time
from _collections import deque  # the C half of ``collections``

from stayon import exits
from stayon.platforms.presses import Presses
from stayon.platforms.windows import win32
from stayon.platforms.windows.win32 import Handle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from stayon.core.events import Report, Request

# CTRL_C_EVENT and its like, from <wincon.h>: what it is called, and the exit code of who leaves for it before ready.
_EVENTS: dict[int, tuple[str, int, str]] = {
    0: ("Ctrl-C", exits.INTERRUPTED, ""),
    1: ("Ctrl-Break", exits.TERMINATED, ""),
    2: ("console", exits.TERMINATED, "the window was closed"),
    5: ("console", exits.TERMINATED, "the user logs off"),
    6: ("console", exits.TERMINATED, "the computer shuts down"),
}
# When the handler of one of these returns, the process is ended at once: so it doesn't, until the process has ended by
# itself. The system has patience for 5 s (20 s at a shutdown).
_LAST_WORDS = (2, 5, 6)
_LONGEST_S = 25.0

_kernel32 = win32.Library(
    "kernel32.dll",
    CreateEventW="PiiZ>P",
    SetEvent="P>i",
    ResetEvent="P>i",
    CloseHandle="P>i",
    SetConsoleCtrlHandler="Pi>i",
)


class WindowsConsole:
    """Ctrl-C and Ctrl-Break stop (a second one forces); so does closing the window, which leaves us 5 s.

    The system calls us on a thread of its own, so that a main thread stuck in C code does not keep the host from
    hearing. Of logging off and shutting down it tells only programs that have not loaded user32.dll; others are ended.
    """

    name = "console"
    is_manager = False
    beat_s = 0.0

    def __init__(self, monotonic: Callable[[], float] = time.perf_counter) -> None:
        self._presses = Presses(monotonic)
        self._heard: deque[int] = deque()
        self._event = Handle(0)
        self._callback = win32.callback("I>i", self.hear)

    def attach(self) -> Handle:
        """Begin to hear; gives the handle that is signalled when ``requests`` has some. Once."""
        self._event = Handle(_kernel32.CreateEventW(None, 1, 0, None))
        # (Without a console there is nothing to hear, and that is no error.)
        _kernel32.SetConsoleCtrlHandler(self._callback, 1)
        return self._event

    def requests(self) -> list[Request]:
        """What was asked for since the last call, in order. Never blocks."""
        if not self._event:
            return []
        _kernel32.ResetEvent(self._event)
        found: list[Request] = []
        while self._heard:
            request = self._presses.request(*_EVENTS[self._heard.popleft()])
            if request is not None:
                found.append(request)
        return found

    def report(self, report: Report) -> None:
        """Nothing: who sits at a console reads the log, and a shell sees the exit code."""

    def detach(self) -> None:
        """Hear no more. Calling it twice is harmless."""
        if not self._event:
            return
        _kernel32.SetConsoleCtrlHandler(self._callback, 0)
        event, self._event = self._event, Handle(0)
        _kernel32.CloseHandle(event)

    def hear(self, event: int) -> int:
        """The handler. On a thread of the system's; 1: it is dealt with."""
        if event not in _EVENTS or not self._event:
            return 0
        self._heard.append(event)
        _kernel32.SetEvent(self._event)
        if event in _LAST_WORDS:
            time.sleep(_LONGEST_S)
        return 1
