"""What would go wrong with a job of launchd's, found before anything is changed."""

from __future__ import annotations

import os

from stayon import exits
from stayon.core.finding import BAD, OK, WARNING, Finding
from stayon.errors import StayonError
from stayon.platforms.launchd import directories, plist
from stayon.platforms.unix_access import Entry, Person, obstacle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stayon.core.installation import Installation
    from stayon.platforms.launchd.sites import Sites

# Where macOS lets none of launchd's programs in, whatever the permissions say, until somebody has clicked on "Allow"
# (which nobody can, for what has no window).
_GUARDED = ("Desktop", "Documents", "Downloads", "Library/Mobile Documents")


def preflight(sites: Sites, home: str) -> Callable[[Installation, Sequence[str]], list[Finding]]:
    """The look at an installation in *sites*, by a user with that *home*."""

    def look(wanted: Installation, loaded_from: Sequence[str]) -> list[Finding]:
        try:
            account = plist.account_of(wanted) if sites.is_system else ""
            plist.checked_name(wanted.name)
            owner = directories.owner_of(account)
        except StayonError as error:
            return [Finding(BAD, "installation", str(error), error.exit_code)]
        paths = list(dict.fromkeys([*(word for word in wanted.command if word.startswith("/")), *loaded_from]))
        found = [_account(account, owner), _guarded(paths, home), *_interpreter(wanted.command[0])]
        if account and owner.uid:
            groups = tuple(os.getgrouplist(account, owner.gid))
            found.append(_readable(paths, Person(account, owner.uid, groups)))
        return found

    return look


def _account(account: str, owner: directories.Owner) -> Finding:
    text = f"{account or 'the user who asks'} (uid {owner.uid})"
    if account and owner.uid == 0:
        return Finding(WARNING, "account", f"{text}: it may do everything; give it an account of its own")
    return Finding(OK, "account", text)


def _guarded(paths: Sequence[str], home: str) -> Finding:
    tops = [f"{home}/{each}/" for each in _GUARDED] if home else []
    found = next((path for path in paths if path.startswith(tuple(tops))), "")
    if not found:
        return Finding(OK, "privacy", "nothing of it is where macOS keeps jobs out")
    text = f"{found}: macOS keeps jobs out of this directory: move the program and its virtual environment elsewhere"
    return Finding(BAD, "privacy", text, exits.NOT_PERMITTED)


def _interpreter(path: str) -> list[Finding]:
    if os.access(path, os.X_OK):
        return [Finding(OK, "interpreter", path)]
    return [Finding(BAD, "interpreter", f"{path} is not there, or can't be run", exits.UNAVAILABLE)]


def _readable(paths: Sequence[str], person: Person) -> Finding:
    """Whether a daemon's account may read what it runs, by the modes on the way there."""
    for path in paths:
        found = obstacle(path, person, _look)
        if found is not None and found.entry is not None:
            text = (
                f"{person.name} may not read {path}: {found.path} is {found.entry.permissions}. "
                "Move it to where all may read, such as /usr/local, or say --account"
            )
            return Finding(BAD, "readable", text, exits.NOT_PERMITTED)
    return Finding(OK, "readable", f"{person.name} may read the program and its interpreter")


def _look(path: str) -> Entry | None:
    try:
        found = os.lstat(path)
        link = os.readlink(path) if os.path.islink(path) else ""
    except OSError:
        return None
    return Entry(found.st_mode, found.st_uid, found.st_gid, link)
