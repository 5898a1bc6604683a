"""What the SCM's error numbers mean to a person: which error it is to us, and what to do next."""

from __future__ import annotations

from stayon.errors import FailedError, NotPermittedError, StayonError, TemporaryError, UnavailableError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from stayon.platforms.windows.api import ScmError

# winerror.h (https://learn.microsoft.com/windows/win32/debug/system-error-codes--1000-1299-).
FILE_NOT_FOUND = 2
PATH_NOT_FOUND = 3
ACCESS_DENIED = 5
BROKEN_PIPE = 109
INVALID_NAME = 123
NO_DATA = 232
DEPENDENTS_RUNNING = 1051
INVALID_CONTROL = 1052
REQUEST_TIMEOUT = 1053
DATABASE_LOCKED = 1055
ALREADY_RUNNING = 1056
INVALID_ACCOUNT = 1057
DISABLED = 1058
CIRCULAR = 1059
NO_SUCH_SERVICE = 1060
CANNOT_ACCEPT = 1061
NOT_ACTIVE = 1062
SPECIFIC = 1066
PROCESS_ABORTED = 1067
DEPENDENCY_FAILED = 1068
LOGON_FAILED = 1069
MARKED_FOR_DELETION = 1072
EXISTS = 1073
DEPENDENCY_MISSING = 1075
DUPLICATE_NAME = 1078
SID_TYPE = 1290
PRIVILEGE_MISSING = 1297

ELEVATE = "Run it from an elevated prompt: right-click the Terminal or Command Prompt, then Run as administrator."
CLOSE_HOLDERS = (
    "Close services.msc, Task Manager, Event Viewer and whatever else shows services, then say it again; "
    "what is marked is gone after the next start of the computer at the latest."
)
LOOK_INTO_LOG = "Look into its log: stayon logs NAME; then into the Application and System logs of Event Viewer."

_KNOWN: dict[int, Callable[[str, str], StayonError]] = {
    ACCESS_DENIED: lambda where, why: NotPermittedError(
        "this account may not do that to the service", where=where, why=why, hint=ELEVATE, code="scm.access-denied"
    ),
    INVALID_NAME: lambda where, why: UsageError(
        "the SCM doesn't take a name in this", where=where, why=why, hint="Correct it.", code="scm.invalid-name"
    ),
    DEPENDENTS_RUNNING: lambda where, why: TemporaryError(
        "others that depend on it are running", where=where, why=why, hint="Stop those first.", code="scm.dependents"
    ),
    INVALID_CONTROL: lambda where, why: UsageError(
        "the service doesn't take this", where=where, why=why, hint="It declares no such hook.", code="scm.not-accepted"
    ),
    REQUEST_TIMEOUT: lambda where, why: UnavailableError(
        "its process gave no sign of life",
        where=where,
        why=why,
        hint="Try its command line in a console; stayon doctor looks for what the account can't reach.",
        code="scm.no-answer",
    ),
    DATABASE_LOCKED: lambda where, why: TemporaryError(
        "the SCM is locked", where=where, why=why, hint="Try again in a moment.", code="scm.locked"
    ),
    INVALID_ACCOUNT: lambda where, why: UsageError(
        "there is no such account, or its password is wrong",
        where=where,
        why=why,
        hint="Write a user of this computer as .\\user, one of a domain as DOMAIN\\user.",
        code="scm.account",
    ),
    DISABLED: lambda where, why: UsageError(
        "the service, or one that it needs, is disabled",
        where=where,
        why=why,
        hint="Install it with another start type: --start manual.",
        code="scm.disabled",
    ),
    CIRCULAR: lambda where, why: UsageError(
        "the service would have to run before itself", where=where, why=why, hint="Correct after=.", code="scm.circular"
    ),
    NO_SUCH_SERVICE: lambda where, why: UnavailableError(
        "it is not installed",
        where=where,
        why=why,
        hint="stayon list names those that are.",
        code="manager.not-installed",
    ),
    CANNOT_ACCEPT: lambda where, why: TemporaryError(
        "it can't take this in the state it is in", where=where, why=why, hint="Ask again.", code="scm.busy"
    ),
    NOT_ACTIVE: lambda where, why: UnavailableError(
        "it is not running", where=where, why=why, hint="Start it first.", code="scm.not-running"
    ),
    PROCESS_ABORTED: lambda where, why: FailedError(
        "its process ended unexpectedly", where=where, why=why, hint=LOOK_INTO_LOG, code="scm.died"
    ),
    DEPENDENCY_FAILED: lambda where, why: UnavailableError(
        "a service that has to run before it can't be started",
        where=where,
        why=why,
        hint="Start that one, and see what it says.",
        code="scm.dependency",
    ),
    LOGON_FAILED: lambda where, why: NotPermittedError(
        "its account can't log on",
        where=where,
        why=why,
        hint="The password may have changed, or the right to log on as a service was taken away: install it again.",
        code="scm.logon",
    ),
    MARKED_FOR_DELETION: lambda where, why: TemporaryError(
        "it is marked for deletion, but a program still holds it open",
        where=where,
        why=why,
        hint=CLOSE_HOLDERS,
        code="scm.marked-for-deletion",
    ),
    EXISTS: lambda where, why: TemporaryError(
        "somebody has installed a service of this name at the same time",
        where=where,
        why=why,
        hint="See stayon status NAME.",
        code="scm.exists",
    ),
    DEPENDENCY_MISSING: lambda where, why: UsageError(
        "a service that has to run before it does not exist",
        where=where,
        why=why,
        hint="Correct after=, or install that one first.",
        code="scm.dependency-missing",
    ),
    DUPLICATE_NAME: lambda where, why: UsageError(
        "another service has this name, or shows it",
        where=where,
        why=why,
        hint="Give it another.",
        code="scm.duplicate",
    ),
    SID_TYPE: lambda where, why: UnavailableError(
        "its process was started for a service with another SID type",
        where=where,
        why=why,
        hint="Stop all services of that process, then start it.",
        code="scm.sid-type",
    ),
    PRIVILEGE_MISSING: lambda where, why: NotPermittedError(
        "its account has not all the privileges that it requires",
        where=where,
        why=why,
        hint="Correct privileges=, or choose an account that has them.",
        code="scm.privilege",
    ),
}


for _gone in (FILE_NOT_FOUND, PATH_NOT_FOUND):
    _KNOWN[_gone] = lambda where, why: UnavailableError(
        "what it runs is not there",
        where=where,
        why=why,
        hint="Python may have been moved or removed: install it again with the one that is there.",
        code="scm.no-program",
    )


def explained(error: ScmError, where: str, text_of: Callable[[int], str]) -> StayonError:
    """*error* as ours: *where* is the service, *text_of* gives Windows' text of a number."""
    why = f"{text_of(error.code)} ({error.call}, error {error.code})"
    known = _KNOWN.get(error.code)
    if known is not None:
        return known(where, why)
    return UnavailableError("the SCM refused", where=where, why=why, hint="See the cause.", code="scm.refused")


def is_transient(error: ScmError) -> bool:
    """Whether the same may work in a moment."""
    return error.code in (DATABASE_LOCKED, CANNOT_ACCEPT, MARKED_FOR_DELETION)
