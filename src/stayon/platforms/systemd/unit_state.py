"""How an installed unit is, beside what installing would make of it now: masked, failed, edited, overridden. Pure."""

from __future__ import annotations

from stayon import exits
from stayon.core.finding import BAD, OK, WARNING, Finding
from stayon.core.installation import USER
from stayon.errors import StayonError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stayon.core.installation import Change, Installation

# What is asked of ``systemctl show``.
PROPERTIES = (
    "LoadState",
    "UnitFileState",
    "ActiveState",
    "Result",
    "NRestarts",
    "NeedDaemonReload",
)

_SHOWN = 4


def findings(
    wanted: Installation, unit: Mapping[str, str], drift: Callable[[Installation], Sequence[Change]]
) -> list[Finding]:
    """What there is to tell of the *unit* by its ``PROPERTIES`` (empty: none is there)."""
    systemctl = "systemctl --user" if wanted.scope == USER else "sudo systemctl"
    is_there = unit.get("LoadState", "not-found") not in ("", "not-found")
    found = []
    if unit.get("LoadState") == "masked" or unit.get("UnitFileState", "").startswith("masked"):
        text = f"it is masked, so nobody can start it. Take that back: {systemctl} unmask {wanted.name}"
        found.append(Finding(BAD, "unit", text, exits.UNAVAILABLE))
    elif unit.get("ActiveState") == "failed":
        found.append(_failed(wanted.name, unit, systemctl))
    elif is_there:
        found.append(Finding(OK, "unit", f"{unit.get('ActiveState', '')}, {unit.get('UnitFileState') or 'static'}"))
    found += _drift(wanted, drift, is_there=is_there)
    if unit.get("NeedDaemonReload") == "yes":
        text = f"its files have been changed, and systemd hasn't read them: {systemctl} daemon-reload"
        found.append(Finding(WARNING, "unread", text))
    return found


def drop_ins(paths: Sequence[str]) -> list[Finding]:
    """What others have added to the unit; nothing if nobody has."""
    if not paths:
        return []
    return [Finding(OK, "drop-ins", f"{', '.join(paths)}: kept, and go before what install makes")]


def _failed(name: str, unit: Mapping[str, str], systemctl: str) -> Finding:
    if unit.get("Result") == "start-limit-hit":
        text = (
            f"systemd gave it up after {unit.get('NRestarts') or 'several'} starts, as its restart policy says. "
            f"Its log says why it failed; the verb start, or {systemctl} reset-failed {name}, begins anew"
        )
    else:
        text = f"its last run failed ({unit.get('Result') or 'no reason given'}); its log says why"
    return Finding(WARNING, "unit", text)


def _drift(wanted: Installation, drift: Callable[[Installation], Sequence[Change]], *, is_there: bool) -> list[Finding]:
    """Whether what is installed is what install would make now; or why that can't be made."""
    try:
        changes = drift(wanted)
    except StayonError as error:
        return [Finding(BAD, "installation", str(error), error.exit_code)]
    refused = [f"{change.name}: {change.warning}" for change in changes if change.warning]
    found = [Finding(WARNING, "not here", "; ".join(refused))] if refused else []
    if not is_there:
        return found
    differences = [change for change in changes if change.old != change.new]
    if not differences:
        return [*found, Finding(OK, "installation", "as install would make it")]
    shown = [f"{change.name}: {change.old or 'none'} -> {change.new or 'none'}" for change in differences[:_SHOWN]]
    more = f" and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
    text = f"install with these words would change it: {'; '.join(shown)}{more}"
    return [*found, Finding(WARNING, "drift", text)]
