"""From a wanted ``Installation`` to the text of its unit: pure. systemd.unit(5), .service(5), .exec(5)."""

from __future__ import annotations

from stayon.core import installation
from stayon.core.record import Record
from stayon.errors import UsageError
from stayon.platforms.systemd import hardening, restarts
from stayon.platforms.systemd.quoting import command_line, line, word
from stayon.platforms.systemd.restarts import span
from stayon.platforms.unix_command import reload_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from stayon.core.installation import Installation

    # The sections of a unit file, each with its lines; a directive may be there several times.
    Sections = dict[str, list[tuple[str, str]]]

SERVICE = ".service"
SUFFIXES = (".service", ".socket", ".target", ".mount", ".path", ".timer", ".device", ".slice", ".scope", ".swap")

# Beyond the host's own limits: it has the first word, as it knows who is late. systemd has the last.
START_MARGIN_S = 10.0
STOP_MARGIN_S = 10.0
HANG_MARGIN_S = 5.0

# Sockets that the service may have kept for it while it is started again.
KEPT_SOCKETS = 64

# What systemd makes, for the account, and cleans up: where it is, the directive, and the mode. With
# ConfigurationDirectory= a service could write its own configuration, which root's verbs read, too: systemd gives a
# directory that it makes to the account, and leaves it writable whatever ProtectSystem= says. So install makes that,
# root's and for all to read (secrets belong into a file of their own), and the service is told in systemd's word.
_CONFIGURATION = "/etc/"
_TOLD = "CONFIGURATION_DIRECTORY"
_MADE = (
    ("/var/log/", "LogsDirectory", "0750"),
    ("/var/lib/", "StateDirectory", "0700"),
    ("/run/", "RuntimeDirectory", "0755"),
)

_NAME_LIMIT = 255
_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.@")
_VARIABLE_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")

OURS = "X-Stayon"
PLACES = ("Config", "Logs", "State", "Run")


class Target(Record):
    """What a unit is rendered for: the *version* of systemd, and whether the program is *in_home* of a user."""

    version: int
    in_home: bool = False


def sections(wanted: Installation, target: Target) -> Sections:
    """All that systemd is told of *wanted*, whose name has been checked. Raises ``UsageError``."""
    return {
        "Unit": _unit(wanted),
        "Service": [
            *_process(wanted),
            *_account(wanted),
            *_told(wanted),
            *(
                ("Environment", word(f"{_variable(name)}={_content(name, value)}"))
                for name, value in wanted.environment
            ),
            *_limits_of_time(wanted),
            *restarts.service_directives(wanted.restart, target.version),
            *_resources(wanted),
            *_directories(wanted),
            *hardening.directives(allowed(wanted, target), target.version, for_user=is_user(wanted)),
        ],
        "Install": [("WantedBy", "default.target" if is_user(wanted) else "multi-user.target")],
        OURS: _ours(wanted),
    }


def checked_name(name: str) -> str:
    """*name* if a unit can have it (systemd.unit(5)). Raises ``UsageError`` "systemd.bad-name"."""
    base, at, instance = name.partition("@")
    is_bad = not base or (at and not instance) or not _NAME_LETTERS.issuperset(name)
    if is_bad or "@" in instance or len(name) + len(SERVICE) > _NAME_LIMIT:
        raise UsageError(
            "systemd can't have a unit of this name",
            where=repr(name[:60]),
            hint="Use letters, digits, '-', '_', ':' and '.', then @INSTANCE if there are several.",
            code="systemd.bad-name",
        )
    return name


def is_user(wanted: Installation) -> bool:
    """Whether it is for the manager of a user."""
    return wanted.scope == installation.USER


def is_dynamic(wanted: Installation) -> bool:
    """Whether its account exists only while it runs."""
    return not wanted.account and not is_user(wanted)


def allowed(wanted: Installation, target: Target) -> tuple[str, ...]:
    """What it may do: what it says, and to read its own program where that is in a home."""
    more = target.in_home and not {"home", "home-read"}.intersection(wanted.allow)
    return (*wanted.allow, "home-read") if more else wanted.allow


def unit_of(name: str) -> str:
    """The unit that *name*, of a service or of any unit, stands for."""
    return name if name.endswith(SUFFIXES) else name + SERVICE


def configuration(wanted: Installation) -> str:
    """The directory of its configuration, if that is where a service of the computer has it; else ""."""
    path = _CONFIGURATION + wanted.name
    return path if path in dict(wanted.directories) and not is_user(wanted) else ""


def made_by_systemd(wanted: Installation) -> list[str]:
    """The directories that systemd has for it, and gives to its account; none for a service of a user."""
    usual = [top + wanted.name for top, _directive, _mode in _MADE]
    return [] if is_user(wanted) else [path for path, _access in wanted.directories if path in usual]


def is_own(assignment: str) -> bool:
    """Whether a value of Environment= is ours, and not what a person has said."""
    return assignment.strip('"').startswith(f"{_TOLD}=")


def socket_units(wanted: Installation) -> list[str]:
    """The units of its sockets, in their order: a name of a descriptor is a unit's."""
    base, at, instance = wanted.name.partition("@")
    return [f"{base}-{name}{at}{instance}.socket" for name, _address in wanted.sockets]


def _unit(wanted: Installation) -> list[tuple[str, str]]:
    after = [_other(each) for each in wanted.after]
    # Wanted, not required: it is not to be stopped because that one is started again.
    wants = list(after)
    if installation.NETWORK_UP in wanted.triggers:
        wants.append("network-online.target")
        after.append("network-online.target")
    if wanted.start == installation.DELAYED:
        after.append("default.target" if is_user(wanted) else "multi-user.target")
    lines = [("Description", line(wanted.description or wanted.display_name or wanted.name))]
    lines += [("Wants", " ".join(map(word, wants)))] if wants else []
    lines += [("After", " ".join(map(word, after)))] if after else []
    lines += restarts.unit_directives(wanted.restart)
    # Not to be started by anybody: systemd's own way, masking, needs the place where the unit is.
    return [*lines, ("RefuseManualStart", "yes" if wanted.start == installation.DISABLED else "no")]


def _other(name: str) -> str:
    """The unit of another service. Raises ``UsageError`` "systemd.after"."""
    if not _NAME_LETTERS.issuperset(name.replace("\\", "")):
        raise UsageError(
            f"there can be no unit {name!r} to start after", hint="Name it as systemctl does.", code="systemd.after"
        )
    return unit_of(name)


def _process(wanted: Installation) -> list[tuple[str, str]]:
    # "notify", and a reload that waits: with "notify-reload" (systemd 253) one that is refused would look well.
    lines = [("Type", "notify"), ("NotifyAccess", "main"), ("ExecStart", command_line(wanted.command))]
    reload = reload_command(wanted.command)
    lines += [("ExecReload", command_line(reload))] if reload else []
    lines += [("Sockets", " ".join(map(word, socket_units(wanted))))] if wanted.sockets else []
    return [
        *lines,
        ("FileDescriptorStoreMax", str(KEPT_SOCKETS)),
        ("StandardOutput", "journal"),
        ("StandardError", "journal"),
        ("SyslogIdentifier", line(wanted.name)),
        ("UMask", "0027"),
        # SIGTERM to the service, which ends its own; SIGKILL to all that are left.
        ("KillMode", "mixed"),
    ]


def _account(wanted: Installation) -> list[tuple[str, str]]:
    if is_user(wanted):
        return []
    if is_dynamic(wanted):
        return [("DynamicUser", "yes")]
    user, _, group = wanted.account.partition(":")
    return [("DynamicUser", "no"), ("User", line(user)), *([("Group", line(group))] if group else [])]


def _told(wanted: Installation) -> list[tuple[str, str]]:
    """Where its configuration is: an account with a home would look there."""
    path = configuration(wanted)
    return [("Environment", word(f"{_TOLD}={path}"))] if path else []


def _limits_of_time(wanted: Installation) -> list[tuple[str, str]]:
    lines = [
        ("TimeoutStartSec", span(wanted.start_timeout_s + START_MARGIN_S)),
        ("TimeoutStopSec", span(wanted.stop_timeout_s + STOP_MARGIN_S)),
    ]
    if wanted.hang_timeout_s is not None:
        lines.append(("WatchdogSec", span(wanted.hang_timeout_s + HANG_MARGIN_S)))
    return lines


def _resources(wanted: Installation) -> list[tuple[str, str]]:
    lines = [("MemoryMax", str(wanted.memory_bytes))] if wanted.memory_bytes else []
    lines += [("CPUQuota", f"{wanted.cpu_percent:g}%")] if wanted.cpu_percent else []
    lines += [("TasksMax", str(wanted.tasks))] if wanted.tasks else []
    return lines + [(f"Limit{name.upper()}", line(value)) for name, value in wanted.limits]


def _directories(wanted: Installation) -> list[tuple[str, str]]:
    """What systemd can make of the service's directories, it makes; the others it may write to."""
    made: list[tuple[str, str]] = []
    writes = [*wanted.writes]
    for path, access in wanted.directories:
        kind = next((each for each in _MADE if path == each[0] + wanted.name), None)
        if kind is not None and not is_user(wanted):
            made += [(kind[1], word(wanted.name)), (kind[1] + "Mode", kind[2])]
        elif access != "read":
            writes.append(path)
    # A user's manager keeps nobody from writing where the account may.
    if writes and not is_user(wanted):
        made.append(("ReadWritePaths", " ".join(word("-" + path) for path in writes)))
    return made


def _ours(wanted: Installation) -> list[tuple[str, str]]:
    """What tells that the unit is ours, and what systemd has no directive for."""
    lines = [("Version", line(wanted.mark)), ("Start", wanted.start)]
    lines += [("Allow", " ".join(wanted.allow))] if wanted.allow else []
    return lines + [(name, line(path)) for name, (path, _) in zip(PLACES, wanted.directories, strict=False)]


def _variable(name: str) -> str:
    if _VARIABLE_LETTERS.issuperset(name) and not name[:1].isdigit():
        return name
    raise UsageError(
        f"systemd can't set the variable {name!r}",
        hint="Use a name of letters, digits and '_' that begins with no digit.",
        code="systemd.environment",
    )


def _content(name: str, value: str) -> str:
    if all(letter >= " " or letter in "\t\n" for letter in value) and "\x7f" not in value:
        return value
    raise UsageError(
        f"systemd can't set the variable {name!r} to this",
        why="it has a control character in it",
        hint="Put the setting into the configuration file.",
        code="systemd.environment",
    )


def without_effect(wanted: Installation) -> Iterable[tuple[str, str, str]]:
    """What systemd has nothing for: the thing, what was said, and why."""
    none = "left out: systemd has nothing like it"
    for trigger in wanted.triggers:
        if trigger != installation.NETWORK_UP:
            yield "trigger", trigger, none
    for name, said in (
        ("load-order groups", ", ".join(wanted.groups)),
        ("privileges", ", ".join(wanted.privileges)),
        ("controllers", wanted.controllers),
    ):
        if said:
            yield name, said, none
    if is_user(wanted) and wanted.account:
        yield "account", wanted.account, "left out: it is always that of the user whose manager it is"
    warnings = hardening.NOT_FOR_USER if is_user(wanted) else hardening.NOT_DYNAMIC if is_dynamic(wanted) else {}
    for allowance in wanted.allow:
        if allowance in warnings:
            yield "allow", allowance, warnings[allowance]
