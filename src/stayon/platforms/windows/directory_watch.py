"""Changes in directories, told by the kernel: ReadDirectoryChangesW
(https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-readdirectorychangesw).
"""

from __future__ import annotations

import os
import time
from _struct import unpack_from

from stayon.platforms.windows import win32
from stayon.platforms.windows.win32 import Handle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

# <winnt.h>: FILE_NOTIFY_CHANGE_FILE_NAME, DIR_NAME, ATTRIBUTES, SIZE, LAST_WRITE, SECURITY
_FILE_NAME, _DIR_NAME, _ATTRIBUTES, _SIZE, _LAST_WRITE, _SECURITY = 1, 2, 4, 8, 0x10, 0x100
_CHANGES = _FILE_NAME | _DIR_NAME | _ATTRIBUTES | _SIZE | _LAST_WRITE | _SECURITY
_LIST_DIRECTORY = 1
_SHARE_ALL = 7  # read, write and delete: we are in nobody's way
_OPEN_EXISTING = 3
_BACKUP_SEMANTICS, _OVERLAPPED = 0x02000000, 0x40000000

_PENDING = 0x103  # STATUS_PENDING
_BUFFER_BYTES = 8192
_TRIES = 8

# How often a watch for single writes says that it does not know.
_LOOK_MS = 250

_kernel32 = win32.Library(
    "kernel32.dll",
    CancelIoEx="PP>i",
    CloseHandle="P>i",
    CreateEventW="PiiZ>P",
    CreateFileW="ZIIPIIP>P",
    CreateWaitableTimerW="PiZ>P",
    GetOverlappedResult="PPPi>i",
    ReadDirectoryChangesW="PPIiIPPP>i",
    ResetEvent="P>i",
    SetEvent="P>i",
    SetWaitableTimer="PPiPPi>i",
)


class _Overlapped(win32.Structure):
    _fields_ = (
        ("Internal", win32.POINTER),
        ("InternalHigh", win32.POINTER),
        ("Offset", win32.ULONGLONG),
        ("hEvent", win32.POINTER),
    )


class WindowsDirectoryWatch:
    """Tells that something in some directories changed. One that is missing, or goes, is waited for from above.

    Windows tells of a write when the file is closed (or its buffers are written out), so a watch for single *writes* is
    told nothing, and says four times a second that it does not know.
    """

    def __init__(self) -> None:
        self._event = Handle(_kernel32.CreateEventW(None, 1, 0, None))
        self._timer = Handle(0)
        self._wanted: tuple[str, ...] = ()
        self._views: list[_View] = []

    def watch(self, directories: Sequence[str], *, writes: bool = False) -> None:
        """Replace the set of watched directories. One that does not exist (yet) is waited for.

        *writes*: tell every single write to a file in them as well, not only its end.
        """
        self._wanted = () if writes else tuple(directories)
        self._stop_timer()
        if writes:
            self._timer = Handle(_kernel32.CreateWaitableTimerW(None, 0, None))
            _kernel32.SetWaitableTimer(self._timer, bytes(8), _LOOK_MS, None, None, 0)
        self._settle()
        self._ring_if_due()

    def fileno(self) -> int:
        """The handle that is signalled on a change, or -1 once it is closed."""
        return self._timer or self._event or -1

    def drain(self) -> set[str]:
        """The names of entries that changed since the last call (empty string: unknown, look at everything).

        Never blocks.
        """
        if self._timer or not self._event:
            return {""}
        _kernel32.ResetEvent(self._event)
        names: set[str] = set()
        is_settled = True
        for view in self._views:
            for name in view.changes():
                if view.awaited is None and name:
                    names.add(name)
                    if "~" in name:
                        names.add("")  # maybe the short name of one that we know by its long one
                elif not name or "~" in name or name.lower() == view.awaited:
                    is_settled = False
        if not is_settled:
            self._settle()
            names.add("")
        self._ring_if_due()
        return names

    def close(self) -> None:
        """Give the handles back; calling it twice is harmless."""
        self._stop_timer()
        self._forget()
        if self._event:
            _kernel32.CloseHandle(self._event)
            self._event = Handle(0)

    def _stop_timer(self) -> None:
        if self._timer:
            _kernel32.CloseHandle(self._timer)
            self._timer = Handle(0)

    def _forget(self) -> None:
        while self._views:
            self._views.pop().close()

    def _settle(self) -> None:
        """Look at what is there now: handles follow a directory that is moved, and we want paths."""
        self._forget()
        for directory in self._wanted:
            self._follow(os.path.abspath(directory))

    def _follow(self, directory: str) -> None:
        """Watch *directory* and its place in the one above or, while it is missing, the place of the nearest one that
        is there.
        """
        before = len(self._views)
        for _ in range(_TRIES):
            is_there = self._open(directory, None)
            below, above = directory, os.path.dirname(directory)
            while above != below and not self._open(above, os.path.basename(below)):
                below, above = above, os.path.dirname(above)
            if is_there or not os.path.isdir(below):
                return
            # It appeared between the two looks: look again.
            while len(self._views) > before:
                self._views.pop().close()

    def _ring_if_due(self) -> None:
        """To begin a view resets the event that all of them share, though another may have set it just before."""
        if any(view.is_due() for view in self._views):
            _kernel32.SetEvent(self._event)

    def _open(self, directory: str, awaited: str | None) -> bool:
        handle = _kernel32.CreateFileW(
            directory, _LIST_DIRECTORY, _SHARE_ALL, None, _OPEN_EXISTING, _BACKUP_SEMANTICS | _OVERLAPPED, None
        )
        if handle == win32.INVALID_HANDLE_VALUE:
            return False
        view = _View(handle, self._event, awaited)
        if not view.begin():
            view.close()
            return False
        self._views.append(view)
        return True


class _View:
    """An open directory, and the changes in it: all, or (*awaited*) only of the directory of that name."""

    def __init__(self, handle: int, event: Handle, awaited: str | None) -> None:
        self.awaited = awaited if awaited is None else awaited.lower()
        self._handle, self._event = handle, event
        array: Any = win32.DWORD  # it has to be aligned
        self._buffer = (array * (_BUFFER_BYTES // 4))()
        self._overlapped = _Overlapped(hEvent=event)
        self._is_reading = False

    def begin(self) -> bool:
        """Ask for what comes. False if it can't be told (the directory goes, or its file system tells nothing)."""
        wanted = _CHANGES if self.awaited is None else _DIR_NAME
        self._overlapped.Internal = 0
        self._is_reading = bool(
            _kernel32.ReadDirectoryChangesW(
                self._handle,
                win32.byref(self._buffer),
                _BUFFER_BYTES,
                0,
                wanted,
                None,
                win32.byref(self._overlapped),
                None,
            )
        )
        return self._is_reading

    def is_due(self) -> bool:
        """Whether ``changes`` has some."""
        return self._is_reading and self._overlapped.Internal != _PENDING

    def changes(self) -> Iterator[str]:
        """The names of what changed since; "" if it is not known, or the directory can be watched no more."""
        while self.is_due():
            count = win32.DWORD()
            was_told = _kernel32.GetOverlappedResult(self._handle, win32.byref(self._overlapped), win32.byref(count), 0)
            block = win32.bytes_at(win32.address_of(self._buffer), count.value) if was_told else b""
            yield from _names(block) if block else ("",)
            if not was_told or not self.begin():
                self._is_reading = False
                yield ""

    def close(self) -> None:
        """Ask for nothing more."""
        if self._is_reading:
            _kernel32.CancelIoEx(self._handle, win32.byref(self._overlapped))
            # The kernel writes into our memory until it says that it has stopped, which is at once.
            while not self.is_due():
                time.sleep(0)
        _kernel32.CloseHandle(self._handle)


def _names(block: bytes) -> Iterator[str]:
    """The names in a chain of FILE_NOTIFY_INFORMATION."""
    offset = 0
    while True:
        following, _action, length = unpack_from("III", block, offset)
        yield block[offset + 12 : offset + 12 + length].decode("utf-16-le", "surrogatepass")
        if not following:
            return
        offset += following
