"""From a wanted ``Installation`` to what the SCM keeps, and from what the SCM says to words: pure, and total."""

from __future__ import annotations

from stayon import exits
from stayon.core import installation, restart, states
from stayon.core.duration import text
from stayon.core.installation import Installation, Managed
from stayon.core.record import Record
from stayon.errors import UsageError
from stayon.platforms.windows.api import FailureActions, ServiceConfig, ServiceStatus, Trigger
from stayon.platforms.windows.command_line import command_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAME_LIMIT = 256
COMMAND_LIMIT = 32_767

# dwStartType (https://learn.microsoft.com/windows/win32/api/winsvc/nf-winsvc-createservicew); a delayed one is
# automatic, with a flag.
START_NUMBERS = {installation.AUTO: 2, installation.DELAYED: 2, installation.MANUAL: 3, installation.DISABLED: 4}

# SC_ACTION_NONE and SC_ACTION_RESTART, and how many actions the SCM takes
# (https://learn.microsoft.com/openspecs/windows_protocols/ms-scmr/58032b71-1e5c-4f2e-8545-34b0f2e8c6ad).
ACTION_NONE, ACTION_RESTART = 0, 1
ACTIONS_LIMIT = 1_024

# What holds after a failure where the service says nothing: as everywhere with a manager, back-off without an end.
DEFAULT_RESTART = restart.backoff()

# At shutdown the service needs a moment more than its stop timeout: to say who refused to stop.
PRESHUTDOWN_MARGIN_S = 5.0

LOCAL_SERVICE = "NT AUTHORITY\\LocalService"
NETWORK_SERVICE = "NT AUTHORITY\\NetworkService"
LOCAL_SYSTEM = "LocalSystem"
VIRTUAL = "NT SERVICE\\"
_BUILT_IN = {
    "": LOCAL_SERVICE,
    "localservice": LOCAL_SERVICE,
    "local service": LOCAL_SERVICE,
    "networkservice": NETWORK_SERVICE,
    "network service": NETWORK_SERVICE,
    "localsystem": LOCAL_SYSTEM,
    "system": LOCAL_SYSTEM,
}

# The kinds of accounts: those of Windows itself, the service's own, one whose password the domain keeps (gMSA), a user.
BUILT_IN, OWN, MANAGED, USER = "built-in", "virtual", "managed", "user"

# SERVICE_TRIGGER's types, actions and subtypes
# (https://learn.microsoft.com/windows/win32/api/winsvc/ns-winsvc-service_trigger).
TRIGGER_DEVICE, TRIGGER_NETWORK, TRIGGER_EVENT = 1, 2, 20
TRIGGER_START, TRIGGER_STOP = 1, 2
FIRST_ADDRESS = "4f27f2de-14e2-430b-a549-7cd48cbc8245"
LAST_ADDRESS_GONE = "cc4ba62a-162e-4648-847a-b6bdf993e335"
_NETWORK = {
    installation.NETWORK_UP: Trigger(TRIGGER_NETWORK, TRIGGER_START, FIRST_ADDRESS),
    installation.NETWORK_DOWN: Trigger(TRIGGER_NETWORK, TRIGGER_STOP, LAST_ADDRESS_GONE),
}
_TRIGGER_TYPES = {installation.DEVICE: TRIGGER_DEVICE, installation.EVENT: TRIGGER_EVENT}

ERROR_SERVICE_SPECIFIC_ERROR = 1066
ERROR_PROCESS_ABORTED = 1067
ERROR_SERVICE_NEVER_STARTED = 1077

_STATES = {number: state for state, number in states.SCM_NUMBERS.items()}


class Account(Record):
    """An account as the SCM takes it, and its kind."""

    name: str
    kind: str


def configuration(wanted: Installation, security: str = "") -> ServiceConfig:
    """What the SCM is to keep of *wanted*; *security* is the service object's SDDL ("" leaves it alone).

    Raises ``UsageError`` ("scm.bad-name", "scm.bad-account", "scm.long-command").
    """
    checked_name(wanted.name)
    command = quoted(wanted.command)
    if len(command) > COMMAND_LIMIT:
        raise UsageError(
            f"the command line of {wanted.name!r} has more than {COMMAND_LIMIT} characters",
            hint="Move options into the configuration file.",
            code="scm.long-command",
        )
    failure = failure_actions(wanted.restart)
    return ServiceConfig(
        command=command,
        display_name=wanted.display_name or wanted.name,
        account=account_of(wanted.account, wanted.name).name,
        start_type=START_NUMBERS[wanted.start],
        delayed=wanted.start == installation.DELAYED,
        dependencies=(*wanted.after, *("+" + group for group in wanted.groups)),
        description=wanted.description,
        failure=failure,
        failure_on_non_crash=bool(failure.actions),
        preshutdown_ms=_milliseconds(wanted.stop_timeout_s + PRESHUTDOWN_MARGIN_S),
        privileges=wanted.privileges,
        triggers=tuple(trigger(each) for each in wanted.triggers),
        security=security,
        environment=tuple(f"{name}={value}" for name, value in wanted.environment),
        mark=wanted.mark,
    )


def checked_name(name: str) -> str:
    """*name* if the SCM takes it (https://learn.microsoft.com/windows/win32/api/winsvc/nf-winsvc-createservicew).
    Raises ``UsageError`` ("scm.bad-name").
    """
    culprit = next((letter for letter in name if letter in "/\\" or letter < " "), "")
    if not name or len(name) > NAME_LIMIT or culprit:
        why = f"it has {culprit!r} in it" if culprit else f"it has {len(name)} characters"
        raise UsageError(
            "Windows can't have a service of this name",
            where=repr(name if len(name) <= NAME_LIMIT else name[:40] + "..."),
            why=why,
            hint=f"Use 1 to {NAME_LIMIT} characters, none of them a slash or backslash.",
            code="scm.bad-name",
        )
    return name


def account_of(said: str, service: str) -> Account:
    r"""The account that *said* means: a name of Windows' own ("" is LocalService), ``NT SERVICE\NAME`` of the service
    itself, ``DOMAIN\name$`` (gMSA), ``DOMAIN\user``, ``.\user``, ``user@domain``, or ``user`` of this computer.

    Raises ``UsageError`` ("scm.bad-account").
    """
    authority, backslash, name = said.rpartition("\\")
    if authority.lower() in ("", "nt authority") and name.lower() in _BUILT_IN and (name or not backslash):
        return Account(_BUILT_IN[name.lower()], BUILT_IN)
    if authority.lower() == "nt service":
        if name.lower() != service.lower():
            raise _bad_account(said, f"a virtual account is its service's own, {VIRTUAL}{service}")
        return Account(VIRTUAL + service, OWN)
    if backslash:
        if not authority or not name or "\\" in authority or authority.lower() == "nt authority":
            raise _bad_account(said, "it is no account that a service can have")
        return Account(said, MANAGED if name.endswith("$") else USER)
    if said.endswith("$"):
        raise _bad_account(said, "a managed service account belongs to a domain")
    user, at, domain = said.partition("@")
    if at and (not user or not domain):
        raise _bad_account(said, "the user or the domain is missing")
    return Account(said if at else ".\\" + said, USER)


def failure_actions(policy: restart.Policy | None) -> FailureActions:
    """*policy* as the SCM can do it: a restart after each of its waits; the last one repeats, or is "none" where the
    policy gives up. It knows neither jitter nor a budget, and doesn't tell exit codes apart.
    """
    policy = policy or DEFAULT_RESTART
    waits = [_milliseconds(wait_s) for wait_s in restart.delays(policy, ACTIONS_LIMIT)]
    if not waits:
        return FailureActions(0)
    ends = len(waits) < ACTIONS_LIMIT
    while not ends and len(waits) > 1 and waits[-1] == waits[-2]:
        waits.pop()
    actions = tuple((ACTION_RESTART, wait_ms) for wait_ms in waits)
    # The SCM counts from one failure to the next, wait included; the policy looks at how long a run lasted.
    reset_s = max(1, round(policy.reset_after_s + max(waits) / 1_000))
    return FailureActions(reset_s, (*actions, (ACTION_NONE, 0)) if ends else actions)


def trigger(said: str) -> Trigger:
    """A trigger in the words of ``Installation``, checked by it, as the SCM has it."""
    kind, colon, guid = said.partition(":")
    return _NETWORK[said] if said in _NETWORK else Trigger(_TRIGGER_TYPES[kind + colon], TRIGGER_START, guid)


def quoted(command: Sequence[str]) -> str:
    r"""*command* as one line that CommandLineToArgvW takes apart again. The program is always quoted: without quotes,
    C:\Program.exe may be started instead of a program below C:\Program Files.
    """
    program, *arguments = command
    return f'"{program}" {command_line(arguments)}'.rstrip()


def described(name: str, config: ServiceConfig, status: ServiceStatus, text_of: Callable[[int], str]) -> Managed:
    """How a service is, in words. *text_of* gives Windows' text of an error number."""
    code, why = ending(status, text_of)
    return Managed(
        name=name,
        state=_STATES.get(status.state, states.STOPPED),
        pid=status.pid,
        exit_code=code,
        why=why,
        account=config.account,
        start=start_word(config),
        command=config.command,
        mark=config.mark,
        display_name=config.display_name,
    )


def alive_or_dead(status: ServiceStatus, is_there: Callable[[int], bool]) -> ServiceStatus:
    """*status*, or the end that it was if its process is gone (*is_there* says so of a pid): there is a moment before
    Windows' SCM has noticed, and Wine's never does.
    """
    begun = status.state not in (states.SCM_NUMBERS[states.STOPPED], states.SCM_NUMBERS[states.START_PENDING])
    if is_there(status.pid) if status.pid else not begun:
        return status
    return ServiceStatus(states.SCM_NUMBERS[states.STOPPED], exit_code=ERROR_PROCESS_ABORTED)


def ending(status: ServiceStatus, text_of: Callable[[int], str]) -> tuple[int, str]:
    """The exit code of a service's last end and what it means; 0 and nothing if it is alive or was never started."""
    if status.state != states.SCM_NUMBERS[states.STOPPED] or status.exit_code in (0, ERROR_SERVICE_NEVER_STARTED):
        return 0, ""
    if status.exit_code == ERROR_SERVICE_SPECIFIC_ERROR:
        return status.specific, exits.meaning(status.specific)
    return status.exit_code, text_of(status.exit_code)


def start_word(config: ServiceConfig) -> str:
    """How the service is started, as ``Installation`` says it; "" for a driver's start type."""
    if config.delayed and config.start_type == START_NUMBERS[installation.DELAYED]:
        return installation.DELAYED
    words = {number: word for word, number in START_NUMBERS.items() if word != installation.DELAYED}
    return words.get(config.start_type, "")


def failure_words(failure: FailureActions) -> str:
    """The failure actions for people: "restart after 1s, 2s, then every 5m"; "" for none."""
    waits = [text(delay_ms / 1_000) for kind, delay_ms in failure.actions if kind == ACTION_RESTART]
    if not waits:
        return ""
    gives_up = failure.actions[-1][0] == ACTION_NONE
    *first, last = waits
    listed = ", ".join(first[:8]) + (", ..." if len(first) > 8 else "")
    tail = f"{last}, then give up" if gives_up else f"then every {last}" if first else f"{last}, every time"
    return f"restart after {listed}{', ' if listed else ''}{tail}; counted anew after {text(failure.reset_s)}"


def trigger_words(each: Trigger) -> str:
    """A trigger in the words of ``Installation``; one that they have no word for with its numbers."""
    for word, known in _NETWORK.items():
        if (each.type, each.action, each.subtype) == (known.type, known.action, known.subtype):
            return word
    for word, number in _TRIGGER_TYPES.items():
        if (each.type, each.action) == (number, TRIGGER_START):
            return word + each.subtype
    return f"type {each.type}, action {each.action}, {each.subtype}"


def _milliseconds(length_s: float) -> int:
    """Within the 32 bits that the SCM has for it (49 days)."""
    return min(round(length_s * 1_000), 0xFFFFFFFE)


def _bad_account(said: str, why: str) -> UsageError:
    return UsageError(
        f"the account {said!r} can't be used",
        why=why,
        hint="Say LocalService, NetworkService, LocalSystem, NT SERVICE\\NAME, DOMAIN\\name$, DOMAIN\\user or .\\user.",
        code="scm.bad-account",
    )
