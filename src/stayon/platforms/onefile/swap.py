"""A program's file, and that beside it in the layout "pair", replaced by another while it runs: what Unix and Windows
allow, so that after each step, and after a loss of power, there is a whole program at the place.

The new one is put beside it under another name, the running one gets the name of an old one, and stays until the new
one has proved itself.
"""

from __future__ import annotations

import os
import sys

from stayon.core.record import Record
from stayon.errors import TemporaryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_IS_WINDOWS = sys.platform == "win32"
_CHUNK_BYTES = 1 << 20
_EXE, _PAIR = ".exe", ".pkg"
_NEW, _OLD = ".new", ".old"

# What a file's owner has given it besides its mode (xattr(7)): rights on ports below 1024, lists, SELinux's type.
_ATTRIBUTES = ("system.posix_acl_access", "security.selinux", "security.capability")


class Piece(Record):
    """One file of a program: its place, where the new one waits, and where the old one stays meanwhile."""

    path: str
    new: str
    old: str


def pieces(executable: str) -> tuple[Piece, Piece]:
    """The program's file, and the one beside it, which may not be there."""
    stem = executable.removesuffix(_EXE)
    ending = executable[len(stem) :]
    program = Piece(executable, stem + _NEW + ending, stem + _OLD + ending)
    return program, Piece(*(pair_of(path) for path in program.as_dict().values()))


def pair_of(executable: str) -> str:
    """The file beside *executable* in which the layout "pair" has all but the launcher."""
    return executable.removesuffix(_EXE) + _PAIR


def original(executable: str) -> str:
    """The place of a program that is at *executable* only because an update was cut short; "" for any other."""
    stem = executable.removesuffix(_EXE)
    base = stem.removesuffix(_NEW).removesuffix(_OLD)
    path = base + executable[len(stem) :]
    return path if path != executable and not os.path.lexists(path) else ""


class Turn:
    """``with Turn(executable):`` is the only update of *executable*. Raises ``TemporaryError`` "update.running"."""

    def __init__(self, executable: str) -> None:
        self._executable, self._held = executable, 0

    def __enter__(self) -> None:
        if _IS_WINDOWS:
            self._held = _windows().turn(self._executable)
        else:
            self._held = _flock(self._executable)
            # The file that an update has replaced is locked by it until it is done.
            old = _flock(pieces(self._executable)[0].old) if self._held > 0 else 0
            if old > 0:
                os.close(old)
            elif old < 0:
                os.close(self._held)
                self._held = -1
        if self._held < 0:
            raise TemporaryError(
                "another update of this program is under way",
                where=self._executable,
                hint="Wait for its end; status tells what runs.",
                code="update.running",
            )

    def __exit__(self, *_error: object) -> None:
        if _IS_WINDOWS:
            _windows().close(self._held)
        else:
            os.close(self._held)


def stage(source: str, piece: Piece) -> None:
    """Put a copy of *source* beside the program, with the program's owner, mode and rights, and see it onto the disk.
    Raises ``OSError``.
    """
    discard(piece.new)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    to = os.open(piece.new, flags, 0o600)
    try:
        with open(source, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                _write(to, chunk)
        like = piece.path if os.path.lexists(piece.path) else source
        if _IS_WINDOWS:
            _windows().copy_rights(like, piece.new)
        else:
            _copy_rights(like, to)
        os.fsync(to)
    finally:
        os.close(to)


def swap(staged: Sequence[Piece]) -> None:
    """Put the new files into their places; all, or none. Raises ``OSError``."""
    done: list[Piece] = []
    try:
        for piece in staged:
            _swap(piece)
            done.append(piece)
    except OSError:
        for piece in reversed(done):
            take_back(piece)
        raise


def take_back(piece: Piece) -> None:
    """Put the old file into its place again. Raises ``OSError``."""
    if not os.path.lexists(piece.old):
        discard(piece.path)  # it was new altogether
        return
    if _IS_WINDOWS:
        discard(piece.new)
        if os.path.lexists(piece.path):
            os.rename(piece.path, piece.new)  # it may be running
    os.replace(piece.old, piece.path)
    sync_directory(piece.path)
    discard(piece.new)


def discard(path: str) -> bool:
    """Remove a file that may not be there; False where it is in use, as a program that runs is on Windows."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return True
    except PermissionError:
        if not _IS_WINDOWS:
            raise
        return False
    return True


def tidy(executable: str) -> None:
    """Remove what an update has left that is over, as far as it can be: on Windows, what still runs can't."""
    left = [path for piece in pieces(executable) for path in (piece.new, piece.old) if os.path.lexists(path)]
    if not left or not os.path.lexists(executable):
        return
    try:
        with Turn(executable):
            for path in left:
                discard(path)
    except (TemporaryError, OSError):
        return  # it goes on, or is another account's: another time


def sync_directory(path: str) -> None:
    """See the name *path* onto the disk, where that can be asked for."""
    if _IS_WINDOWS:
        return
    fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _swap(piece: Piece) -> None:
    if _IS_WINDOWS:
        _swap_by_names(piece)
        return
    discard(piece.old)
    if os.path.lexists(piece.path):
        os.link(piece.path, piece.old, follow_symlinks=False)
    # In one step: there is never none.
    os.replace(piece.new, piece.path)
    sync_directory(piece.path)


def _swap_by_names(piece: Piece) -> None:
    """Where a running program can be renamed, but not replaced. What is cut short in between is repaired at the next
    start of the computer: the old one gets its name again if there is none of that name.
    """
    if not discard(piece.old):
        raise TemporaryError(
            "the program that an earlier update has replaced still runs",
            where=piece.old,
            hint="End it (Task Manager names it), then say it again.",
            code="update.running",
        )
    if not os.path.lexists(piece.path):
        os.rename(piece.new, piece.path)
        return
    _windows().rename_at_boot(piece.old, piece.path)
    os.rename(piece.path, piece.old)
    try:
        os.rename(piece.new, piece.path)
    except OSError:
        os.rename(piece.old, piece.path)
        raise


def _windows() -> Any:
    """What only Windows' own room has; this one is below all those rooms."""
    return __import__("stayon.platforms.windows.program_file", fromlist=["turn"])


def _write(fd: int, chunk: bytes) -> None:
    while chunk:
        chunk = chunk[os.write(fd, chunk) :]


def _copy_rights(like: str, fd: int) -> None:
    found = os.stat(like)
    os.fchown(fd, found.st_uid, found.st_gid)
    os.fchmod(fd, found.st_mode & 0o7777)
    for name in _ATTRIBUTES if sys.platform == "linux" else ():
        try:
            os.setxattr(fd, name, os.getxattr(like, name))
        except OSError:
            continue  # it has none, or the file system has none


def _flock(path: str) -> int:
    """A descriptor that has the file's lock, which the system frees with the process; 0 where there is no such file, -1
    if another process has the lock.
    """
    import fcntl

    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return -1
    return fd
