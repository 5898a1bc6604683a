"""What replacing a program's file takes on Windows: a turn, the same rights, and a name put right at the next boot."""

from __future__ import annotations

import os

from stayon.platforms.windows import win32
from stayon.platforms.windows.sids import win32_error

_ALREADY_EXISTS, _NOT_ENOUGH_ROOM = 183, 122
_DACL = 4  # DACL_SECURITY_INFORMATION
_AT_BOOT = 4  # MOVEFILE_DELAY_UNTIL_REBOOT

_kernel32 = win32.Library(
    "kernel32.dll",
    CloseHandle="P>i",
    CreateMutexW="PiZ>P",
    MoveFileExW="ZZI>i",
)
_advapi32 = win32.Library("advapi32.dll", GetFileSecurityW="ZIPIP>i", SetFileSecurityW="ZIP>i")


def turn(executable: str) -> int:
    """A handle that one process has for *executable*, and the system frees with it; -1 if another has it. Raises
    ``OSError``.

    (https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-createmutexw)
    """
    from hashlib import sha256

    name = sha256(os.path.normcase(os.path.abspath(executable)).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    handle: int = _kernel32.CreateMutexW(None, 1, f"Global\\stayon-update-{name}")
    code = win32.last_error()
    if not handle:
        raise win32_error(code)
    if code == _ALREADY_EXISTS:
        close(handle)
        return -1
    return handle


def close(handle: int) -> None:
    """Give it back."""
    _kernel32.CloseHandle(handle)


def copy_rights(like: str, path: str) -> None:
    """Give *path* the access list of *like*. Raises ``OSError``.

    (https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-getfilesecurityw)
    """
    needed = win32.DWORD()
    _advapi32.GetFileSecurityW(like, _DACL, None, 0, win32.byref(needed))
    code = win32.last_error()
    if code != _NOT_ENOUGH_ROOM:
        raise win32_error(code)
    descriptor = (win32.BYTE * needed.value)()
    if not _advapi32.GetFileSecurityW(like, _DACL, descriptor, needed.value, win32.byref(needed)):
        raise win32_error()
    if not _advapi32.SetFileSecurityW(path, _DACL, descriptor):
        raise win32_error()


def rename_at_boot(path: str, to: str) -> bool:
    """Have the system give the file *path* the name *to* when it starts next, if there is none of that name then. Only
    administrators may; gives whether it is noted.

    (https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-movefileexw)
    """
    return bool(_kernel32.MoveFileExW(path, to, _AT_BOOT))


def remove_at_boot(path: str) -> bool:
    """Have the system remove the file, or the empty directory, when it starts next; as ``rename_at_boot``."""
    return bool(_kernel32.MoveFileExW(path, None, _AT_BOOT))
