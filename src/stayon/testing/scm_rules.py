"""The rules of the simulated SCM, as tables and pure functions: rights, controls, transitions of state, recovery.

From the pages of winsvc.h (https://learn.microsoft.com/windows/win32/services/).
"""

from __future__ import annotations

import re

from stayon.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from stayon.platforms.windows.api import FailureActions, ServiceStatus

# SERVICE_STATUS.dwCurrentState
STOPPED, START_PENDING, STOP_PENDING, RUNNING, CONTINUE_PENDING, PAUSE_PENDING, PAUSED = range(1, 8)
PENDING = frozenset({START_PENDING, STOP_PENDING, CONTINUE_PENDING, PAUSE_PENDING})

# winerror.h
FILE_NOT_FOUND = 2
ACCESS_DENIED = 5
INVALID_HANDLE = 6
INVALID_DATA = 13
INVALID_PARAMETER = 87
BROKEN_PIPE = 109
INVALID_NAME = 123
INVALID_LEVEL = 124
DEPENDENT_SERVICES_RUNNING = 1051
INVALID_SERVICE_CONTROL = 1052
SERVICE_REQUEST_TIMEOUT = 1053
ALREADY_RUNNING = 1056
INVALID_ACCOUNT = 1057
SERVICE_DISABLED = 1058
CIRCULAR_DEPENDENCY = 1059
DOES_NOT_EXIST = 1060
CANNOT_ACCEPT_CONTROL = 1061
NOT_ACTIVE = 1062
CONTROLLER_CONNECT = 1063
SPECIFIC_ERROR = 1066
PROCESS_ABORTED = 1067
DEPENDENCY_FAILED = 1068
LOGON_FAILED = 1069
MARKED_FOR_DELETION = 1072
SERVICE_EXISTS = 1073
DEPENDENCY_DELETED = 1075
DUPLICATE_NAME = 1078

# SERVICE_CONTROL_*
STOP, PAUSE, CONTINUE, INTERROGATE, SHUTDOWN, PARAMCHANGE = range(1, 7)
NETBIND_ADD, NETBIND_REMOVE, NETBIND_ENABLE, NETBIND_DISABLE = range(7, 11)
POWER, SESSION, PRESHUTDOWN, TIME, TRIGGER = 13, 14, 15, 16, 32

# What has to be among the accepted for a control to be delivered (SERVICE_ACCEPT_*); others always are.
ACCEPTED_BY = {
    STOP: 0x1, PAUSE: 0x2, CONTINUE: 0x2, SHUTDOWN: 0x4, PARAMCHANGE: 0x8, NETBIND_ADD: 0x10, NETBIND_REMOVE: 0x10,
    NETBIND_ENABLE: 0x10, NETBIND_DISABLE: 0x10, POWER: 0x40, SESSION: 0x80, PRESHUTDOWN: 0x100, TIME: 0x200,
    TRIGGER: 0x400,
}  # fmt: skip

# The right that ControlService asks for, in SDDL's letters; other numbers may not be sent by it.
RIGHT_TO_CONTROL = {
    STOP: "WP", PAUSE: "DT", CONTINUE: "DT", INTERROGATE: "LO", PARAMCHANGE: "DT", NETBIND_ADD: "DT",
    NETBIND_REMOVE: "DT", NETBIND_ENABLE: "DT", NETBIND_DISABLE: "DT", **dict.fromkeys(range(128, 256), "CR"),
}  # fmt: skip

# What a new service's security is: SYSTEM, administrators, who is logged on, services.
DEFAULT_SECURITY = (
    "D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)(A;;CCLCSWLOCRRC;;;IU)(A;;CCLCSWLOCRRC;;;SU)"
)

# Which state may follow which, beside itself. Any may be left for STOPPED: what ends, ends.
NEXT = {
    STOPPED: {START_PENDING},
    START_PENDING: {RUNNING, STOP_PENDING},
    RUNNING: {PAUSE_PENDING, PAUSED, STOP_PENDING},
    # What couldn't be paused goes on running, and what couldn't be continued stays paused.
    PAUSE_PENDING: {PAUSED, RUNNING, STOP_PENDING},
    PAUSED: {CONTINUE_PENDING, RUNNING, STOP_PENDING},
    CONTINUE_PENDING: {RUNNING, PAUSED, STOP_PENDING},
    STOP_PENDING: set(),
}

_ACE = re.compile(r"\(A;[^;]*;([A-Z]*);;;([^)]+)\)")

RESET_NEVER = 0xFFFFFFFF


def allows(security: str, callers: Iterable[str], right: str) -> bool:
    """Whether *security* (SDDL; "": the default) gives one of *callers* (SIDs, or their two letters) the *right*."""
    given = {
        right
        for rights, sid in _ACE.findall(security or DEFAULT_SECURITY)
        if sid in callers
        for right in _pairs(rights)
    }
    return right in given


def _pairs(rights: str) -> list[str]:
    full = "CCDCLCSWRPWPDTLOCRSDRCWDWO"
    text = full if rights in ("GA", "KA") else rights
    return [text[at : at + 2] for at in range(0, len(text), 2)]


def refusal(state: int, accepted: int, code: int) -> int:
    """The error with which ControlService refuses *code* in *state*; 0 if it is delivered."""
    if state == STOPPED:
        return NOT_ACTIVE
    if state == STOP_PENDING or (state == START_PENDING and code != STOP):
        return CANNOT_ACCEPT_CONTROL
    needed = ACCEPTED_BY.get(code, 0)
    return 0 if accepted & needed == needed else INVALID_SERVICE_CONTROL


def faults(before: ServiceStatus, now: ServiceStatus) -> list[str]:
    """What is wrong with going from *before* to *now*. A real SCM takes it without a word, and misleads who looks."""
    found = []
    if now.state not in {before.state, STOPPED, *NEXT[before.state]} or before.state == STOPPED:
        found.append(f"state {before.state} -> {now.state}")
    if now.state not in PENDING and (now.checkpoint or now.wait_hint_ms):
        found.append(f"checkpoint {now.checkpoint} and hint {now.wait_hint_ms} in state {now.state}")
    if now.state in PENDING and now.state == before.state and now.checkpoint < before.checkpoint:
        found.append(f"checkpoint {before.checkpoint} -> {now.checkpoint}")
    if now.exit_code and now.state != STOPPED:
        found.append(f"exit code {now.exit_code} in state {now.state}")
    return found


class Failures(Record):
    """How often a service has failed, and when it did so last (-inf: never)."""

    count: int = 0
    at: float = float("-inf")


def after_failure(failures: Failures, actions: FailureActions, now: float) -> tuple[Failures, tuple[int, int]]:
    """The failures with one more at *now*, and what to do about it: a type (0: nothing) and a delay in milliseconds.

    (SERVICE_FAILURE_ACTIONS: the count begins anew after dwResetPeriod without a failure; the last action repeats.)
    """
    forgotten = actions.reset_s != RESET_NEVER and now - failures.at > actions.reset_s
    failures = Failures(1 if forgotten else failures.count + 1, now)
    if not actions.actions:
        return failures, (0, 0)
    return failures, actions.actions[min(failures.count, len(actions.actions)) - 1]
