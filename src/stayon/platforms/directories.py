"""How a service's directories are made on Unix, and which are not safe to use; the words for both on every system."""

from __future__ import annotations

import errno
import os
import stat

from stayon.errors import NotPermittedError, UnavailableError
from stayon.platforms.places import HOME_VARIABLE

# "1": what STAYON_HOME names may be open to everybody.
TRUSTED_VARIABLE = "STAYON_HOME_TRUSTED"


def make_directory(path: str, mode: int = 0o700) -> None:
    """Make the directory *path* with *mode*, and those above it that are missing; one that is there already is fine.

    Refuses what others could tamper with: a directory of another account (but root's), or in one that everybody may
    write to and that isn't sticky. Raises ``NotPermittedError`` or ``UnavailableError``, which name the directory.
    """
    try:
        _make(path, mode)
    except OSError as error:
        raise not_made(error.filename or path, error) from error
    check_directory(path)


def check_directory(path: str) -> None:
    """Whether a service may keep its things in the directory *path*. Raises as ``make_directory``, and makes
    nothing.
    """
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
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX and not is_trusted(above):
        raise unsafe(above, "everybody may write to it, and it is not sticky")
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        if not os.path.isdir(path):
            raise


def is_trusted(path: str) -> bool:
    """Whether all who may write to *path* are trusted, as its owner says: a volume that one container alone has is open
    to everybody, and Kubernetes knows none that isn't.
    """
    home = os.environ.get(HOME_VARIABLE, "").rstrip("/")
    return path == home and os.environ.get(TRUSTED_VARIABLE, "") == "1"


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
