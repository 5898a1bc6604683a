"""The control socket of Windows: a named pipe for the service's account, SYSTEM and administrators.

A pipe's name is everybody's to take, so each opening has a name by chance. It stands in a file at the control path,
where only the service may write, so nobody can be in its way. A dead process leaves its name there, which a stranger
may take: by its owner a pipe is known for what it is.
(https://learn.microsoft.com/windows/win32/ipc/named-pipes)
"""

from __future__ import annotations

import os
import time

from stayon.errors import NotPermittedError, TemporaryError, UnavailableError
from stayon.platforms.windows import acl, win32
from stayon.platforms.windows.pipe_ends import Connection, Listener, VisitorEnd
from stayon.platforms.windows.security import pipe_access, read_access
from stayon.platforms.windows.sids import own_sids, win32_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.ports import ControlSocket

PREFIX = "\\\\.\\pipe\\stayon-"
# How many may come in between two turns of the loop; more than these wait for their place.
BACKLOG = 4
LONGEST_NAME = 200

_GENERIC_READ, _GENERIC_WRITE, _OPEN_EXISTING = 0x80000000, 0x40000000, 3
# With these the server may ask who the visitor is, but not act as him: it could be somebody else's.
_FLAGS = 0x40000000 | 0x00100000 | 0x00010000  # FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION
_PIPE_BUSY = 231
# WaitNamedPipeW can't be interrupted, so that Ctrl-C has to wait as long.
_PIECE_MS = 100

_kernel32 = win32.Library("kernel32.dll", CloseHandle="P>i", CreateFileW="ZIIPIIP>P", WaitNamedPipeW="ZI>i")


class PipeDoor:
    """Listens for, and connects to, the verbs of this computer. Who may connect, the pipe's DACL says."""

    def open(self, path: str) -> Listener:
        """Listen at *path*, for this account, SYSTEM and administrators; the file of a dead process is replaced.

        Raises ``TemporaryError`` if somebody listens there, ``NotPermittedError``, or ``UnavailableError``.
        """
        try:
            self._refuse_what_is_there(path)
            listener = Listener(_new_name(path), BACKLOG)
        except OSError as error:
            raise _not_opened(path, error) from error
        try:
            _write(path, listener.name)
        except OSError as error:
            listener.close()
            raise _not_opened(path, error) from error
        return listener

    def accept(self, door: ControlSocket) -> Connection | None:
        """The next visitor, non-blocking; None if there is none, or no room for one."""
        if not isinstance(door, Listener):
            raise TypeError(f"{door!r} was not opened here")
        return door.accept()

    def connect(self, path: str, timeout_s: float) -> VisitorEnd:
        """A connection that waits at most *timeout_s* to come about, and as long for each answer.

        Raises ``UnavailableError`` (nobody listens, or not in time) or ``NotPermittedError``.
        """
        try:
            name = _read(path)
        except OSError as error:
            raise _not_connected(path, error) from error
        if not name.startswith(PREFIX):
            raise _not_connected(path, FileNotFoundError("what is there is no pipe's name"))
        try:
            return VisitorEnd(_opened(path, name, time.monotonic() + timeout_s), timeout_s)
        except OSError as error:
            raise _not_connected(path, error) from error

    def mark(self, path: str) -> str | None:
        """The pipe's name that stands at *path*, None if nothing does. Raises ``OSError``."""
        try:
            return _read(path)
        except FileNotFoundError:
            return None

    def remove(self, path: str) -> None:
        """Take the pipe's name away; a missing one is ignored."""
        try:
            os.unlink(path)
        except (FileNotFoundError, PermissionError):
            return  # somebody is reading it: then it stays, a name that leads to nobody

    def _refuse_what_is_there(self, path: str) -> None:
        try:
            name = _read(path)
        except FileNotFoundError:
            return
        if name and not name.startswith(PREFIX):
            raise UnavailableError(
                "there is something else where the control socket belongs",
                where=path,
                hint="Look at it, and move it away.",
                code="control.not-a-socket",
            )
        # Two starting at once can't both get here: the lock comes first.
        if name and _is_in_use(path, name):
            raise TemporaryError(
                "another process listens on the control socket",
                where=path,
                hint="Stop the other instance, or give this one a name of its own.",
                code="control.in-use",
            )


def _opened(path: str, name: str, deadline: float) -> int:
    """The visitor's end of the pipe *name* that stands in the file at *path*. Raises ``OSError``, also for a pipe that
    has another owner than the file (or administrators, a service, this account).
    """
    while True:
        handle: int = _kernel32.CreateFileW(name, _GENERIC_READ | _GENERIC_WRITE, 0, None, _OPEN_EXISTING, _FLAGS, None)
        if handle != win32.INVALID_HANDLE_VALUE:
            break
        error_code = win32.last_error()
        left_ms = int((deadline - time.monotonic()) * 1000)
        if error_code != _PIPE_BUSY or left_ms <= 0:
            raise win32_error(error_code)
        _kernel32.WaitNamedPipeW(name, min(left_ms, _PIECE_MS))  # whatever it says: the next attempt tells
    try:
        owner = pipe_access(handle).owner
        if acl.is_administrative(owner) or owner in own_sids() or owner == read_access(path).owner:
            return handle
        raise FileNotFoundError(0, "the pipe that has its name is somebody else's")
    except BaseException:
        _kernel32.CloseHandle(handle)
        raise


def _is_in_use(path: str, name: str) -> bool:
    """Whether a service listens there. A pipe that we can't get into is none of ours, or one that is busy: then its
    service has the lock, and we would not be here.
    """
    try:
        handle = _opened(path, name, 0.0)
    except OSError:
        return False
    _kernel32.CloseHandle(handle)
    return True


def _new_name(path: str) -> str:
    stem = os.path.splitext(os.path.basename(path))[0][: LONGEST_NAME - len(PREFIX) - 33]
    return f"{PREFIX}{stem}-{os.urandom(16).hex()}"


def _read(path: str) -> str:
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 4 * LONGEST_NAME).decode("utf-8", "replace")
    finally:
        os.close(fd)


def _write(path: str, name: str) -> None:
    """In place: a file that somebody reads can't be replaced here, but written to. Who reads nothing finds nobody."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, name.encode())
    finally:
        os.close(fd)


def _not_opened(path: str, error: OSError) -> NotPermittedError | UnavailableError:
    what, why = "the control socket can't be opened", error.strerror or str(error)
    if isinstance(error, PermissionError):
        hint = "Run the service with the account that owns this directory."
        return NotPermittedError(what, where=path, why=why, hint=hint, code="control.not-permitted")
    hint = "Look at the run directory: it has to exist, with room for a small file."
    return UnavailableError(what, where=path, why=why, hint=hint, code="control.unavailable")


def _not_connected(path: str, error: OSError) -> NotPermittedError | UnavailableError:
    what, why = "no service answers", error.strerror or str(error)
    if isinstance(error, PermissionError):
        hint = "Use the account that runs the service, or an administrator's, elevated."
        return NotPermittedError(what, where=path, why=why, hint=hint, code="control.not-permitted")
    if getattr(error, "winerror", None) == _PIPE_BUSY:
        hint = "It is too busy, or hung: look at its log."
        return UnavailableError(what, where=path, why="not in time", hint=hint, code="control.busy")
    return UnavailableError(what, where=path, why=why, hint="Is the service running?", code="control.nobody")
