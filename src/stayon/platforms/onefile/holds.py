"""The locks that launchers take, taken by verbs: of a root while something changes there, of a set by who needs it."""

from __future__ import annotations

import os
import sys

from stayon.platforms.onefile.program import LAUNCHER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    _winapi: Any
    fcntl: Any
    msvcrt: Any
elif sys.platform == "win32":
    import _winapi
    import msvcrt
else:
    import fcntl

_IS_WINDOWS = sys.platform == "win32"
_DELETE, _SHARE_ALL, _OPEN_LINK = 0x10000, 7, 0x200000  # <winnt.h>; FILE_FLAG_OPEN_REPARSE_POINT, <winbase.h>

# Handles by which this process held sets.
_gone: list[int] = []
_DESCRIPTORS = "/proc/self/fd"


class Locked:
    """``with Locked(path):`` has the lock file at *path*, and waits for it. Raises ``OSError``."""

    def __init__(self, path: str) -> None:
        self._path, self._fd = path, -1

    def __enter__(self) -> None:
        while self._fd == -1:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
            if _IS_WINDOWS:
                msvcrt.locking(fd, msvcrt.LK_LOCK, 1)  # for ten seconds; nobody has it longer
            else:
                fcntl.flock(fd, fcntl.LOCK_EX)
            if _IS_WINDOWS or _is_at(self._path, fd):
                self._fd = fd
            else:
                os.close(fd)  # whoever had it before has taken the file away

    def __exit__(self, *_error: object) -> None:
        os.close(self._fd)


class Alone:
    """``with Alone(path) as is_so:`` tells whether no other process holds the set at *path*; none can meanwhile.

    On Windows the lock is a file of the set that is open so that nobody may rename it. One may be opened right after
    the look, and then that can't be, which tells as much.
    """

    def __init__(self, path: str) -> None:
        self._path, self._fd = path, -1

    def __enter__(self) -> bool:
        if _IS_WINDOWS:
            _let_go(self._path)
            return not any(_is_held(os.path.join(at, name)) for at, _, names in os.walk(self._path) for name in names)
        self._fd = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        # What this process itself holds is no obstacle: that very lock becomes an exclusive one.
        return all(_taken(fd) for fd in _held_here(self._fd) or [self._fd])

    def __exit__(self, *_error: object) -> None:
        if self._fd != -1:
            os.close(self._fd)


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _let_go(path: str) -> None:
    """Have this process hold the set at *path* no longer."""
    launcher: Any = sys.modules.get(LAUNCHER)
    for held, lock in zip(launcher.sets, launcher.locks, strict=True) if launcher is not None else ():
        if os.path.normcase(held) == os.path.normcase(path) and lock not in _gone:
            _gone.append(lock)
            _winapi.CloseHandle(lock)


def _is_held(path: str) -> bool:
    """Whether a process has the file open so that it can't be renamed; a library that is loaded can be."""
    try:
        handle = _winapi.CreateFile(path, _DELETE, _SHARE_ALL, 0, _winapi.OPEN_EXISTING, _OPEN_LINK, 0)
    except PermissionError:
        return True
    except FileNotFoundError:
        return False
    _winapi.CloseHandle(handle)
    return False


def _held_here(fd: int) -> list[int]:
    """The other descriptors of this process for the directory at *fd*: its launcher's."""
    found, same = os.fstat(fd), []
    for name in os.listdir(_DESCRIPTORS) if os.path.isdir(_DESCRIPTORS) else ():
        try:
            each = os.fstat(int(name))
        except OSError:
            continue  # the listing's own
        if int(name) != fd and (each.st_dev, each.st_ino) == (found.st_dev, found.st_ino):
            same.append(int(name))
    return same


def _is_at(path: str, fd: int) -> bool:
    try:
        found, held = os.lstat(path), os.fstat(fd)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)
