"""Several instances of one service: NAME@.service is what they share, and a drop-in of each what is its own.

The first instance makes the template; while there are others, it is left as it is, and what an instance wants to have
otherwise goes into its drop-in. Every instance has one, as that is what tells that it is installed.
"""

from __future__ import annotations

from stayon.platforms.systemd.quoting import INSTANCE
from stayon.platforms.systemd.unit import OURS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from stayon.core.installation import Installation
    from stayon.platforms.systemd.unit import Sections

# The name that "systemctl edit" gives an administrator's comes after ours: override.conf.
DROP_IN = "10-stayon.conf"

_SPECIFIER = "%i"

# Directives that add up: an empty one takes back what was said before. (Dependencies can't be taken back.)
_LISTS = frozenset(
    (
        "ExecStart",
        "ExecReload",
        "Environment",
        "ReadWritePaths",
        "LogsDirectory",
        "StateDirectory",
        "RuntimeDirectory",
        "CapabilityBoundingSet",
        "AmbientCapabilities",
        "RestrictAddressFamilies",
        "SystemCallFilter",
        "SystemCallArchitectures",
        "SuccessExitStatus",
        "RestartPreventExitStatus",
    )
)
# What the others are if nothing is said, where an empty value doesn't say that.
_UNSAID = {"WatchdogSec": "0", "RestartSteps": "0", "RestartMaxDelaySec": "infinity", "StartLimitBurst": "5"}
_DEPENDENCIES = frozenset(("Wants", "After", "Sockets"))


def of_all(wanted: Installation) -> Installation:
    """*wanted* for any instance, with a mark in the place of its name. ``with_specifier`` puts systemd's there."""
    base, _, instance = wanted.name.partition("@")
    other = f"{base}@{INSTANCE}"

    def without(text: str) -> str:
        return "/".join(other if part == wanted.name else part for part in text.split("/"))

    return wanted.replace(
        name=other,
        display_name=wanted.display_name.replace(wanted.name, other),
        command=tuple(without(each) for each in wanted.command),
        directories=tuple((without(path), access) for path, access in wanted.directories),
        instance=INSTANCE if instance else "",
    )


def with_specifier(sections: Sections) -> Sections:
    """*sections* of ``of_all`` as a template has them."""
    return {
        section: [(name, value.replace(INSTANCE, _SPECIFIER)) for name, value in lines]
        for section, lines in sections.items()
    }


def drop_in(template: Mapping[str, list[tuple[str, str]]], wanted: Sections, instance: str) -> Sections:
    """What has to be said besides *template* so that *instance* is as *wanted*."""
    found: Sections = {}
    for section in ("Unit", "Service"):
        said = [(name, _of(value, instance)) for name, value in template.get(section, ())]
        lines = _difference(said, wanted.get(section, []))
        if lines:
            found[section] = lines
    return {**found, OURS: wanted[OURS]}


def _difference(said: list[tuple[str, str]], wanted: list[tuple[str, str]]) -> list[tuple[str, str]]:
    lines = []
    for name in dict(wanted):
        values = [(name, value) for each, value in wanted if each == name]
        before = [(name, value) for each, value in said if each == name]
        if values == before:
            continue
        if before and name in _LISTS and values != [(name, "")]:
            lines.append((name, ""))
        lines += values
    gone = [name for name in dict(said) if name not in dict(wanted) and name not in _DEPENDENCIES]
    return lines + [(name, _UNSAID.get(name, "")) for name in gone]


def _of(value: str, instance: str) -> str:
    """*value* of a template for *instance*; a percent sign that is one stays so."""
    return "%%".join(part.replace(_SPECIFIER, instance) for part in value.split("%%"))
