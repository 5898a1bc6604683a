"""A Service Control Manager that is not there: its database, its processes, its recovery, in virtual time.

What it takes without a word, though a real one, or who looks at it, would be misled, it notes as a flaw.
"""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from functools import partial

from stayon.platforms.windows.api import ScmError, ServiceStatus, Trigger
from stayon.testing import scm_rules as rules
from stayon.testing.clock import ManualClock
from stayon.testing.scm_database import Entry, ScmDatabase
from stayon.testing.scm_process import KILLED, Delivery, SimulatedProcess
from stayon.testing.scm_record import Controlled, Flaw, Logged, Progress, Reported, ScmRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from stayon.testing.clock import ManualGate
    from stayon.testing.scm_process import Program

CONNECT_LIMIT_S = HANDLER_LIMIT_S = 30.0  # ServicesPipeTimeout
DELAYED_START_S = 120.0  # AutoStartDelay
SHUTDOWN_LIMIT_S = 5.0  # WaitToKillServiceTimeout
LEAVE_LIMIT_S = 20.0  # how long a process may live after its service has stopped
DEPENDENCY_LIMIT_S = 600.0
FIRST_HINT_MS = 2_000
# A report that comes at the very moment at which it has to is in time, whoever is woken first.
SLACK_S = 0.001


class SimulatedScm(ScmDatabase):
    """A ``ServiceStore`` and ``ServiceCalls``, whose services are the functions of ``programs``, by the service's name.

    Use it in ``with``: time passes only while the test waits in it (``advance``, ``wait_for``, ``start``, ``control``),
    and everybody else waits, too. ``record`` has all that happened. *seed* is for what is left to chance: pids.
    """

    def __init__(
        self, clock: ManualClock | None = None, *, unsupported: Mapping[str, int] | None = None, seed: int = 0
    ) -> None:
        super().__init__(unsupported)
        self.clock = clock or ManualClock()
        self.seed = seed
        self.programs: dict[str, Program] = {}
        self.record = ScmRecord()
        self.processes: list[SimulatedProcess] = []
        self.is_shutting_down = False
        self.closes: list[Callable[[], object]] = []
        self._chance = random.Random(seed)  # noqa: S311  # chance in a test is to be had again
        self._lock = threading.RLock()
        self._progress: dict[str, tuple[Progress, list[Callable[[], None]]]] = {}
        self._waiters: list[ManualGate] = []
        self._starts = 0

    def __repr__(self) -> str:
        return f"SimulatedScm(seed={self.seed})"

    # -- ServiceCalls ------------------------------------------------------------------------------

    def start(self, name: str, arguments: Sequence[str] = ()) -> None:
        """StartServiceW: what it depends on is started first."""
        self._start(self._open(name, "RP", "StartServiceW"), arguments)

    def control(self, name: str, code: int) -> None:
        """ControlService: returns when the handler has, or raises error 1053 after 30 s."""
        if code not in rules.RIGHT_TO_CONTROL:
            self._call("ControlService", name)
            raise ScmError(rules.INVALID_PARAMETER, "ControlService")
        entry = self._open(name, rules.RIGHT_TO_CONTROL[code], "ControlService")
        with self._lock:
            error = rules.refusal(entry.status.state, entry.status.accepted, code)
            if code == rules.STOP and not error and self._dependents(entry):
                error = rules.DEPENDENT_SERVICES_RUNNING
        if error:
            self.record.controlled.append(Controlled(self.clock.monotonic(), entry.name, code, error=error))
            raise ScmError(error, "ControlService")
        self._deliver(entry, Delivery(self.clock, code))

    def status(self, name: str) -> ServiceStatus:
        """QueryServiceStatusEx."""
        return self._open(name, "LC", "QueryServiceStatusEx").status

    def names(self, dependents_of: str = "") -> list[str]:
        """EnumServicesStatusExW; or EnumDependentServicesW: the active ones, those last started first."""
        if not dependents_of:
            self._call("EnumServicesStatusExW", "")
            return [entry.name for entry in self.entries.values()]
        entry = self._open(dependents_of, "SW", "EnumDependentServicesW")
        found = sorted(self._dependents(entry), key=lambda each: -each.started_order)
        return [each.name for each in found]

    # -- what may happen ---------------------------------------------------------------------------

    def advance(self, length_s: float) -> None:
        """Let time pass, and all that falls due meanwhile happen."""
        gate = self.clock.gate()
        gate.acquire()
        # So far beyond the moment that what is due at it has happened.
        self.clock.wait(gate, length_s + SLACK_S / 10)

    def wait_until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Let time pass until *condition*, asked after each change of a status. False if *limit_s* was over first."""
        deadline = self.clock.monotonic() + limit_s
        while not condition():
            gate = self.clock.gate()
            gate.acquire()
            self._waiters.append(gate)
            if not condition() and not self.clock.wait(gate, deadline - self.clock.monotonic()):
                with suppress(ValueError):
                    self._waiters.remove(gate)
                return condition()
        return True

    def wait_for(self, name: str, state: int, limit_s: float = 60.0) -> ServiceStatus:
        """Let time pass until *name* is in *state*. Raises ``TimeoutError``."""
        entry = self.entry(name)
        if not self.wait_until(lambda: entry.status.state == state, limit_s):
            raise TimeoutError(f"{name} was not in state {state} within {limit_s:g} s, but {entry.status}")
        return entry.status

    def kill(self, name: str) -> None:
        """End the process of *name* from outside."""
        process = self.entry(name).process
        if process is not None:
            process.end(KILLED)

    def boot(self) -> None:
        """Start what starts by itself, the delayed ones two minutes later."""
        automatic = [entry for entry in self.entries.values() if entry.config.start_type == 2]
        for delayed in (False, True):
            wanted = [each for each in automatic if each.config.delayed == delayed]
            if delayed and wanted:
                self.advance(DELAYED_START_S)
            for entry in wanted:
                if entry.status.state == rules.STOPPED:
                    with suppress(ScmError):  # it is in the log; the others are started all the same
                        self._start(entry, ())

    def shut_down(self) -> None:
        """Shut the computer down: PRESHUTDOWN and its timeout for each who accepts it, SHUTDOWN for all others at once;
        who is alive 5 s later is killed.
        """
        self.is_shutting_down = True
        for entry in self._accepting(rules.PRESHUTDOWN):
            self._deliver(entry, Delivery(self.clock, rules.PRESHUTDOWN), raising=False)
            self._await_stopped(entry, entry.config.preshutdown_ms / 1000)
        for entry in self._accepting(rules.SHUTDOWN):
            self._deliver(entry, Delivery(self.clock, rules.SHUTDOWN), raising=False)
        self.wait_until(lambda: not self._active(), SHUTDOWN_LIMIT_S)
        for entry in self._active():
            self._log(entry.name, 7043, "it did not shut down properly after a preshutdown or shutdown control")
            self.kill(entry.name)

    def tell(self, code: int, kind: int = 0, data: bytes = b"") -> dict[str, int | None]:
        """Send what only the system sends (power, session, time), to all who accept it; gives what their handlers
        gave.
        """
        return {
            entry.name: self._deliver(entry, Delivery(self.clock, code, kind, data), raising=False)
            for entry in self._accepting(code)
        }

    def pull(self, trigger: Trigger) -> None:
        """What *trigger* waits for has happened: those who have it are started, or stopped; those who run are told."""
        for entry in list(self.entries.values()):
            if trigger not in entry.config.triggers:
                continue
            if entry.status.state == rules.STOPPED and trigger.action == 1:
                self._start(entry, ("TriggerStarted", f"{{{trigger.subtype.upper()}}}"))
            elif trigger.action == 2 and not rules.refusal(entry.status.state, entry.status.accepted, rules.STOP):
                self._deliver(entry, Delivery(self.clock, rules.STOP), raising=False)
            elif not rules.refusal(entry.status.state, entry.status.accepted, rules.TRIGGER):
                self._deliver(entry, Delivery(self.clock, rules.TRIGGER), raising=False)

    def __enter__(self) -> Self:
        self.clock.autojump = True
        self.clock.join()
        return self

    def __exit__(self, *_error: object) -> None:
        self.is_shutting_down = True
        for process in self.processes:
            process.end(KILLED)
        self.clock.autojump = False
        self.clock.leave()
        for close in reversed(self.closes):
            close()

    # -- for its processes -------------------------------------------------------------------------

    def reported(self, process: SimulatedProcess, status: ServiceStatus) -> None:
        """The process has called SetServiceStatus."""
        with self._lock:
            entry = self.entries.get(process.name.lower())
            if entry is None or entry.process is not process:
                return
            for fault in rules.faults(entry.status, status):
                self.flaw(entry.name, fault)
            self._set(entry, status.replace(pid=process.pid))
            self._watch(entry)
        if status.state == rules.STOPPED:
            self._call_at(LEAVE_LIMIT_S, lambda: self._check_left(process))
            self._stopped(entry)

    def ended(self, process: SimulatedProcess) -> None:
        """The process is gone."""
        with self._lock:
            entry = self.entries.get(process.name.lower())
            is_ours = entry is not None and entry.process is process and process.is_connected
            if entry is None or not is_ours or entry.status.state == rules.STOPPED:
                return
            self._forget_progress(entry)
            self._set(entry, ServiceStatus(rules.STOPPED, exit_code=rules.PROCESS_ABORTED))
        self.tidy(entry)
        if not self.is_shutting_down:
            self._recover(entry, "it terminated unexpectedly")

    def flaw(self, name: str, text: str) -> None:
        """Note what is wrong with *name*."""
        self.record.flaws.append(Flaw(self.clock.monotonic(), name, text))

    # -- starting ----------------------------------------------------------------------------------

    def _start(self, entry: Entry, arguments: Sequence[str], chain: tuple[str, ...] = ()) -> None:
        self._check_startable(entry, chain)
        for dependency in self._dependencies(entry):
            self._start_dependency(entry, dependency, (*chain, entry.name.lower()))
        for group in [each[1:] for each in entry.config.dependencies if each.startswith("+")]:
            self._start_group(entry, group, (*chain, entry.name.lower()))
        with self._lock:
            self._check_startable(entry, ())
            process = self._new_process(entry)
        self._connect(entry, process)
        process.start_service((entry.name, *arguments))

    def _check_startable(self, entry: Entry, chain: tuple[str, ...]) -> None:
        code = 0
        if self.is_shutting_down:
            code = 1115  # ERROR_SHUTDOWN_IN_PROGRESS
        elif entry.marked:
            code = rules.MARKED_FOR_DELETION
        elif entry.config.start_type == 4:
            code = rules.SERVICE_DISABLED
        elif entry.name.lower() in chain:
            code = rules.CIRCULAR_DEPENDENCY
        elif entry.status.state != rules.STOPPED:
            code = rules.ALREADY_RUNNING
        if code:
            raise ScmError(code, "StartServiceW")

    def _dependencies(self, entry: Entry) -> list[Entry]:
        names = [each for each in entry.config.dependencies if not each.startswith("+")]
        missing = [each for each in names if each.lower() not in self.entries]
        if missing:
            raise ScmError(rules.DEPENDENCY_DELETED, "StartServiceW")
        return [self.entries[each.lower()] for each in names]

    def _start_dependency(self, entry: Entry, dependency: Entry, chain: tuple[str, ...]) -> None:
        if dependency.status.state == rules.STOPPED:
            try:
                self._start(dependency, (), chain)
            except ScmError as error:
                if error.code == rules.CIRCULAR_DEPENDENCY:
                    raise
        steady = (rules.RUNNING, rules.PAUSED, rules.STOPPED)
        self.wait_until(lambda: dependency.status.state in steady, DEPENDENCY_LIMIT_S)
        if dependency.status.state not in (rules.RUNNING, rules.PAUSED):
            self._log(entry.name, 7001, f"it depends on {dependency.name}, which failed to start")
            raise ScmError(rules.DEPENDENCY_FAILED, "StartServiceW")

    def _start_group(self, entry: Entry, group: str, chain: tuple[str, ...]) -> None:
        """One of *group* has to run; a group without members is no hindrance."""
        members = [each for each in self.entries.values() if each.config.group.lower() == group.lower()]
        for member in members:
            with suppress(ScmError):
                self._start_dependency(entry, member, chain)
        if members and not any(each.status.state == rules.RUNNING for each in members):
            raise ScmError(rules.DEPENDENCY_FAILED, "StartServiceW")

    def _new_process(self, entry: Entry) -> SimulatedProcess:
        code = 0
        if entry.name not in self.programs:
            code = rules.FILE_NOT_FOUND
        elif not self.may_log_on(entry):
            code = rules.LOGON_FAILED
        if code:
            self._log(entry.name, 7000, f"it failed to start: error {code}")
            raise ScmError(code, "StartServiceW")
        process = SimulatedProcess(self, entry.name, 4 * self._chance.randrange(200, 10_000))
        self.processes.append(process)
        self._starts += 1
        entry.process, entry.started_order = process, self._starts
        self._set(entry, ServiceStatus(rules.START_PENDING, wait_hint_ms=FIRST_HINT_MS, pid=process.pid))
        return process

    def _connect(self, entry: Entry, process: SimulatedProcess) -> None:
        process.begin(self.programs[entry.name])
        self.clock.wait(process.connected, CONNECT_LIMIT_S)
        if process.is_connected:
            return
        process.end(KILLED)
        self._log(entry.name, 7009, f"it did not connect within {CONNECT_LIMIT_S:g} s")
        self._log(entry.name, 7000, f"it failed to start: error {rules.SERVICE_REQUEST_TIMEOUT}")
        self._set(entry, ServiceStatus(rules.STOPPED, exit_code=rules.SERVICE_REQUEST_TIMEOUT))
        self.tidy(entry)
        raise ScmError(rules.SERVICE_REQUEST_TIMEOUT, "StartServiceW")

    # -- ending ------------------------------------------------------------------------------------

    def _stopped(self, entry: Entry) -> None:
        code = entry.status.exit_code
        self.tidy(entry)
        if not code:
            return
        if code == rules.SPECIFIC_ERROR:
            self._log(entry.name, 7024, f"it terminated with service-specific error {entry.status.specific}")
        else:
            self._log(entry.name, 7023, f"it terminated with error {code}")
        if entry.config.failure_on_non_crash and not self.is_shutting_down:
            self._recover(entry, "it failed")

    def _recover(self, entry: Entry, why: str) -> None:
        now = self.clock.monotonic()
        entry.failures, (kind, delay_ms) = rules.after_failure(entry.failures, entry.config.failure, now)
        times = f"{why}, {entry.failures.count} times"
        if kind == 0:
            self._log(entry.name, 7034, times)
            return
        self._log(entry.name, 7031, f"{times}; action {kind} in {delay_ms} ms")
        self._call_at(delay_ms / 1000, lambda: self._act(entry, kind))

    def _act(self, entry: Entry, kind: int) -> None:
        """Do the recovery action; starting waits, so it needs a thread."""
        if kind != 1:
            self.flaw(entry.name, f"recovery action {kind} is not simulated")
        elif entry.status.state == rules.STOPPED and self.entries.get(entry.name.lower()) is entry:
            SimulatedProcess(self, entry.name, 0).start_thread(lambda: self._restart(entry), "recovery")

    def _restart(self, entry: Entry) -> None:
        try:
            self._start(entry, ())
        except ScmError as error:
            if error.code != rules.ALREADY_RUNNING:
                self._log(entry.name, 7032, f"the corrective action failed: error {error.code}")

    def _check_left(self, process: SimulatedProcess) -> None:
        if process.exit_code is None:
            self.flaw(process.name, f"its process still lived {LEAVE_LIMIT_S:g} s after STOPPED")

    # -- the rest ----------------------------------------------------------------------------------

    def _deliver(self, entry: Entry, delivery: Delivery, *, raising: bool = True) -> int | None:
        process, at, code = entry.process, self.clock.monotonic(), delivery.code
        if process is None:
            raise ScmError(rules.NOT_ACTIVE, "ControlService")
        error = process.deliver(delivery, HANDLER_LIMIT_S)
        self.record.controlled.append(Controlled(at, entry.name, code, delivery.kind, delivery.result, error))
        if error and raising:
            raise ScmError(error, "ControlService")
        if code == rules.STOP and not error and entry.status.state in (rules.RUNNING, rules.PAUSED):
            # Wine kills such a service at its next control, and who asked sees no sign of stopping.
            self.flaw(entry.name, "STOP_PENDING was not reported within the handler")
        return delivery.result

    def _await_stopped(self, entry: Entry, limit_s: float) -> None:
        self.wait_until(lambda: entry.status.state == rules.STOPPED, limit_s)

    def _set(self, entry: Entry, status: ServiceStatus) -> None:
        if status.state == rules.STOPPED:
            status = status.replace(pid=0)
        entry.status = status
        self.record.reported.append(Reported(self.clock.monotonic(), entry.name, status))
        waiters, self._waiters = self._waiters, []
        for gate in waiters:
            with suppress(RuntimeError):
                gate.release()

    def _watch(self, entry: Entry) -> None:
        """Look whether *entry*, pending, goes on showing progress."""
        progress, cancels = self._progress.setdefault(entry.name, (Progress(), []))
        progress.note(entry.status, self.clock.monotonic())
        for cancel in cancels:
            cancel()
        # What is over has been noted once.
        cancels[:] = [
            self.clock.call_at(moment + SLACK_S, partial(self.flaw, entry.name, why))
            for moment, why in progress.limits()
            if moment + SLACK_S >= self.clock.monotonic()
        ]

    def _forget_progress(self, entry: Entry) -> None:
        for cancel in self._progress.pop(entry.name, (None, []))[1]:
            cancel()

    def _call_at(self, delay_s: float, callback: Callable[[], object]) -> None:
        self.clock.call_at(self.clock.monotonic() + delay_s, callback)

    def _dependents(self, entry: Entry) -> list[Entry]:
        """The active services that need *entry*, however indirectly."""
        found: list[Entry] = []
        wanted = {entry.name.lower()}
        while True:
            more = [
                each
                for each in self._active()
                if each not in found and wanted & {name.lower() for name in each.config.dependencies}
            ]
            if not more:
                return found
            found += more
            wanted |= {each.name.lower() for each in more}

    def _active(self) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.status.state != rules.STOPPED]

    def _accepting(self, code: int) -> list[Entry]:
        return [each for each in self._active() if not rules.refusal(each.status.state, each.status.accepted, code)]

    def _log(self, name: str, event_id: int, text: str) -> None:
        self.record.logged.append(Logged(self.clock.monotonic(), name, event_id, text))
