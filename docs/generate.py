"""Writes into the pages of ``docs/`` what the source knows better: ``PYTHONPATH=src python3 docs/generate.py``.

A page has the place for it between ``<!-- generated: NAME -->`` and ``<!-- end -->``; what stands around is written by
hand. The tests compare the pages with what this gives, and write nothing.
"""
# ruff: noqa: INP001  # a script, not a package

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stayon import backoff, exits, immediate, never
from stayon.cli import words
from stayon.core import installation, levels, states
from stayon.platforms.places import Account, places_of
from stayon.platforms.systemd import hardening, restarts
from stayon.platforms.windows import controls, definition
from stayon.runtime import service
from stayon.runtime.config import host_settings
from stayon.runtime.context import Context
from stayon.runtime.logs.logger import Logger
from stayon.runtime.metric_names import STANDARD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from stayon.core.restart import Policy

ROOT = Path(__file__).resolve().parents[1]

BLOCK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

# What a cell of the states' table does, as its reader sees it; actions that are not here are their own words.
ACTIONS = {states.NOTHING: "·", states.REFUSE: "refused", states.ANSWER: "answered"}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown. (A bar within a cell would end it.)"""
    lines = [tuple(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    text = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([text[0], "|" + "---|" * len(lines[0]), *text[1:]])


def sentence_of(thing: object) -> str:
    """The first paragraph of a docstring, as a line of Markdown."""
    text = inspect.getdoc(thing) or ""
    line = " ".join(text.split("\n\n")[0].split())
    return re.sub(r"(?<!\w)\*(\w+)\*(?!\w)", r"`\1`", line.replace("``", "`"))


def states_table() -> str:
    """Every event in every state: what is done, and the state it leads to."""

    def cell(state: str, event: str) -> str:
        found = states.decide(state, event)
        action = ACTIONS.get(found.action, found.action.replace("_", " "))
        return action if found.next == state else f"{action} → {found.next}"

    head = ["Event", *states.STATES]
    return table(head, ([f"`{event}`", *(cell(state, event) for state in states.STATES)] for event in states.EVENTS))


def exit_codes() -> str:
    """Every exit code, and whether a manager is to start the service again."""

    def again(code: int) -> str:
        return "" if code == exits.DONE else "no: it cannot help" if code in exits.FINAL else "yes"

    return table(
        ("Code", "Meaning", "Start it again?"),
        ((str(code), meaning, again(code)) for code, meaning in exits.MEANINGS.items()),
    )


def command_pages() -> str:
    """What ``--help`` prints, for the command and for each verb."""
    parts = ["## stayon --help", "", "```text", words.overview("stayon", with_target=True), "```"]
    for verb in words.VERBS:
        parts += ["", f"## {verb.name}", "", "```text", words.help_text(verb, "stayon", with_target=True), "```"]
    return "\n".join(parts)


def settings_table() -> str:
    """The keys of the table ``[stayon]``."""
    rows = host_settings.reference_rows()
    return table(
        ("Key", "Takes", "Default", "Meaning"),
        ((f"`{name}`", kind, f"`{default}`" if default else "", doc) for name, kind, default, doc in rows),
    )


def metrics_table() -> str:
    """The metrics that every service has."""
    return table(
        ("Metric", "Kind", "Labels", "Meaning"),
        (
            (f"`{one.name}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), one.help_text)
            for one in STANDARD
        ),
    )


def places_table() -> str:
    """Where everything is, on each system and for each kind of account."""
    accounts = {
        "Linux, root": Account("linux", True, "/root"),
        "Linux, other accounts": Account("linux", False, "~"),
        "macOS, root": Account("darwin", True, "/var/root"),
        "macOS, other accounts": Account("darwin", False, "~"),
        "Windows": Account("win32", False, ""),
    }
    rows = []
    for who, account in accounts.items():
        # A home has to be absolute, and the page shall say "~".
        places = places_of("NAME", account.replace(home="/~"), {"ProgramData": "%ProgramData%"})
        rows.append([who, *(f"`{path.replace('/~', '~')}`" for path in places.as_dict().values())])
    below = places_of("NAME", accounts["Linux, root"], {"STAYON_HOME": "/$STAYON_HOME"}).as_dict()
    rows.append(["`STAYON_HOME` is set", *(f"`{path.removeprefix('/')}`" for path in below.values())])
    return table(("Who runs it", *(name.capitalize() for name in below)), rows)


def levels_table() -> str:
    """The levels of log records, and what other systems call them."""
    return table(
        ("Level", "Number", "syslog severity", "Windows event type"),
        (
            (f"`{name}`", str(level), str(levels.syslog_severity(level)), str(levels.windows_event_type(level)))
            for level, name in levels.NAMES.items()
        ),
    )


def _options(defaults: dict[str, object]) -> str:
    return table(("Option", "Default"), ((f"`{name}`", f"`{value!r}`") for name, value in defaults.items()))


def _methods(kind: type, heading: str) -> str:
    def rows() -> Iterator[tuple[str, str]]:
        for name, thing in vars(kind).items():
            if name.startswith("_") or not (isinstance(thing, property) or inspect.isfunction(thing)):
                continue
            yield f"`{heading}.{name}`", sentence_of(thing)

    return table(("Name", "What it does"), rows())


def check_options() -> str:
    """The options of ``@service.check``."""
    return _options(service.CHECK_DEFAULTS)


# Restart policies that show what managers make of them.
POLICIES = {
    "none said": None,
    "`never()`": never(),
    "`immediate()`": immediate(),
    "`immediate(max_attempts=3)`": immediate(max_attempts=3),
    '`backoff("10s")`': backoff("10s"),
    '`backoff("1s", factor=4, max_attempts=4)`': backoff("1s", factor=4, max_attempts=4),
}

# One that knows every directive that is written.
NEW_SYSTEMD = 999


def recovery_table() -> str:
    """What restart policies are to the SCM."""
    rows = ((said, definition.failure_words(definition.failure_actions(policy))) for said, policy in POLICIES.items())
    return table(("Policy", "Windows will"), ((said, text or "do nothing") for said, text in rows))


def allowances_table() -> str:
    """What a service may be allowed, and how systemd has it then."""
    strict = hardening.directives((), NEW_SYSTEMD, for_user=False)

    def rows() -> Iterator[tuple[str, str, str]]:
        for name, meaning in installation.ALLOWANCES.items():
            relaxed = hardening.directives((name,), NEW_SYSTEMD, for_user=False)
            changed = [f"`{key}={value}`" for key, value in relaxed if (key, value) not in strict]
            left_out = {key for key, _value in strict} - {key for key, _value in relaxed}
            yield f"`{name}`", meaning, ", ".join([*changed, *(f"no `{key}`" for key in sorted(left_out))])

    return table(("`allow`", "The service may", "systemd is told"), rows())


def hardening_table() -> str:
    """What systemd keeps a service from."""
    return (
        "```ini\n"
        + "".join(f"{key}={value}\n" for key, value in hardening.directives((), NEW_SYSTEMD, for_user=False))
        + "```"
    )


def systemd_restarts() -> str:
    """What restart policies are to systemd, old and new."""

    def said(policy: Policy | None, version: int) -> str:
        lines = [*restarts.unit_directives(policy), *restarts.service_directives(policy, version)]
        return restarts.in_words(dict(lines))

    rows = (
        (name, said(policy, NEW_SYSTEMD), said(policy, restarts.STEPS_SINCE - 1)) for name, policy in POLICIES.items()
    )
    return table(("Policy", f"From systemd {restarts.STEPS_SINCE} on", "Before"), rows)


# The controls by the bit that says that they are accepted.
_CONTROLS = {
    controls.ACCEPT_STOP: "STOP",
    controls.ACCEPT_PAUSE_CONTINUE: "PAUSE, CONTINUE",
    controls.ACCEPT_PARAMCHANGE: "PARAMCHANGE",
    controls.ACCEPT_NETBINDCHANGE: "NETBIND*",
    controls.ACCEPT_POWEREVENT: "POWEREVENT",
    controls.ACCEPT_SESSIONCHANGE: "SESSIONCHANGE",
    controls.ACCEPT_PRESHUTDOWN: "PRESHUTDOWN",
    controls.ACCEPT_TIMECHANGE: "TIMECHANGE",
    controls.ACCEPT_TRIGGEREVENT: "TRIGGEREVENT",
}


def accepted_table() -> str:
    """Which controls a service accepts in which state, by what it declares."""

    def named(bits: int) -> str:
        return ", ".join(name for bit, name in _CONTROLS.items() if bits & bit)

    plain, rests, hears = controls.Powers(), controls.Powers(pause=True), controls.Powers(events=True)
    rows = []
    for state in states.STATES:
        bits = controls.accepted(state, plain)
        more = (controls.accepted(state, powers) & ~bits for powers in (rests, hears))
        rows.append([state, named(bits), *(named(each) for each in more)])
    return table(("State", "Every service", "With a job or `on_pause`", "With `on_event`"), rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "states": states_table,
    "exit-codes": exit_codes,
    "commands": command_pages,
    "settings": settings_table,
    "metrics": metrics_table,
    "places": places_table,
    "levels": levels_table,
    "service-options": lambda: _options(service.SERVICE_DEFAULTS),
    "job-options": lambda: _options(service.JOB_DEFAULTS),
    "check-options": check_options,
    "installation-options": lambda: _options(installation.DEFAULTS),
    "recovery": recovery_table,
    "allowances": allowances_table,
    "hardening": hardening_table,
    "systemd-restarts": systemd_restarts,
    "accepted-controls": accepted_table,
    "service": lambda: _methods(service.Service, "service"),
    "context": lambda: _methods(Context, "ctx"),
    "logger": lambda: _methods(Logger, "ctx.log"),
}


def pages() -> list[Path]:
    """All pages: the README and what is in docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def generated(page: str) -> str:
    """*page* with its generated parts as they have to be. Raises ``KeyError`` for a block that is not known."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{BLOCKS[found[2]]()}\n\n{found[4]}", page)


def main() -> None:
    """Rewrite what differs, and say which pages did."""
    for page in pages():
        before = page.read_text("utf-8")
        after = generated(before)
        if after != before:
            page.write_text(after, "utf-8")
            sys.stdout.write(f"{page.relative_to(ROOT)}: rewritten\n")


if __name__ == "__main__":
    main()
