"""What would go wrong with an installation, found before anything is changed. Decides on what ``survey`` sees, so that
it can be tested anywhere.
"""

from __future__ import annotations

import ntpath

from stayon import exits
from stayon.core.finding import BAD, OK, WARNING, Finding
from stayon.core.record import Record
from stayon.errors import NotPermittedError, StayonError
from stayon.platforms.windows import definition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from stayon.core.installation import Installation, Managed

# GetDriveTypeW (https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-getdrivetypew).
DRIVE_NOWHERE, DRIVE_REMOTE = 1, 4

# Beside the interpreter, or in System32: nothing else is looked at when a service's process starts.
_RUNTIME = "vcruntime140.dll"

_SHOWN = 3


class Sights(Record):
    """What can be asked of the computer; everything by path or name, and nothing is changed.

    *profiles* is the folder of the users' own folders. *check_program* raises ``StayonError`` if ordinary users could
    change what is at a path, and ``OSError`` if that can't be told. *service* gives None for what isn't installed, and
    *is_marked_for_deletion* what the SCM keeps until the last handle is closed. *check_source* raises ``StayonError``
    if somebody else's events have this name. *has_account* tells whether an account is there.
    """

    may_install: Callable[[], bool]
    exists: Callable[[str], bool]
    drive_kind: Callable[[str], int]
    is_substitute: Callable[[str], bool]
    profiles: str
    system_directory: str
    python_dll: str
    check_program: Callable[[str], None]
    service: Callable[[str], Managed | None]
    is_marked_for_deletion: Callable[[str], bool]
    check_source: Callable[[str], None]
    has_account: Callable[[str], bool]


def findings(wanted: Installation, loaded_from: Sequence[str], sights: Sights) -> list[Finding]:
    """Everything that was found, good or bad. Raises nothing of its own."""
    try:
        account = definition.account_of(wanted.account, wanted.name)
        line = definition.configuration(wanted).command
    except StayonError as error:
        return [Finding(BAD, "installation", str(error), error.exit_code)]
    paths = [*_paths(wanted.command, sights), *_tops(loaded_from)]
    return [
        _rights(sights),
        _account(account, sights),
        Finding(OK, "command", line),
        *_interpreter(wanted.command[0], sights),
        _reachable(paths, account, sights),
        _drives(paths, sights),
        _unwritable(paths, sights),
        *_leftovers(wanted.name, sights),
        *_dependencies(wanted, sights),
    ]


def _rights(sights: Sights) -> Finding:
    if sights.may_install():
        return Finding(OK, "rights", "may install services")
    text = (
        "this process may not install services: open the Terminal or Command Prompt by Run as administrator, "
        "and say it there again"
    )
    return Finding(WARNING, "rights", text, exits.NOT_PERMITTED)


def _account(account: definition.Account, sights: Sights) -> Finding:
    if account.kind in (definition.USER, definition.MANAGED) and not sights.has_account(account.name):
        hint = "Write a user of this computer as .\\user, one of a domain as DOMAIN\\user."
        return Finding(BAD, "runs as", f"there is no account {account.name}. {hint}", exits.USAGE)
    if account.name == definition.LOCAL_SYSTEM:
        return Finding(WARNING, "runs as", "LocalSystem may do everything: a service seldom needs that")
    return Finding(OK, "runs as", account.name)


def _interpreter(program: str, sights: Sights) -> list[Finding]:
    if not sights.exists(program):
        text = f"there is no {program}: repair the installation of Python, or install the service with another one"
        return [Finding(BAD, "interpreter", text, exits.UNAVAILABLE)]
    folder = ntpath.dirname(program)
    if "\\windowsapps\\" in f"{folder.lower()}\\":
        text = f"{program} is Python of the Microsoft Store, which no service can use. Install Python from python.org."
        return [Finding(BAD, "interpreter", text, exits.UNAVAILABLE)]
    # Python as python.org builds it; others bring other libraries.
    needed = [sights.python_dll, _RUNTIME] if sights.python_dll.lower().startswith("python") else []
    lost = [
        name
        for name in needed
        if not any(sights.exists(ntpath.join(place, name)) for place in (folder, sights.system_directory))
    ]
    if lost:
        text = f"{', '.join(lost)} is neither beside {program} nor in {sights.system_directory}: repair Python"
        return [Finding(BAD, "interpreter", text, exits.UNAVAILABLE)]
    return [Finding(OK, "interpreter", program)]


def _reachable(paths: Sequence[str], account: definition.Account, sights: Sights) -> Finding:
    """A user's own folder is closed to all but that user, administrators and the system."""
    inside = [path for path in paths if _owner(path, sights.profiles)]
    strange = [path for path in inside if not _is_users(_owner(path, sights.profiles), account)]
    if not strange or account.name == definition.LOCAL_SYSTEM:
        return Finding(OK, "reachable", f"{account.name} can reach all {len(paths)} places that it runs from")
    text = (
        f"{_listed(strange)}: in a user's own folder, which {account.name} can't read. Install Python for all users "
        f"(C:\\Program Files), and put program and virtual environment outside of {sights.profiles}"
    )
    return Finding(BAD, "reachable", text, exits.NOT_PERMITTED)


def _owner(path: str, profiles: str) -> str:
    """Whose own folder *path* is in; "" for nobody's."""
    above = profiles.rstrip("\\").lower() + "\\"
    if not path.lower().startswith(above):
        return ""
    owner = path[len(above) :].partition("\\")[0]
    return "" if owner.lower() == "public" else owner


def _is_users(owner: str, account: definition.Account) -> bool:
    user = account.name.rpartition("\\")[2].partition("@")[0].lower()
    # Where there were two of the name, Windows calls the folder NAME.DOMAIN.
    return account.kind == definition.USER and owner.lower().split(".")[0] == user.split(".")[0]


def _drives(paths: Sequence[str], sights: Sights) -> Finding:
    drives = sorted({ntpath.splitdrive(path)[0].upper() for path in paths})
    strange = [one for one in drives if one.startswith("\\\\") or _is_only_here(one, sights)]
    if strange:
        text = (
            f"{', '.join(strange)}: a drive of the network, or one made by subst, is there for who is logged on, "
            "not for a service. Put program and Python on a disk of this computer"
        )
        return Finding(BAD, "drives", text, exits.UNAVAILABLE)
    return Finding(OK, "drives", ", ".join(drives))


def _is_only_here(drive: str, sights: Sights) -> bool:
    return sights.drive_kind(drive + "\\") in (DRIVE_NOWHERE, DRIVE_REMOTE) or sights.is_substitute(drive)


def _unwritable(paths: Sequence[str], sights: Sights) -> Finding:
    for path in paths:
        try:
            sights.check_program(path)
        except NotPermittedError as error:
            return Finding(BAD, "unwritable", _told(error), error.exit_code)
        except (StayonError, OSError) as error:
            return Finding(WARNING, "unwritable", f"{path}: who may write there can't be told: {error}")
    return Finding(OK, "unwritable", "only administrators may change what it runs")


def _told(error: StayonError) -> str:
    return "; ".join([f"{error.where}: {error.what}: {error.why}", *error.details, error.hint])


def _leftovers(name: str, sights: Sights) -> list[Finding]:
    found = []
    there = sights.service(name)
    if sights.is_marked_for_deletion(name):
        text = (
            f"{name} is marked for deletion, but a program still holds it open. Close services.msc, Task Manager and "
            "Event Viewer, or start the computer anew"
        )
        found.append(Finding(BAD, "leftovers", text, exits.TEMPORARY))
    elif there is not None and not there.mark:
        text = (
            f"a service {name} is there that isn't stayon's ({there.command}). Give yours another name, or --instance"
        )
        found.append(Finding(BAD, "leftovers", text, exits.NOT_PERMITTED))
    elif there is not None and not sights.exists(program_of(there.command)):
        text = f"{name} is installed with {program_of(there.command)}, which is gone; install it again"
        found.append(Finding(WARNING, "leftovers", text))
    try:
        sights.check_source(name)
    except StayonError as error:
        found.append(Finding(BAD, "event log", str(error), error.exit_code))
    return found or [Finding(OK, "leftovers", "none" if there is None else "none; it is installed")]


def _dependencies(wanted: Installation, sights: Sights) -> list[Finding]:
    lost = [name for name in wanted.after if sights.service(name) is None]
    if not lost:
        return []
    return [
        Finding(BAD, "after", f"there is no service {', '.join(lost)}: it could never be started", exits.UNAVAILABLE)
    ]


def _paths(command: Sequence[str], sights: Sights) -> list[str]:
    """Those of the words that are files or folders: interpreter, entry, environment, program, configuration."""
    found = []
    for word in command:
        path = word.rpartition(":")[0] if ".py:" in word else word
        if (ntpath.splitdrive(path)[0] and ntpath.isabs(path)) and sights.exists(path) and path not in found:
            found.append(path)
    return found


def _tops(folders: Iterable[str]) -> list[str]:
    """*folders* without those that are within another."""
    found: list[str] = []
    for folder in sorted(folders, key=lambda path: path.lower()):
        if not any(folder.lower().startswith(top.lower().rstrip("\\") + "\\") or folder == top for top in found):
            found.append(folder)
    return found


def program_of(line: str) -> str:
    """The first word of a command line, without its quotes."""
    return line[1:].partition('"')[0] if line.startswith('"') else line.partition(" ")[0]


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more
