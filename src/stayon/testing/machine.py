"""A computer that is not there: fakes for all its ports, and real directories that are gone afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from stayon import platforms
from stayon.machine import Machine
from stayon.platforms.places import HOME_VARIABLE
from stayon.runtime.logs.follow import open_for_reading
from stayon.testing.clock import ManualClock
from stayon.testing.control_door import FakeControlDoor
from stayon.testing.deadman import FakeDeadman
from stayon.testing.directory_watch import FakeDirectoryWatch
from stayon.testing.file_lock import FakeFileLock
from stayon.testing.launcher import FakeLauncher
from stayon.testing.poller import FakePoller
from stayon.testing.socket_store import FakeSocketStore
from stayon.testing.starter import FakeStarter
from stayon.testing.system_log import FakeSystemLog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn, Self

    from stayon.core.places import Places
    from stayon.testing.installed import FakeServices


class FakeMachine:
    """All ports of one imaginary computer. ``ports()`` is what a host is given; the attributes are for the test.

    It has no manager of services until the test gives it one, ``services = FakeServices()``.

    Each adapter that was made is kept, in order, in ``pollers``, ``directory_watches``, ``deadmen``, ``system_logs``.
    What rings a bell (a request, a change in a directory) also wakes every poller. Use it in ``with``, or ``close`` it.
    """

    def __init__(self, *, autojump: bool = True) -> None:
        self.clock = ManualClock(autojump=autojump)
        self.starter = FakeStarter()
        self.socket_store = FakeSocketStore()
        self.control_door = FakeControlDoor()
        self.launcher = FakeLauncher(self.clock)
        self.lock_holders: dict[str, int] = {}
        self.processes = {os.getpid(): "fake/1"}
        self.figures: dict[str, float] = {"cpu_s": 0.0, "resident_bytes": 1e7, "threads": 1.0}
        self.facts: dict[str, object] = {"account": "tester", "host": "nowhere", "system": "Fake 1.0"}
        self.services: FakeServices | None = None
        self.pollers: list[FakePoller] = []
        self.directory_watches: list[FakeDirectoryWatch] = []
        self.deadmen: list[FakeDeadman] = []
        self.system_logs: list[FakeSystemLog] = []
        self.prepared = self.suspended = 0
        self.folder = Path(tempfile.mkdtemp(prefix="stayon"))
        self.starter.bell.listeners.append(self.wake)
        self.control_door.listeners.append(self.wake)

    def ports(self) -> Machine:
        """The computer as a host sees it."""
        return Machine(
            clock=self.clock,
            starter=self.starter,
            poller=self._new_poller,
            directory_watch=self._new_directory_watch,
            deadman=self._new_deadman,
            file_lock=lambda path: FakeFileLock(path, self.lock_holders),
            control_door=self.control_door,
            launcher=self.launcher,
            places=self._places,
            make_directory=platforms.current().make_directory,
            check_directory=platforms.current().check_directory,
            process_identity=lambda pid: self.processes.get(pid, ""),
            process_figures=lambda: dict(self.figures),
            prepare=self._prepare,
            suspend=self._suspend,
            become=self._become,
            keeps_process=True,
            open_shared=open_for_reading,
            facts=lambda: dict(self.facts),
            system_log=self._new_system_log,
            socket_store=self.socket_store,
            management=self.services.management if self.services is not None else None,
        )

    def wake(self) -> None:
        """Make every poller look at its descriptors."""
        for poller in self.pollers:
            poller.wake()

    def close(self) -> None:
        """Remove the directories. Calling it twice is harmless."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.starter.bell.close()
        self.socket_store.close()
        for watch in self.directory_watches:
            watch.close()
        for poller in self.pollers:
            poller.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _new_poller(self) -> FakePoller:
        self.pollers.append(FakePoller(self.clock))
        return self.pollers[-1]

    def _new_directory_watch(self) -> FakeDirectoryWatch:
        self.directory_watches.append(FakeDirectoryWatch())
        self.directory_watches[-1].bell.listeners.append(self.wake)
        return self.directory_watches[-1]

    def _new_deadman(self, crash_path: str) -> FakeDeadman:
        self.deadmen.append(FakeDeadman(self.clock, crash_path))
        return self.deadmen[-1]

    def _new_system_log(self, source: str, rest: str) -> FakeSystemLog:
        self.system_logs.append(FakeSystemLog(source, rest))
        return self.system_logs[-1]

    def _places(self, name: str, env: Mapping[str, str]) -> Places:
        home = env.get(HOME_VARIABLE, str(self.folder))
        return platforms.current().places(name, {HOME_VARIABLE: home})

    def _become(self, command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
        raise OSError(f"an imaginary computer cannot start {command[0]!r} with {sorted(environment)}")

    def _prepare(self) -> None:
        self.prepared += 1

    def _suspend(self) -> None:
        self.suspended += 1
