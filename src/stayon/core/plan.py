"""What changes between two states of the world, and the steps from one to the other.

Starting is a plan from nothing, stopping a plan to nothing, reloading a plan to what is wanted, and rolling back the
plan the other way round: one function.
"""

from __future__ import annotations

from stayon.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Path = tuple[str | int, ...]

START = "start"
STOP = "stop"
RELOAD = "reload"
ACTIONS = (START, STOP, RELOAD)

ADDED = "added"
REMOVED = "removed"
CHANGED = "changed"


class Step(Record):
    """One act on the part called *name*; *old* is None for a start, *new* is None for a stop."""

    action: str
    name: str
    old: Any
    new: Any


class Change(Record):
    """One difference between two trees: *path* of keys and list positions, and whether it was added, removed or
    changed.
    """

    path: Path
    kind: str


def _always(_old: object, _new: object) -> bool:
    return True


def plan(
    current: Mapping[str, Any], wanted: Mapping[str, Any], can_reload: Callable[[Any, Any], bool] = _always
) -> tuple[Step, ...]:
    """The steps that turn *current* into *wanted*, both named parts; equal parts are left alone.

    Stops come first, the last part first; then reloads and starts, in the order of *wanted*. A part that differs is
    reloaded, or, where ``can_reload(old, new)`` is false, stopped and started.
    """

    def must_stop(name: str, old: Any) -> bool:
        return name not in wanted or (_differ(old, wanted[name]) and not can_reload(old, wanted[name]))

    stops = [
        Step(STOP, name, current[name], None) for name in reversed(list(current)) if must_stop(name, current[name])
    ]
    later = []
    stopped = {step.name for step in stops}
    for name, new in wanted.items():
        if name not in current or name in stopped:
            later.append(Step(START, name, None, new))
        elif _differ(current[name], new):
            later.append(Step(RELOAD, name, current[name], new))
    return (*stops, *later)


def diff(old: object, new: object, path: Path = ()) -> tuple[Change, ...]:
    """Every difference between two trees of dicts, lists or tuples, and leaves, in the order of *old*, then of *new*.

    Lists of one length are compared position by position; of different lengths they differ as a whole. ``1``, ``1.0``
    and ``True`` are different values.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        changes: list[Change] = []
        for key, value in old.items():
            changes += diff(value, new[key], (*path, key)) if key in new else (Change((*path, key), REMOVED),)
        return (*changes, *(Change((*path, key), ADDED) for key in new if key not in old))
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return tuple(change for index, (one, other) in pairs for change in diff(one, other, (*path, index)))
    return (Change(path, CHANGED),) if _differ(old, new) else ()


def _differ(old: object, new: object) -> bool:
    return type(old) is not type(new) or old != new
