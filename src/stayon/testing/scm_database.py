"""The database of the simulated SCM: services by name, what is kept of each, and who may see and change it."""

from __future__ import annotations

from contextlib import contextmanager

from stayon.platforms.windows.api import ScmError, ServiceConfig, ServiceStatus
from stayon.testing import scm_rules as rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from stayon.testing.scm_process import SimulatedProcess

# What CreateServiceW takes; the rest has to be set afterwards, and is, until then, as ``NEW``.
CREATED = (
    "command", "display_name", "account", "start_type", "error_control", "group", "dependencies",
)  # fmt: skip
NEW = {"failure_on_non_crash": False, "sid_type": 0, "security": rules.DEFAULT_SECURITY}

SYSTEM_ACCOUNTS = ("localsystem", "nt authority\\localservice", "nt authority\\networkservice")

# What Wine 8 keeps of none of its services, by field.
WINE_LACKS = dict.fromkeys(
    ("delayed", "failure_on_non_crash", "sid_type", "privileges", "triggers"), rules.INVALID_LEVEL
)

ADMINISTRATOR = frozenset({"BA", "IU"})
USER = frozenset({"IU"})


class Entry:
    """One service: what is kept, and how it is."""

    def __init__(self, name: str, config: ServiceConfig, password: str | None) -> None:
        self.name, self.config, self.password = name, config, password
        self.status = ServiceStatus(rules.STOPPED, exit_code=1077)  # ERROR_SERVICE_NEVER_STARTED
        self.process: SimulatedProcess | None = None
        self.handles = 0
        self.marked = False
        self.failures = rules.Failures()
        self.started_order = 0


class ScmDatabase:
    """A ``ServiceStore`` in memory. *unsupported* gives, by field, the error (87, 124) of ``change``.

    ``callers`` are who calls, as SIDs or their two letters: ``ADMINISTRATOR``, or ``USER``, or with a group's SID.
    ``accounts`` are the accounts that exist beside the system's own, with their passwords. ``calls`` has
    every call in words, and ``fail`` makes some fail: by their number, from 1 on, the error.
    """

    def __init__(self, unsupported: Mapping[str, int] | None = None) -> None:
        self.unsupported = dict(unsupported or {})
        self.callers = ADMINISTRATOR
        self.accounts: dict[str, str] = {}
        self.entries: dict[str, Entry] = {}
        self.calls: list[str] = []
        self.fail: dict[int, int] = {}

    # -- ServiceStore ------------------------------------------------------------------------------

    def create(self, name: str, config: ServiceConfig, password: str | None = None) -> None:
        """CreateServiceW: only what it takes is kept of *config*."""
        self._call("CreateServiceW", name)
        if "BA" not in self.callers:
            raise ScmError(rules.ACCESS_DENIED, "OpenSCManagerW")
        if not name or len(name) > 256 or "/" in name or "\\" in name:
            raise ScmError(rules.INVALID_NAME, "CreateServiceW")
        there = self.entries.get(name.lower())
        if there is not None:
            code = rules.MARKED_FOR_DELETION if there.marked else rules.SERVICE_EXISTS
            raise ScmError(code, "CreateServiceW")
        kept = ServiceConfig(**{**NEW, **{field: getattr(config, field) for field in CREATED}})
        if not kept.display_name:
            kept = kept.replace(display_name=name)
        self._check(name, kept, "CreateServiceW")
        self.entries[name.lower()] = Entry(name, kept, password)

    def read(self, name: str) -> ServiceConfig:
        """QueryServiceConfigW and its like: a field that is ``unsupported`` has its default."""
        entry = self._open(name, "CC", "QueryServiceConfigW")
        defaults = {field: getattr(ServiceConfig, field) for field in self.unsupported}
        return entry.config.replace(**defaults, unkept=tuple(self.unsupported), marked=entry.marked)

    def change(self, name: str, field: str, value: Any, password: str | None = None) -> None:
        """ChangeServiceConfigW and its like: *field* becomes *value*."""
        call = "ChangeServiceConfigW" if field in CREATED else "ChangeServiceConfig2W"
        if field == "security":
            call = "SetServiceObjectSecurity"
        entry = self._open(name, "WD" if field == "security" else "DC", call)
        if field not in ServiceConfig.__fields__:
            raise ScmError(rules.INVALID_LEVEL, call)
        if field in self.unsupported:
            raise ScmError(self.unsupported[field], call)
        if entry.marked:
            raise ScmError(rules.MARKED_FOR_DELETION, call)
        changed = entry.config.replace(**{field: value})
        if changed.delayed and changed.start_type != 2:
            raise ScmError(rules.INVALID_PARAMETER, call)
        if not changed.display_name:
            changed = changed.replace(display_name=entry.name)
        self._check(entry.name, changed, call)
        entry.config = changed
        if field == "account" or password is not None:
            entry.password = password

    def delete(self, name: str) -> None:
        """DeleteService: it is marked, and gone when it has stopped and nobody has a handle of it."""
        entry = self._open(name, "SD", "DeleteService")
        if entry.marked:
            raise ScmError(rules.MARKED_FOR_DELETION, "DeleteService")
        entry.marked = True
        self.tidy(entry)

    # -- for tests, and for who runs the services --------------------------------------------------

    @contextmanager
    def handle(self, name: str) -> Iterator[None]:
        """Somebody has a handle of *name* open, as the Services window has: it can't be deleted meanwhile."""
        entry = self.entry(name)
        entry.handles += 1
        try:
            yield
        finally:
            entry.handles -= 1
            self.tidy(entry)

    def contents(self) -> dict[str, ServiceConfig]:
        """Everything that is kept, by name: what has to be as before after a failed change."""
        return {entry.name: entry.config for entry in self.entries.values()}

    def entry(self, name: str) -> Entry:
        """The entry of *name*. Raises error 1060."""
        entry = self.entries.get(name.lower())
        if entry is None:
            raise ScmError(rules.DOES_NOT_EXIST, "OpenServiceW")
        return entry

    def tidy(self, entry: Entry) -> None:
        """Let *entry* go, if it is marked and nothing holds it."""
        if entry.marked and not entry.handles and entry.status.state == rules.STOPPED:
            self.entries.pop(entry.name.lower(), None)

    def _open(self, name: str, right: str, call: str) -> Entry:
        """The entry of *name*, for a *call* that needs *right*."""
        self._call(call, name)
        entry = self.entry(name)
        if not rules.allows(entry.config.security, self.callers, right):
            raise ScmError(rules.ACCESS_DENIED, "OpenServiceW")
        return entry

    def _call(self, call: str, name: str) -> None:
        self.calls.append(f"{call} {name}")
        code = self.fail.pop(len(self.calls), 0)
        if code:
            raise ScmError(code, call)

    def _check(self, name: str, config: ServiceConfig, call: str) -> None:
        if config.start_type not in (2, 3, 4) or config.error_control not in (0, 1, 2, 3) or not config.command:
            raise ScmError(rules.INVALID_PARAMETER, call)
        if name.lower() in (each.lower() for each in config.dependencies):
            raise ScmError(rules.CIRCULAR_DEPENDENCY, call)
        if not self._knows(name, config.account):
            raise ScmError(rules.INVALID_ACCOUNT, call)
        for other in self.entries.values():
            taken = (other.name.lower(), other.config.display_name.lower())
            if other.name.lower() != name.lower() and config.display_name.lower() in taken:
                raise ScmError(rules.DUPLICATE_NAME, call)

    def _knows(self, name: str, account: str) -> bool:
        account = account.lower().removeprefix(".\\")
        known = (*SYSTEM_ACCOUNTS, f"nt service\\{name.lower()}", *(each.lower() for each in self.accounts))
        return account in known

    def may_log_on(self, entry: Entry) -> bool:
        """Whether the password that is kept for *entry* is its account's."""
        account = entry.config.account.lower().removeprefix(".\\")
        passwords = {each.lower(): password for each, password in self.accounts.items()}
        # Whoever ends in "$" is a group managed account: Windows knows its password.
        return account not in passwords or account.endswith("$") or passwords[account] == entry.password
