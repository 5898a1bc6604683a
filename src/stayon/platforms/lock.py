"""One holder at a time: flock(2) on a file that is never taken away."""

from __future__ import annotations

import errno
import fcntl
import os

from stayon.errors import NotPermittedError, UnavailableError

UNKNOWN = -1
_PID_BYTES = 11

# The locks of this process. A forked child has their descriptors too, and would keep them locked after our death.
_held: set[FlockLock] = set()


class FlockLock:
    """The system frees it when the process ends, however it ends; the file only tells who holds it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def acquire(self) -> int:
        """0 if it is ours now, else the pid of the holder (-1: unknown). Never waits; acquiring twice is harmless.

        A lock that was kept across an exec (see ``keep_across_exec``) is found again. Raises ``NotPermittedError`` or
        ``UnavailableError`` where the file can't be opened, or its file system has no locks.
        """
        if self._fd != -1:
            return 0
        fd = self._open()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_pid(fd)
            kept = _kept_fd(fd) if holder == os.getpid() else -1
            os.close(fd)
            if kept == -1:
                return holder
            fd = kept
        except OSError as error:
            os.close(fd)
            raise self._failure(error) from error
        self._hold(fd)
        return 0

    def release(self) -> None:
        """Let others have it. The file stays, as taking it away would let two processes hold two files of one name."""
        if self._fd != -1:
            _held.discard(self)
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            os.close(self._fd)
            self._fd = -1

    def is_intact(self) -> bool:
        """Whether the file is still there by which others find the lock; what cleans up directories may have taken
        it.
        """
        try:
            found, held = os.stat(self._path), os.fstat(self._fd)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)

    def keep_across_exec(self) -> None:
        """Call it right before this process is replaced by exec(2): the new program's ``acquire`` finds it still ours.

        Nobody can slip in between, as could if it were released and taken again.
        """
        os.set_inheritable(self._fd, True)

    def leave_to_parent(self) -> None:
        """In a forked child: forget the lock without unlocking it."""
        os.close(self._fd)
        self._fd = -1

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise self._failure(error) from error

    def _hold(self, fd: int) -> None:
        self._fd = fd
        _held.add(self)
        os.set_inheritable(fd, False)
        try:
            os.pwrite(fd, str(os.getpid()).encode().ljust(_PID_BYTES - 1) + b"\n", 0)
        except OSError:
            return  # the disk is full: it is locked all the same, only its holder stays unknown

    def _failure(self, error: OSError) -> NotPermittedError | UnavailableError:
        if error.errno in (errno.EACCES, errno.EPERM):
            return NotPermittedError(
                "the lock can't be opened",
                where=self._path,
                why=os.strerror(error.errno),
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


def _read_pid(fd: int) -> int:
    text = os.pread(fd, _PID_BYTES, 0).strip()
    return int(text) if text.isdigit() else UNKNOWN


def _kept_fd(fd: int) -> int:
    """The inheritable descriptor of *fd*'s file that a former program in this process left us, or -1.

    The pid alone proves nothing: two containers with one shared volume are both pid 1.
    """
    wanted = os.fstat(fd)
    for name in os.listdir("/dev/fd"):
        candidate = int(name)
        try:
            if os.get_inheritable(candidate) and os.path.samestat(os.fstat(candidate), wanted):
                return candidate
        except OSError:
            continue  # the listing's own descriptor, gone by now
    return -1


def _forget_all() -> None:
    for lock in _held:
        lock.leave_to_parent()
    _held.clear()


os.register_at_fork(after_in_child=_forget_all)
