"""What the SCM's controls mean to us, which ones we accept in which state, and how an end is told. Decides only.

Numbers and names are those of winsvc.h and winuser.h
(https://learn.microsoft.com/windows/win32/api/winsvc/nc-winsvc-lphandler_function_ex).
"""

from __future__ import annotations

from stayon import exits
from stayon.core import states
from stayon.core.events import Event, Request
from stayon.core.record import Record
from stayon.platforms.windows.api import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

STOP, PAUSE, CONTINUE, INTERROGATE, SHUTDOWN, PARAMCHANGE = 1, 2, 3, 4, 5, 6
NETBIND_ADD, NETBIND_REMOVE, NETBIND_ENABLE, NETBIND_DISABLE = 7, 8, 9, 10
DEVICEEVENT, HARDWAREPROFILECHANGE, POWEREVENT, SESSIONCHANGE, PRESHUTDOWN = 11, 12, 13, 14, 15
TIMECHANGE, TRIGGEREVENT = 16, 32
CUSTOM = range(128, 256)

NO_ERROR, ERROR_CALL_NOT_IMPLEMENTED, ERROR_SERVICE_SPECIFIC_ERROR = 0, 120, 1066

ACCEPT_STOP, ACCEPT_PAUSE_CONTINUE, ACCEPT_PARAMCHANGE, ACCEPT_NETBINDCHANGE = 0x1, 0x2, 0x8, 0x10
ACCEPT_POWEREVENT, ACCEPT_SESSIONCHANGE, ACCEPT_PRESHUTDOWN = 0x40, 0x80, 0x100
ACCEPT_TIMECHANGE, ACCEPT_TRIGGEREVENT = 0x200, 0x400

# What only goes to on_event hooks.
_ACCEPT_EVENTS = (
    ACCEPT_NETBINDCHANGE | ACCEPT_POWEREVENT | ACCEPT_SESSIONCHANGE | ACCEPT_TIMECHANGE | ACCEPT_TRIGGEREVENT
)

# PRESHUTDOWN, as it leaves more time than SHUTDOWN; who accepts both gets both.
_ACCEPT_ENDS = ACCEPT_STOP | ACCEPT_PRESHUTDOWN

_REQUESTS = {
    STOP: Request(states.STOP, "the SCM"),
    SHUTDOWN: Request(states.STOP, "the SCM", "shutdown"),
    PRESHUTDOWN: Request(states.STOP, "the SCM", "preshutdown"),
    PAUSE: Request(states.PAUSE, "the SCM"),
    CONTINUE: Request(states.RESUME, "the SCM"),
    PARAMCHANGE: Request(states.RELOAD, "the SCM"),
}

_NETBIND = {NETBIND_ADD: "add", NETBIND_REMOVE: "remove", NETBIND_ENABLE: "enable", NETBIND_DISABLE: "disable"}

# WM_WTSSESSION_CHANGE (https://learn.microsoft.com/windows/win32/termserv/wm-wtssession-change).
_SESSION = {
    1: "console-connect",
    2: "console-disconnect",
    3: "remote-connect",
    4: "remote-disconnect",
    5: "logon",
    6: "logoff",
    7: "lock",
    8: "unlock",
    9: "remote-control",
    10: "create",
    11: "terminate",
}

# WM_POWERBROADCAST (https://learn.microsoft.com/windows/win32/power/wm-powerbroadcast).
POWER_SETTING_CHANGE = 0x8013
_POWER = {
    0x0: "query-suspend",
    0x2: "query-suspend-failed",
    0x4: "suspend",
    0x6: "resume-critical",
    0x7: "resume-suspend",
    0x9: "battery-low",
    0xA: "power-status-change",
    0xB: "oem-event",
    0x12: "resume-automatic",
}

# WM_DEVICECHANGE (https://learn.microsoft.com/windows/win32/devio/wm-devicechange).
_DEVICE = {
    0x8000: "arrival",
    0x8001: "query-remove",
    0x8002: "query-remove-failed",
    0x8003: "remove-pending",
    0x8004: "remove-complete",
    0x8005: "type-specific",
    0x8006: "custom",
}
_HARDWARE = {0x17: "query-change-config", 0x18: "config-changed", 0x19: "config-change-canceled"}

# How much of the event's data there is at least, and where in it the length of the rest is told.
HEADERS = {SESSIONCHANGE: 8, TIMECHANGE: 16, DEVICEEVENT: 12, POWEREVENT: 20}


class Powers(Record):
    """What a service has a use for: being paused, and events."""

    pause: bool = False
    events: bool = False


def powers_of(kinds: Iterable[str]) -> Powers:
    """The powers of a service with declarations of these *kinds*: one without jobs and ``on_pause`` can't rest."""
    declared = set(kinds)
    return Powers(pause=bool(declared & {"on_pause", "every", "cron"}), events="on_event" in declared)


def accepted(state: str, powers: Powers) -> int:
    """SERVICE_STATUS.dwControlsAccepted in *state*."""
    if state == states.START_PENDING:
        return ACCEPT_STOP
    if state in (states.STOPPED, states.STOP_PENDING):
        return 0
    bits = _ACCEPT_ENDS | (_ACCEPT_EVENTS if powers.events else 0)
    if state in (states.RUNNING, states.PAUSED):
        bits |= ACCEPT_PARAMCHANGE | (ACCEPT_PAUSE_CONTINUE if powers.pause else 0)
    return bits


def understood(control: int, event_type: int, data: bytes, powers: Powers) -> Request | Event | None:
    """What *control* asks for or tells; None if it is nothing that this service handles. (INTERROGATE asks nothing.)"""
    if control in (PAUSE, CONTINUE) and not powers.pause:
        return None
    if control in _REQUESTS:
        return _REQUESTS[control]
    return _event(control, event_type, data) if powers.events else None


def pending_after(control: int, state: str) -> str:
    """The state that the SCM is told inside the handler of *control*, when it has been told *state*; "": as it is.

    Who asks looks at the state as soon as the handler has returned, and must not find the old one.
    """
    if control in (STOP, SHUTDOWN, PRESHUTDOWN):
        return states.STOP_PENDING if state != states.STOPPED else ""
    if control == PAUSE and state == states.RUNNING:
        return states.PAUSE_PENDING
    if control == CONTINUE and state == states.PAUSED:
        return states.CONTINUE_PENDING
    return ""


def data_size(control: int, event_type: int, header: bytes) -> int:
    """How many bytes of data come with *control*, given its first ``HEADERS[control]``."""
    if control == POWEREVENT:
        return len(header) + _number(header, 16) if event_type == POWER_SETTING_CHANGE else 0
    if control == DEVICEEVENT:
        return max(len(header), _number(header, 0))
    return HEADERS.get(control, 0)


def last_status(exit_code: int, *, asked: bool, again: bool) -> ServiceStatus:
    """The STOPPED that fits an end: recovery acts on any error code, so who was asked to stop has none.

    *again*: it is to be started again, which only the SCM's recovery can do.
    """
    if again:
        exit_code = exits.TEMPORARY
    elif asked:
        exit_code = exits.DONE
    return ServiceStatus(
        states.SCM_NUMBERS[states.STOPPED],
        exit_code=ERROR_SERVICE_SPECIFIC_ERROR if exit_code else NO_ERROR,
        specific=exit_code,
    )


def _event(control: int, event_type: int, data: bytes) -> Event | None:
    if control in CUSTOM:
        return Event("custom", code=control)
    if control in _NETBIND:
        return Event("netbind", _NETBIND[control])
    if control == SESSIONCHANGE:
        return Event("session", _SESSION.get(event_type, str(event_type)), _number(data, 4))
    if control == POWEREVENT:
        return _power(event_type, data)
    if control == TIMECHANGE:
        # FILETIMEs, of 100 ns each: the new time, the old.
        return Event("time", code=(_number(data, 0, 8) - _number(data, 8, 8)) // 10_000)
    if control == TRIGGEREVENT:
        return Event("trigger", code=event_type)
    if control == DEVICEEVENT:
        return Event("device", _DEVICE.get(event_type, str(event_type)), _number(data, 4))
    if control == HARDWAREPROFILECHANGE:
        return Event("hardware-profile", _HARDWARE.get(event_type, str(event_type)))
    return None


def _power(event_type: int, data: bytes) -> Event:
    if event_type == POWER_SETTING_CHANGE:
        return Event("power-setting", _guid(data), _number(data[: 20 + _number(data, 16)], 20))
    return Event("power", _POWER.get(event_type, str(event_type)))


def _number(data: bytes, offset: int, size: int = 4) -> int:
    return int.from_bytes(data[offset : offset + size], "little")


def _guid(data: bytes) -> str:
    parts = (data[3::-1], data[5:3:-1], data[7:5:-1], data[8:10], data[10:16])
    return "-".join(part.hex() for part in parts)
