"""A manager that keeps services in memory: ``ServiceManager`` without a system behind it."""

from __future__ import annotations

from stayon import exits
from stayon.core import states
from stayon.core.installation import USER, Change, Installation, Managed
from stayon.errors import FailedError, NotPermittedError, StayonError, UnavailableError, UsageError
from stayon.machine import Management

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stayon.core.finding import Finding
    from stayon.machine import Program
    from stayon.ports import LogReader

DEFAULT_ACCOUNT = "nobody"

_AFTER = {
    "start": states.RUNNING,
    "restart": states.RUNNING,
    "resume": states.RUNNING,
    "pause": states.PAUSED,
    "reload": states.RUNNING,
    "stop": states.STOPPED,
}

# What is no difference to look at: who asks for a password is a function, and new each time.
_UNSEEN = ("name", "password", "fresh_password")


class FakeServices:
    """Services that are "installed" in it, and what it was asked. For tests of what drives a manager.

    ``refuse[verb]`` is raised when that is asked ("change" too); ``exits_at_start[name]`` makes a start end with that
    exit code; ``findings`` is what the look before an installation finds. Accounts with a backslash have passwords.
    ``users`` are the services of the account that asks, apart from those of the computer (None: nobody has any of their
    own); ``left`` is what uninstalling leaves besides the directories, and ``log_reader`` reads where they log.
    """

    name = "fake"

    def __init__(self) -> None:
        self.kept: dict[str, Managed] = {}
        self.wanted: dict[str, Installation] = {}
        self.asked: list[tuple[str, str, tuple[str, ...]]] = []
        self.passwords: dict[str, str] = {}
        self.refuse: dict[str, StayonError] = {}
        self.exits_at_start: dict[str, int] = {}
        self.findings: list[Finding] = []
        self.log_reader: LogReader | None = None
        self.users: FakeServices | None = None
        self.left: list[str] = []
        self.prepared = 0
        self._pid = 1000

    def change(self, name: str, wanted: Installation | None, *, dry_run: bool = False) -> list[Change]:
        """As the port has it."""
        if "change" in self.refuse:
            raise self.refuse["change"]
        kept = self._ours(name)
        if wanted is None:
            return self._remove(name, dry_run=dry_run)
        before = self.wanted.get(name)
        changes = _differences(before, wanted)
        if dry_run:
            return changes
        is_new_account = before is None or before.account != wanted.account
        if "\\" in wanted.account and wanted.password is not None and (is_new_account or wanted.fresh_password):
            self.passwords[wanted.account] = wanted.password()
        self.wanted[name] = wanted
        self.kept[name] = (kept or Managed(name, states.STOPPED)).replace(
            account=wanted.account or DEFAULT_ACCOUNT,
            start=wanted.start,
            command=" ".join(wanted.command),
            mark=wanted.mark,
            display_name=wanted.display_name,
        )
        return changes

    def ask(
        self, name: str, verb: str, timeout_s: float, tell: Callable[[str], object], arguments: Sequence[str] = ()
    ) -> Managed:
        """As the port has it; it is done at once."""
        self.asked.append((name, verb, tuple(arguments)))
        if verb in self.refuse:
            raise self.refuse[verb]
        kept = self._ours(name)
        if kept is None:
            raise UnavailableError(f"{name} is not installed", code="manager.not-installed")
        if verb not in _AFTER:
            raise UsageError(f"a fake can't {verb} a service", code="manager.verb")
        if verb == "start" and kept.state == states.RUNNING:
            return kept
        tell(f"{verb} {name}, at most {timeout_s:g} s")
        code = self.exits_at_start.get(name, exits.DONE) if verb in ("start", "restart") else exits.DONE
        if code:
            self._becomes(name, states.STOPPED, code)
            raise FailedError(f"{name} ended with exit code {code}", why=exits.meaning(code), code="scm.start-failed")
        return self._becomes(name, _AFTER[verb], code, fresh=verb in ("start", "restart"))

    def look(self, name: str) -> Managed | None:
        """As the port has it."""
        return self.kept.get(name)

    def names(self) -> list[str]:
        """As the port has it."""
        return sorted(name for name, kept in self.kept.items() if kept.mark)

    def add_foreign(self, name: str) -> None:
        """Somebody else's service of that name."""
        self.kept[name] = Managed(name, states.RUNNING, pid=4, account="root", command="/opt/other", mark="")

    def management(self, scope: str = "") -> Management:
        """All that the verbs need, with this one as the manager, or that of the account which asks."""
        if scope == USER and self.users is not None:
            return self.users.management()
        return Management(
            self,
            _command,
            lambda _wanted, _loaded_from: list(self.findings),
            {"words": _exported},
            self._prepare,
            leavings=lambda _name: list(self.left),
            log_reader=self.log_reader,
        )

    def _ours(self, name: str) -> Managed | None:
        kept = self.kept.get(name)
        if kept is not None and not kept.mark:
            raise NotPermittedError(f"{name} is somebody else's", code="manager.foreign")
        return kept

    def _prepare(self) -> None:
        self.prepared += 1

    def _remove(self, name: str, *, dry_run: bool) -> list[Change]:
        kept = self.kept.get(name)
        if kept is None:
            raise UnavailableError(f"{name} is not installed", code="manager.not-installed")
        if not dry_run:
            if kept.state != states.STOPPED:
                self.asked.append((name, "stop", ()))
            del self.kept[name], self.wanted[name]
        return [Change("service", name, "")]

    def _becomes(self, name: str, state: str, code: int, *, fresh: bool = False) -> Managed:
        kept = self.kept[name]
        if fresh:
            self._pid += 1
        pid = 0 if state == states.STOPPED else self._pid if fresh else kept.pid
        why = exits.meaning(code) if code else ""
        self.kept[name] = kept.replace(state=state, pid=pid, exit_code=code, why=why)
        return self.kept[name]


def _differences(before: Installation | None, wanted: Installation) -> list[Change]:
    old = {} if before is None else before.as_dict()
    return [
        Change(field, str(old.get(field, "") or ""), str(value or ""))
        for field, value in wanted.as_dict().items()
        if field not in _UNSEEN and value != old.get(field, None if before is None else object())
    ]


def _command(program: Program) -> tuple[str, ...]:
    where = f"{program.path}:{program.attribute}" if program.attribute else program.path
    instance = ("--instance", program.instance) if program.instance else ()
    return ("fake-python", where, *instance, *program.options)


def _exported(wanted: Installation) -> str:
    return f"keep {wanted.name} running {' '.join(wanted.command)}"
