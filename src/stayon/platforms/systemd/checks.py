"""What has to be so before a unit is installed: the account, where the program is, and systemd's own opinion."""

from __future__ import annotations

import os

from stayon.core.places import OWN_ENDINGS
from stayon.errors import FailedError, NotPermittedError, UsageError
from stayon.platforms.systemd import unit
from stayon.platforms.systemd.quoting import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from stayon.core.installation import Installation
    from stayon.platforms.systemd.files import Contents
    from stayon.platforms.systemd.systemctl import Systemctl

_HOMES = ("/home/", "/root/", "/run/user/")
_TEMPORARY = ("/tmp/", "/var/tmp/")  # noqa: S108  # to keep programs out of them

# What systemd has there itself, empty or not: a service of this name would be given it.
_SYSTEMS_OWN = ("journal", "lock", "log", "private", "systemd", "user")

# Whoever is not in the group has no right there: so systemd makes directories for root, too.
_OTHERS = 0o007

# systemd says this of what a later version has; we leave it out ourselves where we know.
_HARMLESS = ("Unknown key", "Unknown lvalue")


def is_in_home(wanted: Installation) -> bool:
    """Whether what it runs is in somebody's home directory."""
    return any(path.startswith(_HOMES) for path in _paths(wanted))


def check(wanted: Installation) -> None:
    """Raise ``UsageError`` for what systemd would only find out at the start."""
    if unit.is_user(wanted):
        return
    hidden = next((path for path in _paths(wanted) if path.startswith(_TEMPORARY)), "")
    if hidden:
        raise UsageError(
            "a service can't have its program where everything is temporary",
            where=hidden,
            why="it has a directory for temporary files of its own, and this one is emptied",
            hint="Move it, for example to /opt.",
            code="systemd.temporary",
        )
    if unit.is_dynamic(wanted):
        _check_home(wanted)
    else:
        _check_account(wanted.account)


def check_free(wanted: Installation, contents: Callable[[str], Contents | None]) -> None:
    """Raise ``NotPermittedError`` "systemd.taken" where systemd would take directories of others for those of a new
    service: it gives them to the service's account, with all that is in them (systemd.exec(5), StateDirectory=).
    """
    paths = unit.made_by_systemd(wanted)
    if paths and wanted.name in _SYSTEMS_OWN:
        raise _taken(wanted, paths[0], "it is the system's own")
    found = {path: there for path in paths if (there := contents(path)) is not None and there.names}
    own = [f"{wanted.name.partition('@')[0]}{ending}" for ending in OWN_ENDINGS]
    if any(name in there.names for there in found.values() for name in own):
        return
    for path, there in found.items():
        # An account that existed only while an earlier one ran has left it; or it is the account's already.
        is_left = there.link.removesuffix("/").endswith(f"private/{wanted.name}")
        if not is_left and not _is_the_accounts(wanted.account, there):
            raise _taken(wanted, path, "it is there, and nothing in it is known to be of a service of this name")


def verify(systemctl: Systemctl, files: Mapping[str, str], own: str, version: int) -> None:
    """Have systemd read *files*, those of the unit *own*, before it has to live with them. Raises ``FailedError``
    "systemd.verify".
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="stayon-") as directory:
        for name, text in files.items():
            path = os.path.join(directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        # An instance has no file of its own: systemd finds its template and its drop-in by its name.
        asked = [own, *(name for name in files if name.endswith(".socket"))]
        answer = systemctl.verify(directory, asked, version)
    said = [each for each in answer.text.splitlines() if any(name in each for name in (*asked, *files))]
    # It warns, and says that all is well, of what it will ignore: then the service is not what was wanted.
    complaints = [each.replace(f"{directory}/", "") for each in said if not any(sign in each for sign in _HARMLESS)]
    if complaints:
        error = FailedError(
            "systemd doesn't accept the unit, nothing was changed",
            hint="Correct what it says.",
            code="systemd.verify",
        )
        error.details = tuple(complaints)
        raise error


def _paths(wanted: Installation) -> Iterable[str]:
    """The files of its command, as they are called and as they are: a venv's python is another's."""
    for each in wanted.command:
        if each.startswith("/"):
            yield each
            yield os.path.realpath(each)


def login_name(account: int) -> str:
    """What the account with this number is called."""
    import pwd

    try:
        return pwd.getpwuid(account).pw_name
    except KeyError:
        return str(account)


def _is_the_accounts(account: str, there: Contents) -> bool:
    import pwd

    user = account.partition(":")[0]
    try:
        owner = int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
    except KeyError:
        return False
    return there.owner == owner and (owner != 0 or not there.mode & _OTHERS)


def _taken(wanted: Installation, path: str, why: str) -> NotPermittedError:
    return NotPermittedError(
        f"the service {wanted.name!r} would take over a directory of others",
        where=path,
        why=why,
        hint="Give the service another name; or, if it is nobody's, move the directory away.",
        code="systemd.taken",
    )


def _check_home(wanted: Installation) -> None:
    from stayon.platforms.places import HOME_VARIABLE

    if HOME_VARIABLE in dict(wanted.environment):
        raise UsageError(
            f"with {HOME_VARIABLE} the service needs an account",
            why="one that exists only while it runs can own nothing there",
            hint="Say --account NAME, or leave the variable out.",
            code="systemd.home-needs-account",
        )


def _check_account(account: str) -> None:
    import grp
    import pwd

    user, colon, group = account.partition(":")
    try:
        int(user) if user.isdigit() else pwd.getpwnam(line(user))
    except KeyError:
        raise UsageError(
            f"there is no account {user!r}",
            hint=f"Make it: useradd --system {user}. Or leave --account out, for one that exists only while it runs.",
            code="systemd.account",
        ) from None
    try:
        if colon and not group.isdigit():
            grp.getgrnam(group)
    except KeyError:
        raise UsageError(
            f"there is no group {group!r}", hint="Make it, or correct it.", code="systemd.account"
        ) from None
