"""The port ``ServiceManager`` for launchd: install, update and uninstall as transactions, and looking.

Jobs without our mark are looked at and never touched. A job that is loaded goes on as it was loaded until its next
start by a verb, as a changed property list does nothing to it.
"""

from __future__ import annotations

import os

from stayon import exits
from stayon.core import states
from stayon.core.installation import Change, Managed
from stayon.core.nearest import did_you_mean
from stayon.core.places import Places
from stayon.core.record import Record
from stayon.errors import FailedError, NotPermittedError, UnavailableError, UsageError
from stayon.platforms.launchd import directories, page, plist
from stayon.platforms.launchd.launchctl import LaunchctlError, explained
from stayon.platforms.launchd.sites import Turn
from stayon.platforms.launchd.verbs import STOP_LIMIT_S, Conversation, Target
from stayon.platforms.undo import Act, nothing, perform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stayon.core.installation import Installation
    from stayon.platforms.launchd.launchctl import Launchctl
    from stayon.platforms.launchd.page import Page
    from stayon.platforms.launchd.plist import Kept
    from stayon.platforms.launchd.printed import Job
    from stayon.platforms.launchd.sites import Sites
    from stayon.platforms.undo import Undo
    from stayon.ports import Clock


class Owner(Record):
    """Who asks: *uid* and *account*."""

    uid: int
    account: str


class Launchd:
    """launchd, through *launchctl*, with property lists in *sites*; agents are those of *owner*."""

    name = "launchd"

    def __init__(self, launchctl: Launchctl, sites: Sites, clock: Clock, owner: Owner) -> None:
        self._launchctl, self._sites, self._clock, self._owner = launchctl, sites, clock, owner

    # -- ServiceManager ----------------------------------------------------------------------------

    def change(self, name: str, wanted: Installation | None, *, dry_run: bool = False) -> list[Change]:
        """As the port says. Uninstalling what isn't installed raises ``UnavailableError`` "manager.not-installed"; what
        somebody has edited is not written over ("launchd.edited"), but may be uninstalled.
        """
        plist.checked_name(name)
        if dry_run:
            return self._change(name, wanted, dry_run=True)
        with Turn(self._sites, self._clock):
            return self._change(name, wanted, dry_run=False)

    def ask(
        self, name: str, verb: str, timeout_s: float, tell: Callable[[str], object], arguments: Sequence[str] = ()
    ) -> Managed:
        """As the port says. launchd has no arguments for a start, and no order of stops."""
        kept = self._ours(name)
        if kept is None:
            raise self._not_installed(name)
        conversation = Conversation(self._launchctl, self._clock, timeout_s, tell)
        target = self._target(name, kept)
        try:
            conversation.ask(target, verb, arguments)
        except LaunchctlError as error:
            raise explained(error, name, target.name) from error
        found = self.look(name)
        if found is None:
            raise self._not_installed(name)
        return found

    def look(self, name: str) -> Managed | None:
        """As the port says."""
        lists = self._sites.kept(name)
        if not lists:
            return self._look_at_foreign(name)
        kept = lists[0]
        target = self._target(name, kept)
        job = self._job(target.name)
        if not kept.mark or self._is_loaded_elsewhere(job):
            return self._foreign(name, job, kept)
        found = page.read(target.page) if target.page else None
        return self._described(name, kept, job, found)

    def names(self) -> list[str]:
        """As the port says."""
        return sorted({name for name in self._sites.names() if any(kept.mark for kept in self._sites.kept(name))})

    # -- installing --------------------------------------------------------------------------------

    def _change(self, name: str, wanted: Installation | None, *, dry_run: bool) -> list[Change]:
        current = self._ours(name)
        if wanted is None:
            if current is None:
                raise self._not_installed(name)
            return self._uninstall(name, current, dry_run=dry_run)
        if current is not None and current.is_edited:
            raise FailedError(
                f"the property list of {name} has been edited by hand, and is left as it is",
                where=current.path,
                hint="Say what was changed in the service's file or to install, and uninstall it first.",
                code="launchd.edited",
            )
        account = plist.account_of(wanted) if self._sites.is_system else ""
        owner = directories.owner_of(account)
        has_account = self._sites.is_system and account != plist.ROOT
        places = directories.places_in(wanted, f"{self._sites.run}/{name}" if has_account else "")
        site = plist.Site(self._domain(current), places, self._unload(name, current, has_account=has_account))
        if has_account and places is not None:
            wanted = wanted.replace(environment=_with_places(wanted.environment, places))
        made = [] if places is None else directories.acts(places, owner)
        made += self._list_acts(wanted, site, current)
        if not made:
            return []
        told = [act.change for act in made] if dry_run else perform(made)
        more = [change for act in made for change in act.more] if dry_run else []
        return [*told, *more, *plist.warnings(wanted, site)]

    def _list_acts(self, wanted: Installation, site: plist.Site, current: Kept | None) -> list[Act]:
        """Writing the list, and taking it away where it was: nothing if it is so already."""
        content = plist.definition(wanted, site)
        path = self._sites.path(wanted.name, by_itself=plist.starts_by_itself(wanted.start))
        if current is not None and current.content == content and current.path == path:
            return []
        first, *more = plist.changes(None if current is None else current.content, content)
        raw = plist.rendered(content)

        def write() -> Undo:
            if current is not None and current.path != path:
                return self._sites.move(current.path, path, raw)
            return self._sites.write(path, raw)

        return [Act(first, write, more=tuple(more))]

    def _domain(self, current: Kept | None) -> str:
        """Where the service is, or would be, loaded: an agent stays with the kind of session that it was made for."""
        if self._sites.is_system:
            return plist.SYSTEM_DOMAIN
        if current is not None and current.mark.get("Domain"):
            return str(current.mark["Domain"])
        screen = f"gui/{self._owner.uid}"
        return screen if self._launchctl.has_domain(screen) else f"user/{self._owner.uid}"

    def _unload(self, name: str, current: Kept | None, *, has_account: bool) -> str:
        """The command by which the service has itself no longer started: only root may, in the computer's domain."""
        if has_account or " " in self._launchctl.program:
            return ""
        return f"{self._launchctl.program} bootout {self._domain(current)}/{name}"

    # -- uninstalling ------------------------------------------------------------------------------

    def _uninstall(self, name: str, current: Kept, *, dry_run: bool) -> list[Change]:
        target = self._target(name, current)
        lists = [kept for kept in self._sites.kept(name) if kept.mark]
        change = Change("service", name, "")

        def unload() -> Undo | None:
            if self._job(target.name) is None:
                return nothing
            self._conversation(target).stop(target)
            return lambda: self._launchctl.bootstrap(target.domain, current.path)

        def remove(kept: Kept) -> Callable[[], Undo]:
            return lambda: self._sites.remove(kept.path)

        def forget() -> Undo:
            page.remove(target.page)
            return nothing

        acts = [Act(change, unload), *(Act(change, remove(kept)) for kept in lists), Act(change, forget)]
        if dry_run:
            return [change]
        try:
            perform(acts)
        except LaunchctlError as error:
            raise explained(error, name, target.name) from error
        return [change]

    def _conversation(self, target: Target) -> Conversation:
        return Conversation(self._launchctl, self._clock, target.exit_timeout_s + STOP_LIMIT_S, lambda _said: None)

    # -- looking -----------------------------------------------------------------------------------

    def _ours(self, name: str) -> Kept | None:
        """Our list of *name*; None if there is nothing. Raises ``NotPermittedError`` if somebody else has the name."""
        plist.checked_name(name)
        lists = self._sites.kept(name)
        foreign = next((kept for kept in lists if not kept.mark), None)
        if foreign is not None:
            raise _not_ours(name, foreign.path)
        job = self._job(f"{self._domain(lists[0] if lists else None)}/{name}")
        if self._is_loaded_elsewhere(job):
            raise _not_ours(name, job.path if job is not None else "")
        return lists[0] if lists else None

    def _is_loaded_elsewhere(self, job: Job | None) -> bool:
        """Whether the job is of a list that is in none of our directories."""
        if job is None or not job.path:
            return False
        ours = [os.path.realpath(each) for each in (self._sites.loaded, self._sites.unloaded)]
        return os.path.realpath(os.path.dirname(job.path)) not in ours

    def _look_at_foreign(self, name: str) -> Managed | None:
        """A job of this name that others have loaded, from wherever; None if there is none."""
        try:
            plist.checked_name(name)
        except UsageError:
            return None
        job = self._job(f"{self._domain(None)}/{name}")
        # One of ours that is still loaded though its list is gone isn't installed.
        return self._foreign(name, job, None) if job is not None and not job.digest else None

    def _foreign(self, name: str, job: Job | None, kept: Kept | None) -> Managed:
        content = (kept.content if kept is not None else None) or {}
        words = content.get("ProgramArguments")
        command = _line(words) if isinstance(words, list) else str(content.get("Program", ""))
        return Managed(
            name=name,
            state=states.RUNNING if job is not None and job.pid else states.STOPPED,
            pid=job.pid if job is not None else 0,
            account=str(content.get("UserName", plist.ROOT if self._sites.is_system else self._owner.account)),
            command=command or (job.program if job is not None else ""),
        )

    def _described(self, name: str, kept: Kept, job: Job | None, found: Page | None) -> Managed:
        content, mark = kept.content or {}, kept.mark
        state, code, why = condition(job, found, has_page=plist.PAGE in content.get("EnvironmentVariables", {}))
        is_alive = job is not None and job.pid > 0
        is_its_own = is_alive and found is not None and job is not None and found.pid == job.pid
        return Managed(
            name=name,
            state=state,
            pid=job.pid if job is not None else 0,
            exit_code=code,
            why=why,
            since=found.since if is_its_own and found is not None else 0.0,
            account=str(content.get("UserName", self._owner.account)),
            start=str(mark.get("Start", "")),
            command=_line(content.get("ProgramArguments", ())),
            mark=str(mark["Version"]),
            display_name=str(mark.get("DisplayName", "")),
            places=Places(**mark["Places"]) if mark.get("Places") else None,
            status=found.status if is_its_own and found is not None else "",
            restarts=max(job.runs - 1, 0) if job is not None else 0,
        )

    def _target(self, name: str, kept: Kept) -> Target:
        content = kept.content or {}
        told = content.get("EnvironmentVariables", {})
        return Target(
            name=f"{self._domain(kept)}/{name}",
            domain=self._domain(kept),
            path=kept.path,
            start=str(kept.mark.get("Start", "")),
            exit_timeout_s=float(content.get("ExitTimeOut", 20)),
            page=str(told.get(plist.PAGE, "")),
            digest=str(told.get(plist.DIGEST, "")),
        )

    def _job(self, target: str) -> Job | None:
        try:
            return self._launchctl.job(target)
        except LaunchctlError as error:
            raise explained(error, target.rpartition("/")[2], target) from error

    def _not_installed(self, name: str) -> UnavailableError:
        hint = did_you_mean(name, self.names())
        return UnavailableError(f"{name!r} is not installed", hint=hint, code="manager.not-installed")


def condition(job: Job | None, found: Page | None, *, has_page: bool) -> tuple[str, int, str]:
    """State, exit code and why, of what launchd knows, and the service says of itself (*has_page*: if it does). Pure.

    launchd knows whether there is a process, and how it ended; all else is the service's own word, and only as long as
    it is that process's.
    """
    if job is not None and job.pid:
        if not has_page:
            return states.RUNNING, 0, ""
        if found is None or found.pid != job.pid:
            return states.START_PENDING, 0, ""
        return (states.STOP_PENDING if found.state == states.STOPPED else found.state), 0, ""
    if found is not None and found.state == states.STOPPED:
        return states.STOPPED, found.exit_code, found.why or (exits.meaning(found.exit_code) if found.exit_code else "")
    code = job.exit_code if job is not None and job.exit_code is not None else 0
    return states.STOPPED, code, exits.meaning(code) if code else ""


def _line(words: Sequence[object]) -> str:
    import shlex

    return shlex.join(map(str, words))


def _with_places(environment: tuple[tuple[str, str], ...], places: Places) -> tuple[tuple[str, str], ...]:
    """*environment*, and in it where a service finds its things whose account is not the one that made them."""
    return (
        ("CONFIGURATION_DIRECTORY", places.config),
        ("LOGS_DIRECTORY", places.logs),
        ("STATE_DIRECTORY", places.state),
        ("RUNTIME_DIRECTORY", places.run),
        *environment,
    )


def _not_ours(name: str, where: str) -> NotPermittedError:
    return NotPermittedError(
        f"the job {name!r} was not installed by stayon, and is left alone",
        where=where,
        hint="Give yours another name, or remove that one with what it came with.",
        code="manager.foreign",
    )
