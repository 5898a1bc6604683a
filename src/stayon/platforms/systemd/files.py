"""The files that are units: found, read, and written so that nobody ever sees half of one. Also root's directories."""

from __future__ import annotations

import errno
import os
import stat

from stayon.core.record import Record
from stayon.errors import NotPermittedError, StayonError, UnavailableError
from stayon.platforms.systemd.unit_file import UnitFile, understood

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MODE, _DIRECTORY_MODE = 0o644, 0o755

# What a file is called until it is whole: NAME, this, and the number of the process that writes it.
_UNFINISHED = ".stayon-"


class Contents(Record):
    """A directory: whose it is, the mode's bits, what is in it, and where it leads if it is a link."""

    owner: int
    mode: int
    names: Sequence[str]
    link: str = ""


class UnitDirectory:
    """The directory *top* of an administrator's units, or a user's."""

    def __init__(self, top: str) -> None:
        self.top = top

    def path(self, name: str) -> str:
        """Where the file *name* is, or would be."""
        return os.path.join(self.top, name)

    def read(self, name: str) -> str:
        """The text of *name*; "" if there is none, or no file. Raises ``StayonError``."""
        try:
            # A link to a unit elsewhere is one (systemctl(1), "link"). A pipe would never open, a device never end.
            fd = os.open(self.path(name), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                os.close(fd)
                return ""
            with open(fd, encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            if error.errno == errno.ENXIO:  # a socket (open(2))
                return ""
            raise _explained(self.path(name), error) from error

    def understood(self, name: str) -> UnitFile:
        """What *name* says; nothing if it isn't there."""
        return understood(self.read(name))

    def write(self, name: str, text: str) -> None:
        """Have *name* say *text*, or ("") not be there; on the disk when this returns. Raises ``StayonError``."""
        path = self.path(name)
        try:
            if not text:
                self._remove(path)
                return
            os.makedirs(os.path.dirname(path), exist_ok=True)
            temporary = f"{path}{_UNFINISHED}{os.getpid()}"
            try:
                fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
                with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
                    os.fchmod(fd, _MODE)  # whatever the umask is
                    file.write(text)
                    file.flush()
                    os.fsync(fd)
                os.replace(temporary, path)
            except BaseException:
                _unlink(temporary)
                raise
            _sync(os.path.dirname(path))
        except OSError as error:
            raise _explained(path, error) from error

    def sweep(self, unit: str) -> None:
        """Remove what processes that are gone have not finished of *unit*, its sockets and drop-ins. Raises
        ``StayonError``.
        """
        base = unit.partition("@")[0].removesuffix(".service")
        for directory in ("", f"{unit}.d"):
            for each in self._listed(directory):
                is_its = directory or each.startswith((f"{base}.", f"{base}@", f"{base}-"))
                path = os.path.join(self.top, directory, each)
                if is_its and _is_abandoned(path):
                    self.write(path, "")

    def contents(self, path: str) -> Contents | None:
        """What is at *path*, which is a whole one; None if there is no directory, or not for this account to see."""
        try:
            found = os.stat(path)
            link = os.readlink(path) if os.path.islink(path) else ""
            return Contents(found.st_uid, stat.S_IMODE(found.st_mode), os.listdir(path), link)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        except OSError as error:
            raise _explained(path, error) from error

    def names(self) -> list[str]:
        """All files that may be ours: units, and drop-ins of instances."""
        found = []
        for name in self._listed(""):
            if name.endswith((".service", ".socket")):
                found.append(name)
            elif name.endswith(".service.d") and "@" in name:
                found += [os.path.join(name, each) for each in self._listed(name)]
        return sorted(found)

    def drop_ins(self, unit: str) -> list[str]:
        """The drop-ins of *unit* that are somebody else's."""
        names = [os.path.join(f"{unit}.d", each) for each in self._listed(f"{unit}.d") if each.endswith(".conf")]
        return [self.path(name) for name in sorted(names) if not self.understood(name).ours]

    def is_there(self, path: str) -> bool:
        """Whether there is anything at *path*, which is a whole one."""
        return os.path.lexists(path)

    def make_directory(self, path: str) -> bool:
        """Make *path*, of this account and mode 0755; gives whether there was nothing yet. Raises ``StayonError``."""
        try:
            os.mkdir(path, _DIRECTORY_MODE)
            os.chmod(path, _DIRECTORY_MODE)  # whatever the umask is
        except FileExistsError:
            return False
        except OSError as error:
            raise _explained(path, error) from error
        return True

    def remove_directory(self, path: str) -> None:
        """Remove *path* if it is empty. Raises ``StayonError``."""
        try:
            os.rmdir(path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                raise _explained(path, error) from error

    def _listed(self, name: str) -> list[str]:
        try:
            return os.listdir(self.path(name))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _explained(self.path(name), error) from error

    def _remove(self, path: str) -> None:
        _unlink(path)
        directory = os.path.dirname(path)
        if directory.endswith(".d") and not os.listdir(directory):
            os.rmdir(directory)
        else:
            _sync(directory)


def _is_abandoned(path: str) -> bool:
    """Whether *path* is a file of this account's that a process was writing which isn't there any more."""
    pid = path.rpartition(_UNFINISHED)[2] if _UNFINISHED in path else ""
    if not (pid.isascii() and pid.isdigit()):
        return False
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            return False
        if int(pid) != os.getpid():  # this process is writing nothing now: it was another of this number
            os.kill(int(pid), 0)
            return False
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return True


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _sync(directory: str) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _explained(path: str, error: OSError) -> StayonError:
    why = error.strerror or str(error)
    if isinstance(error, PermissionError):
        return NotPermittedError(
            "what systemd needs can't be written or read",
            where=path,
            why=why,
            hint="Say it as root.",
            code="systemd.access-denied",
        )
    return UnavailableError(
        "what systemd needs can't be written or read",
        where=path,
        why=why,
        hint="Make room for it, or the file system writable.",
        code="systemd.unwritable",
    )
