"""Asks a process to end, as Windows does: Ctrl-Break for what has a console, WM_CLOSE for what has windows."""

from __future__ import annotations

from _thread import allocate_lock

from stayon.platforms.windows import win32

_CTRL_BREAK = 1
_WM_CLOSE = 0x10
# The class of a console's window: closing that would end everything in the console, us included.
_CONSOLE_CLASS = "ConsoleWindowClass"

_STD_HANDLES = (0xFFFFFFF6, 0xFFFFFFF5, 0xFFFFFFF4)  # STD_INPUT_HANDLE, _OUTPUT_, _ERROR_

_kernel32 = win32.Library(
    "kernel32.dll",
    AttachConsole="I>i",
    FreeConsole=">i",
    GenerateConsoleCtrlEvent="II>i",
    GetStdHandle="I>P",
    SetStdHandle="IP>i",
)
_user32 = win32.Library(
    "user32.dll",
    EnumWindows="PP>i",
    GetClassNameW="PPi>i",
    GetWindowThreadProcessId="PP>I",
    PostMessageW="PIPP>i",
)

# A process has one console at a time.
_console_lock = allocate_lock()


def ask_to_end(pid: int, *, shares_console: bool) -> None:
    """Ask the process *pid*, which leads a process group of its own. Who doesn't listen is not waited for, and what
    can't be asked is not: the caller kills it in the end.
    """
    if shares_console:
        _kernel32.GenerateConsoleCtrlEvent(_CTRL_BREAK, pid)
    else:
        _break_in_its_own_console(pid)
    _close_windows(pid)


def _break_in_its_own_console(pid: int) -> None:
    """A service has no console, so its children got one each: visit it for as long as it takes.

    (https://learn.microsoft.com/windows/console/generateconsolectrlevent: only to those of the same console, and with
    a group's number only to that group, so not to us.)
    """
    with _console_lock:
        # The visit makes the console's handles our standard ones, which are good for nothing when we have left.
        ours = [_kernel32.GetStdHandle(one) for one in _STD_HANDLES]
        if not _kernel32.AttachConsole(pid):
            return  # it has none, or has ended
        _kernel32.GenerateConsoleCtrlEvent(_CTRL_BREAK, pid)
        _kernel32.FreeConsole()
        for one, handle in zip(_STD_HANDLES, ours, strict=True):
            _kernel32.SetStdHandle(one, handle)


def _close_windows(pid: int) -> None:
    def close(window: int | None, _parameter: int | None) -> int:
        owner = win32.DWORD()
        _user32.GetWindowThreadProcessId(window, win32.byref(owner))
        if owner.value == pid and _class_of(window) != _CONSOLE_CLASS:
            _user32.PostMessageW(window, _WM_CLOSE, None, None)
        return 1

    callback = win32.callback("PP>i", close)
    _user32.EnumWindows(callback, None)


def _class_of(window: int | None) -> str:
    name = win32.text_buffer(64)
    _user32.GetClassNameW(window, name, 64)
    text: str = name.value
    return text
