"""What would go wrong with a service of systemd, found before anything is changed. Decides on what ``survey`` sees, so
that it can be tested anywhere.
"""

from __future__ import annotations

from stayon import exits
from stayon.core.finding import BAD, OK, WARNING, Finding
from stayon.core.installation import USER
from stayon.core.places import CONFIG_ENDINGS
from stayon.core.record import Record
from stayon.errors import StayonError
from stayon.platforms import unix_access
from stayon.platforms.systemd import unit_state
from stayon.platforms.systemd.unit import configuration, socket_units, unit_of
from stayon.platforms.unix_access import ENTER, READ, WRITE, Person, Trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stayon.core.installation import Change, Installation
    from stayon.platforms.unix_access import Entry, Obstacle

# The oldest whose units are written; older ones ignore much of the hardening.
OLDEST_VERSION = 240

# Types of SELinux that systemd may start a program of, and read libraries of.
GOOD_TYPES = ("bin_t", "lib_t", "usr_t", "unlabeled_t")

# What bounds a service, and the controller of cgroups that does it.
_CONTROLLERS = {"memory": "memory_bytes", "cpu": "cpu_percent", "pids": "tasks"}

_SHOWN = 3


class Sights(Record):
    """What can be asked of the computer; everything by path or name, and nothing is changed.

    *look* is lstat(2), None for what isn't there, and raises ``PermissionError`` for what this account may not see.
    *person* is an account by its name (None: there is none), *me* who asks. *members* are who is in a group. *lingers*
    tells whether an account's own systemd runs while it isn't logged on. *unit* gives properties of a unit (none: it
    isn't there), *drop_ins* are files that others have added to it, *drift* what installing would change (raises
    ``StayonError`` if it can't be). *names* is what is in a directory (none: nothing that can be seen). *in_use* says
    why an address can't be had ("": it can). *label* is a file's type of SELinux, "" where that isn't enforced;
    *profile* what AppArmor enforces for a program. *controllers* of cgroups bound services here (None: unknown).
    """

    version: Callable[[], int]
    look: Callable[[str], Entry | None]
    person: Callable[[str], Person | None]
    me: Person
    members: Callable[[int], Sequence[int]]
    lingers: Callable[[str], bool]
    unit: Callable[[str], Mapping[str, str]]
    drop_ins: Callable[[str], Sequence[str]]
    drift: Callable[[Installation], Sequence[Change]]
    names: Callable[[str], Sequence[str]]
    in_use: Callable[[str], str]
    is_noexec: Callable[[str], bool]
    label: Callable[[str], str]
    profile: Callable[[str], str]
    journal_lasts: Callable[[], bool]
    controllers: Callable[[], Sequence[str] | None]


def findings(wanted: Installation, loaded_from: Sequence[str], sights: Sights) -> list[Finding]:
    """Everything that was found, good or bad. Raises nothing of its own."""
    account = _account(wanted, sights)
    found = [_systemd(sights), account, Finding(OK, "command", " ".join(wanted.command))]
    if account.verdict == BAD or found[0].verdict == BAD:
        return found  # what it may read can't be told of an account that isn't there
    found += unit_state.findings(wanted, sights.unit(unit_of(wanted.name)), sights.drift)
    found += unit_state.drop_ins(sights.drop_ins(wanted.name))
    person, files = _person(wanted, sights), _files(wanted.command, sights)
    places = [*files, *(path for path in loaded_from if path not in files)]
    found += [
        _guarded("interpreter", lambda: _interpreter(wanted.command[0], person, sights)),
        _guarded("reachable", lambda: _reachable(places, person, sights)),
        _guarded("unwritable", lambda: _unwritable(places, person, sights)),
    ]
    found += [each for look in _MORE for each in look(wanted, person, sights)]
    return found


def _systemd(sights: Sights) -> Finding:
    try:
        version = sights.version()
    except StayonError as error:
        return Finding(BAD, "systemd", str(error), error.exit_code)
    if version < OLDEST_VERSION:
        text = f"{version}: before {OLDEST_VERSION} it knows too little of what keeps a service apart from the rest"
        return Finding(WARNING, "systemd", text)
    return Finding(OK, "systemd", str(version))


def _account(wanted: Installation, sights: Sights) -> Finding:
    """Who it runs as."""
    name = _user(wanted)
    if wanted.scope == USER:
        if name not in ("", sights.me.name):
            text = f"a service of {sights.me.name} alone runs as {sights.me.name}, not as {name}. Leave --user out"
            return Finding(BAD, "runs as", text, exits.USAGE)
        return Finding(OK, "runs as", sights.me.name)
    if not name:
        return Finding(OK, "runs as", "an account of its own, which systemd makes while it runs (DynamicUser)")
    person = sights.person(name)
    if person is None:
        text = f"there is no account {name}. Make it: sudo useradd --system {name}. Or leave --account out"
        return Finding(BAD, "runs as", text, exits.USAGE)
    if person.uid == unix_access.ROOT:
        text = f"{name} may do everything: a service seldom needs that. See what --allow can give it instead"
        return Finding(WARNING, "runs as", text)
    return Finding(OK, "runs as", name)


def _user(wanted: Installation) -> str:
    """The account without the group that may stand behind it."""
    return wanted.account.partition(":")[0]


def _person(wanted: Installation, sights: Sights) -> Person:
    """Who reads and runs the program then."""
    if wanted.scope == USER:
        return sights.me
    known = sights.person(_user(wanted)) if wanted.account else None
    return known or Person("an account of its own", None)


def _guarded(subject: str, look: Callable[[], Finding]) -> Finding:
    """What *look* finds, or that this account can't tell."""
    try:
        return look()
    except OSError as error:
        return Finding(WARNING, subject, f"{error.filename}: {error.strerror}: only root can tell. Try sudo")


def _interpreter(program: str, person: Person, sights: Sights) -> Finding:
    stops = unix_access.obstacle(program, person, sights.look, READ | ENTER)
    if stops is not None and stops.entry is None:
        text = f"there is no {stops.path}: repair Python, or install the service with another one"
        return Finding(BAD, "interpreter", text, exits.UNAVAILABLE)
    if stops is not None:
        return _stopped("interpreter", program, stops, person)
    if sights.is_noexec(program):
        text = f"{program} is on a file system that is mounted noexec: nothing there can be started"
        return Finding(BAD, "interpreter", text, exits.NOT_PERMITTED)
    return Finding(OK, "interpreter", program)


def _reachable(paths: Sequence[str], person: Person, sights: Sights) -> Finding:
    for path in paths:
        stops = unix_access.obstacle(path, person, sights.look)
        if stops is not None and stops.entry is not None:
            return _stopped("reachable", path, stops, person)
    return Finding(OK, "reachable", f"{person.name} can read all {len(paths)} places that it runs from")


def _stopped(subject: str, path: str, stops: Obstacle, person: Person) -> Finding:
    """Which directory or file it is that can't be passed, and what to do."""
    entry = stops.entry
    assert entry is not None  # noqa: S101  # what isn't there has been told by then
    right = "x" if stops.path != path else "rX"
    ways = ["Put Python and program where all may read them, such as below /opt or /srv"]
    if person.uid is None:
        ways.append("or let it run as an account that may: --account NAME")
    if stops.path != "/root":
        ways.append(f"or open it: sudo chmod o+{right} {stops.path}")
    text = (
        f"{path}: {person.name} can't get there: {stops.path} is {entry.permissions} of the account with the number "
        f"{entry.uid}. {', '.join(ways)}"
    )
    if entry.has_list:
        return Finding(WARNING, subject, f"{text}. Its access control list may say otherwise: getfacl {stops.path}")
    return Finding(BAD, subject, text, exits.NOT_PERMITTED)


def _unwritable(paths: Sequence[str], person: Person, sights: Sights) -> Finding:
    """Whoever may change what a service runs may do what the service may."""
    trust = Trust([uid for uid in (unix_access.ROOT, person.uid) if uid is not None], sights.members)
    for path in paths:
        found = unix_access.meddler(path, trust, sights.look)
        if found is not None:
            (stops, who), whose = found, "root's" if person.uid is None else f"root's or {person.name}'s"
            text = (
                f"{path}: {who} could change what it runs, in {stops.path} ({_permissions(stops)}). Make it {whose} "
                f"alone (sudo chown -R root:root {stops.path}; sudo chmod -R go-w {stops.path}), or copy it to /opt"
            )
            return Finding(BAD, "unwritable", text, exits.NOT_PERMITTED)
    return Finding(OK, "unwritable", "nobody else may change what it runs")


def _permissions(stops: Obstacle) -> str:
    return stops.entry.permissions if stops.entry is not None else "gone"


def _files(command: Sequence[str], sights: Sights) -> list[str]:
    """Those of the words that are files: interpreter, entry, program, configuration."""
    found = []
    for word in command:
        path = word.rpartition(":")[0] if ".py:" in word else word
        if path.startswith("/") and path not in found and _is_there(path, sights):
            found.append(path)
    return found


def _is_there(path: str, sights: Sights) -> bool:
    try:
        return [entry for _step, entry in unix_access.way(path, sights.look)][-1] is not None
    except OSError:
        return True  # this account may not see it, which is told then


# -- what is looked at besides: each gives nothing if it has nothing to tell ----------------------------


def _directories(wanted: Installation, person: Person, sights: Sights) -> list[Finding]:
    """What systemd does not make: directories of others, and those that STAYON_HOME has brought elsewhere."""
    found = []
    for path in wanted.writes:
        stops = _blocked(path, person, sights)
        if stops is not None and stops.entry is None:
            text = f"there is no {stops.path}, so it could not be started. Make it: sudo mkdir -p {path}"
            found.append(Finding(BAD, f"--write {path}", text, exits.UNAVAILABLE))
        elif stops is not None:
            text = f"{person.name} may not write there: {stops.path} is {_permissions(stops)}"
            found.append(Finding(WARNING, f"--write {path}", f"{text}. Give it to an account, and say --account"))
    for path, right in wanted.directories:
        if right == "read" or path.startswith(("/var/lib/", "/var/log/", "/run/", "/etc/")) or person.uid is None:
            continue
        stops = _blocked(path, person, sights)
        if stops is not None and stops.entry is not None and stops.path == path:
            text = f"{path}: {person.name} may not write there ({_permissions(stops)}): sudo chown {person.name} {path}"
            found.append(Finding(BAD, "directories", text, exits.NOT_PERMITTED))
    return found


def _configuration(wanted: Installation, _person: Person, sights: Sights) -> list[Finding]:
    """Root's verbs read it, too, so it is to be root's alone. Whoever has installed it otherwise meant it, perhaps."""
    path = configuration(wanted)
    try:
        found = unix_access.meddler(path, Trust([unix_access.ROOT], sights.members), sights.look) if path else None
    except OSError:
        return []  # what this account may not see
    if found is None:
        return []
    stops, who = found
    text = (
        f"{stops.path} ({_permissions(stops)}): {who} could change the configuration, which root's verbs read, too. "
        f"Make it root's: sudo chown -R root:root {stops.path}; sudo chmod -R go-w {stops.path}"
    )
    return [Finding(WARNING, "configuration directory", text)]


def _others_configuration(wanted: Installation, _person: Person, sights: Sights) -> list[Finding]:
    """That a new service will have its configuration in a directory of others; it stays root's all the same."""
    path, own = configuration(wanted), wanted.name.partition("@")[0]
    there = sorted(sights.names(path)) if path and not sights.unit(unit_of(wanted.name)) else []
    if not there or any(f"{own}{ending}" in there for ending in CONFIG_ENDINGS):
        return []
    text = (
        f"{path} is there, with {', '.join(there[:_SHOWN])}{' and more' if there[_SHOWN:] else ''}: if that is another "
        "program's, give the service another name"
    )
    return [Finding(WARNING, "configuration of others", text)]


def _blocked(path: str, person: Person, sights: Sights) -> Obstacle | None:
    try:
        return unix_access.obstacle(path, person, sights.look, READ | WRITE)
    except OSError:
        return None


def _sockets(wanted: Installation, _person: Person, sights: Sights) -> list[Finding]:
    found = []
    for unit, (name, address) in zip(socket_units(wanted), wanted.sockets, strict=True):
        if sights.unit(unit).get("ActiveState") == "active":
            found.append(Finding(OK, f"socket {name}", f"{address}, its own"))
            continue
        why = sights.in_use(address)
        if why:
            text = f"{address}: {why}. Look for the program that listens there: ss -lntp"
            found.append(Finding(BAD, f"socket {name}", text, exits.UNAVAILABLE))
        else:
            found.append(Finding(OK, f"socket {name}", f"{address} is free"))
    return found


def _lingering(wanted: Installation, person: Person, sights: Sights) -> list[Finding]:
    if wanted.scope != USER or sights.lingers(person.name):
        return []
    text = (
        f"it runs only while {person.name} is logged on. To have it run from the computer's start on: "
        f"sudo loginctl enable-linger {person.name}"
    )
    return [Finding(WARNING, "lingering", text)]


def _guards(wanted: Installation, _person: Person, sights: Sights) -> list[Finding]:
    """SELinux and AppArmor, where they may have a word in it."""
    program, found = wanted.command[0], []
    kind = sights.label(program)
    if kind and kind not in GOOD_TYPES and not kind.endswith("_exec_t"):
        text = (
            f"it is enforced, and {program} is of the type {kind}, which systemd may not start. Label it as a program: "
            f"sudo semanage fcontext -a -t bin_t '{program}' && sudo restorecon -v {program}"
        )
        found.append(Finding(WARNING, "SELinux", text))
    profile = sights.profile(program)
    if profile:
        text = f"the profile {profile} holds for {program}: what it doesn't allow, the service can't do (journalctl -k)"
        found.append(Finding(WARNING, "AppArmor", text))
    return found


def _journal(_wanted: Installation, _person: Person, sights: Sights) -> list[Finding]:
    if sights.journal_lasts():
        return []
    text = (
        "there is no /var/log/journal, so logs are gone after a reboot. Have them kept: sudo mkdir -p /var/log/journal"
    )
    return [Finding(WARNING, "journal", text)]


def _bounds(wanted: Installation, _person: Person, sights: Sights) -> list[Finding]:
    there = sights.controllers()
    said = wanted.as_dict()
    lost = [name for name, field in _CONTROLLERS.items() if said[field] and there is not None and name not in there]
    if not lost:
        return []
    return [
        Finding(WARNING, "bounds", f"this computer's cgroups don't bound {', '.join(lost)}: it won't be held to that")
    ]


_MORE = (_directories, _configuration, _others_configuration, _sockets, _lingering, _guards, _journal, _bounds)
