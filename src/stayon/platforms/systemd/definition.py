"""From a wanted ``Installation`` to the files that make it, and from files to differences in words: pure."""

from __future__ import annotations

from stayon.core import installation
from stayon.core.installation import Change
from stayon.core.record import Record
from stayon.platforms.systemd import hardening, restarts, socket_unit, template, unit
from stayon.platforms.systemd.unit import OURS
from stayon.platforms.systemd.unit_file import UnitFile, understood, written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stayon.core.installation import Installation
    from stayon.platforms.systemd.unit import Target

# What people call a directive; "" for one that says the same as another, or what holds for every service of ours.
_WORDS = {
    "Description": "description",
    "ExecStart": "command",
    "DynamicUser": "account",
    "User": "account",
    "Group": "account",
    "Environment": "environment",
    "Wants": "after",
    "TimeoutStartSec": "time to start",
    "TimeoutStopSec": "time to stop",
    "WatchdogSec": "time without a sign of life",
    "MemoryMax": "memory",
    "CPUQuota": "cpu",
    "TasksMax": "tasks",
    "ReadWritePaths": "may write to",
    "ListenStream": "listens at",
    "Version": "version",
    "Start": "start",
    "Allow": "allow",
    "Config": "configuration",
    "Logs": "logs",
    "State": "state",
    "Run": "run",
    "Digest": "",
    "RefuseManualStart": "",
    "SyslogIdentifier": "",
    "After": "",
    "Sockets": "",
}
HARDENING, LIMITS, RESTART, OTHERS = "hardening", "limits", "restart", "how systemd keeps it"
# Of a service that is new, these are as for every other.
_USUAL = (HARDENING, OTHERS)


class Layout(Record):
    """The files of one service: its own unit, or a template and a *drop_in* ("" for a service without instances)."""

    unit: str
    fragment: str
    drop_in: str

    @property
    def instance(self) -> str:
        """Which of several; "" for the only one."""
        return self.unit.partition("@")[2].removesuffix(unit.SERVICE)


def layout(name: str) -> Layout:
    """Where what is. Raises ``UsageError`` "systemd.bad-name"."""
    base, at, _instance = unit.checked_name(name).partition("@")
    full = name + unit.SERVICE
    if not at:
        return Layout(full, full, "")
    return Layout(full, f"{base}@{unit.SERVICE}", f"{full}.d/{template.DROP_IN}")


def files(wanted: Installation, target: Target, shared: str = "") -> dict[str, str]:
    """The text of every file of *wanted*, by its path below the directory of units. *shared* is the template's where
    other instances have it, too. Raises ``UsageError``.
    """
    where, own = layout(wanted.name), unit.sections(wanted, target)
    found: dict[str, str] = {}
    if where.drop_in:
        for_all = template.with_specifier(unit.sections(template.of_all(wanted), target))
        text = shared or written(
            {**for_all, OURS: [each for each in for_all[OURS] if each[0] == "Version"]}, where.fragment
        )
        found[where.fragment] = text
        found[where.drop_in] = written(template.drop_in(understood(text).sections, own, where.instance), where.unit)
    else:
        found[where.fragment] = written(own, where.fragment)
    sockets = socket_unit.sections_of(wanted)
    return {**found, **{name: written(sections, name) for name, sections in sockets.items()}}


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    """How the files differ, in words, a line for each thing. Variables are only named: their values may be secret."""
    found: dict[str, Change] = {}
    for path in {**old, **new}:
        before, after = understood(old.get(path, "")), understood(new.get(path, ""))
        if path.endswith(socket_unit.SOCKET):
            names = before.values("Socket", "FileDescriptorName") or after.values("Socket", "FileDescriptorName")
            at = [" ".join(file.values("Socket", "ListenStream")) for file in (before, after)]
            found[path] = Change(f"socket {' '.join(names)}", *at)
            continue
        if not before.text or not after.text:
            found[path] = Change(kind(path), path if before.text else "", path if after.text else "")
        for change in _of_one(before, after):
            # An instance's drop-in repeats what its template says.
            found.setdefault(change.name, change)
    return list(found.values())


def _of_one(before: UnitFile, after: UnitFile) -> list[Change]:
    old, new = _grouped(before), _grouped(after)
    found = []
    for group in {**old, **new}:
        was, will = old.get(group, {}), new.get(group, {})
        if was != will and not (group in _USUAL and not before.text):
            if group != RESTART:
                # Of a group of several, what stays the same is left out.
                was, will = _without(was, will), _without(will, was)
            found.append(Change(group, _in_words(group, was), _in_words(group, will)))
    return found


def _grouped(file: UnitFile) -> dict[str, dict[str, list[str]]]:
    """The values of all directives, by what people call them."""
    groups: dict[str, dict[str, list[str]]] = {}
    for section, lines in file.sections.items():
        for directive in dict(lines):
            group = _group(directive)
            if group:
                values = [each for each in file.values(section, directive) if not unit.is_own(each)]
                if values:
                    groups.setdefault(group, {})[directive] = values
    return groups


def _without(one: Mapping[str, list[str]], other: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {name: values for name, values in one.items() if other.get(name) != values}


def _group(directive: str) -> str:
    if directive in hardening.DIRECTIVES:
        return HARDENING
    if directive.startswith("Limit"):
        return LIMITS
    if directive.startswith(("Restart", "StartLimit")):
        return RESTART
    return _WORDS.get(directive, OTHERS)


def _in_words(group: str, said: Mapping[str, list[str]]) -> str:
    if group == RESTART:
        return restarts.in_words({name: " ".join(values) for name, values in said.items()})
    if group == "environment":
        # (An empty value takes back what a template says.)
        return ", ".join(value.strip('"').partition("=")[0] for value in said.get("Environment", ()) if value)
    if group == "account":
        dynamic = said.get("DynamicUser") == ["yes"]
        return "one that exists only while it runs" if dynamic else ":".join(_values(said, ("User", "Group")))
    if group == "memory":
        return ", ".join(f"{int(value) / 1024**2:g} MB" if value.isdigit() else value for value in _values(said, said))
    if group in (HARDENING, LIMITS, OTHERS):
        return ", ".join(f"{name}={value}" for name, values in said.items() for value in values)
    return " ".join(_values(said, said)).replace("%%", "%")


def _values(said: Mapping[str, list[str]], names: Iterable[str]) -> list[str]:
    return [value for name in names for value in said.get(name, ())]


def kind(path: str) -> str:
    """What the file at *path* is to people."""
    return "socket" if path.endswith(socket_unit.SOCKET) else "instance" if path.endswith(template.DROP_IN) else "unit"


def with_warnings(changes: Iterable[Change], wanted: Installation, target: Target) -> list[Change]:
    """*changes* of an install, with what systemd can't have as it is wanted."""
    found = _each_once(changes)
    if not found:
        return []
    warnings = {"restart": restarts.warning(wanted.restart, target.version)}
    if wanted.start == installation.DELAYED:
        warnings["start"] = "systemd has no delay: it starts when all others that start with the computer have"
    if target.in_home and not {"home", "home-read"}.intersection(wanted.allow):
        found.append(Change("allow", "", "home-read", "its program is in a home directory, which it may read"))
    found = [each.replace(warning=each.warning or warnings.get(each.name, "")) for each in found]
    return found + [Change(name, "", said, why) for name, said, why in unit.without_effect(wanted)]


def _each_once(changes: Iterable[Change]) -> list[Change]:
    """*changes* that have a name, the first of each: a start that is another is one of the unit's lines, too."""
    found: dict[str, Change] = {}
    for change in changes:
        if change.name:
            found.setdefault(change.name, change)
    return list(found.values())
