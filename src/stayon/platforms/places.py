"""Where a service's things are on each system, and how their directories are made."""

from __future__ import annotations

import errno
import os
import stat

from stayon.core.record import Record
from stayon.errors import NotPermittedError, UnavailableError, UsageError
from stayon.core.places import Places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# With this in the environment, everything is below $STAYON_HOME/NAME: for containers, and for tests.
HOME_VARIABLE = "STAYON_HOME"

WINDOWS, MACOS = "win32", "darwin"

_PORTS = tuple(kind + number for kind in ("COM", "LPT") for number in "123456789\xb9\xb2\xb3")
_DEVICES = ("CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", *_PORTS)


class Account(Record):
    """Who asks for places: on which system (as ``sys.platform`` says it), as root or not, and that account's home."""

    system: str
    is_root: bool
    home: str


def places_of(name: str, account: Account, env: Mapping[str, str]) -> Places:
    """The places of the service *name* (``NAME`` or ``NAME@INSTANCE``, which is a directory of its own everywhere).

    A pure function: the same everywhere for the same arguments, and nothing is made. Raises ``UsageError`` for a name
    that can't be a directory, or a STAYON_HOME that is not absolute; ``UnavailableError`` where an account has no home.
    """
    _check_name(name, account.system)
    if env.get(HOME_VARIABLE):
        return _below(name, account, env[HOME_VARIABLE])
    if account.system == WINDOWS:
        return _windows(name, env)
    if account.system == MACOS:
        return _macos(name, account)
    if account.is_root:
        return Places(f"/etc/{name}", f"/var/log/{name}", f"/var/lib/{name}", f"/run/{name}")
    return _xdg(name, account, env)


def _below(name: str, account: Account, top: str) -> Places:
    separator = "\\" if account.system == WINDOWS else "/"
    if not _is_absolute(top, account.system):
        raise UsageError(
            f"{HOME_VARIABLE} must be an absolute path", where=top, hint="Write it in full.", code="places.relative"
        )
    own = top.rstrip("/\\") + separator + name + separator
    return Places(own + "config", own + "logs", own + "state", own + "run")


def _windows(name: str, env: Mapping[str, str]) -> Places:
    own = env.get("ProgramData", "C:\\ProgramData") + "\\" + name
    return Places(own, own + "\\logs", own + "\\state", own + "\\run")


def _macos(name: str, account: Account) -> Places:
    if account.is_root:
        own = f"/Library/Application Support/{name}"
        return Places(own, f"/Library/Logs/{name}", own, f"/var/run/{name}")
    library = f"{_home(account)}/Library"
    own = f"{library}/Application Support/{name}"
    return Places(own, f"{library}/Logs/{name}", own, f"{own}/run")


def _xdg(name: str, account: Account, env: Mapping[str, str]) -> Places:
    """By the XDG Base Directory Specification 0.8, which says that a relative path counts as none."""

    def directory(variable: str, default: str) -> str:
        value = env.get(variable, "")
        return value.rstrip("/") if value.startswith("/") else f"{_home(account)}/{default}"

    state = f"{directory('XDG_STATE_HOME', '.local/state')}/{name}"
    runtime = env.get("XDG_RUNTIME_DIR", "")
    # No session, no XDG_RUNTIME_DIR (cron, su, containers). /tmp is everybody's, so the state directory has to do.
    run = f"{runtime.rstrip('/')}/{name}" if runtime.startswith("/") else f"{state}/run"
    return Places(f"{directory('XDG_CONFIG_HOME', '.config')}/{name}", f"{state}/logs", state, run)


def _home(account: Account) -> str:
    if not account.home.startswith("/"):
        raise UnavailableError(
            "this account has no home directory",
            hint=f"Set {HOME_VARIABLE} to a directory in which the service may keep its things.",
            code="places.no-home",
        )
    return account.home.rstrip("/")


def _is_absolute(path: str, system: str) -> bool:
    if system == WINDOWS:
        return path.startswith("\\\\") or path[1:3] in (":\\", ":/")
    return path.startswith("/")


def _check_name(name: str, system: str) -> None:
    is_bad = not name or name.startswith(".") or any(letter in '/\\:*?"<>|' or letter < " " for letter in name)
    if system == WINDOWS and not is_bad:
        # The end is cut off there, so that two names would be one; and a device's name is the device, in any directory
        # (https://learn.microsoft.com/windows/win32/fileio/naming-a-file).
        is_bad = name[-1] in ". " or name.partition(".")[0].rstrip().upper() in _DEVICES
    if is_bad:
        raise UsageError(
            "a service's name has to be one that a directory can have",
            where=repr(name),
            hint="Use letters, digits, '-', '_' and '.', then @INSTANCE if there are several.",
            code="places.bad-name",
        )


def make_directory(path: str, mode: int = 0o700) -> None:
    """Make the directory *path* with *mode*, and those above it that are missing; one that is there already is fine.

    Refuses what others could tamper with: a directory of another account (but root's), or in one that everybody may
    write to and that isn't sticky. Raises ``NotPermittedError`` or ``UnavailableError``, which name the directory.
    """
    if os.name == "nt":
        from stayon.platforms.windows import security

        security.make_directory(path, mode)
        return
    try:
        _make(path, mode)
    except OSError as error:
        raise not_made(error.filename or path, error) from error
    check_directory(path)


def check_directory(path: str) -> None:
    """Whether a service may keep its things in the directory *path*. Raises as ``make_directory``, and makes
    nothing.
    """
    if os.name == "nt":
        from stayon.platforms.windows import security

        security.check_directory(path)
        return
    try:
        found = os.stat(path)
    except OSError as error:
        raise not_made(error.filename or path, error) from error
    if found.st_uid not in (0, os.geteuid()):
        raise unsafe(path, f"it belongs to the account with the number {found.st_uid}")
    if found.st_mode & stat.S_IWOTH:
        raise unsafe(path, "everybody may write to it")
    if not os.access(path, os.W_OK | os.X_OK):
        raise not_made(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def _make(path: str, mode: int) -> None:
    above = os.path.dirname(path.rstrip("/"))
    if not os.path.isdir(above):
        _make(above, max(mode, 0o755) if above != path else mode)
    if os.path.isdir(path):
        return
    found = os.stat(above)
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise unsafe(above, "everybody may write to it, and it is not sticky")
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        if not os.path.isdir(path):
            raise


def unsafe(path: str, why: str) -> NotPermittedError:
    """The error for a directory in which others could meddle."""
    return NotPermittedError(
        "the directory is not safe for a service's things",
        where=path,
        why=why,
        hint=f"Correct its owner and permissions, or set {HOME_VARIABLE} to another directory.",
        code="places.unsafe",
    )


def not_made(path: str, error: OSError) -> NotPermittedError | UnavailableError:
    """The error for a directory that the system refuses."""
    what, why = "the directory can't be made, or not written to", error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = f"Use an account that may, or set {HOME_VARIABLE} to a directory where this one may write."
        return NotPermittedError(what, where=path, why=why, hint=hint, code="places.not-permitted")
    hint = f"Make room for it, or set {HOME_VARIABLE} to another directory."
    return UnavailableError(what, where=path, why=why, hint=hint, code="places.unavailable")
