"""Where the property lists of services are, and how they are read, written and taken away, each with its undo.

There are two directories for each scope: launchd loads what is in the one when the computer starts (or the user logs
in), and doesn't know of the other, from which services are loaded by hand only.
"""

from __future__ import annotations

import errno
import fcntl
import os

from stayon.core.record import Record
from stayon.errors import NotPermittedError, TemporaryError, UnavailableError
from stayon.platforms.launchd import plist
from stayon.platforms.waiting import pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from stayon.platforms.launchd.plist import Kept
    from stayon.platforms.undo import Undo
    from stayon.ports import Clock

ENDING = ".plist"

# How long another installation may take before we give up.
BUSY_LIMIT_S, LOOK_EVERY_S = 20.0, 0.05


class Sites(Record):
    """*loaded* is the directory that launchd reads, *unloaded* the one that it doesn't know; *run* is where services of
    an account of their own have what doesn't outlive them (/var/run is root's, and empty after a start). *is_system*:
    the lists are root's.
    """

    loaded: str
    unloaded: str
    run: str
    is_system: bool

    def path(self, name: str, *, by_itself: bool) -> str:
        """Where the list of *name* belongs; *by_itself*: launchd is to load it."""
        return f"{self.loaded if by_itself else self.unloaded}/{name}{ENDING}"

    def kept(self, name: str) -> list[Kept]:
        """The lists of *name* that are there: mostly none or one, and the one that launchd reads first."""
        paths = [self.path(name, by_itself=by_itself) for by_itself in (True, False)]
        return [found for found in map(read, paths) if found is not None]

    def names(self) -> Iterator[str]:
        """The names that have a list, whosever it is."""
        for directory in (self.loaded, self.unloaded):
            try:
                entries = os.listdir(directory)
            except (FileNotFoundError, PermissionError):
                continue
            for entry in entries:
                if entry.endswith(ENDING) and not entry.startswith("."):
                    yield entry.removesuffix(ENDING)

    def write(self, path: str, raw: bytes) -> Undo:
        """Put *raw* at *path*, whole, as launchd wants it: written by nobody but its owner. Raises ``StayonError``."""
        before = read(path)
        self._put(path, raw)
        return lambda: self._put(path, before.raw) if before is not None else os.unlink(path)

    def move(self, old: str, path: str, raw: bytes) -> Undo:
        """Put *raw* at *path*, and take away what is at *old*. Raises ``StayonError``."""
        unwrite = self.write(path, raw)
        try:
            unremove = self.remove(old)
        except BaseException:
            unwrite()
            raise
        return lambda: (unremove(), unwrite())

    def remove(self, path: str) -> Undo:
        """Take the list at *path* away. Raises ``StayonError``."""
        before = read(path)
        try:
            os.unlink(path)
        except OSError as error:
            raise refused(path, error) from error
        return lambda: self._put(path, before.raw) if before is not None else None

    def _put(self, path: str, raw: bytes) -> None:
        beside = f"{os.path.dirname(path)}/.{os.path.basename(path)}.{os.getpid()}"
        try:
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            try:
                os.fchmod(fd, 0o644)
                if self.is_system:
                    os.fchown(fd, 0, 0)
                with open(fd, "wb", closefd=False) as file:
                    file.write(raw)
                os.fsync(fd)
            finally:
                os.close(fd)
            os.replace(beside, path)
        except OSError as error:
            _take_away(beside)
            raise refused(path, error) from error


class Turn:
    """One installation at a time: the directory's lock, held from ``with`` to its end. Raises ``StayonError``."""

    def __init__(self, sites: Sites, clock: Clock) -> None:
        self._directory, self._clock = sites.unloaded, clock
        self._fd = -1

    def __enter__(self) -> Self:
        try:
            os.makedirs(self._directory, 0o755, exist_ok=True)
            self._fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise refused(self._directory, error) from error
        deadline = self._clock.monotonic() + BUSY_LIMIT_S
        while not self._is_ours():
            if self._clock.monotonic() >= deadline:
                os.close(self._fd)
                raise TemporaryError(
                    "another installation is under way",
                    where=self._directory,
                    hint="Try again when it is done.",
                    code="launchd.busy",
                )
            pause(self._clock, LOOK_EVERY_S)
        return self

    def _is_ours(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def __exit__(self, *_error: object) -> None:
        os.close(self._fd)


def _take_away(beside: str) -> None:
    try:
        os.unlink(beside)
    except OSError:
        return  # it was never made; what is wrong is told already


def read(path: str) -> Kept | None:
    """The list at *path*; None if there is none."""
    try:
        with open(path, "rb") as file:
            return plist.understood(path, file.read())
    except FileNotFoundError:
        return None
    except OSError:
        return plist.Kept(path, b"", None)  # there is something, and it isn't ours to read


def refused(path: str, error: OSError) -> NotPermittedError | UnavailableError:
    """The error for a list that the system doesn't let us write or take away."""
    what, why = "the property list can't be written", error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = "Use sudo for a daemon; without it, --user installs an agent."
        return NotPermittedError(what, where=path, why=why, hint=hint, code="launchd.not-permitted")
    return UnavailableError(what, where=path, why=why, hint="Look at the file system.", code="launchd.not-written")
