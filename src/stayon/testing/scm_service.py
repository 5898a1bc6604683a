"""A service of ours on the simulated SCM: the real dispatcher and the real host, on a computer that is not there."""

from __future__ import annotations

from pathlib import Path

from stayon.errors import exit_code_of
from stayon.platforms.windows.controls import powers_of
from stayon.platforms.windows.dispatcher import Dispatcher
from stayon.testing.bell import Bell
from stayon.testing.deadman import FakeDeadman
from stayon.testing.launcher import FakeLauncher
from stayon.testing.log_book import LogBook
from stayon.testing.machine import FakeMachine
from stayon.testing.rig import Rig, Setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stayon.machine import Machine
    from stayon.runtime.host import Host
    from stayon.runtime.service import Service
    from stayon.testing.log_book import LogRecord
    from stayon.testing.rig import Config
    from stayon.testing.scm_process import SimulatedProcess

HUNG = 86
KEEP_RECORDS = 10_000


class ServiceProgram:
    """What ``SimulatedScm.programs`` takes. *import_s* is how long the user's module takes to be imported.

    ``runs`` has every process that was started, in order; ``settings`` may be changed between two.
    """

    def __init__(
        self,
        service: Service,
        *,
        config: Config = None,
        environment: Mapping[str, str] | None = None,
        import_s: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._service, self.import_s = service, import_s
        self.setting = Setting(config, None, environment or {}, seed, None, watchdog=True)
        self.runs: list[Run] = []

    @property
    def run(self) -> Run:
        """The last process."""
        return self.runs[-1]

    def __call__(self, process: SimulatedProcess) -> int:
        """The main thread of one process."""
        self.runs.append(Run(process))
        return self.runs[-1].live(self._service, self.setting, self.import_s)


class Run:
    """One process of the service. ``host`` is the real one, to look into, and ``write_config`` replaces its
    configuration file; both are None before it is there.
    """

    def __init__(self, process: SimulatedProcess) -> None:
        self.process = process
        self.dispatcher = Dispatcher(process.name, process, self._new_bell, clock=process.clock)
        self.dispatcher.start_thread = lambda function: process.start_thread(function, "dispatcher's")
        self.machine = _ServiceMachine(process, self.dispatcher)
        self.host: Host | None = None
        self.write_config: Callable[[Config], None] | None = None
        self._book = LogBook(KEEP_RECORDS)
        process.at_close(self.machine.close)

    @property
    def log(self) -> list[LogRecord]:
        """The last records, oldest first."""
        return self._book.records()

    def live(self, service: Service, setting: Setting, import_s: float) -> int:
        """From the connection to the SCM to the end; gives the exit code."""
        process, dispatcher = self.process, self.dispatcher
        process.start_thread(dispatcher.connect, "dispatcher")
        if import_s:
            process.sleep(import_s)
        dispatcher.declare(powers_of(each.kind for each in service.declarations))
        try:
            arguments = dispatcher.wait_for_start()
            rig = Rig(service, setting.replace(arguments=arguments), self.machine, self._book)
        except BaseException as error:  # noqa: BLE001  # as the real program does: the SCM gets it
            dispatcher.finish(exit_code_of(error))
            return exit_code_of(error)
        self.host, self.write_config = rig.host, rig.write_config
        process.on_end.append(lambda: self._abandon(rig))
        return self._host(rig)

    def _abandon(self, rig: Rig) -> None:
        """The process is gone, and with it whatever of it would still have acted."""
        rig.crew.abandon()
        self.machine.wake()
        for deadman in self.machine.deadmen:
            deadman.disarm()

    def _host(self, rig: Rig) -> int:
        ended = self.process.clock.gate()
        ended.acquire()
        rig.start(lambda _error: ended.release())
        self.process.clock.wait(ended, None)
        outcome = rig.host.outcome
        self.dispatcher.finish(outcome.exit_code, asked=outcome.asked, again=outcome.again)
        return outcome.exit_code

    def _new_bell(self) -> Bell:
        bell = Bell()
        bell.listeners.append(self.machine.wake)
        self.process.at_close(bell.close)
        return bell


class _ServiceMachine(FakeMachine):
    """Its starter is the dispatcher, its time the SCM's, and its deadman kills the process."""

    def __init__(self, process: SimulatedProcess, dispatcher: Dispatcher) -> None:
        super().__init__()
        self._process, self._dispatcher = process, dispatcher
        self.clock = process.clock
        self.launcher = FakeLauncher(self.clock)

    def ports(self) -> Machine:
        """The computer as a host sees it."""
        return super().ports().replace(starter=self._dispatcher)

    def _new_deadman(self, crash_path: str) -> FakeDeadman:
        path = crash_path or str(Path(self.folder) / "crash")
        self.deadmen.append(FakeDeadman(self.clock, path, lambda _deadman: self._process.end(HUNG)))
        return self.deadmen[-1]
