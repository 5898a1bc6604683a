"""Who keeps the service that a verb is about: the computer's own manager, or that of the account which asks."""

from __future__ import annotations

from stayon.core.installation import SYSTEM, USER
from stayon.core.record import Record
from stayon.errors import NotPermittedError, UnavailableError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.cli.command import Call
    from stayon.core.installation import Managed
    from stayon.machine import Management
    from stayon.ports import ServiceManager

ROOT = 0


class Keeper(Record):
    """What keeps services in one *scope*, and the service as it has it (None: it hasn't, or nobody keeps any)."""

    scope: str
    here: Management
    managed: Managed | None = None

    @property
    def ours(self) -> Managed | None:
        """The service, if it is one of stayon's."""
        return self.managed if self.managed is not None and self.managed.mark else None


def name_of(call: Call) -> str:
    """What the manager calls the service: NAME or NAME@INSTANCE."""
    instance = call.given.get("instance", "")
    return f"{call.name}@{instance}" if instance else call.name


def uid_of(call: Call) -> int | None:
    """The number of the account that asks; None on a system whose accounts have none (Windows)."""
    uid: int | None = call.here().facts().get("uid")
    return uid


def scope_wanted(call: Call) -> str:
    """Whose service ``install``, ``export`` and ``doctor`` are about: the computer's unless ``--user`` is said. Raises
    ``UsageError`` where that can't be.
    """
    if "user" not in call.given:
        return SYSTEM
    uid = uid_of(call)
    if uid is None:
        raise UsageError(
            "this system keeps no services for one account alone",
            hint="Leave --user out.",
            code="manager.no-user",
        )
    if uid == ROOT:
        raise UsageError(
            "root's own manager keeps no services: it runs only while root is logged on",
            hint="Leave --user out for a service of the computer, or say it as the account that it is for.",
            code="manager.no-user",
        )
    return USER


def scopes(call: Call) -> tuple[str, ...]:
    """Where a service may be kept, in the order in which it is looked for. Pure but for whose account it is."""
    if "user" in call.given:
        return (scope_wanted(call),)
    return (SYSTEM,) if uid_of(call) in (None, ROOT) else (USER, SYSTEM)


def here(call: Call, scope: str = "") -> Management | None:
    """What the verbs have here for services of *scope* ("": the one that is wanted); None on a computer that has
    nothing for them.
    """
    found = call.here().management
    return None if found is None else found(scope or scope_wanted(call))


def find(call: Call) -> Keeper | None:
    """Who keeps the service; the first that could where nobody does, and None on a computer that has nothing for it.

    Somebody else's service of this name counts only where none is ours.
    """
    first: Keeper | None = None
    for scope in scopes(call):
        management = here(call, scope)
        if management is None:
            return None
        keeper = Keeper(scope, management, _looked(management, name_of(call), scope))
        if keeper.ours is not None:
            return keeper
        if first is None or (first.managed is None and (keeper.managed is not None or first.here.manager is None)):
            first = keeper
    return first


def _looked(management: Management, name: str, scope: str) -> Managed | None:
    if management.manager is None:
        return None
    try:
        return management.manager.look(name)
    except UnavailableError:
        if scope == SYSTEM:
            raise
        return None  # nobody is logged on as this account, or it has no manager: then it keeps nothing that runs


def kept(call: Call) -> Managed | None:
    """The service as its manager has it; None where there is no manager, or it has none of this name that is ours."""
    keeper = find(call)
    return None if keeper is None else keeper.ours


def management(call: Call) -> Management:
    """What the verbs have here. Raises ``UnavailableError`` where there is nothing."""
    found = here(call)
    if found is None:
        raise UnavailableError(
            "stayon knows no way to keep services on this system",
            hint=f"Run it here, or from a unit, job or container of your own: {call.command('run')}",
            code="manager.none",
        )
    return found


def manager_of(call: Call) -> ServiceManager:
    """The manager of the scope that is wanted. Raises ``UnavailableError`` where there is none."""
    return manager_in(here(call), call)


def manager_in(found: Management | None, call: Call) -> ServiceManager:
    """The manager of *found*. Raises ``UnavailableError`` where there is none."""
    if found is None or found.manager is None:
        raise UnavailableError(
            "there is no service manager here that stayon knows",
            hint=f"{_daemon(call)}Or run it from a unit, job or container of your own: {call.command('run')}",
            code="manager.none",
        )
    return found.manager


def with_manager(keeper: Keeper | None, call: Call) -> Keeper:
    """*keeper*, if it has a manager. Raises ``UnavailableError``."""
    manager_in(None if keeper is None else keeper.here, call)
    assert keeper is not None  # noqa: S101  # or there would have been no manager
    return keeper


def _daemon(call: Call) -> str:
    return f"Start it as a daemon: {call.command('start')}. " if uid_of(call) is not None else ""


def installed(call: Call, keeper: Keeper) -> Managed:
    """The service as *keeper* has it. Raises ``UnavailableError`` if it isn't there, ``NotPermittedError`` if it is
    somebody else's.
    """
    if keeper.managed is None:
        raise UnavailableError(
            f"{name_of(call)} is not installed",
            hint=_how_to_have_it(call),
            code="manager.not-installed",
        )
    if keeper.ours is None:
        raise NotPermittedError(
            f"the service {name_of(call)} is not one of stayon's, and is left alone",
            why=keeper.managed.command,
            hint="Give yours another name, or --instance NAME.",
            code="manager.foreign",
        )
    return keeper.managed


def _how_to_have_it(call: Call) -> str:
    if call.service is None:
        return "Those that are: stayon list. Another is installed by its file: stayon install collector.py"
    background = "" if uid_of(call) is None else f". Or in the background: {call.command('run')} --detach"
    return f"Install it: {call.command('install')}. Or run it here: {call.command('run')}{background}"


def explain_unsafe(error: BaseException, call: Call) -> None:
    """Have *error*, for directories that aren't ours, say so if they are those of the service that is kept."""
    found = kept(call) if isinstance(error, NotPermittedError) else None
    if found is None or not isinstance(error, NotPermittedError):
        return
    how = f"{found.state}, process {found.pid}" if found.pid else found.state
    error.hint = (
        f"They are those of {found.name}, which the system keeps ({how}): {call.command('status')}. "
        "For a second one beside it, say --instance NAME."
    )


def permit(error: NotPermittedError, call: Call, verb: str, scope: str) -> None:
    """Have *error* say how to do *verb* with the rights that it takes, if more rights are what it takes."""
    if scope == SYSTEM and uid_of(call) not in (None, ROOT):
        error.hint = f"Say it as root: {call.sudo(verb)}"
