"""The control socket: a Unix stream socket for this account and for root."""

from __future__ import annotations

import errno
import os
import stat
from _struct import pack, unpack

from stayon.errors import NotPermittedError, TemporaryError, UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from stayon.ports import ControlSocket
else:
    import _socket as socket  # the standard module's C half: the rest (enum, selectors) costs 0.9 MB

# sun_path has 108 bytes on Linux and 104 elsewhere (unix(7)), one of them for the final zero.
LONGEST_PATH = 103
BACKLOG = 16


class UnixDoor:
    """Listens for, and connects to, the verbs of this computer. Every visitor's account is asked of the kernel."""

    def __init__(self) -> None:
        self._spare_fd = -1

    def open(self, path: str) -> socket.socket:
        """Listen at *path*, mode 0600; a stale socket of a dead process is replaced. Non-blocking.

        Raises ``TemporaryError`` if somebody listens there, ``NotPermittedError``, or ``UnavailableError``.
        """
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _Address(path) as address:
                try:
                    door.bind(address)
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:
                        raise
                    self._take_away_if_stale(path, address)
                    door.bind(address)
                # Nobody can connect before listen, so nobody gets in before the mode is right.
                os.chmod(address, 0o600)
            door.listen(BACKLOG)
            door.setblocking(False)
        except OSError as error:
            door.close()
            raise _not_opened(path, error) from error
        except BaseException:
            door.close()
            raise
        if self._spare_fd == -1:
            self._spare_fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        return door

    def accept(self, door: ControlSocket) -> socket.socket | None:
        """The next visitor, non-blocking; None if there is none, or it is neither this account nor root."""
        try:
            fd, _address = door._accept()  # type: ignore[attr-defined]  # the C half of accept
        except (BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self._turn_away(door)
            return None
        visitor = socket.socket(fileno=fd)
        if _peer_uid(visitor) not in (0, os.geteuid()):
            visitor.close()
            return None
        visitor.setblocking(False)
        return visitor

    def connect(self, path: str, timeout_s: float) -> socket.socket:
        """A connection that waits at most *timeout_s* to come about, and as long for each answer.

        Raises ``UnavailableError`` (nobody listens, or not in time) or ``NotPermittedError``, also where root would
        talk to another service than it means: the directory's owner can lay a link there.
        """
        visitor = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # The kernel does the waiting for a place in the queue: a non-blocking connect would be refused at once.
            seconds = int(timeout_s)
            limit = pack("ll", seconds, max(int((timeout_s - seconds) * 1e6), 0 if seconds else 1))
            visitor.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            with _Address(path) as address:
                visitor.connect(address)
            _check_owner(visitor, path)
            visitor.settimeout(timeout_s)
        except OSError as error:
            visitor.close()
            raise _not_connected(path, error) from error
        except BaseException:
            visitor.close()
            raise
        return visitor

    def mark(self, path: str) -> tuple[int, int] | None:
        """Which file is at *path*, None if none is. As long as a socket is open its inode isn't another's. Raises
        ``OSError``.
        """
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def remove(self, path: str) -> None:
        """Take the socket's name away; a missing one is ignored."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return

    def _take_away_if_stale(self, path: str, address: str) -> None:
        """Remove the socket at *path* if nobody listens.

        Two starting at once can't both get here: the lock comes first.
        """
        if not stat.S_ISSOCK(os.lstat(address).st_mode):
            raise UnavailableError(
                "there is something else where the control socket belongs",
                where=path,
                hint="Look at it, and move it away.",
                code="control.not-a-socket",
            )
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            probe.setblocking(False)
            probe.connect(address)
        except ConnectionRefusedError:
            os.unlink(address)
            return
        except BlockingIOError:
            pass  # its queue is full: somebody is there, only busy
        finally:
            probe.close()
        raise TemporaryError(
            "another process listens on the control socket",
            where=path,
            hint="Stop the other instance, or give this one a name of its own.",
            code="control.in-use",
        )

    def _turn_away(self, door: ControlSocket) -> None:
        """Out of descriptors: let the visitor in on the spare one and out again, or the loop would wake for it for
        ever.
        """
        os.close(self._spare_fd)
        try:
            fd, _address = door._accept()  # type: ignore[attr-defined]  # the C half of accept
            os.close(fd)
        except OSError:
            pass  # gone by itself, or another thread took the descriptor: then the next turn tries again
        self._spare_fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)


class _Address:
    """*path* as bind and connect take it. One that is too long goes by way of its directory's descriptor, on Linux."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._directory_fd = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) <= LONGEST_PATH:
            return self._path
        directory, name = os.path.split(self._path)
        if hasattr(os, "O_PATH") and len(os.fsencode(name)) <= LONGEST_PATH - len("/proc/self/fd/1234567/"):
            self._directory_fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            return f"/proc/self/fd/{self._directory_fd}/{name}"
        raise UnavailableError(
            "the path is too long for a control socket",
            where=self._path,
            why=f"the system allows {LONGEST_PATH} bytes",
            hint="Set STAYON_HOME to a directory with a shorter name.",
            code="control.path-too-long",
        )

    def __exit__(self, *_error: object) -> None:
        if self._directory_fd != -1:
            os.close(self._directory_fd)


def _check_owner(visitor: socket.socket, path: str) -> None:
    """Raise ``NotPermittedError`` if who listens is not the owner of the directory, and root asks."""
    owner = os.stat(os.path.dirname(path)).st_uid
    if os.geteuid() == 0 and owner not in (0, _peer_uid(visitor)):
        raise NotPermittedError(
            "another account listens on the control socket than the service's",
            where=path,
            why=f"its directory belongs to the account with the number {owner}",
            hint="Look at what that account has put there.",
            code="control.foreign",
        )


def _peer_uid(visitor: socket.socket) -> int:
    """The account at the other end when it connected: SO_PEERCRED's (pid, uid, gid), unix(7)."""
    uid: int
    if hasattr(socket, "SO_PEERCRED"):
        uid = unpack("iII", visitor.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
        return uid
    # macOS and FreeBSD: LOCAL_PEERCRED (1) at level SOL_LOCAL (0) gives a struct xucred, whose version and uid come
    # first.
    uid = unpack("II", visitor.getsockopt(0, 1, 8))[1]
    return uid


def _not_opened(path: str, error: OSError) -> NotPermittedError | UnavailableError:
    what, why = "the control socket can't be opened", error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "Run the service with the account that owns this directory."
        return NotPermittedError(what, where=path, why=why, hint=hint, code="control.not-permitted")
    hint = "Look at the run directory: it has to exist, on a file system that has sockets."
    return UnavailableError(what, where=path, why=why, hint=hint, code="control.unavailable")


def _not_connected(path: str, error: OSError) -> NotPermittedError | UnavailableError:
    what, why = "no service answers", error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "Use the account that runs the service, or root."
        return NotPermittedError(what, where=path, why=why, hint=hint, code="control.not-permitted")
    if error.errno == errno.EAGAIN:
        hint = "It is too busy, or hung: look at its log."
        return UnavailableError(what, where=path, why="not in time", hint=hint, code="control.busy")
    return UnavailableError(what, where=path, why=why, hint="Is the service running?", code="control.nobody")
