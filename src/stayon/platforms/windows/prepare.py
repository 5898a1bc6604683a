"""What every process on Windows needs before it becomes a service: standard handles, and a console that shows UTF-8."""

from __future__ import annotations

import os

from stayon.platforms.windows import win32
from stayon.platforms.windows.standard_handles import open_missing_handles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    msvcrt: Any
else:
    import msvcrt

# <winbase.h>, <consoleapi.h>
_STD_HANDLES = (0xFFFFFFF6, 0xFFFFFFF5, 0xFFFFFFF4)  # STD_INPUT_HANDLE, _OUTPUT_, _ERROR_
_VIRTUAL_TERMINAL = 4  # ENABLE_VIRTUAL_TERMINAL_PROCESSING, since Windows 10 1511
_UTF_8 = 65001
_BINARY = 0x8000  # _O_BINARY, <fcntl.h>
_GENERIC_READ, _SHARE_ALL, _OPEN_EXISTING = 0x80000000, 7, 3

# How a process that waits for its successor's end tells it that it is one (see ``successor``).
WAITER = "STAYON_WAITER"

_kernel32 = win32.Library(
    "kernel32.dll",
    CreateFileW="ZIIPIIP>P",
    GetConsoleMode="PP>i",
    GetStdHandle="I>P",
    SetConsoleMode="PI>i",
    SetConsoleOutputCP="I>i",
)


def prepare() -> None:
    """Make this process fit for a long life. Call it first, before there is a second thread; twice is harmless."""
    if WAITER in os.environ:
        from stayon.platforms.windows import successor

        successor.remember()
    open_missing_handles()
    _let_console_show_all()


def suspend() -> None:
    """Nothing: there is no Ctrl-Z here that would ask for it."""


def open_shared(path: str) -> int:
    """A descriptor to read the file at *path*, in nobody's way: it may be renamed and removed meanwhile. Raises
    ``OSError``.
    """
    handle = _kernel32.CreateFileW(path, _GENERIC_READ, _SHARE_ALL, None, _OPEN_EXISTING, 0, None)
    if handle == win32.INVALID_HANDLE_VALUE:
        code = win32.last_error()
        raise OSError(0, win32.text_of(code), path, code)
    fd: int = msvcrt.open_osfhandle(handle, _BINARY)
    return fd


def _let_console_show_all() -> None:
    """Colours, and every letter: the log writes UTF-8 to the console past Python, which else would translate it.

    The code page is the console's, so it stays when we have gone; what runs there next sets its own, or is glad of it.
    """
    for fd in (1, 2):
        if not os.isatty(fd):
            continue
        handle, mode = _kernel32.GetStdHandle(_STD_HANDLES[fd]), win32.DWORD()
        if _kernel32.GetConsoleMode(handle, win32.byref(mode)):
            _kernel32.SetConsoleOutputCP(_UTF_8)
            if not _kernel32.SetConsoleMode(handle, mode.value | _VIRTUAL_TERMINAL):
                os.environ["NO_COLOR"] = "1"  # it would show the escapes
