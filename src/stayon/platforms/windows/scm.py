"""The port ``ServiceManager`` for the SCM: install, update and uninstall as transactions, and looking.

Services without our mark are looked at and never touched.
"""

from __future__ import annotations

from stayon.core.installation import Change, Managed
from stayon.core.nearest import did_you_mean
from stayon.core.record import Record
from stayon.errors import NotPermittedError, StayonError, UnavailableError, UsageError
from stayon.platforms.undo import Act, nothing
from stayon.platforms.waiting import pause
from stayon.platforms.windows import definition, scm_errors, service_access, transaction
from stayon.platforms.windows.api import ScmError
from stayon.platforms.windows.scm_verbs import Conversation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from stayon.core.installation import Installation
    from stayon.core.plan import Step
    from stayon.platforms.undo import Undo
    from stayon.platforms.windows.api import ServiceCalls, ServiceConfig, ServiceStore
    from stayon.platforms.windows.definition import Account
    from stayon.ports import Clock
else:
    Protocol = object

# How long others may hold a service open that is marked for deletion, before we say so.
GONE_LIMIT_S = 5.0
LOOK_EVERY_S = 0.25

# At an uninstall the service is given its own time, and this on top.
STOP_MARGIN_S = 10.0

_WRONG_PASSWORD = 1326


class Accounts(Protocol):
    """Who there is. Raises ``ScmError``."""

    def sid(self, account: str) -> str:
        """The SID of an account or a group; "" if there is none of that name."""
        ...

    def may_log_on(self, account: str) -> bool:
        """Whether it has the right to log on as a service."""
        ...

    def allow_log_on(self, account: str) -> None: ...
    def forbid_log_on(self, account: str) -> None: ...
    def check_password(self, account: str, password: str) -> int:
        """0, or why it is not the account's, as a number of winerror.h."""
        ...


class Sources(Protocol):
    """Sources of the Event Log. Raises ``StayonError``."""

    def change(self, name: str, *, wanted: bool) -> Change | None:
        """What has to be changed for *name* to be as *wanted*; None for nothing."""
        ...

    def register(self, name: str) -> bool: ...
    def unregister(self, name: str) -> bool: ...


class Directories(Protocol):
    """Directories of services, and who may do what in them. Raises ``StayonError``."""

    def change(self, path: str, service: str, access: str) -> Change | None:
        """What has to be changed so that *service* may "read" or "write" there; None for nothing."""
        ...

    def make(self, path: str, service: str, access: str) -> Undo:
        """Make it so, and give what takes it back: a directory that was made goes, if nothing is in it."""
        ...


class Surroundings(Record):
    """What a service needs besides its entry in the SCM. *text_of* gives Windows' text of an error number;
    *started_at* when a process was started, in Unix time, 0 if that can't be told.
    """

    accounts: Accounts
    sources: Sources
    directories: Directories
    text_of: Callable[[int], str]
    started_at: Callable[[int], float]


class Scm:
    """The SCM, through *store* and *calls*."""

    name = "scm"

    def __init__(self, store: ServiceStore, calls: ServiceCalls, clock: Clock, around: Surroundings) -> None:
        self._store, self._calls, self._clock, self._around = store, calls, clock, around

    # -- ServiceManager ----------------------------------------------------------------------------

    def change(self, name: str, wanted: Installation | None, *, dry_run: bool = False) -> list[Change]:
        """As the port says. Uninstalling what isn't installed raises ``UnavailableError`` "manager.not-installed"."""
        definition.checked_name(name)
        current = self._read(name)
        if current is not None and not current.mark:
            raise self._not_ours(name, current)
        if wanted is None and current is None:
            raise self._not_installed(name)
        if wanted is None:
            return self._uninstall(name, dry_run=dry_run)
        if current is not None and current.marked and not dry_run:
            self._wait_until_gone(name)
            current = None
        acts = self._acts(wanted, current, dry_run=dry_run)
        if dry_run:
            return transaction.merged(change for act in acts for change in (act.change, *act.more))
        made = self._perform(name, acts)
        return transaction.merged(self._with_unkept(name, made))

    def ask(
        self, name: str, verb: str, timeout_s: float, tell: Callable[[str], object], arguments: Sequence[str] = ()
    ) -> Managed:
        """As the port says. Dependents that run are stopped first, and a restart starts them again."""
        current = self._read(name)
        if current is None:
            raise self._not_installed(name)
        if not current.mark:
            raise self._not_ours(name, current)
        conversation = Conversation(self._calls, self._clock, timeout_s, tell, self._around.text_of)
        try:
            conversation.ask(name, verb, arguments)
        except ScmError as error:
            raise self._explained(error, name) from error
        found = self.look(name)
        if found is None:
            raise self._not_installed(name)
        return found

    def look(self, name: str) -> Managed | None:
        """As the port says; *since* needs the right to look at the service's process, and is 0 without."""
        try:
            config, status = self._store.read(name), self._calls.status(name)
        except ScmError as error:
            if error.code in (scm_errors.NO_SUCH_SERVICE, scm_errors.INVALID_NAME):
                return None
            raise self._explained(error, name) from error
        found = definition.described(name, config, status, self._around.text_of)
        return found.replace(since=self._around.started_at(found.pid)) if found.pid else found

    def names(self) -> list[str]:
        """As the port says: those with our mark, of which we may know it."""
        try:
            there = self._calls.names()
        except ScmError as error:
            raise self._explained(error, "the list of services") from error
        return sorted(name for name in there if self._is_ours(name))

    # -- installing --------------------------------------------------------------------------------

    def _acts(self, wanted: Installation, current: ServiceConfig | None, *, dry_run: bool) -> list[Act]:
        """Everything that has to be done, in order. Asks for the password if it is needed, and checks it first."""
        account = definition.account_of(wanted.account, wanted.name)
        new = definition.configuration(wanted, security_of(wanted, self._around.accounts, self._around.text_of))
        self._check_account(account)
        is_new_account = current is None or current.account.lower() != account.name.lower()
        password = None
        if account.kind == definition.USER and not dry_run and (is_new_account or wanted.fresh_password):
            password = self._password(account, wanted)
        acts = self._logon_acts(account)
        if current is None:
            acts.append(self._creation(wanted.name, new, password))
            before = transaction.fresh(new)
        else:
            before = current
        fields = [
            _with_group_named(self._field_act(wanted.name, step, password, (current, new)), new, wanted.controllers)
            for step in transaction.field_steps(before, new)
        ]
        last = [act for act in fields if act.change.name == "account"]
        if wanted.fresh_password and account.kind == definition.USER and not is_new_account:
            last.append(self._password_act(wanted.name, account.name, password))
        outside = self._source_acts(wanted.name) + self._directory_acts(wanted)
        return [*acts, *(act for act in fields if act not in last), *outside, *last]

    def _creation(self, name: str, new: ServiceConfig, password: str | None) -> Act:
        def create() -> Undo:
            self._patiently(lambda: self._store.create(name, new, password))
            return lambda: self._store.delete(name)

        return Act(Change("service", "", name), create, more=transaction.created(new))

    def _field_act(
        self, name: str, step: Step, password: str | None, configs: tuple[ServiceConfig | None, ServiceConfig]
    ) -> Act:
        current, new = configs

        def change() -> Undo:
            self._store.change(name, step.name, step.new, password if step.name == "account" else None)
            # A new service is deleted as a whole, so nothing of it has to be taken back.
            return nothing if current is None else lambda: self._store.change(name, step.name, step.old)

        return Act(transaction.field_change(step, current, new), change, not transaction.is_needed(step.name))

    def _password_act(self, name: str, account: str, password: str | None) -> Act:
        def change() -> Undo:
            self._store.change(name, "account", account, password)
            return nothing

        return Act(Change("password", f"of {account}", "another one"), change)

    def _logon_acts(self, account: Account) -> list[Act]:
        """Windows' own accounts and virtual ones have the right, through a group."""
        accounts = self._around.accounts
        if account.kind not in (definition.USER, definition.MANAGED):
            return []
        try:
            if accounts.may_log_on(account.name):
                return []
        except ScmError as error:
            if error.code != scm_errors.ACCESS_DENIED:
                raise self._explained(error, account.name) from error

        def allow() -> Undo:
            accounts.allow_log_on(account.name)
            return lambda: accounts.forbid_log_on(account.name)

        return [Act(Change("right to log on as a service", "", account.name), allow)]

    def _source_acts(self, name: str) -> list[Act]:
        sources = self._around.sources
        change = sources.change(name, wanted=True)

        def register() -> Undo:
            return (lambda: sources.unregister(name)) if sources.register(name) else nothing

        return [] if change is None else [Act(change, register)]

    def _directory_acts(self, wanted: Installation) -> list[Act]:
        directories, acts = self._around.directories, []
        for path, access in wanted.directories:
            change = directories.change(path, wanted.name, access)
            if change is not None:
                acts.append(Act(change, lambda path=path, access=access: directories.make(path, wanted.name, access)))  # type: ignore[misc]  # mypy can't infer a lambda's defaults
        return acts

    def _perform(self, name: str, acts: list[Act]) -> list[Change]:
        try:
            return transaction.perform(acts)
        except ScmError as error:
            explained = self._explained(error, name)
            explained.details = tuple(getattr(error, "__notes__", ()))
            raise explained from error

    def _with_unkept(self, name: str, made: list[Change]) -> list[Change]:
        """*made*, with a warning for what the SCM took without a word, and doesn't keep."""
        try:
            lost = transaction.lost(self._store.read(name))
        except ScmError:
            return made  # it is done; what can't be said now is said by the next one who looks
        warning = "this computer's Windows takes it, but does not keep it"
        return [each.replace(warning=warning) if each.name in lost and not each.warning else each for each in made]

    # -- accounts ----------------------------------------------------------------------------------

    def _check_account(self, account: Account) -> None:
        """A virtual account is there as soon as its service is; all others have to be there."""
        if account.kind not in (definition.USER, definition.MANAGED):
            return
        try:
            is_there = bool(self._around.accounts.sid(account.name))
        except ScmError as error:
            raise self._explained(error, account.name) from error
        if not is_there:
            raise UsageError(
                f"there is no account {account.name!r}",
                hint="Write a user of this computer as .\\user, one of a domain as DOMAIN\\user.",
                code="scm.account",
            )

    def _password(self, account: Account, wanted: Installation) -> str:
        if wanted.password is None:
            raise UsageError(
                f"the account {account.name!r} needs its password", hint="Give it.", code="scm.password-needed"
            )
        password = wanted.password()
        error = self._around.accounts.check_password(account.name, password)
        if error:
            raise NotPermittedError(
                "the password is wrong, nothing was changed"
                if error == _WRONG_PASSWORD
                else "the account can't log on, nothing was changed",
                where=account.name,
                why=f"{self._around.text_of(error)} (error {error})",
                hint="Try again, or use an account without a password, such as LocalService.",
                code="scm.password",
            )
        return password

    # -- uninstalling ------------------------------------------------------------------------------

    def _uninstall(self, name: str, *, dry_run: bool) -> list[Change]:
        sources = self._around.sources
        source = sources.change(name, wanted=False)

        def forget() -> Undo:
            sources.unregister(name)
            return lambda: sources.register(name)

        def delete() -> Undo:
            self._delete(name)
            return nothing

        acts = [Act(source, forget)] if source is not None else []
        acts.append(Act(Change("service", name, ""), delete))
        if dry_run:
            return [act.change for act in acts]
        self._stop(name)
        made = self._perform(name, acts)
        self._wait_until_gone(name)
        return made

    def _stop(self, name: str) -> None:
        config = self._read(name)
        limit_s = STOP_MARGIN_S + (config.preshutdown_ms / 1_000 if config is not None else 0.0)
        conversation = Conversation(self._calls, self._clock, limit_s, lambda _said: None, self._around.text_of)
        try:
            conversation.ask(name, "stop", ())
        except ScmError as error:
            raise self._explained(error, name) from error

    def _delete(self, name: str) -> None:
        try:
            self._store.delete(name)
        except ScmError as error:
            if error.code not in (scm_errors.MARKED_FOR_DELETION, scm_errors.NO_SUCH_SERVICE):
                raise

    def _wait_until_gone(self, name: str) -> None:
        """It is marked, and goes when the last program has closed it. Raises ``TemporaryError`` if none does."""

        def look() -> None:
            try:
                self._calls.status(name)
            except ScmError as error:
                if error.code == scm_errors.NO_SUCH_SERVICE:
                    return
                raise
            raise ScmError(scm_errors.MARKED_FOR_DELETION, "DeleteService")

        try:
            self._patiently(look)
        except ScmError as error:
            raise self._explained(error, name) from error

    def _patiently(self, act: Callable[[], None]) -> None:
        """*act*, again and again for a while if the SCM says that it may work in a moment."""
        deadline = self._clock.monotonic() + GONE_LIMIT_S
        while True:
            try:
                return act()
            except ScmError as error:
                if not scm_errors.is_transient(error) or self._clock.monotonic() >= deadline:
                    raise
            pause(self._clock, LOOK_EVERY_S)

    # -- the rest ----------------------------------------------------------------------------------

    def _read(self, name: str) -> ServiceConfig | None:
        try:
            return self._store.read(name)
        except ScmError as error:
            if error.code == scm_errors.NO_SUCH_SERVICE:
                return None
            raise self._explained(error, name) from error

    def _is_ours(self, name: str) -> bool:
        try:
            return bool(self._store.read(name).mark)
        except ScmError:
            return False  # gone meanwhile, or closed to this account, as ours never are

    def _explained(self, error: ScmError, where: str) -> StayonError:
        return scm_errors.explained(error, where, self._around.text_of)

    def _not_installed(self, name: str) -> UnavailableError:
        try:
            names = self.names()
        except StayonError:
            names = []  # who logged on over the network may not have the list
        return UnavailableError(
            f"{name!r} is not installed",
            hint=did_you_mean(name, names),
            code="manager.not-installed",
        )

    def _not_ours(self, name: str, config: ServiceConfig) -> NotPermittedError:
        return NotPermittedError(
            f"the service {name!r} was not installed by stayon, and is left alone",
            where=config.command,
            hint="Give yours another name, or remove that one with what it came with.",
            code="manager.foreign",
        )


def security_of(wanted: Installation, accounts: Accounts, text_of: Callable[[int], str]) -> str:
    """The service object's SDDL, "" for Windows' own. Raises ``UsageError`` "scm.group" if there is no such group."""
    if not wanted.controllers:
        return ""
    try:
        sid = accounts.sid(wanted.controllers)
    except ScmError as error:
        raise scm_errors.explained(error, wanted.controllers, text_of) from error
    if not sid:
        raise UsageError(
            f"there is no group {wanted.controllers!r}", hint="Make it, or correct controllers=.", code="scm.group"
        )
    return service_access.with_controllers(sid)


def _with_group_named(act: Act, new: ServiceConfig, group: str) -> Act:
    """*act* in words with *group* as it was said, and not as the SCM keeps it."""
    sid = service_access.controllers(new.security) if group else ""
    return act.replace(change=act.change.replace(new=act.change.new.replace(sid, group))) if sid else act
