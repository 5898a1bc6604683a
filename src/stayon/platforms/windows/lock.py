"""One holder at a time: a locked byte of a file that is never taken away."""

from __future__ import annotations

import os

from stayon.errors import NotPermittedError, UnavailableError
from stayon.platforms.windows import win32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    msvcrt: Any
else:
    import msvcrt

UNKNOWN = -1
_PID_BYTES = 11

# Which byte is locked: one that nobody reads, as nobody can while it is. (A lock may lie beyond the end.)
_WHERE = (0x40000000, 0, 1, 0)  # its offset and its length, each in two halves
_LOCK_VIOLATION = 33
_BINARY, _NO_INHERIT = 0x8000, 0x80  # _O_BINARY, _O_NOINHERIT, <fcntl.h>

_kernel32 = win32.Library("kernel32.dll", LockFile="PIIII>i", UnlockFile="PIIII>i")


# What a process that waits for its successor's end tells it: its own pid, and the lock that it keeps for it.
_KEPT = "STAYON_KEPT_LOCK"


class WindowsLock:
    """The system frees it when the process ends, however it ends; the file only tells who holds it."""

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._fd = -1
        # The pid of the process that keeps it for us, as we are its successor; 0: it is locked by this process.
        self._keeper = 0

    def acquire(self) -> int:
        """0 if it is ours now, else the pid of the holder (-1: unknown). Never waits; acquiring twice is harmless.

        A lock that was kept for us (see ``keep_across_exec``) is ours. Raises ``NotPermittedError`` or
        ``UnavailableError`` where the file can't be opened or locked.
        """
        if self._fd != -1:
            return 0
        fd = self._open()
        code = _lock(fd)
        if code == _LOCK_VIOLATION:
            self._keeper = self._keeper or self._keeper_told()
        if code and not self._keeper:
            holder = _read_pid(fd)
            os.close(fd)
            if code == _LOCK_VIOLATION:
                return holder
            raise self._failure(OSError(code, win32.text_of(code)))
        self._fd = fd
        self._sign(os.getpid())
        return 0

    def release(self) -> None:
        """Let others have it; one that is kept for us they have after our end. The file stays, and goes on saying who
        held it last.
        """
        if self._fd != -1:
            if not self._keeper:
                _kernel32.UnlockFile(msvcrt.get_osfhandle(self._fd), *_WHERE)
            os.close(self._fd)
            self._fd = -1

    def is_intact(self) -> bool:
        """Whether we hold it: what is open, and not shared for deletion, nobody can take away or move.

        If whoever kept it for us has gone, it is taken at this moment.
        """
        if self._keeper and self._fd != -1 and not _lock(self._fd):
            self._keeper = 0
        return self._fd != -1

    def keep_across_exec(self) -> None:
        """Called right before this process starts its successor and waits for its end (it can't be replaced here): the
        successor's ``acquire`` finds the lock held, and its own. Its environment tells it so.
        """
        if self._keeper:
            # The next one, too, is started by who keeps it; until then that is its holder.
            self._sign(self._keeper)
        else:
            os.environ[_KEPT] = f"{os.getpid()} {self._path}"

    def _keeper_told(self) -> int:
        keeper, _, path = os.environ.get(_KEPT, "").partition(" ")
        if not keeper.isdecimal() or path != self._path:
            return 0
        # Our own children are no successors.
        del os.environ[_KEPT]
        return int(keeper)

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | _BINARY | _NO_INHERIT, 0o600)
        except OSError as error:
            raise self._failure(error) from error

    def _sign(self, pid: int) -> None:
        try:
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, str(pid).encode().ljust(_PID_BYTES - 1) + b"\n")
        except OSError:
            return  # the disk is full: it is locked all the same, only its holder stays unknown

    def _failure(self, error: OSError) -> NotPermittedError | UnavailableError:
        if isinstance(error, PermissionError):
            return NotPermittedError(
                "the lock can't be opened",
                where=self._path,
                why=error.strerror or str(error),
                hint="Run the service with the account that owns this file.",
                code="lock.not-permitted",
            )
        return UnavailableError(
            "the lock can't be taken",
            where=self._path,
            why=error.strerror or str(error),
            hint="Put the run directory on a local file system with room to write.",
            code="lock.unavailable",
        )


def _lock(fd: int) -> int:
    """Lock *fd*'s byte; 0, or the error."""
    return 0 if _kernel32.LockFile(msvcrt.get_osfhandle(fd), *_WHERE) else win32.last_error()


def _read_pid(fd: int) -> int:
    os.lseek(fd, 0, os.SEEK_SET)
    text = os.read(fd, _PID_BYTES).strip()
    return int(text) if text.isdigit() else UNKNOWN
