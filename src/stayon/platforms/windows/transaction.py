"""A change of a service in the SCM, field by field: ``field_steps`` decides what differs, ``perform`` carries out."""

from __future__ import annotations

from stayon.core.installation import Change
from stayon.core.plan import plan
from stayon.platforms import undo
from stayon.platforms.windows import definition, service_access
from stayon.platforms.windows.api import FailureActions, ScmError, ServiceConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from stayon.core.plan import Step
    from stayon.platforms.undo import Act

# An SCM that doesn't know a thing answers ERROR_INVALID_PARAMETER, ERROR_INVALID_LEVEL or RPC_S_INVALID_TAG.
UNKNOWN_THERE = (87, 124, 1733)

# What CreateServiceW takes; all else is set afterwards.
CREATED_WITH = ("command", "display_name", "account", "start_type", "error_control", "group", "dependencies")

# Without these there is no service to speak of; any other thing may be missing on an old or a foreign SCM.
_NEEDED = (*CREATED_WITH, "mark")

# The account comes last: its old password is known to nobody, so nothing that may fail stands behind it. A delayed
# start needs an automatic one, so it is set after that, and taken back before. The mark comes first: what is left of an
# install that was killed midway is ours to remove.
_ORDER = (
    "mark",
    "delayed",
    "command",
    "display_name",
    "start_type",
    "error_control",
    "group",
    "dependencies",
    "description",
    "failure",
    "failure_on_non_crash",
    "preshutdown_ms",
    "sid_type",
    "privileges",
    "triggers",
    "environment",
    "security",
    "account",
)

_WORDS = {
    "display_name": "display name",
    "error_control": "error control",
    "start_type": "start",
    "delayed": "start",
    "failure": "failure actions",
    "failure_on_non_crash": "failure actions after an error exit",
    "preshutdown_ms": "time to stop at shutdown",
    "sid_type": "SID of the service",
    "security": "who may control it",
    "group": "load-order group",
    "mark": "version",
}


def perform(acts: Iterable[Act]) -> list[Change]:
    """As ``undo.perform``, with warnings for what this SCM doesn't know."""
    return undo.perform(acts, _warning)


def field_steps(current: ServiceConfig, wanted: ServiceConfig) -> list[Step]:
    """The fields that have to be set so that *current* becomes *wanted*, in the order in which that is safe. What the
    SCM doesn't keep, and what only looks different, is left alone.
    """
    seen = [field for field in _ORDER if field not in current.unkept]
    before, after = ({field: getattr(config, field) for field in seen} for config in (current, wanted))
    steps = [step for step in plan(before, after) if not _alike(step.name, step.old, step.new)]
    return sorted(steps, key=_place)


def _place(step: Step) -> float:
    after_start = step.name == "delayed" and step.new
    return _ORDER.index("start_type") + 0.5 if after_start else _ORDER.index(step.name)


def fresh(wanted: ServiceConfig) -> ServiceConfig:
    """What CreateServiceW leaves behind if it is asked for *wanted*: all else is as Windows has it of itself."""
    created = {name: getattr(wanted, name) for name in CREATED_WITH}
    return ServiceConfig(**created, failure_on_non_crash=False, preshutdown_ms=-1, sid_type=0)


def is_needed(field: str) -> bool:
    """Whether a service can't do without *field*."""
    return field in _NEEDED


def created(new: ServiceConfig) -> tuple[Change, ...]:
    """What CreateServiceW made so, in words: what there is to see of it."""
    seen = ("display_name", "command", "account", "start_type", "dependencies")
    return tuple(Change(name_of(field), "", words(field, new)) for field in seen if getattr(new, field))


def name_of(field: str) -> str:
    """What people call *field*."""
    return _WORDS.get(field, field)


def lost(config: ServiceConfig) -> set[str]:
    """The names of what this SCM takes and doesn't keep."""
    return {name_of(field) for field in config.unkept} - {
        name_of(field) for field in _ORDER if field not in config.unkept
    }


def field_change(step: Step, current: ServiceConfig | None, wanted: ServiceConfig) -> Change:
    """A step in words; *current* is None for a service that is new."""
    return Change(name_of(step.name), "" if current is None else words(step.name, current), words(step.name, wanted))


def words(field: str, config: ServiceConfig) -> str:
    """What *config* has in *field*, for people."""
    value: Any = getattr(config, field)
    if field in ("start_type", "delayed"):
        return definition.start_word(config) or str(config.start_type)
    if isinstance(value, FailureActions):
        return definition.failure_words(value)
    if field == "triggers":
        return ", ".join(definition.trigger_words(each) for each in value)
    if field == "security":
        return service_access.in_words(value or service_access.DEFAULT)
    if field == "preshutdown_ms":
        return f"{value / 1_000:g}s"
    if field == "sid_type":
        return {0: "none", 1: "unrestricted", 3: "restricted"}.get(value, str(value))
    if field == "environment":
        # Its values may be secret.
        return ", ".join(each.partition("=")[0] for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def merged(changes: Iterable[Change]) -> list[Change]:
    """*changes* with one line for each thing: a start that is now delayed is two fields, but one difference."""
    found: dict[tuple[str, str], Change] = {}
    for change in changes:
        known = found.get((change.name, change.new))
        warning = change.warning or (known.warning if known else "")
        found[change.name, change.new] = change.replace(old=known.old if known else change.old, warning=warning)
    return list(found.values())


def _alike(field: str, old: Any, new: Any) -> bool:
    """Whether the SCM takes *old* and *new* for the same."""
    if field == "security":
        # No wish is kept by leaving alone what an administrator made, but what we once gave is taken back.
        return (
            service_access.same(old or service_access.DEFAULT, new)
            if new
            else service_access.controllers(old) in ("", "?")
        )
    if field in ("account", "group", "display_name"):
        return str(old).lower() == str(new).lower() if field != "display_name" else bool(old == new)
    if field == "triggers":
        return [each.replace(subtype=each.subtype.lower()) for each in old] == [
            each.replace(subtype=each.subtype.lower()) for each in new
        ]
    if field == "dependencies":
        return [each.lower() for each in old] == [each.lower() for each in new]
    return False


def _warning(error: Exception) -> str:
    if not isinstance(error, ScmError) or error.code not in UNKNOWN_THERE:
        return ""
    return f"left out: this computer's Windows doesn't know it ({error.call}, error {error.code})"
