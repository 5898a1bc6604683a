"""What the host's loop sleeps on: kernel handles by WaitForMultipleObjects, and sockets, which Winsock turns into one.

(https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-waitformultipleobjects)
"""

from __future__ import annotations

import errno
import time
from _struct import pack

from stayon.core.events import READABLE, WRITABLE
from stayon.platforms.windows import win32
from stayon.platforms.windows.win32 import Handle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# MAXIMUM_WAIT_OBJECTS is 64, and three of them are ours: the wake-up, the timer, the sockets.
MOST_HANDLES = 61
# A longer sleep ends after a day, with nothing ready.
LONGEST_S = 86_400.0

_INFINITE = 0xFFFFFFFF
_WAIT_FAILED = 0xFFFFFFFF
_WAIT_ABANDONED_0, _WAIT_TIMEOUT = 0x80, 258
_HIGH_RESOLUTION = 2  # CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, since Windows 10 1803: 0.5 ms instead of 15.6
_TIMER_ALL_ACCESS = 0x1F0003
_TICKS_PER_S = 10_000_000
_INVALID_PARAMETER = 87

# <winsock2.h>
_FD_READ, _FD_WRITE, _FD_ACCEPT, _FD_CONNECT, _FD_CLOSE = 1, 2, 8, 16, 32

_kernel32 = win32.Library(
    "kernel32.dll",
    CreateEventW="PiiZ>P",
    SetEvent="P>i",
    CreateWaitableTimerExW="PZII>P",
    SetWaitableTimer="PPiPPi>i",
    CancelWaitableTimer="P>i",
    WaitForMultipleObjects="IPiI>I",
    CloseHandle="P>i",
)


class WindowsPoller:
    """Waits for ``win32.Handle`` objects, each reported with all that it was registered for as long as it is signalled,
    and for sockets (any other int), which become non-blocking by it.

    A handle that the wait itself resets (an auto-reset event) is reported once for each time that it was set.
    """

    def __init__(self) -> None:
        self._wake: int = _kernel32.CreateEventW(None, 0, 0, None)
        self._timer = _new_timer()
        self._handles: dict[Handle, int] = {}
        self._sockets: _Sockets | None = None
        # What the system gets: all handles in a row, as C has them.
        self._row: list[Handle] | None = None
        self._packed = b""

    def register(self, fd: int, events: int) -> None:
        """Report *fd* when it is ``READABLE`` and/or ``WRITABLE`` (a bit set); calling again replaces the set.

        Raises ``OSError`` for what is no socket, and (EMFILE) for more handles than one wait takes; sockets count as
        one, all together.
        """
        if not isinstance(fd, Handle):
            if self._sockets is None:
                self._sockets = _Sockets()
                self._row = None
            self._sockets.register(fd, events)
            return
        if fd not in self._handles and len(self._handles) >= MOST_HANDLES:
            raise OSError(errno.EMFILE, f"Windows waits for at most {MOST_HANDLES} handles at a time")
        self._handles[fd] = events
        self._row = None

    def unregister(self, fd: int) -> None:
        """Forget *fd*; unknown and closed ones are ignored."""
        if not isinstance(fd, Handle):
            if self._sockets is not None:
                self._sockets.unregister(fd)
        elif self._handles.pop(fd, None) is not None:
            self._row = None

    def wait(self, timeout_s: float | None) -> list[tuple[int, int]]:
        """Sleep until something is ready, ``wake`` was called or *timeout_s* is over."""
        if self._sockets is not None:
            self._sockets.arm()
        if timeout_s is None:
            return self._ready(self._sleep(0, _INFINITE))
        if timeout_s <= 0:
            return self._ready(self._sleep(0, 0))
        deadline = time.perf_counter() + min(timeout_s, LONGEST_S)
        while True:
            # The timer is exact where the system can; the wait's own timeout ends at a tick, early or late.
            self._set_timer(deadline - time.perf_counter())
            index = self._sleep(0, _INFINITE)
            if index != 1 or time.perf_counter() >= deadline:
                return self._ready(index)

    def wake(self) -> None:
        """Make a ``wait`` (now or the next) return. From any thread, and from a signal handler."""
        _kernel32.SetEvent(self._wake)

    def close(self) -> None:
        """Give the handles back. Nothing else may be called afterwards, but this again."""
        if self._wake:
            _kernel32.CloseHandle(self._wake)
            _kernel32.CloseHandle(self._timer)
            self._wake = 0
            if self._sockets is not None:
                self._sockets.close()

    def _set_timer(self, delay_s: float) -> None:
        # Negative: from now, in units of 100 ns. (There is no rounding down to 0, which would mean a date.)
        due = pack("q", -max(int(delay_s * _TICKS_PER_S) + 1, 1))
        if not _kernel32.SetWaitableTimer(self._timer, due, 0, None, None, 0):
            raise _failure("SetWaitableTimer")

    def _sleep(self, first: int, timeout_ms: int) -> int:
        """The index of the first that is signalled, counted from 0 for the wake-up, or -1. *first*: leave out those
        before.
        """
        if self._row is None:
            own = [self._wake, self._timer, *([self._sockets.event] if self._sockets is not None else ())]
            self._row = [*map(Handle, own), *self._handles]
            self._packed = pack(f"{len(self._row)}P", *self._row)
        count = len(self._row) - first
        if count <= 0:
            return -1
        found: int = _kernel32.WaitForMultipleObjects(count, self._packed[first * 8 :], 0, timeout_ms)
        if found == _WAIT_TIMEOUT:
            return -1
        if found == _WAIT_FAILED:
            raise _failure("WaitForMultipleObjects")
        return first + (found - _WAIT_ABANDONED_0 if found >= _WAIT_ABANDONED_0 else found)

    def _ready(self, index: int) -> list[tuple[int, int]]:
        """All that is ready, though one wait tells only of the first: *index* is that."""
        ready: list[tuple[int, int]] = []
        # By then the row is there.
        row: list[Handle] = self._row or []
        while index != -1:
            handle = row[index]
            if handle in self._handles:
                ready.append((handle, self._handles[handle]))
            elif self._sockets is not None and index == 2:
                ready += self._sockets.ready()
            index = self._sleep(index + 1, 0)
        return ready


class _Sockets:
    """Winsock's half, loaded with the first socket: one event that is set when any of them may be ready.

    (https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-wsaeventselect) It tells of a change once; but
    to ask for it anew tells at once what is so already, and that is done before the wait after each that it ended.
    """

    def __init__(self) -> None:
        import select

        self._select = select.select
        self._winsock = win32.Library("ws2_32.dll", WSAEventSelect="PPi>i")
        self.event: int = _kernel32.CreateEventW(None, 0, 0, None)
        self._events: dict[int, int] = {}
        self._armed: set[int] = set()

    def register(self, socket: int, events: int) -> None:
        self._arm(socket, events)
        self._events[socket] = events

    def unregister(self, socket: int) -> None:
        if self._events.pop(socket, None) is not None:
            self._armed.discard(socket)
            self._winsock.WSAEventSelect(socket, self.event, 0)

    def arm(self) -> None:
        """Ask for what is wanted, where it was told of since."""
        for socket in self._events.keys() - self._armed:
            self._arm(socket, self._events[socket])

    def _arm(self, socket: int, events: int) -> None:
        mask = _FD_CLOSE | (_FD_READ | _FD_ACCEPT if events & READABLE else 0)
        mask |= _FD_WRITE | _FD_CONNECT if events & WRITABLE else 0
        if self._winsock.WSAEventSelect(socket, self.event, mask):
            raise _failure("WSAEventSelect")
        self._armed.add(socket)

    def ready(self) -> list[tuple[int, int]]:
        """Which are ready now, and for what; trouble counts as readable."""
        self._armed.clear()
        sockets = list(self._events)
        if not sockets:
            return []
        readable, writable, troubled = self._select(
            [one for one in sockets if self._events[one] & READABLE],
            [one for one in sockets if self._events[one] & WRITABLE],
            sockets,
            0,
        )
        found: dict[int, int] = dict.fromkeys((*readable, *troubled), READABLE)
        for one in writable:
            found[one] = found.get(one, 0) | WRITABLE
        return list(found.items())

    def close(self) -> None:
        for socket in list(self._events):
            self.unregister(socket)
        _kernel32.CloseHandle(self.event)


def _new_timer() -> int:
    for flags in (_HIGH_RESOLUTION, 0):
        timer: int | None = _kernel32.CreateWaitableTimerExW(None, None, flags, _TIMER_ALL_ACCESS)
        if timer:
            return timer
    raise _failure("CreateWaitableTimerExW")


def _failure(call: str) -> OSError:
    code = win32.last_error()
    error: Any = OSError(0, f"{call}: {win32.text_of(code)}", None, code)
    return error  # type: ignore[no-any-return]  # its prototype says int
