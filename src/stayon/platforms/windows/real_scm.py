"""The SCM of this computer, joined with its accounts, its Event Log and its file system; loaded by the verbs only."""

from __future__ import annotations

from stayon.platforms.windows import definition, event_source, process, win32
from stayon.platforms.windows.accounts import WindowsAccounts
from stayon.platforms.windows.advapi import AdvapiCalls, AdvapiStore
from stayon.platforms.windows.scm import Scm, Surroundings
from stayon.platforms.windows.service_directories import ServiceDirectories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.core.installation import Change
    from stayon.platforms.windows.api import ServiceStatus
    from stayon.ports import Clock

# A process is known by when it was made: FILETIME counts 100 ns since 1601.
_TICKS_PER_S, _UNIX_EPOCH_S = 10_000_000, 11_644_473_600


class RegisteredSources:
    """The port ``scm.Sources`` on the registry."""

    def change(self, name: str, *, wanted: bool) -> Change | None:
        return event_source.source_change(name, wanted=wanted)

    def register(self, name: str) -> bool:
        return event_source.register_source(name)

    def unregister(self, name: str) -> bool:
        return event_source.unregister_source(name)


class LiveCalls(AdvapiCalls):
    """The SCM's calls, with the truth about services whose process is gone."""

    def status(self, name: str) -> ServiceStatus:
        found = super().status(name)
        return definition.alive_or_dead(found, lambda pid: bool(process.process_identity(pid)))


def windows_scm(clock: Clock) -> Scm:
    """The port ``ServiceManager`` of this computer."""
    around = Surroundings(
        accounts=WindowsAccounts(),
        sources=RegisteredSources(),
        directories=ServiceDirectories(),
        text_of=win32.text_of,
        started_at=_started_at,
    )
    return Scm(AdvapiStore(), LiveCalls(), clock, around)


def _started_at(pid: int) -> float:
    made = process.process_identity(pid)
    return int(made) / _TICKS_PER_S - _UNIX_EPOCH_S if made.isdigit() else 0.0
