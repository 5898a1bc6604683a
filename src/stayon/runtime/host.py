"""The host of one service: one mailbox, one loop; events in, the table decides, actions out."""

from __future__ import annotations

from stayon import exits
from stayon.core import health, states
from stayon.core.record import Record
from stayon.core.schedule import LOOK_AGAIN_S
from stayon.core.states import decide
from stayon.errors import FailedError, UsageError
from stayon.runtime.calls import Calls, Sequence
from stayon.runtime.checks import Checks
from stayon.runtime.context import Context
from stayon.runtime.declared import job_spec
from stayon.runtime.flag import Flag
from stayon.runtime.jobs import Jobs
from stayon.runtime.outcome import Outcome, text_of
from stayon.runtime.service import Declaration, place_of
from stayon.runtime.sockets import Sockets
from stayon.runtime.threads import start_thread
from stayon.runtime.watchdog import Watchdog
from stayon.runtime.workers import Workers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stayon.core.events import Event, Request
    from stayon.core.health import Verdict
    from stayon.core.places import Places
    from stayon.core.spec import ServiceSpec
    from stayon.core.states import Cell
    from stayon.machine import Machine
    from stayon.runtime.calls import Call
    from stayon.runtime.config.live import LiveConfig
    from stayon.runtime.logs.pipeline import Pipeline
    from stayon.runtime.loop import Loop
    from stayon.runtime.metrics import Metrics
    from stayon.runtime.rooms import AsyncRoom, Executor, Seat
    from stayon.runtime.service import Service
    from stayon.runtime.watchdog import Beat

# The detail of a request to stop that means: and start again.
RESTART = "restart"

# Start, stop, reload and event hooks run on the pool as well, some at the same time.
HOOK_THREADS = 8


class Equipment(Record):
    """What ``app`` hands the host: the computer's ports, and the rooms the service's code runs in."""

    machine: Machine
    loop: Loop
    executor: Executor
    seat: Seat
    async_room: AsyncRoom
    logs: Pipeline
    metrics: Metrics
    config: LiveConfig
    places: Places
    chance: Callable[[], float]
    start_thread: Callable[[Callable[[], object], str], object] = staticmethod(start_thread)
    look_again_s: float = LOOK_AGAIN_S
    crash_path: str = ""
    instance: str = ""
    arguments: tuple[str, ...] = ()
    start_reason: str = ""
    restarts: int = 0


class Occurrence(Record):
    """One event with what came with it."""

    event: str
    error: BaseException | None = None
    origin: str = ""
    exit_code: int = 0


class Host:
    """One service's life. Everything runs on the loop's thread, except where a method says otherwise.

    ``on_change(host)`` is called after every change of state or status text: whoever shows it to the outside hangs
    there.
    """

    def __init__(self, service: Service, spec: ServiceSpec, equipment: Equipment) -> None:
        self.service, self.spec, self.equipment = service, spec, equipment
        self.loop, self.metrics, self.config = equipment.loop, equipment.metrics, equipment.config
        self.log = equipment.logs.logger()
        self.places, self.instance, self.arguments = equipment.places, equipment.instance, equipment.arguments
        clock = equipment.machine.clock
        self.state = states.STOPPED
        self.since = self.started = clock.time()
        self.status_text = ""
        self.was_started = self.was_ready = False
        self.reload_failures, self.reloaded_at = 0, clock.time()
        self.outcome = Outcome()
        self.stopping, self.paused = Flag(clock), Flag(clock)
        self.forced = False
        self.calls = Calls(self.loop, equipment.executor, equipment.async_room)
        hung: Callable[[Beat], object] = lambda beat: self.on_hang(beat)  # noqa: E731, PLW0108  # it is set later
        deadman = equipment.machine.deadman(equipment.crash_path)
        self.watchdog = Watchdog(self.loop, deadman, spec.hang_timeout_s, hung)
        self.sockets = Sockets(equipment.machine.socket_store)
        self.calls.on_ended = self.check_all_ended
        self.calls.on_late = self._hook_ended_late
        self.workers = Workers(self.loop, self.watchdog, equipment)
        self.jobs = Jobs(self)
        # Kept apart from the jobs, which only the loop's thread changes: names are given and taken on any thread.
        self._job_names: dict[str, object] = {job.spec.name: job for job in self.jobs}
        self.checks = Checks(self.loop, self.calls, lambda name: self.context(f"check {name}"))
        self.checks.on_change = self._health_changed
        self.on_change: Callable[[Host], object] = lambda _host: None
        self.on_hang: Callable[[Beat], object] = lambda _beat: None
        self.on_reload: Callable[[str], object] = lambda _source: None
        self.on_running: Callable[[], object] = lambda: None
        self.on_stopping: Callable[[], object] = lambda: None
        self.on_first_failure: Callable[[BaseException, str], object] = lambda _error, _origin: None
        self.size_pool()
        self._settled: list[Callable[[], object]] = []
        self._hooks = self._new_hooks(lambda _error: None)
        self._deadline = self.loop.call_later(0, lambda: None)
        self._tasks_started = False
        self.last_error: BaseException | None = None

    # -- for other threads -------------------------------------------------------------------------

    def ready(self) -> None:
        """The service says that it is ready. From any thread."""
        self.loop.post(self.handle, Occurrence(states.READY))

    def add_job(self, kind: str, function: Callable[..., Any], said: dict[str, Any]) -> None:
        """Declare a job while running. From any thread; raises ``UsageError`` there."""
        declaration = Declaration(kind, function, said, place_of(function))
        spec = job_spec(declaration)
        if self._job_names.setdefault(spec.name, declaration) is not declaration:  # atomic, so that one of two wins
            raise UsageError(
                f"there is a job {spec.name!r} already", hint="Give it another name=.", code="spec.duplicate"
            )
        self.loop.post(self.jobs.add, spec, function)

    def cancel_job(self, name: str) -> None:
        """Take a job away; its name may be given again at once. From any thread."""
        self._job_names.pop(name, None)
        self.loop.post(self.jobs.remove, name)

    # -- events ------------------------------------------------------------------------------------

    def request(self, request: Request) -> Cell:
        """Do what was asked for from outside; the cell tells a refusal and why."""
        self.log.debug("asked", verb=request.event, source=request.source)
        cell = self.handle(Occurrence(request.event, exit_code=request.exit_code, origin=request.source))
        if request.event in (states.STOP, states.FORCE) and cell.action != states.REFUSE:
            # The last word holds: a stop that comes after "restart" is a stop.
            self.outcome.asked, self.outcome.again = True, request.detail == RESTART
        return cell

    def handle(self, occurrence: Occurrence) -> Cell:
        """Look the event up in the table, change the state, do the action."""
        cell = decide(self.state, occurrence.event)
        if occurrence.error is not None:
            self.last_error = occurrence.error
        if cell.next != self.state:
            self._enter(cell.next)
        action: Callable[[Occurrence], object] = getattr(self, f"do_{cell.action}")
        action(occurrence)
        if self.state not in states.PENDING:
            self._tell_settled()
        return cell

    def when_settled(self, callback: Callable[[], object]) -> None:
        """Call *callback* once the state is not a pending one; at once if it is not."""
        self._settled.append(callback)
        if self.state not in states.PENDING:
            self._tell_settled()

    def _tell_settled(self) -> None:
        settled, self._settled = self._settled, []
        for callback in settled:
            callback()

    def _enter(self, state: str) -> None:
        before, self.state = self.state, state
        self.since = self.loop.clock.time()
        self._deadline.cancel()
        limit_s = self.limit_s(state)
        if limit_s is not None:
            self._deadline = self.loop.call_later(limit_s, self._too_long, state, limit_s)
        # Whoever waits hears it before the log, which takes its time; of the end only then, as a manager may end us.
        if state != states.STOPPED:
            self.on_change(self)
        # Where it has arrived is worth a look, and on its way only if one looks closer; its end has a word of its own.
        tell = self.log.notice if state in (states.RUNNING, states.PAUSED) else self.log.info
        tell(f"{before} -> {state}", event_id=10)
        if state == states.STOPPED:
            self._tell_end()
            self.on_change(self)

    def limit_s(self, state: str) -> float | None:
        """How long *state* may last. To come to rest takes as long as stopping may: running jobs are let finish."""
        return {
            states.START_PENDING: self.spec.start_timeout_s,
            states.PAUSE_PENDING: self.spec.stop_timeout_s,
            states.CONTINUE_PENDING: self.spec.start_timeout_s,
            states.STOP_PENDING: self.spec.stop_timeout_s,
        }.get(state)

    def _too_long(self, state: str, limit_s: float) -> None:
        error = FailedError(
            f"it had not {_DONE[state]} after {limit_s:g} s",
            why=self._who_is_late(state),
            hint=_LATE_HINTS[state],
            code="host.too-long",
        )
        self._hooks.give_up()
        self.handle(Occurrence(states.TIMED_OUT, error, _DOING[state]))

    def _who_is_late(self, state: str) -> str:
        names = [call.name for call in (*self.workers.under_way, *self.calls.under_way)]
        if state == states.START_PENDING and names == ["run"]:
            return "run did not call ctx.ready()"
        return f"waiting for {', '.join(sorted(names)) or 'nothing'}"

    # -- actions: one for each of states.ACTIONS ---------------------------------------------------

    def do_nothing(self, _occurrence: Occurrence) -> None:
        """Nothing is to be done."""

    def do_refuse(self, occurrence: Occurrence) -> None:
        """What was asked for makes no sense now; whoever asked gets the cell's reason."""
        self.log.info("refused", verb=occurrence.event, state=self.state)

    def do_answer(self, occurrence: Occurrence) -> None:
        """The state is what was wanted, or was only asked after."""
        if occurrence.error is not None:
            self.log.error(
                "a hook failed; the state is as before", origin=occurrence.origin, error=text_of(occurrence.error)
            )
        self.on_change(self)

    def do_begin_start(self, _occurrence: Occurrence) -> None:
        """Watch the loop, then the start hooks, then ``run``."""
        self.was_started = True
        self.watchdog.start()
        self._run_hooks("on_start", self._start_hooks_ended)

    def _start_hooks_ended(self, error: BaseException | None) -> None:
        if error is not None:
            self.handle(Occurrence(states.HOOK_FAILED, error, "on_start"))
            return
        run = [worker for worker in self.declared_workers() if worker[2] == "run"]
        if not run:
            self.handle(Occurrence(states.READY))
        for spec, function, kind in run:
            self.workers.start((spec, function), self._worker_context(kind), self._run_ended, on_main=True)

    def _run_ended(self, _name: str, error: BaseException | None) -> None:
        if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
            self.handle(Occurrence(states.FINISHED))
        else:
            self._worker_failed("run", error)
        self.check_all_ended()

    def do_begin_run(self, occurrence: Occurrence) -> None:
        """RUNNING: from here on jobs are called, checks asked, tasks alive."""
        if occurrence.error is not None:
            self.log.error(
                "a hook failed; it goes on running", origin=occurrence.origin, error=text_of(occurrence.error)
            )
        self.paused.clear()
        self.jobs.start()
        self.on_running()
        if not self._tasks_started:
            self._tasks_started = self.was_ready = True
            self.checks.start(self.declared("check"))
            for spec, function, kind in self.declared_workers():
                if kind == "task":
                    self.workers.start(
                        (spec, function), self._worker_context(spec.name), self._task_ended, on_main=False
                    )
        self.on_change(self)

    def _task_ended(self, name: str, error: BaseException | None) -> None:
        if error is not None:
            self._worker_failed(name, error)
        elif not self.stopping:
            self.log.info("task done", task=name)
        self.check_all_ended()

    def _worker_failed(self, name: str, error: BaseException) -> None:
        if self.stopping and type(error).__name__ == "CancelledError":
            return
        self.handle(Occurrence(states.FAILED, error, name))

    def do_begin_pause(self, _occurrence: Occurrence) -> None:
        """Start no job, let the running ones finish, then the hooks."""
        self.paused.set()
        self.jobs.pause(lambda: self._run_hooks("on_pause", self._pause_hooks_ended))

    def _pause_hooks_ended(self, error: BaseException | None) -> None:
        event = states.PAUSE_DONE if error is None else states.HOOK_FAILED
        self.handle(Occurrence(event, error, "on_pause"))

    def do_begin_resume(self, _occurrence: Occurrence) -> None:
        """The hooks, then RUNNING."""
        self._run_hooks("on_resume", self._resume_hooks_ended)

    def _resume_hooks_ended(self, error: BaseException | None) -> None:
        event = states.RESUME_DONE if error is None else states.HOOK_FAILED
        self.handle(Occurrence(event, error, "on_resume"))

    def do_begin_reload(self, occurrence: Occurrence) -> None:
        """Read the configuration again; the transaction is not the host's."""
        self.on_reload(occurrence.origin)

    def do_begin_stop(self, occurrence: Occurrence) -> None:
        """Ask everyone to leave, and wait."""
        self._hooks.give_up()
        self._note(occurrence)
        self.stopping.set()
        self.on_stopping()
        self.jobs.stop()
        self.checks.stop()
        self.loop.call_later(self.spec.stop_timeout_s / 2, self._cancel_coroutines)
        self._hooks = Sequence(self.calls, self.spec.hook_timeout_s, lambda _error: None, self._stop_hook_failed)
        self._hooks.start(self._functions("on_stop")[::-1])
        self.loop.post(self.check_all_ended)

    def _cancel_coroutines(self) -> None:
        """Half of the time is over: what is ``async def`` and still there is cancelled, but for the stop hooks."""
        self.workers.cancel_tasks()
        for call in self.calls.under_way:
            if not call.name.startswith("on_stop"):
                self.equipment.async_room.cancel(call)

    def _note(self, occurrence: Occurrence) -> None:
        if occurrence.error is not None:
            self.do_keep_failure(occurrence)
        elif occurrence.event == states.FINISHED:
            self.outcome.end_with(exits.DONE, "run returned")
        elif self.was_ready:
            self.outcome.end_with(exits.DONE, f"asked to stop by {occurrence.origin or 'a request'}")
        else:
            self.outcome.end_with(occurrence.exit_code, f"asked to stop before it was ready by {occurrence.origin}")

    def _stop_hook_failed(self, name: str, error: BaseException) -> None:
        self.handle(Occurrence(states.HOOK_FAILED, error, name))

    def do_keep_failure(self, occurrence: Occurrence) -> None:
        """Note it; the first one is reported at once, with all that helps to understand it."""
        if occurrence.error is None:
            return
        if self.outcome.fail(occurrence.error, occurrence.origin):
            self.on_first_failure(occurrence.error, occurrence.origin)
        else:
            self.log.error("failed while stopping", origin=occurrence.origin, error=text_of(occurrence.error))

    def do_force_stop(self, occurrence: Occurrence) -> None:
        """Leave without those who do not."""
        from stayon.runtime.stacks import all_stacks

        late = sorted(call.name for call in (*self.workers.under_way, *self.calls.under_way))
        if late:
            stacks = all_stacks(self.equipment.async_room.loop)
            self.log.error("these did not stop", event_id=14, who=late, stacks=stacks)
        if occurrence.error is not None:
            self.do_keep_failure(occurrence)
        else:
            self.outcome.end_with(occurrence.exit_code or exits.INTERRUPTED, f"forced by {occurrence.origin}")
        self.forced = True
        self.handle(Occurrence(states.ALL_ENDED))

    def do_end(self, _occurrence: Occurrence) -> None:
        """STOPPED: the loop ends after this turn."""
        self.watchdog.stop()
        self.loop.end()

    def _tell_end(self) -> None:
        tell = self.log.notice if self.outcome.exit_code == exits.DONE else self.log.error
        tell("stopped", event_id=11, exit_code=self.outcome.exit_code, why=self.outcome.why)

    def size_pool(self) -> None:
        """Give the pool a thread for every call that may be under way, so that a slow one never delays another."""
        jobs = sum(job.spec.overlap.limit for job in self.jobs) + self.jobs.leaving
        self.equipment.executor.limit = jobs + len(self.spec.checks) + HOOK_THREADS

    # -- the rest ----------------------------------------------------------------------------------

    def check_all_ended(self) -> None:
        """STOPPED, if it is stopping and nobody is left."""
        if self.state == states.STOP_PENDING and not self.workers.under_way and not self.calls.under_way:
            self.handle(Occurrence(states.ALL_ENDED))

    def fail(self, error: BaseException, origin: str) -> None:
        """End the service because of *error*: a job whose ``on_failure`` says so, or the host's own fault."""
        self.handle(Occurrence(states.FAILED, error, origin))

    def abort(self, error: BaseException, origin: str) -> None:
        """End at once because of *error*, asking nobody: whoever hangs cannot be asked."""
        if self.outcome.fail(error, origin):
            self.on_first_failure(error, origin)
        self.forced = True
        self._enter(states.STOPPED)
        self.loop.end()

    def tell(self, event: Event) -> None:
        """Have the ``on_event`` hooks called, each on its own; one that fails is logged, and the service goes on."""
        for name, function, (context,) in self._functions("on_event"):
            call = self.calls.start(name, function, context, event, on_end=self._event_told)
            self.calls.limit(call, self.spec.hook_timeout_s, self._event_late)

    def _event_told(self, call: Call) -> None:
        if call.error is not None:
            self.log.failure("a hook failed", call.error, hook=call.name)

    def _event_late(self, call: Call) -> None:
        self.log.error("a hook takes long", hook=call.name, limit_s=self.spec.hook_timeout_s)

    def adopt(self, spec: ServiceSpec) -> None:
        """Go on by *spec*: the operator has changed timeouts or jobs."""
        self.spec = spec
        self.watchdog.set_timeout(spec.hang_timeout_s)
        self.jobs.adopt(spec.jobs)

    def set_status(self, text: str) -> None:
        """The line that ``ctx.status`` gave."""
        self.status_text = text
        self.on_change(self)

    def _health_changed(self, name: str, verdict: Verdict) -> None:
        tell = self.log.info if verdict.status == health.OK else self.log.warning
        tell("health check", event_id=26, check=name, status=verdict.status, why=verdict.why)
        self.on_change(self)

    def context(self, job: str = "", *, stopping: Flag | None = None, beat: Beat | None = None) -> Context:
        """A context for one of the service's functions."""
        log = self.equipment.logs.logger(job=job) if job else self.log
        return Context(self, log, self.stopping if stopping is None else stopping, job=job, beat=beat)

    def _worker_context(self, name: str) -> Callable[[Beat | None], Context]:
        return lambda beat: self.context(name if name != "run" else "", beat=beat)

    def declared(self, kind: str) -> list[tuple[Any, Callable[..., Any]]]:
        """The specs of one kind ("job", "check") with their functions, in the order of declaration."""
        kinds = {"job": ("every", "cron"), "check": ("check",)}[kind]
        specs = {"job": self.spec.jobs, "check": self.spec.checks}[kind]
        functions = [one.function for one in self.service.declarations if one.kind in kinds]
        return list(zip(specs, functions, strict=True))

    def declared_workers(self) -> list[tuple[Any, Callable[..., Any], str]]:
        """``run`` and the tasks: spec, function, kind."""
        workers = [one for one in self.service.declarations if one.kind in ("run", "task")]
        return [(spec, one.function, one.kind) for spec, one in zip(self.spec.workers, workers, strict=True)]

    def hooks(self, kind: str) -> list[Callable[..., Any]]:
        """The functions of one hook ("on_reload"), in the order of declaration."""
        return [one.function for one in self.service.declarations if one.kind == kind]

    def _functions(self, kind: str) -> list[tuple[str, Callable[..., Any], tuple[Any, ...]]]:
        return [
            (f"{kind} {getattr(function, '__name__', '')}", function, (self.context(),))
            for function in self.hooks(kind)
        ]

    def _hook_ended_late(self, call: Call) -> None:
        """A hook that nobody waits for any more has failed: not lost, and the real reason of a stop during a start."""
        if call.error is not None and type(call.error).__name__ != "CancelledError":
            self.handle(Occurrence(states.HOOK_FAILED, call.error, call.name))

    def _new_hooks(self, on_end: Callable[[BaseException | None], object]) -> Sequence:
        return Sequence(self.calls, self.spec.hook_timeout_s, on_end)

    def _run_hooks(self, kind: str, on_end: Callable[[BaseException | None], object]) -> None:
        self._hooks.give_up()
        self._hooks = self._new_hooks(on_end)
        self._hooks.start(self._functions(kind))


_DOING = {
    states.START_PENDING: "start",
    states.PAUSE_PENDING: "pause",
    states.CONTINUE_PENDING: "resume",
    states.STOP_PENDING: "stop",
}
_DONE = {
    states.START_PENDING: "started",
    states.PAUSE_PENDING: "paused",
    states.CONTINUE_PENDING: "gone on",
    states.STOP_PENDING: "stopped",
}
_LATE_HINTS = {
    states.START_PENDING: "Call ctx.ready() as soon as the work can begin, or raise start_timeout",
    states.PAUSE_PENDING: "Let long jobs look at ctx.paused, or raise stop_timeout",
    states.CONTINUE_PENDING: "Look into the on_resume hooks, or raise start_timeout",
    states.STOP_PENDING: "Look at ctx.stopping often, or raise stop_timeout; the stacks are in the log",
}
