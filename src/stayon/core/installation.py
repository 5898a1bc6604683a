"""What a service manager is told of a service, and what it says, in words that fit the SCM, systemd and launchd."""

from __future__ import annotations

from stayon.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.core.restart import Policy

AUTO = "auto"
DELAYED = "delayed"
MANUAL = "manual"
DISABLED = "disabled"
START_TYPES = (AUTO, DELAYED, MANUAL, DISABLED)


class Installation(Record):
    """A service as it is wanted in the manager. Times in seconds; names are the manager's own.

    *command* is a list: program and arguments. *account* "" is the manager's least privileged default. *after* are
    services that have to run before it, *groups* load-order groups (SCM). *triggers* start it on demand
    ("network-up", "network-down", "device:GUID", "event:GUID"). *controllers* names a group whose members may start and
    stop it. *mark* tells that it is ours, and of which version.
    """

    name: str
    display_name: str
    description: str
    command: tuple[str, ...]
    mark: str
    restart: Policy | None
    start_timeout_s: float
    stop_timeout_s: float
    account: str = ""
    start: str = AUTO
    after: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    privileges: tuple[str, ...] = ()
    controllers: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    # Directories that the account has to own: (path, "read" | "write").
    directories: tuple[tuple[str, str], ...] = ()


class Change(Record):
    """One difference that installing makes: a thing's name, what it is, and what it will be ("": it isn't there)."""

    name: str
    old: str
    new: str


class Managed(Record):
    """A service as its manager sees it. *state* is one of ``states.STATES``; *since* in Unix time, 0 if unknown;
    *exit_code* of its last end, *why* in words.
    """

    name: str
    state: str
    pid: int = 0
    exit_code: int = 0
    why: str = ""
    since: float = 0.0
    account: str = ""
    start: str = ""
    command: str = ""
    mark: str = ""
    display_name: str = ""
