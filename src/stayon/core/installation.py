"""What a service manager is told of a service, and what it says, in words that fit the SCM, systemd and launchd."""

from __future__ import annotations

from stayon.core import bounds
from stayon.core.bounds import wrong
from stayon.core.record import Record
from stayon.core.spec import checked_choice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from stayon.core.places import Places
    from stayon.core.restart import Policy
    from stayon.core.spec import JobSpec

AUTO = "auto"
DELAYED = "delayed"
MANUAL = "manual"
DISABLED = "disabled"
START_TYPES = (AUTO, DELAYED, MANUAL, DISABLED)

NETWORK_UP = "network-up"
NETWORK_DOWN = "network-down"
DEVICE = "device:"
EVENT = "event:"

# What ``Service.installation`` takes, and what holds where nothing is said.
DEFAULTS: dict[str, Any] = {
    "account": "",
    "start": AUTO,
    "after": (),
    "groups": (),
    "triggers": (),
    "privileges": (),
    "controllers": "",
    "environment": {},
    "limits": {},
    "memory": None,
    "cpu": None,
    "tasks": None,
    "allow": (),
    "writes": (),
    "sockets": {},
}

SYSTEM, USER = "system", "user"

# What a service is kept from unless it says that it needs it (``Service.installation(allow=...)``), in words that are
# no system's own. Each manager renders those that it has something for.
ALLOWANCES = {
    "home": "read and write the users' home directories",
    "home-read": "read the users' home directories",
    "system-write": "write outside its own directories, wherever its account may",
    "devices": "use hardware: /dev beyond the pseudo devices",
    "jit": "make memory executable that it has written to",
    "new-privileges": "gain rights by setuid programs such as sudo",
    "low-ports": "listen on ports below 1024",
    "raw-network": "send and receive raw packets, and other address families than Unix and IP",
    "processes": "see the processes of other accounts",
    "realtime": "ask for real-time scheduling",
    "namespaces": "make namespaces, as sandboxes and container tools do",
    "system-calls": "make system calls that ordinary services don't",
    "kernel": "read kernel logs and settings, set the clock, load modules, where its account may",
}


class Installation(Record):
    """A service as it is wanted in the manager. Times in seconds; names are the manager's own.

    *command* is a list: program and arguments. *account* "" is the manager's least privileged default. *after* are
    services that have to run before it, *groups* load-order groups (SCM). *triggers* start it on demand ("network-up",
    "device:GUID", "event:GUID") or stop it ("network-down"). *controllers* names a group whose members may start and
    stop it. *mark* tells that it is ours, and of which version.

    *password* gives the account's password; it is called only if one has to be told to the manager: when the account is
    new, or if *fresh_password* says that it is another now.
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
    # The service's directories, and what it may do there: (path, "read" | "write" | "publish": that
    # is "write", with all users reading).
    directories: tuple[tuple[str, str], ...] = ()
    password: Callable[[], str] | None = None
    fresh_password: bool = False
    # Which manager: the computer's, or that of one user ("system" | "user"); and which of several ("": the only one).
    scope: str = SYSTEM
    instance: str = ""
    # Resource limits by their setrlimit(2) names ("nofile"), then those of the whole tree of processes; 0: none.
    limits: tuple[tuple[str, str], ...] = ()
    memory_bytes: int = 0
    cpu_percent: float = 0.0
    tasks: int = 0
    # Names of ALLOWANCES, and directories of others where it may write.
    allow: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    # Sockets that the manager opens for it: (name, "HOST:PORT" or "/path").
    sockets: tuple[tuple[str, str], ...] = ()
    # The address of /livez and /readyz, and how long its host may be silent (None: for ever).
    probes: str = ""
    hang_timeout_s: float | None = None
    # What exports may want besides: its jobs, which a timer can start one by one (*command* and "--once", "NAME"), and
    # the image that a container is made of.
    jobs: tuple[JobSpec, ...] = ()
    image: str = ""


class Change(Record):
    """One difference that installing makes: a thing's name, what it is, and what it will be ("": it isn't there).

    *warning* is not empty if this computer's manager can't have it so; everything else holds all the same.
    """

    name: str
    old: str
    new: str
    warning: str = ""


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
    # Where its things are, where that isn't the same for whoever asks; the status text that it gave; how often the
    # manager has started it again; and how its log is read there, if the manager has it.
    places: Places | None = None
    status: str = ""
    restarts: int = 0
    log: str = ""


def checked_options(said: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``Installation`` that *said*, options with the names of ``DEFAULTS``, stands for, with defaults.

    Raises ``UsageError`` ("spec.choice", "spec.installation").
    """
    given = {**DEFAULTS, **said}
    return {
        "account": _text(given["account"], "account"),
        "start": checked_choice(given["start"], START_TYPES, "start"),
        "after": _names(given["after"], "after"),
        "groups": _names(given["groups"], "groups"),
        "triggers": tuple(_trigger(each) for each in _names(given["triggers"], "triggers")),
        "privileges": tuple(_privilege(each) for each in _names(given["privileges"], "privileges")),
        "controllers": _text(given["controllers"], "controllers"),
        "environment": _environment(given["environment"]),
        "limits": bounds.limits(given["limits"]),
        "memory_bytes": bounds.memory_bytes(given["memory"]),
        "cpu_percent": bounds.cpu_percent(given["cpu"]),
        "tasks": bounds.task_count(given["tasks"]),
        "allow": tuple(_allowance(each) for each in _names(given["allow"], "allow")),
        "writes": bounds.directories(given["writes"], "writes"),
        "sockets": bounds.sockets(given["sockets"]),
    }


def is_guid(written: str) -> bool:
    """Whether *written* has the form 4d36e96b-e325-11ce-bfc1-08002be10318."""
    parts = written.split("-")
    digits = frozenset("0123456789abcdefABCDEF")
    return [len(part) for part in parts] == [8, 4, 4, 4, 12] and all(digits.issuperset(part) for part in parts)


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not _is_plain(value):
        raise wrong(f"{what}={value!r} is not a name", "Give it as text, on one line.")
    return value.strip()


def _names(value: object, what: str) -> tuple[str, ...]:
    if not isinstance(value, (tuple, list)):
        raise wrong(f"{what}={value!r} is not a list", f'Give a list of names, even of one: {what}=["..."].')
    names = tuple(_text(each, what) for each in value)
    if "" in names:
        raise wrong(f"{what}={value!r} has an empty name in it", "Take it away, or complete it.")
    if len(set(names)) < len(names):
        raise wrong(f"{what}={value!r} has a name twice in it", "Take one away.")
    return names


def _allowance(name: str) -> str:
    if name not in ALLOWANCES:
        from stayon.core.nearest import did_you_mean

        raise wrong(f"nothing that a service may be allowed is called {name!r}", did_you_mean(name, ALLOWANCES))
    return name


def _trigger(written: str) -> str:
    kind, colon, guid = written.partition(":")
    if written in (NETWORK_UP, NETWORK_DOWN):
        return written
    if kind + colon in (DEVICE, EVENT):
        if is_guid(guid.strip("{}")):
            return kind + colon + guid.strip("{}").lower()
        raise wrong(
            f"{guid!r} of the trigger {written!r} is not a GUID",
            f"Write it as {kind}:4d36e96b-e325-11ce-bfc1-08002be10318",
        )
    raise wrong(
        f"the trigger {written!r} is not known",
        f"Say one of {NETWORK_UP}, {NETWORK_DOWN}, {DEVICE}GUID (a device interface), {EVENT}GUID (an ETW provider).",
    )


def _privilege(name: str) -> str:
    if not (name.startswith("Se") and name.endswith("Privilege") and name.isalnum()):
        raise wrong(f"{name!r} is not a privilege", 'Write it as Windows does: "SeChangeNotifyPrivilege".')
    return name


def _environment(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise wrong(f"environment={value!r} is not a dict", 'Give names and values: {"TZ": "UTC"}.')
    for name, content in value.items():
        if not isinstance(name, str) or not name or "=" in name or not _is_plain(name):
            raise wrong(
                f"the environment can't have a variable {name!r}", 'Use a name without "=" and control characters.'
            )
        if not isinstance(content, str) or "\0" in content:
            raise wrong(f"the variable {name} can't be {content!r}", "Give it as text.")
    return tuple(value.items())


def _is_plain(written: str) -> bool:
    """Whether it has no control characters: what is stored behind a zero would be another value."""
    return all(letter >= " " for letter in written)
