"""The Service Control Manager as we use it: what passes, and the calls. Real ones are in ``advapi``; a simulated SCM
has the same.

Numbers and names are those of winsvc.h
(https://learn.microsoft.com/windows/win32/api/winsvc/).
"""

from __future__ import annotations

from stayon.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol
else:
    Protocol = object


class ScmError(Exception):
    """A call of the SCM's API failed: *code* is the number of winerror.h, *call* the function's name."""

    def __init__(self, code: int, call: str) -> None:
        super().__init__(f"{call}: error {code}")
        self.code, self.call = code, call


class ServiceStatus(Record):
    """SERVICE_STATUS_PROCESS: *state* by ``states.SCM_NUMBERS``, *accepted* controls as bits, the wait hint in
    milliseconds, and *specific*, our exit code when *exit_code* is ERROR_SERVICE_SPECIFIC_ERROR (1066).
    """

    state: int
    accepted: int = 0
    exit_code: int = 0
    specific: int = 0
    checkpoint: int = 0
    wait_hint_ms: int = 0
    pid: int = 0


class FailureActions(Record):
    """SERVICE_FAILURE_ACTIONS: *actions* are pairs of type (0 none, 1 restart) and delay in milliseconds; the last one
    repeats. *reset_s* is after how long without a failure the count begins anew.
    """

    reset_s: int
    actions: tuple[tuple[int, int], ...] = ()


class Trigger(Record):
    """SERVICE_TRIGGER: *type*, *action* (1 start, 2 stop), *subtype* (a GUID as text), and data items as text."""

    type: int
    action: int
    subtype: str
    data: tuple[str, ...] = ()


class ServiceConfig(Record):
    """All that the SCM keeps of a service. *command* is the whole command line, quoted; *dependencies* are names,
    groups with a "+" before; *security* is the service object's SDDL ("": the SCM's own); *mark* says that it is ours
    (a value ``Stayon`` in the key ``Parameters`` of the service's registry key).
    """

    command: str
    display_name: str = ""
    account: str = "NT AUTHORITY\\LocalService"
    start_type: int = 2
    delayed: bool = False
    error_control: int = 1
    group: str = ""
    dependencies: tuple[str, ...] = ()
    description: str = ""
    failure: FailureActions = FailureActions(0)
    failure_on_non_crash: bool = True
    preshutdown_ms: int = 10_000
    sid_type: int = 1
    privileges: tuple[str, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    security: str = ""
    environment: tuple[str, ...] = ()
    mark: str = ""
    # Fields that this SCM doesn't keep: asking for them gave error 87 or 124.
    unkept: tuple[str, ...] = ()
    # It is deleted, and gone as soon as nobody has it open.
    marked: bool = False


class ServiceStore(Protocol):
    """What the SCM keeps. Everything raises ``ScmError``."""

    def create(self, name: str, config: ServiceConfig, password: str | None = None) -> None:
        """CreateServiceW, with what it takes (command, display name, account, start type, group, dependencies); the
        other fields come by ``change``.
        """
        ...

    def read(self, name: str) -> ServiceConfig:
        """What is kept of *name*; a field that this SCM doesn't keep has its default. Error 1060: no such service."""
        ...

    def change(self, name: str, field: str, value: Any, password: str | None = None) -> None:
        """Set one field of ``ServiceConfig``. Errors 87 and 124: this SCM doesn't know it."""
        ...

    def delete(self, name: str) -> None:
        """Mark for deletion; it goes when the last handle is closed. Error 1072: it is marked already."""
        ...


class ServiceCalls(Protocol):
    """What can be asked of services. Everything raises ``ScmError``."""

    def start(self, name: str, arguments: Sequence[str] = ()) -> None:
        """StartServiceW; does not wait."""
        ...

    def control(self, name: str, code: int) -> None:
        """ControlService with a SERVICE_CONTROL_* number; does not wait for its effect."""
        ...

    def status(self, name: str) -> ServiceStatus:
        """QueryServiceStatusEx; needs no administrator."""
        ...

    def names(self, dependents_of: str = "") -> list[str]:
        """All services of the own-process kind; or the active dependents of one (EnumDependentServicesW)."""
        ...


class ServiceProcess(Protocol):
    """A service's own end of the SCM."""

    def dispatch(self, name: str, on_start: Callable[[Sequence[str]], object]) -> int:
        """StartServiceCtrlDispatcherW: call *on_start(arguments)* on a thread of the system's, and block until STOPPED.
        Where the launcher is connected already: call it on this thread, and return when it does.

        Gives 0, or the error: 1063 if the SCM has not started this process.
        """
        ...

    def register(self, name: str, handler: Callable[[int, int, bytes], int]) -> int:
        """RegisterServiceCtrlHandlerExW; *handler* gets the control, the event's type, and a copy of its data, and
        gives NO_ERROR (0) or ERROR_CALL_NOT_IMPLEMENTED (120). Gives the status handle; within *on_start*.
        """
        ...

    def set_status(self, handle: int, status: ServiceStatus) -> int:
        """SetServiceStatus; gives 0 or the error. Of the pid it takes no note."""
        ...
