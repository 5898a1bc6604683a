"""The port ``ServiceManager`` for systemd: install, update and uninstall as transactions, and looking.

Units without our mark, and ours that somebody has edited, are looked at and never touched; drop-ins are their owners'.
"""

from __future__ import annotations

from stayon.core import installation
from stayon.core.installation import Change, Managed
from stayon.core.nearest import did_you_mean
from stayon.core.record import Record
from stayon.errors import FailedError, NotPermittedError, UnavailableError
from stayon.platforms.systemd import checks, definition, sight, socket_unit, unit
from stayon.platforms.systemd.unit_file import difference
from stayon.platforms.systemd.verbs import Conversation
from stayon.platforms.undo import Act, nothing, perform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stayon.core.installation import Installation
    from stayon.platforms.systemd.definition import Layout
    from stayon.platforms.systemd.files import UnitDirectory
    from stayon.platforms.systemd.systemctl import Systemctl
    from stayon.platforms.undo import Undo
    from stayon.ports import Clock

# An act that isn't worth a line.
_SILENT = Change("", "", "")

STOP_S = 120.0

_RESTING = ("inactive", "failed")


class Entry(Record):
    """What there is of a service: the text of its files by name, and which of its units start with the computer."""

    files: Mapping[str, str]
    enabled: frozenset[str] = frozenset()


class Units:
    """systemd, through its *files* and *systemctl*. *account* is the number of the account that asks."""

    name = "systemd"

    def __init__(self, files: UnitDirectory, systemctl: Systemctl, clock: Clock, account: int) -> None:
        self._files, self._systemctl, self._clock, self._account = files, systemctl, clock, account

    # -- ServiceManager ----------------------------------------------------------------------------

    def change(self, name: str, wanted: Installation | None, *, dry_run: bool = False) -> list[Change]:
        """As the port says. Uninstalling what isn't installed raises ``UnavailableError`` "manager.not-installed"; a
        unit that was edited by hand, ``FailedError`` "systemd.edited".
        """
        where = definition.layout(name)
        self._check_rights(dry_run=dry_run)
        self._check_ours(name, where)
        if not dry_run:
            self._files.sweep(where.unit)
        if wanted is None:
            return self._uninstall(name, where, dry_run=dry_run)
        checks.check(wanted)
        current = self._entry(where)
        if not current.files.get(where.drop_in or where.fragment):
            checks.check_free(wanted, self._files.contents)
        target = unit.Target(self._systemctl.version(), checks.is_in_home(wanted))
        shared = self._files.read(where.fragment) if self._others(where) else ""
        files = definition.files(wanted, target, shared)
        self._check_intact(current.files, files)
        acts = self._acts(where, wanted, current, files)
        changes = [change for act in acts for change in (act.change, *act.more)]
        if acts:
            checks.verify(self._systemctl, files, where.unit, target.version)
        if not dry_run:
            changes = perform(acts)
        return definition.with_warnings(changes, wanted, target)

    def ask(
        self, name: str, verb: str, timeout_s: float, tell: Callable[[str], object], arguments: Sequence[str] = ()
    ) -> Managed:
        """As the port says; "pause" and "resume" are nothing that systemd knows: ``UsageError`` "manager.verb"."""
        where = definition.layout(name)
        found = self.look(name)
        if found is None:
            raise self._not_installed(name)
        if not found.mark:
            raise self._foreign(name, found.command)
        sockets = [each for each in self._entry(where).files if each.endswith(socket_unit.SOCKET)]
        conversation = Conversation(self._systemctl, self._clock, timeout_s, tell)
        conversation.ask(where.unit, verb, arguments, sockets)
        return self.look(name) or found

    def look(self, name: str) -> Managed | None:
        """As the port says. What another has installed under this name has no mark."""
        where = definition.layout(name)
        shown = self._systemctl.show(where.unit, sight.PROPERTIES)
        files = tuple(self._files.understood(each) for each in (where.fragment, where.drop_in) if each)
        is_there = shown["LoadState"] not in ("not-found", "") or bool(files[-1].text)
        if not is_there or (where.drop_in and files[0].ours and not files[-1].text):
            return None  # a template makes any instance look as if it were there
        if self._is_stale(where, shown):
            return None
        if not all(file.ours for file in files):
            shown_only = sight.managed(name, shown, (), self._now())
            return shown_only.replace(command=shown["FragmentPath"] or shown["LoadState"], mark="")
        found = sight.managed(name, shown, files, self._now())
        if self._systemctl.for_user:
            account = checks.login_name(self._account)
            return found.replace(account=account, log=f"journalctl --user-unit {where.unit}")
        return found.replace(log=f"journalctl -u {where.unit}")

    def names(self) -> list[str]:
        """As the port says."""
        ours = [each for each in self._files.names() if self._files.understood(each).ours]
        units = [each.partition("/")[0].removesuffix(".d") for each in ours if not each.endswith(socket_unit.SOCKET)]
        return sorted(each.removesuffix(unit.SERVICE) for each in units if "@." not in each)

    def leavings(self, name: str) -> list[str]:
        """What uninstalling leaves behind: the drop-ins of others."""
        return self._files.drop_ins(definition.layout(name).unit)

    # -- installing --------------------------------------------------------------------------------

    def _acts(self, where: Layout, wanted: Installation, current: Entry, files: Mapping[str, str]) -> list[Act]:
        """Everything that has to be done, in order."""
        gone = {each: "" for each in current.files if each not in files and each != where.fragment}
        changed = {each: text for each, text in {**files, **gone}.items() if text != current.files.get(each, "")}
        making, acts = self._making(unit.configuration(wanted)), []
        if changed:
            said = definition.differences({each: current.files.get(each, "") for each in changed}, changed)
            acts = [*self._hushing(gone), *self._switching(current.enabled & gone.keys(), on=False)]
            acts += [self._reload_after_undo(said), *making, *self._writing(current, changed), self._reload()]
        else:
            acts = [*making, *self._rereading(where)]
        automatic = socket_unit.starts_with_computer(wanted)
        sockets = {each for each in files if each.endswith(socket_unit.SOCKET)}
        units = {where.unit, *sockets}
        acts += self._switching(units - current.enabled if automatic else frozenset(), on=True)
        return acts + self._switching(frozenset() if automatic else current.enabled & units, on=False)

    def _making(self, path: str) -> list[Act]:
        """Have the directory of the configuration, root's, if it isn't there: one that is stays as it is."""

        def make() -> Undo | None:
            return (lambda: self._files.remove_directory(path)) if self._files.make_directory(path) else None

        is_missing = path and not self._files.is_there(path)
        return [Act(Change("configuration", "", path), make)] if is_missing else []

    def _hushing(self, sockets: Iterable[str]) -> list[Act]:
        """Have systemd listen no more for *sockets*, which go."""

        def act(each: str) -> Act:
            def stop() -> Undo:
                was_listening = self._systemctl.ask("is-active", "--quiet", "--", each).code == 0
                self._systemctl.do("stop", "--", each)
                return (lambda: self._systemctl.do("start", "--", each)) if was_listening else nothing

            return Act(_SILENT, stop)

        return [act(each) for each in sockets]

    def _reload_after_undo(self, said: Sequence[Change]) -> Act:
        """systemd has to look again when files have been taken back, which is after all others are undone."""
        return Act(_SILENT, lambda: lambda: self._systemctl.do("daemon-reload"), more=tuple(said))

    def _reload(self) -> Act:
        def reload() -> Undo:
            self._systemctl.do("daemon-reload")
            return nothing

        return Act(_SILENT, reload)

    def _rereading(self, where: Layout) -> list[Act]:
        """Have systemd read files that are as they should be, and that it hasn't read: an install was killed."""
        if self._systemctl.show(where.unit, ("NeedDaemonReload",))["NeedDaemonReload"] != "yes":
            return []
        return [self._reload().replace(change=Change("unread", where.unit, "read"))]

    def _writing(self, current: Entry, changed: Mapping[str, str]) -> list[Act]:
        def act(name: str, text: str) -> Act:
            def write() -> Undo:
                self._files.write(name, text)
                return lambda: self._files.write(name, current.files.get(name, ""))

            return Act(Change("", self._files.path(name), ""), write)

        return [act(name, text) for name, text in changed.items()]

    def _switching(self, units: frozenset[str] | set[str], *, on: bool) -> list[Act]:
        """Have *units* start with the computer, or not."""

        def act(each: str) -> Act:
            verbs = ("enable", "disable") if on else ("disable", "enable")

            def switch() -> Undo:
                self._systemctl.do(verbs[0], "--", each)
                return lambda: self._systemctl.do(verbs[1], "--", each)

            old, new = (installation.MANUAL, installation.AUTO) if on else (installation.AUTO, installation.MANUAL)
            return Act(Change("start", old, new) if each.endswith(unit.SERVICE) else _SILENT, switch)

        return [act(each) for each in sorted(units)]

    # -- uninstalling ------------------------------------------------------------------------------

    def _uninstall(self, name: str, where: Layout, *, dry_run: bool) -> list[Change]:
        current = self._entry(where)
        own = where.drop_in or where.fragment
        if not current.files.get(own):
            if not dry_run and self._is_stale(where, self._systemctl.show(where.unit, sight.PROPERTIES)):
                self._systemctl.do("daemon-reload")
            raise self._not_installed(name)
        shared = self._others(where)
        gone = {each: "" for each in current.files if not (shared and each == where.fragment)}
        edited = [each for each in gone if not self._files.understood(each).intact]
        saved = {f"{each}.saved": current.files[each] for each in edited}
        acts = [
            self._stopping(where, current),
            *self._switching(current.enabled, on=False),
            *self._writing(current, saved),
            self._reload_after_undo(()),
            *self._writing(current, gone),
            self._reload(),
            self._forgetting(where),
        ]
        changes = [Change(definition.kind(each), self._files.path(each), "") for each in gone]
        kept_as = "it was edited by hand, and is kept under this name"
        changes += [Change("edited", "", self._files.path(each), kept_as) for each in saved]
        changes += [Change("drop-in", "", path, "it is not stayon's, and stays") for path in self.leavings(name)]
        if not dry_run:
            perform(acts)
        return changes

    def _is_stale(self, where: Layout, shown: Mapping[str, str]) -> bool:
        """Whether systemd knows a unit, which rests, of a file that is gone: an uninstall was killed."""
        path = self._files.path(where.fragment)
        return shown["FragmentPath"] == path and shown["ActiveState"] in _RESTING and not self._files.is_there(path)

    def _stopping(self, where: Layout, current: Entry) -> Act:
        sockets = [each for each in current.files if each.endswith(socket_unit.SOCKET)]
        units = [*sockets, where.unit]

        def stop() -> Undo:
            shown = self._systemctl.show(where.unit, sight.PROPERTIES)
            limit_s = STOP_S + sight.seconds_of(shown["TimeoutStopUSec"])
            self._systemctl.do("stop", "--", *units, timeout_s=limit_s)
            if shown["ActiveState"] not in ("active", "activating", "reloading"):
                return nothing
            return lambda: self._systemctl.do("start", "--no-block", "--", *units)

        return Act(_SILENT, stop)

    def _forgetting(self, where: Layout) -> Act:
        def forget() -> Undo:
            # What never failed can't be forgotten, which systemd calls a failure.
            self._systemctl.ask("reset-failed", "--", where.unit)
            return nothing

        return Act(_SILENT, forget)

    # -- what there is -----------------------------------------------------------------------------

    def _entry(self, where: Layout) -> Entry:
        names = [each for each in (where.fragment, where.drop_in) if each]
        base = where.unit.partition("@")[0].removesuffix(unit.SERVICE)
        for each in self._files.names():
            if each.endswith(socket_unit.SOCKET) and each.startswith(f"{base}-"):
                found = self._files.understood(each)
                if found.ours and found.values("Socket", "Service") == [where.unit]:
                    names.append(each)
        texts = {each: text for each in names if (text := self._files.read(each))}
        units = [each for each in texts if each.endswith(socket_unit.SOCKET)]
        if texts.get(where.drop_in or where.fragment):
            units.append(where.unit)
        return Entry(texts, frozenset(each for each in units if self._is_enabled(each)))

    def _is_enabled(self, name: str) -> bool:
        return self._systemctl.ask("is-enabled", "--", name).text.strip().endswith("enabled")

    def _others(self, where: Layout) -> bool:
        """Whether other instances have the same template."""
        return bool(where.drop_in) and any(each != where.unit for each in self._sharing(where))

    def _sharing(self, where: Layout) -> list[str]:
        """All instances of the template that are installed, or just its one unit."""
        base = where.fragment.removesuffix(unit.SERVICE)
        ours = [f"{each}{unit.SERVICE}" for each in self.names() if where.drop_in and each.startswith(base)]
        return sorted({where.unit, *ours})

    def _now(self) -> tuple[float, float]:
        return self._clock.time(), self._clock.monotonic()

    # -- refusals ----------------------------------------------------------------------------------

    def _check_rights(self, *, dry_run: bool) -> None:
        if self._account and not self._systemctl.for_user and not dry_run:
            raise NotPermittedError(
                "the computer's services are root's to change",
                hint="Say it with sudo; or --user, for a service of this account alone.",
                code="systemd.access-denied",
            )

    def _check_ours(self, name: str, where: Layout) -> None:
        """Raise if anybody else has a unit of this name, wherever."""
        text = self._files.read(where.fragment)
        if text:
            found = self._files.understood(where.fragment)
            if not found.ours:
                raise self._foreign(name, self._files.path(where.fragment))
            return
        shown = self._systemctl.show(where.unit, sight.PROPERTIES)
        if shown["LoadState"] == "masked":
            raise NotPermittedError(
                f"the unit {where.unit} is masked: an administrator forbids it",
                hint=f"Allow it: systemctl unmask {where.unit}",
                code="systemd.masked",
            )
        if self._files.is_there(self._files.path(where.fragment)):
            raise self._foreign(name, self._files.path(where.fragment))  # a pipe, a link to nowhere
        if shown["LoadState"] != "not-found" and shown["FragmentPath"] != self._files.path(where.fragment):
            raise self._foreign(name, shown["FragmentPath"] or shown["LoadState"])

    def _check_intact(self, current: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        for name, text in current.items():
            if self._files.understood(name).intact or wanted.get(name, text) == text:
                continue
            owner = name.partition("/")[0].removesuffix(".d")
            error = FailedError(
                "the unit was edited by hand, and is left as it is",
                where=self._files.path(name),
                hint=f"Move what you changed into a drop-in, which stays: systemctl edit {owner}."
                " Then remove the file, and install it again",
                code="systemd.edited",
            )
            error.details = tuple(difference(text, wanted[name], self._files.path(name)))
            raise error

    def _not_installed(self, name: str) -> UnavailableError:
        return UnavailableError(
            f"{name!r} is not installed", hint=did_you_mean(name, self.names()), code="manager.not-installed"
        )

    def _foreign(self, name: str, path: str) -> NotPermittedError:
        return NotPermittedError(
            f"the service {name!r} was not installed by stayon, and is left alone",
            where=path,
            hint="Give yours another name, or remove that one with what it came with.",
            code="manager.foreign",
        )
