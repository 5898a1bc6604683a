"""The directories of a service that launchd starts: who makes them, and whose they are."""

from __future__ import annotations

import os
import stat

from stayon.core.installation import Change
from stayon.core.places import Places
from stayon.core.record import Record
from stayon.errors import UsageError
from stayon.platforms.directories import not_made, unsafe
from stayon.platforms.undo import Act, nothing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stayon.core.installation import Installation
    from stayon.platforms.undo import Undo

# By what the service may do there ("publish": all may read what it says of itself).
_MODES = {"read": 0o755, "write": 0o750, "publish": 0o755}


class Owner(Record):
    """Whose directories they are."""

    uid: int
    gid: int


def owner_of(account: str) -> Owner:
    """The numbers of *account* ("" is the one that asks). Raises ``UsageError`` "launchd.account"."""
    if not account:
        return Owner(os.geteuid(), os.getegid())
    import pwd

    try:
        found = pwd.getpwnam(account)
    except KeyError:
        raise UsageError(
            f"there is no account {account!r}", hint="Make it, or correct account=.", code="launchd.account"
        ) from None
    return Owner(found.pw_uid, found.pw_gid)


def places_in(wanted: Installation, run: str) -> Places | None:
    """The places of *wanted*; *run* replaces that for what doesn't outlive it, unless empty. None if it has none."""
    by_access: dict[str, list[str]] = {"read": [], "write": [], "publish": []}
    for path, access in wanted.directories:
        by_access[access].append(path)
    if [len(paths) for paths in by_access.values()] != [1, 2, 1]:
        return None
    logs, state = by_access["write"]
    return Places(by_access["read"][0], logs, state, run or by_access["publish"][0])


def acts(places: Places, owner: Owner) -> list[Act]:
    """What has to be done so that the service has its *places*: nothing for those that are as they should be."""
    wanted = {places.config: "read", places.logs: "write", places.state: "write", places.run: "publish"}
    # Where two are one, it is written to.
    return [
        Act(Change("directory", "", path), _making(path, access, owner))
        for path, access in wanted.items()
        if not _is_so(path, access, owner)
    ]


def _is_so(path: str, access: str, owner: Owner) -> bool:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise not_made(path, error) from error
    return access == "read" or found.st_uid == owner.uid


def _making(path: str, access: str, owner: Owner) -> Callable[[], Undo]:
    def make() -> Undo:
        try:
            return _make(path, _MODES[access], owner if access != "read" else Owner(os.geteuid(), os.getegid()))
        except OSError as error:
            raise not_made(error.filename or path, error) from error

    return make


def _make(path: str, mode: int, owner: Owner) -> Undo:
    if os.path.isdir(path):
        return _hand_over(path, owner)
    missing: list[str] = []
    above = path
    while not os.path.isdir(above):
        missing.append(above)
        above = os.path.dirname(above)
    found = os.stat(above)
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise unsafe(above, "everybody may write to it, and it is not sticky")
    for each in reversed(missing):
        os.mkdir(each, mode if each == path else 0o755)
        os.chmod(each, mode if each == path else 0o755)
    if owner.uid != os.geteuid():
        os.chown(path, owner.uid, owner.gid)
    return lambda: _remove(missing)


def _hand_over(path: str, owner: Owner) -> Undo:
    """Give a directory that is there to the service's account: it has another one now."""
    before = os.lstat(path)
    if stat.S_ISLNK(before.st_mode):
        raise unsafe(path, "it is a link")
    if before.st_uid == owner.uid:
        return nothing
    os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
    return lambda: os.chown(path, before.st_uid, before.st_gid, follow_symlinks=False)


def _remove(made: Sequence[str]) -> None:
    """Those that we have made and that nobody has put anything into."""
    for path in made:
        try:
            os.rmdir(path)
        except OSError:
            return
