"""The directories of a daemon, which are its account's before it is."""

from __future__ import annotations

import os
import stat

from stayon.errors import NotPermittedError
from stayon.platforms.directories import is_trusted, unsafe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stayon.platforms.daemon.account import Account
    from stayon.platforms.unix_access import Entry

_MODE = 0o750


def provide(paths: Sequence[str], account: Account | None, make: Callable[[str, int], None]) -> None:
    """Have the directories *paths*, made by *make* where they are missing, belong to *account* (None: to this one),
    with what root has left in them. Raises ``StayonError``.
    """
    if account is None:
        for path in paths:
            make(path, _MODE)
        return
    before = os.umask(0o022)  # it has to get through those above, which stay root's
    try:
        for path in paths:
            _check_way(path, account)
            if _owner(path) != account.uid:
                make(path, _MODE)
            _give(path, account)
        _open_common(paths, account)
    finally:
        os.umask(before)


def meddler_above(path: str, uids: Sequence[int]) -> tuple[str, str] | None:
    """Where on the way to *path*, which needn't be there, somebody but root and *uids* could have another file found,
    and who; None if nobody can. Raises ``OSError``.
    """
    from stayon.platforms import unix_access

    trust = unix_access.Trust((unix_access.ROOT, *uids), _members)
    found = unix_access.meddler(path, trust, _look)
    return None if found is None else (found[0].path, found[1])


def _look(path: str) -> Entry | None:
    from stayon.platforms import unix_access

    try:
        found = os.lstat(path)
        link = os.readlink(path) if stat.S_ISLNK(found.st_mode) else ""
    except (FileNotFoundError, NotADirectoryError):
        return None
    return unix_access.Entry(found.st_mode, found.st_uid, found.st_gid, link)


def _members(group: int) -> list[int]:
    """The accounts that have *group*, as their first or another."""
    import grp
    import pwd

    try:
        names = grp.getgrgid(group).gr_mem
    except KeyError:
        names = []
    return [each.pw_uid for each in pwd.getpwall() if each.pw_gid == group or each.pw_name in names]


def _check_way(path: str, account: Account) -> None:
    """Raise ``NotPermittedError`` if a third account could have root make, and give away, something else."""
    above = os.path.dirname(path)
    found = meddler_above(above, (account.uid,))
    if found is not None and not is_trusted(found[0]):
        raise unsafe(found[0], f"it may be changed by {found[1]}, and {account.name} is to have what is in it")


def _open_common(paths: Sequence[str], account: Account) -> None:
    """Let *account* through the directory that has all of them and nothing else; root may have made it for itself."""
    common = os.path.dirname(paths[0])
    if any(os.path.dirname(path) != common for path in paths):
        return
    fd = os.open(common, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if found.st_uid == 0 and not found.st_mode & stat.S_IXOTH:
            os.fchown(fd, -1, account.gid)
            os.fchmod(fd, stat.S_IMODE(found.st_mode) | stat.S_IXGRP)
    finally:
        os.close(fd)


def _owner(path: str) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_uid
    except OSError:
        return -1


def _give(path: str, account: Account) -> None:
    """Only what is root's is given away: nobody else can have laid a link there. The directory itself goes last."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        owner = os.fstat(fd).st_uid
        if owner == account.uid:
            return
        if owner != 0:
            raise NotPermittedError(
                f"the directory belongs to another account than {account.name}",
                where=path,
                why=f"its owner has the number {owner}",
                hint=f"If it may have all that is in there: chown -R {account.name} {path}",
                code="daemon.foreign-directory",
            )
        for _directory, directories, files, within in os.fwalk(".", dir_fd=fd, topdown=False):
            for name in (*directories, *files):
                found = os.stat(name, dir_fd=within, follow_symlinks=False)
                if found.st_uid == 0:
                    os.chown(name, account.uid, account.gid, dir_fd=within, follow_symlinks=False)
        os.fchown(fd, account.uid, account.gid)
    finally:
        os.close(fd)
