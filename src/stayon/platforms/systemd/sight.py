"""How systemd sees a unit, in our words: pure."""

from __future__ import annotations

from stayon import exits
from stayon.core import installation, states
from stayon.core.duration import text
from stayon.core.installation import Managed
from stayon.core.places import Places
from stayon.platforms.systemd.unit import PLACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from stayon.platforms.systemd.unit_file import UnitFile

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "MainPID",
    "ExecMainCode",
    "ExecMainStatus",
    "NRestarts",
    "StatusText",
    "UnitFileState",
    "FragmentPath",
    "Description",
    "User",
    "DynamicUser",
    "ActiveEnterTimestampMonotonic",
    "StateChangeTimestampMonotonic",
    "RestartUSec",
    "RestartUSecNext",
    "TimeoutStopUSec",
)

# systemd's ActiveState= (systemctl(1)); what rests or waits to be started again is stopped.
_STATES = {
    "active": states.RUNNING,
    "reloading": states.RUNNING,
    "refreshing": states.RUNNING,
    "activating": states.START_PENDING,
    "deactivating": states.STOP_PENDING,
}
WAITING = ("auto-restart", "auto-restart-queued")
# How our messages to systemd begin while a service is paused: it has no state for that.
_PAUSED = "paused"

# CLD_EXITED: ExecMainStatus is an exit code; else it is the number of a signal.
_EXITED = "1"

# From here on, an exit code is systemd's.
BEFORE_IT_RAN = 200

# What systemd itself ends a process with that it could not start (systemd.exec(5), "PROCESS EXIT CODES").
_BEFORE = {
    200: "its directory can't be entered",
    203: "its program can't be started: it isn't there, or not executable for this account",
    208: "its environment can't be set",
    209: "its standard output can't be opened",
    216: "its group can't be had",
    217: "its account can't be had",
    218: "its capabilities can't be had",
    226: "its view of the file system can't be made: look at the directories that it may write to",
    228: "the limits to its system calls can't be set",
    233: "its directory below /run can't be made",
    238: "its directory below /var/lib can't be made",
    240: "its directory below /var/log can't be made",
    241: "its directory below /etc can't be made",
}
_RESULTS = {
    "timeout": "it was not ready, or had not stopped, in time",
    "watchdog": "it gave no sign of life for too long",
    "oom-kill": "it took more memory than it may",
    "protocol": "it ended before it had said that it is ready",
    "resources": "the computer has too little of something for it: see the journal",
    "start-limit-hit": "it failed too often, and is given up",
}


def managed(name: str, shown: Mapping[str, str], files: tuple[UnitFile, ...], now: tuple[float, float]) -> Managed:
    """How the service *name* is, by what systemd has *shown* and what our *files* say, the one that holds last. *now*
    is the wall clock and the monotonic one.
    """
    waits = shown["SubState"] in WAITING
    state = states.STOPPED if waits else _STATES.get(shown["ActiveState"], states.STOPPED)
    status = shown["StatusText"]
    if state == states.RUNNING and status.partition(":")[0] == _PAUSED:
        state = states.PAUSED
    code, why = ending(shown) if state == states.STOPPED else (0, "")
    if code in exits.MEANINGS and code and status:
        # Its last word says more than the code it ended with.
        why, status = status, ""
    if waits:
        why = f"{why}; {_next(shown, now[1])}" if why else _next(shown, now[1])
    return Managed(
        name=name,
        state=state,
        pid=int(shown["MainPID"] or 0),
        exit_code=code,
        why=why,
        since=_since(shown, now) if state != states.STOPPED else 0.0,
        account=account(shown),
        start=start_word(shown, files),
        command=said(files, "ExecStart").removeprefix(":").replace("%%", "%"),
        mark=ours(files, "Version"),
        display_name=shown["Description"],
        places=_places(files),
        status=status,
        restarts=int(shown["NRestarts"] or 0),
    )


def ending(shown: Mapping[str, str]) -> tuple[int, str]:
    """The exit code of its last end (negative: a signal) and what it means; 0 and nothing if it went well."""
    result, status = shown["Result"], int(shown["ExecMainStatus"] or 0)
    if result in ("success", ""):
        return 0, ""
    exited = shown["ExecMainCode"] == _EXITED
    code = status if exited else -status
    how = _RESULTS.get(result, "")
    if exited and status:
        # A code that says why is more than "it was not ready".
        return code, _BEFORE.get(status) or (how if status not in exits.MEANINGS and how else exits.meaning(status))
    return code or exits.FAILED, how or (exits.meaning(code) if code else result)


def account(shown: Mapping[str, str]) -> str:
    """The account that it runs as."""
    if shown["DynamicUser"] == "yes" and not shown["User"]:
        return "an account of its own"
    return shown["User"]


def start_word(shown: Mapping[str, str], files: tuple[UnitFile, ...]) -> str:
    """How it is started, as ``Installation`` says it, by what is enabled now."""
    wanted = ours(files, "Start") or installation.AUTO
    automatic = (installation.AUTO, installation.DELAYED)
    if shown["UnitFileState"].startswith("enabled"):
        return wanted if wanted in automatic else installation.AUTO
    return installation.MANUAL if wanted in automatic else wanted


def ours(files: tuple[UnitFile, ...], name: str) -> str:
    """What our own section says of *name*, in the last file that says it."""
    return next((found for file in reversed(files) if (found := file.ours_says(name))), "")


def said(files: tuple[UnitFile, ...], directive: str) -> str:
    """The value of *directive* of [Service] that holds."""
    values = [value for file in files for value in file.values("Service", directive)]
    return values[-1] if values else ""


def _places(files: tuple[UnitFile, ...]) -> Places | None:
    found = [ours(files, each).replace("%%", "%") for each in PLACES]
    return Places(*found) if all(found) else None


def _since(shown: Mapping[str, str], now: tuple[float, float]) -> float:
    entered_s = int(shown["ActiveEnterTimestampMonotonic"] or 0) / 1e6
    return now[0] - now[1] + entered_s if entered_s else 0.0


def _next(shown: Mapping[str, str], now_s: float) -> str:
    wait = shown["RestartUSecNext"] or shown["RestartUSec"]
    changed_s = int(shown["StateChangeTimestampMonotonic"] or 0) / 1e6
    left_s = seconds_of(wait) - (now_s - changed_s)
    return f"it is started again in {text(max(1, round(left_s)))}" if left_s > 1 else "it is started again at once"


_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def seconds_of(written: str) -> float:
    """A time as ``systemctl show`` writes it: "1min 30s", "100ms"; 0 for "infinity" and what isn't one."""
    total = 0.0
    for part in written.split():
        unit = part.lstrip("0123456789.")
        number = part.removesuffix(unit)
        if not number or unit not in _UNITS_S:
            return 0.0
        total += float(number) * _UNITS_S[unit]
    return total
