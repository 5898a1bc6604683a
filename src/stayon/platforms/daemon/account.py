"""Another account: found by its name, and become for good, which is looked at again afterwards."""

from __future__ import annotations

import os

from stayon.core.record import Record
from stayon.errors import NotPermittedError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    Entry = TypeVar("Entry")

# What would lead a process into the session of the account that it was started from.
_OF_A_SESSION = (
    "DBUS_SESSION_BUS_ADDRESS", "MAIL", "SSH_AUTH_SOCK", "XAUTHORITY", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
    "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_SESSION_ID", "XDG_STATE_HOME",
)  # fmt: skip


class Account(Record):
    """An account of this computer; *groups* are all it is in, *gid* among them."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    shell: str = "/bin/sh"


def find(written: str) -> Account:
    """The account USER or USER:GROUP, by names or numbers. Raises ``UsageError`` for one that this computer doesn't
    know.
    """
    import pwd

    user, colon, group = written.partition(":")
    entry = _entry(user, pwd.getpwnam, pwd.getpwuid)
    if entry is None:
        # A number needs no name (containers), but then nobody knows its group.
        if not (user.isascii() and user.isdigit() and group):
            raise _unknown("account", user, "Name one of `getent passwd`, or make it: useradd --system NAME")
        gid = _group(group)
        return Account(user, int(user), gid, (gid,), "/")
    if colon and not group:
        raise _unknown("group", group, "Leave the colon out, or say USER:GROUP.")
    gid = _group(group) if group else entry.pw_gid
    # Asked for here, as the C library's ways to find this out are not for a process that has just been forked.
    groups = tuple(dict.fromkeys((gid, *os.getgrouplist(entry.pw_name, gid))))
    return Account(entry.pw_name, entry.pw_uid, gid, groups, entry.pw_dir or "/", entry.pw_shell or "/bin/sh")


def needed(account: Account | None) -> Account | None:
    """*account* if it isn't the one that we have anyway. Raises ``NotPermittedError`` if only root could become it."""
    if account is None:
        return None
    if os.geteuid() == 0:
        return account
    if account.uid == os.geteuid() and account.gid == os.getegid():
        return None
    raise NotPermittedError(
        f"only root can start it as {account.name}",
        why=f"this is the account with the number {os.geteuid()}",
        hint=f"Use sudo, or su to {account.name} and leave the account out.",
        code="daemon.not-root",
    )


def environment_of(account: Account, environment: Mapping[str, str]) -> dict[str, str]:
    """*environment* as it is for *account*. Pure."""
    kept = {name: value for name, value in environment.items() if name not in _OF_A_SESSION}
    return {**kept, "HOME": account.home, "USER": account.name, "LOGNAME": account.name, "SHELL": account.shell}


def become(account: Account) -> None:
    """Be *account* from here on: supplementary groups, group, user, in this order (credentials(7)), as each takes away
    the right to the one before. Raises ``NotPermittedError``; this process must end then.
    """
    # macOS takes 16.
    limit = max(1, os.sysconf("SC_NGROUPS_MAX"))
    try:
        os.setgroups(account.groups[:limit])
        if hasattr(os, "setresgid"):
            os.setresgid(account.gid, account.gid, account.gid)
            os.setresuid(account.uid, account.uid, account.uid)
        else:
            # For root, these set all three of each (setuid(2) of macOS).
            os.setgid(account.gid)
            os.setuid(account.uid)
    except OSError as error:
        raise _not_become(account, error.strerror or str(error)) from error
    _check(account)


def _check(account: Account) -> None:
    uids = os.getresuid() if hasattr(os, "getresuid") else (os.getuid(), os.geteuid())
    gids = os.getresgid() if hasattr(os, "getresgid") else (os.getgid(), os.getegid())
    if set(uids) != {account.uid} or set(gids) != {account.gid}:
        raise _not_become(account, f"it is user {uids} and group {gids} now")
    # (macOS tells what the directory has of the account, whatever was set: getgroups(2).)
    foreign = set(os.getgroups()) - set(account.groups)
    if foreign and hasattr(os, "getresgid"):
        raise _not_become(account, f"it is still in the groups {sorted(foreign)}")
    if account.uid == 0:
        return
    for name, back in (("user", os.seteuid), ("group", os.setegid)):
        if (name, account.gid) != ("group", 0) and _works(back):
            raise _not_become(account, f"it could become the {name} root again")


def _works(back: Callable[[int], None]) -> bool:
    try:
        back(0)
    except OSError:
        return False
    return True


def _entry(user: str, by_name: Callable[[str], Entry], by_number: Callable[[int], Entry]) -> Entry | None:
    """What the database has for *user*, a name, else a number; None if there is nothing."""
    try:
        return by_name(user)
    except KeyError:
        pass
    try:
        return by_number(int(user)) if user.isascii() and user.isdigit() else None
    except (KeyError, OverflowError):
        return None


def _group(group: str) -> int:
    import grp

    entry = _entry(group, grp.getgrnam, grp.getgrgid)
    if entry is not None:
        return entry.gr_gid
    if group.isascii() and group.isdigit():
        return int(group)
    raise _unknown("group", group, "Name one of `getent group`, or make it: groupadd --system NAME")


def _unknown(kind: str, name: str, hint: str) -> UsageError:
    return UsageError(f"this computer has no {kind} {name!r}", where="--account", hint=hint, code="daemon.account")


def _not_become(account: Account, why: str) -> NotPermittedError:
    return NotPermittedError(
        f"the daemon could not become the account {account.name}, and was not started",
        why=why,
        hint="Start it as root with all rights, or leave the account out.",
        code="daemon.switch",
    )
