"""The computer we are on.

The only room, with ``build``, that asks which system it is; ``current`` has the answer, as ports. Floor: above
``ports``, below ``supervisor``; it does not know its siblings ``runtime`` and ``coordination``.
"""

from __future__ import annotations

import sys

from stayon.errors import UnavailableError
from stayon.machine import Machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from stayon.machine import Places

__all__ = ["current"]

_chosen: list[Machine] = []


def current() -> Machine:
    """The ports of this computer, chosen at the first call. Raises ``UnavailableError`` where there are none yet."""
    if not _chosen:
        _chosen.append(_choose())
    return _chosen[0]


def _choose() -> Machine:
    if sys.platform == "win32":
        raise UnavailableError(
            "services can't be run on Windows yet", hint="Use Linux or macOS.", code="platform.not-supported"
        )
    from stayon.platforms import deadman, inotify, poller, slow_poll, unix
    from stayon.platforms.clock import SystemClock
    from stayon.platforms.console import Console
    from stayon.platforms.door import UnixDoor
    from stayon.platforms.identity import process_identity
    from stayon.platforms.launcher import UnixLauncher
    from stayon.platforms.lock import FlockLock
    from stayon.platforms.places import make_directory
    from stayon.platforms.process import ProcessFigures, facts

    linux = sys.platform == "linux"
    return Machine(
        clock=SystemClock(),
        starter=Console(),
        poller=poller.EpollPoller if linux else poller.PollPoller,
        directory_watch=inotify.InotifyWatch if linux else slow_poll.SlowPollWatch,
        deadman=deadman.TimerDeadman if linux else deadman.FaulthandlerDeadman,
        file_lock=FlockLock,
        control_door=UnixDoor(),
        launcher=UnixLauncher(),
        places=_places,
        make_directory=make_directory,
        process_identity=process_identity,
        process_figures=ProcessFigures(),
        prepare=unix.prepare,
        suspend=unix.suspend,
        facts=facts,
    )


def _places(name: str, env: Mapping[str, str]) -> Places:
    import os

    from stayon.platforms.places import Account, places_of
    from stayon.platforms.unix import account_home

    return places_of(name, Account(sys.platform, os.geteuid() == 0, account_home(env.get("HOME", ""))), env)
