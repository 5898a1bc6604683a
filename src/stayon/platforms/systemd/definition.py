"""From a wanted ``Installation`` to the files that make it, and from files to differences in words: pure."""

from __future__ import annotations

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

_WORDS = {
    "Description": "description",
    "ExecStart": "command",
    "ExecReload": "how it is told to reload",
    "DynamicUser": "account",
    "User": "account",
    "Group": "account",
    "Environment": "environment",
    "Wants": "after",
    "After": "after",
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
}
# What says the same as another directive does, in other words.
_SILENT = frozenset(
    ("RefuseManualStart", "Sockets", "FileDescriptorName", "Service", "RemoveOnStop", "WantedBy", "Digest")
)
_RESTART = ("Restart", "StartLimit")


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
    """How the files differ, in words, a line for each thing. Of variables only the names: their values may be secret."""
    found: list[Change] = []
    for path in {**old, **new}:
        before, after = understood(old.get(path, "")), understood(new.get(path, ""))
        if before.text and after.text and not before.intact:
            continue
        if not before.text or not after.text:
            found.append(Change(kind(path), path if before.text else "", path if after.text else ""))
        if before.text or not path.endswith(socket_unit.SOCKET):
            found += _of_one(before, after)
        else:
            found[-1] = found[-1].replace(new=", ".join([path, *after.values("Socket", "ListenStream")]))
    return found


def _of_one(before: UnitFile, after: UnitFile) -> list[Change]:
    groups: dict[str, list[tuple[str, str]]] = {}
    is_new = not before.text
    names = [each for section in {**before.sections, **after.sections} for each in _names(section, before, after)]
    for section, directive in names:
        old, new = before.values(section, directive), after.values(section, directive)
        group = _group(directive)
        if old != new and group and not (is_new and group == "hardening"):
            groups.setdefault(group, []).append((_said(directive, old), _said(directive, new)))
    return [
        Change(group, ", ".join(old for old, _ in pairs if old), ", ".join(new for _, new in pairs if new))
        for group, pairs in groups.items()
    ]


def _names(section: str, before: UnitFile, after: UnitFile) -> Iterable[tuple[str, str]]:
    both = [*before.sections.get(section, ()), *after.sections.get(section, ())]
    return ((section, directive) for directive in dict(both))


def _group(directive: str) -> str:
    """What people call it; "" for what another line says already."""
    if directive in _SILENT:
        return ""
    if directive in hardening.DIRECTIVES:
        return "hardening"
    if directive in unit.PLACES or "Directory" in directive:
        return "directories" if directive in unit.PLACES else ""
    if directive.startswith(_RESTART):
        return "restart"
    return _WORDS.get(directive, "limits" if directive.startswith("Limit") else "how systemd keeps it")


def _said(directive: str, values: list[str]) -> str:
    if not values:
        return ""
    if directive == "Environment":
        return ", ".join(value.strip('"').partition("=")[0] for value in values)
    if directive == "DynamicUser":
        return "one that exists only while it runs" if values[-1] == "yes" else ""
    text = " ".join(values)
    plain = _WORDS.get(directive) not in (None, "account") or directive in (*unit.PLACES, "User", "Group")
    return text.replace("%%", "%") if plain else f"{directive}={text}"


def kind(path: str) -> str:
    """What the file at *path* is to people."""
    return "socket" if path.endswith(socket_unit.SOCKET) else "instance" if path.endswith(template.DROP_IN) else "unit"


def with_warnings(changes: Iterable[Change], wanted: Installation, target: Target) -> list[Change]:
    """*changes* of an install, with what systemd can't have as it is wanted."""
    found = list(changes)
    if not found:
        return []
    warnings = {"restart": restarts.warning(wanted.restart, target.version)}
    if wanted.start == "delayed":
        warnings["start"] = "systemd has no delay: it starts when all others that start with the computer have"
    if target.in_home and not {"home", "home-read"}.intersection(wanted.allow):
        found.append(Change("allow", "", "home-read", "its program is in a home directory, which it may read"))
    found = [each.replace(warning=each.warning or warnings.get(each.name, "")) for each in found]
    return found + [Change(name, "", said, why) for name, said, why in unit.without_effect(wanted)]
