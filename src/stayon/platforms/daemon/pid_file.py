"""A pid file for whoever starts and stops daemons from outside. Its lock says whether it counts, not its number."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from stayon.errors import NotPermittedError, StayonError, TemporaryError, UnavailableError, UsageError
from stayon.platforms.daemon.directories import meddler_above

_MODE = 0o644
_NUMBER_BYTES = 20
_TRIES = 10


class PidFile:
    """The file at *path*, locked for as long as the daemon lives, however it ends. *fd* is its lock where a former
    program in this process, or the parent, has taken it (-1: nobody has).

    The descriptor that the daemon keeps can't write: a daemon that was taken over by somebody must not choose whom the
    administrator's script kills next.
    """

    def __init__(self, path: str, fd: int = -1) -> None:
        self.path, self.fd = path, fd
        if fd != -1:
            os.set_inheritable(fd, False)
            # A forked child has the descriptor, too, and would keep the file locked after our death.
            os.register_at_fork(after_in_child=self._leave_to_parent)

    def acquire(self, *, is_for_another: bool = False) -> None:
        """Lock the file, made if it is missing; one that is there must belong to this account. *is_for_another*: the
        daemon is to be another account than root, and must not be able to put another file there either.

        Raises ``TemporaryError`` if a process holds it, ``NotPermittedError`` where others could meddle with it,
        ``UsageError`` if it is something else than a pid file, ``UnavailableError`` if the system refuses.
        """
        self._check_directory()
        if is_for_another:
            self._check_way()
        for _ in range(_TRIES):
            try:
                fd = os.open(self.path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, _MODE)
            except OSError as error:
                raise self._not_opened(error) from error
            try:
                self._check(fd)
                self._lock(fd)
            except BaseException:
                os.close(fd)
                raise
            if self._is(fd):
                self.fd = fd
                return
            os.close(fd)  # its last holder has removed it meanwhile
        raise self._held(0)

    def write(self, pid: int) -> None:
        """Write *pid* into it. Raises ``UnavailableError``."""
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                if not os.path.samestat(os.fstat(fd), os.fstat(self.fd)):
                    raise FileNotFoundError(errno.ENOENT, "another file has taken its place")
                os.ftruncate(fd, 0)
                os.write(fd, b"%d\n" % pid)
                os.fchmod(fd, _MODE)
            finally:
                os.close(fd)
        except OSError as error:
            raise self._not_opened(error) from error

    def remove(self) -> None:
        """Take it away, while it is still locked. Where this account may not, it stays, and nobody holds it."""
        if self.fd != -1 and self._is(self.fd):
            try:
                os.unlink(self.path)
            except OSError:
                return

    def close(self) -> None:
        """Let go of it; whoever has the same descriptor still holds it."""
        if self.fd != -1:
            os.close(self.fd)
            self.fd = -1

    def _leave_to_parent(self) -> None:
        self.close()

    def _is(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.stat(self.path, follow_symlinks=False), os.fstat(fd))
        except OSError:
            return False

    def _check_directory(self) -> None:
        directory = os.path.dirname(self.path)
        try:
            mode = os.stat(directory).st_mode
        except OSError as error:
            raise self._not_opened(error) from error
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise self._unsafe("everybody may write to its directory, which is not sticky")

    def _check_way(self) -> None:
        """Nobody but root may say which file it is: who can replace it chooses whom root's script kills."""
        found = meddler_above(self.path, ())
        if found is not None:
            path, who = found
            raise self._unsafe(
                f"{path} may be changed by {who}", hint="Put it where only root may write: --pid-file /run/NAME.pid"
            )

    def _check(self, fd: int) -> None:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise self._no_pid_file("it is no regular file")
        if found.st_uid != os.geteuid():
            raise self._unsafe(f"it belongs to the account with the number {found.st_uid}")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise self._unsafe("others may write to it")
        if found.st_nlink > 1:
            raise self._unsafe("it has a second name")
        written = os.pread(fd, _NUMBER_BYTES + 1, 0)
        if len(written) > _NUMBER_BYTES or (written.strip() and not written.strip().isdigit()):
            raise self._no_pid_file("there is something else than a number in it")

    def _lock(self, fd: int) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            written = os.pread(fd, _NUMBER_BYTES, 0).strip()
            raise self._held(int(written) if written.isdigit() else 0) from error
        except OSError as error:
            raise self._not_opened(error) from error

    def _held(self, pid: int) -> TemporaryError:
        return TemporaryError(
            "another process holds the pid file" + (f", pid {pid}" if pid else ""),
            where=self.path,
            hint="Stop that one first, or say another --pid-file.",
            code="daemon.pid-file-held",
        )

    def _unsafe(
        self, why: str, hint: str = "Correct its owner and permissions, or put it into a directory of the daemon's own."
    ) -> NotPermittedError:
        return NotPermittedError(
            "the pid file is not safe: others could have a process killed by it",
            where=self.path,
            why=why,
            hint=hint,
            code="daemon.pid-file-unsafe",
        )

    def _no_pid_file(self, why: str) -> UsageError:
        return UsageError(
            "it is no pid file, and is left alone",
            where=self.path,
            why=why,
            hint="Say another --pid-file.",
            code="daemon.no-pid-file",
        )

    def _not_opened(self, error: OSError) -> StayonError:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            return self._unsafe("it is a symbolic link")
        if error.errno in (errno.EISDIR, errno.ENXIO):
            return self._no_pid_file("it is no regular file")
        what, why = "the pid file can't be written", error.strerror or str(error)
        hint = "Name a file in a directory that exists, and where this account may write."
        if error.errno in (errno.EACCES, errno.EPERM):
            return NotPermittedError(what, where=self.path, why=why, hint=hint, code="daemon.pid-file")
        return UnavailableError(what, where=self.path, why=why, hint=hint, code="daemon.pid-file")
