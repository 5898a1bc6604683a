"""The computer we are on.

The only room, with ``build``, that asks which system it is; ``current`` has the answer, as ports. Floor: above
``ports``, below ``supervisor``; it does not know its siblings ``runtime`` and ``coordination``.
"""

from __future__ import annotations

import sys

from stayon.errors import UnavailableError
from stayon.machine import Machine, NoSockets, no_system_log, nothing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

    from stayon.core.places import Places
    from stayon.machine import Management
    from stayon.ports import Child, DirectoryWatch, SocketStore, Starter, SystemLog

__all__ = ["current"]

_chosen: list[Machine] = []


def current() -> Machine:
    """The ports of this computer, chosen at the first call."""
    if not _chosen:
        _chosen.append(_choose())
    return _chosen[0]


def _choose() -> Machine:
    if sys.platform == "win32":
        return _windows()
    return _unix()


def _unix() -> Machine:
    from stayon.platforms import deadman, poller, unix
    from stayon.platforms.clock import SystemClock
    from stayon.platforms.directories import check_directory, make_directory
    from stayon.platforms.door import UnixDoor
    from stayon.platforms.identity import process_identity
    from stayon.platforms.lock import FlockLock

    linux = sys.platform == "linux"
    starter, socket_store = _unix_starter()
    return Machine(
        clock=SystemClock(),
        starter=starter,
        poller=poller.EpollPoller if linux else poller.PollPoller,
        directory_watch=_inotify_watch if linux else _slow_poll_watch,
        deadman=deadman.TimerDeadman if linux else deadman.FaulthandlerDeadman,
        file_lock=FlockLock,
        control_door=UnixDoor(),
        launcher=_LateLauncher(),
        places=_places,
        make_directory=make_directory,
        check_directory=check_directory,
        process_identity=process_identity,
        process_figures=_process_figures,
        prepare=unix.prepare,
        suspend=unix.suspend,
        become=unix.become,
        keeps_process=True,
        open_shared=unix.open_shared,
        facts=_facts,
        system_log=_journal if linux else no_system_log,
        socket_store=socket_store,
        settle=_give_back if linux else nothing,
        management=_unix_management,
        # (systemd ends the whole control group by itself, as soon as we are gone: KillMode=mixed.)
        sweep=tuple if starter.name == "systemd" else _sweep,
    )


def _inotify_watch() -> DirectoryWatch:
    from stayon.platforms.inotify import InotifyWatch

    return InotifyWatch()


def _slow_poll_watch() -> DirectoryWatch:
    from stayon.platforms.slow_poll import SlowPollWatch

    return SlowPollWatch()


class _LateLauncher:
    """The launcher, loaded when there is something to be started: most services start nothing."""

    def spawn(self, command: Sequence[str], *, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Child:
        """As ``UnixLauncher`` does it."""
        from stayon.platforms.launcher import UnixLauncher

        return UnixLauncher().spawn(command, stdin=stdin, env=env)


def _process_figures() -> Mapping[str, float]:
    from stayon.platforms.process import process_figures

    return process_figures()


def _facts() -> Mapping[str, Any]:
    from stayon.platforms.process import facts

    return facts()


def _sweep() -> Sequence[str]:
    from stayon.platforms.tree import sweep

    return sweep()


def _unix_management(scope: str) -> Management:
    import os

    if sys.platform == "darwin":
        from stayon.platforms.launchd.management import management as of_launchd

        return _with_manifests(of_launchd(current().clock, scope))
    if os.path.isdir("/run/systemd/system"):  # as sd_booted(3) looks
        from stayon.platforms.systemd.management import management as of_systemd

        return _with_manifests(of_systemd(current().clock, scope))
    from stayon.platforms import unkept
    from stayon.platforms.systemd.management import exports

    return _with_manifests(unkept.management(exports(), scope))


def _with_manifests(management: Management) -> Management:
    """*management* that can also write down what containers need: that is the same on every system."""
    from stayon.platforms.manifests import exports

    return management.replace(exports={**management.exports, **exports()})


def _unix_starter() -> tuple[Starter, SocketStore]:
    """Who started us, by what it has put into the environment, and never by a parent's name; and what it keeps for us.

    All that is meant for this process only is taken out of the environment.
    """
    import os

    if os.environ.get("STAYON_STARTER") == "launchd":
        from stayon.platforms.launchd.starter import starter_of as launchd_starter_of

        return launchd_starter_of(os.environ)
    sockets: SocketStore = NoSockets()
    if "NOTIFY_SOCKET" in os.environ or "LISTEN_PID" in os.environ:
        from stayon.platforms.systemd.starter import starter_of

        starter, sockets = starter_of(os.environ, os.getpid())
        if starter is not None:
            return starter, sockets
    from stayon.platforms.console import Console

    return Console(), sockets


def _give_back() -> None:
    from stayon.platforms.resident import give_back

    give_back()
    _launcher_gives_back()


def _launcher_gives_back() -> None:
    """What only the launcher's part of the start needed, in a program that is one file."""
    launcher = sys.modules.get("_stayon")
    if launcher is not None:
        launcher.settle()


def _journal(source: str, rest: str) -> SystemLog | None:
    from stayon.platforms.journald import journal

    return journal(source, rest)


def _windows() -> Machine:
    if sys.maxsize < 2**32:
        raise UnavailableError(
            "this is a Python of 32 bits, for which there is no stayon on Windows",
            where=sys.executable,
            hint="Install the one of 64 bits from python.org.",
            code="platform.32-bit",
        )
    from stayon.platforms.windows import prepare, process
    from stayon.platforms.windows.clock import WindowsClock
    from stayon.platforms.windows.console import WindowsConsole
    from stayon.platforms.windows.deadman import WindowsDeadman
    from stayon.platforms.windows.directory_watch import WindowsDirectoryWatch
    from stayon.platforms.windows.eventlog import EventLog
    from stayon.platforms.windows.jobs import JobLauncher
    from stayon.platforms.windows.lock import WindowsLock
    from stayon.platforms.windows.pipe import PipeDoor
    from stayon.platforms.windows.poller import WindowsPoller
    from stayon.platforms.windows.security import check_directory, make_directory

    return Machine(
        clock=WindowsClock(),
        starter=WindowsConsole(),
        poller=WindowsPoller,
        directory_watch=WindowsDirectoryWatch,
        deadman=WindowsDeadman,
        file_lock=WindowsLock,
        control_door=PipeDoor(),
        launcher=JobLauncher(),
        places=_windows_places,
        make_directory=make_directory,
        check_directory=check_directory,
        process_identity=process.process_identity,
        process_figures=process.ProcessFigures(),
        prepare=prepare.prepare,
        suspend=prepare.suspend,
        become=_become,
        keeps_process=False,
        open_shared=prepare.open_shared,
        parses_apart=False,  # under Wine a child takes 220 ms and leaves us 1.4 MB more; here, it is 65 ms and 1.1 MB
        facts=process.facts,
        system_log=EventLog,
        settle=_launcher_gives_back,
        management=_windows_management,
    )


def _windows_management(_scope: str) -> Management:
    from stayon.platforms.windows.management import management

    return _with_manifests(management(current().clock))


def _become(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    from stayon.platforms.windows.successor import become

    become(command, environment)


def _windows_places(name: str, env: Mapping[str, str]) -> Places:
    from stayon.platforms.places import HOME_VARIABLE, WINDOWS, Account, places_of
    from stayon.platforms.windows.process import program_data

    home = {HOME_VARIABLE: env[HOME_VARIABLE]} if HOME_VARIABLE in env else {"ProgramData": program_data()}
    return places_of(name, Account(WINDOWS, False, ""), home)


def _places(name: str, env: Mapping[str, str]) -> Places:
    import os

    from stayon.platforms.places import Account, made_already, places_of
    from stayon.platforms.unix import account_home

    # The password database is asked only where it must be: that brings in libraries of the system's, 0.4 MB.
    home = env.get("HOME", "") if made_already(name, env) else account_home(env.get("HOME", ""))
    return places_of(name, Account(sys.platform, os.geteuid() == 0, home), env)
