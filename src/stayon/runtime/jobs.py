"""The service's jobs: each on its own schedule, run on the pool, retried, limited and counted."""

from __future__ import annotations

from stayon.core import overlap, schedule
from stayon.core.spec import DEGRADE, FAIL
from stayon.errors import exit_code_of
from stayon.runtime.flag import Flag
from stayon.runtime.outcome import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from stayon.core.restart import History
    from stayon.core.schedule import Due
    from stayon.core.spec import JobSpec
    from stayon.runtime.calls import Call
    from stayon.runtime.host import Host
    from stayon.runtime.loop import Timer
    from stayon.runtime.watchdog import Beat

SUCCESS, FAILURE, TIMEOUT, SKIPPED, MISSED = "success", "failure", "timeout", "skipped", "missed"
RESULTS = (SUCCESS, FAILURE, TIMEOUT, SKIPPED, MISSED)


class Run:
    """One run of a job: what it may be told and watched by."""

    __slots__ = ("beat", "stopping", "timed_out")

    def __init__(self, stopping: Flag | None, beat: Beat | None) -> None:
        self.stopping, self.beat, self.timed_out = stopping, beat, False


class Job:
    """One job with all that is known of it. Read it from any thread; only ``Jobs`` changes it."""

    def __init__(self, spec: JobSpec, function: Callable[..., Any], host: Host) -> None:
        self.spec, self.function = spec, function
        self.stopping = Flag(host.loop.clock)
        self.context = host.context(spec.name, stopping=self.stopping)
        self.due: Due | None = None
        self.timer: Timer | None = None
        self.retry_timer: Timer | None = None
        self.retry_due: float | None = None
        self.history: History | None = None
        self.runs: dict[Call, Run] = {}
        self.waiting = 0
        self.counts = dict.fromkeys(RESULTS, 0)
        self.lateness_s = 0.0
        self.last_success = 0.0
        self.last_error = ""
        self.degraded = False

    def cancel_timers(self) -> None:
        """Nothing more becomes due."""
        for timer in (self.timer, self.retry_timer):
            if timer is not None:
                timer.cancel()
        self.timer = self.retry_timer = None

    def stop(self) -> None:
        """Nothing more becomes due, what waits is forgotten, and what runs is asked to leave."""
        self.cancel_timers()
        self.retry_due = None
        self.waiting = 0
        self.stopping.set()
        for run in self.runs.values():
            if run.stopping is not None:
                run.stopping.set()


class Jobs:
    """All jobs of a host. For the loop's thread, except for looking a name up."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._loop = host.loop
        self._jobs: dict[str, Job] = {}
        self._active = False
        self._on_idle: Callable[[], object] | None = None
        # Runs of jobs that were taken away: each holds its thread until it ends.
        self.leaving = 0
        self.on_run: Callable[[Job, str, float], object] = lambda _job, _result, _duration_s: None
        self.on_ended: Callable[[], object] = lambda: None
        for spec, function in host.declared("job"):
            self._jobs[spec.name] = Job(spec, function, host)

    def __contains__(self, name: str) -> bool:
        return name in self._jobs

    def __iter__(self) -> Iterator[Job]:
        return iter(list(self._jobs.values()))

    def __getitem__(self, name: str) -> Job:
        return self._jobs[name]

    @property
    def degraded(self) -> list[str]:
        """The names of jobs whose last word was a failure that degrades the service."""
        return [job.spec.name for job in self if job.degraded]

    # -- the host's verbs --------------------------------------------------------------------------

    def start(self) -> None:
        """Let jobs become due, from the beginning or, after a pause, from their next moment on."""
        self._active, self._on_idle = True, None
        for job in self:
            self._begin(job)

    def pause(self, on_idle: Callable[[], object]) -> None:
        """Start nothing more; *on_idle* is called when no run is under way."""
        self._active, self._on_idle = False, on_idle
        for job in self:
            job.cancel_timers()
        self._tell_idle()

    def stop(self) -> None:
        """Start nothing more, forget what waits, and ask the running ones to leave."""
        self._active, self._on_idle = False, None
        for job in self:
            job.stop()

    def adopt(self, specs: Iterable[JobSpec]) -> None:
        """Go on by *specs*, which replace those of the same names; a job whose schedule is the same keeps its
        rhythm.
        """
        for spec in specs:
            job = self._jobs.get(spec.name)
            if job is None or job.spec == spec:
                continue
            if (job.spec.rule, job.spec.enabled) != (spec.rule, spec.enabled):
                job.cancel_timers()
                job.due = None
            job.spec = spec
            if self._active and job.due is None:
                self._begin(job)

    def add(self, spec: JobSpec, function: Callable[..., Any]) -> None:
        """Add a job to a living service; if there is one of that name, the first stays."""
        if spec.name in self._jobs:
            return
        job = self._jobs[spec.name] = Job(spec, function, self._host)
        self._host.size_pool()
        if self._active:
            self._begin(job)

    def remove(self, name: str) -> None:
        """Take a job away and ask its running runs to leave. Unknown names are ignored."""
        job = self._jobs.pop(name, None)
        if job is None:
            return
        job.stop()
        self.leaving += len(job.runs)
        for call in job.runs:
            self._host.equipment.async_room.cancel(call)
        self._host.size_pool()

    def look_again(self) -> None:
        """Time may have passed unnoticed, or the wall clock was set: sleep anew, each job until its next moment."""
        for job in self:
            if job.timer is not None and job.due is not None:
                job.timer.cancel()
                self._sleep(job, job.due)

    # -- becoming due ------------------------------------------------------------------------------

    def _now(self, job: Job) -> float:
        clock = self._loop.clock
        return clock.time() if isinstance(job.spec.rule, schedule.Cron) else clock.monotonic()

    def _begin(self, job: Job) -> None:
        if not job.spec.enabled:
            return
        now = self._now(job)
        if job.due is None:
            job.due = schedule.first(job.spec.rule, now, self._host.equipment.chance)
        elif job.due.at <= now:
            # It came due during a pause: that moment was given away on purpose, so it isn't missed.
            job.due = schedule.turn(job.spec.rule, job.due, now, self._host.equipment.chance).next
        self._sleep(job, job.due)
        if job.retry_due is not None and job.retry_timer is None:
            job.retry_timer = self._loop.call_at(job.retry_due, self._try_again, job)
        while job.waiting and len(job.runs) < job.spec.overlap.limit:
            job.waiting -= 1
            self._start(job)

    def _sleep(self, job: Job, due: Due) -> None:
        wait_s = schedule.wait_s(job.spec.rule, due, self._now(job), self._host.equipment.look_again_s)
        job.timer = self._loop.call_later(wait_s, self._wake, job, due)

    def _wake(self, job: Job, due: Due) -> None:
        turn = schedule.turn(job.spec.rule, due, self._now(job), self._host.equipment.chance)
        job.due = turn.next
        self._sleep(job, turn.next)
        if turn.missed:
            job.counts[MISSED] += turn.missed
            job.context.log.warning("runs missed", event_id=22, missed=turn.missed)
        if turn.runs:
            job.lateness_s = turn.lateness_s
            self._admit(job)
            # Runs that are made up for come one after the other, whatever is done when two fall together.
            job.waiting += turn.runs - 1

    def _admit(self, job: Job) -> None:
        if job.retry_timer is not None:
            # A due run takes the place of a retry that waits.
            job.retry_timer.cancel()
            job.retry_timer = None
        job.retry_due = None
        verdict = overlap.admit(job.spec.overlap, len(job.runs), job.waiting)
        if verdict == overlap.RUN:
            self._start(job)
        elif verdict == overlap.WAIT:
            job.waiting += 1
        else:
            job.counts[SKIPPED] += 1
            self.on_run(job, SKIPPED, 0.0)
            job.context.log.debug("skipped: the last run is still under way", event_id=21)

    # -- running -----------------------------------------------------------------------------------

    def _start(self, job: Job) -> None:
        spec = job.spec
        run = Run(None, None)
        context = job.context
        if spec.timeout_s is not None or spec.hang_timeout_s is not None:
            run.stopping = Flag(self._loop.clock)
            if spec.hang_timeout_s is not None:
                run.beat = self._host.watchdog.watch(f"job {spec.name}", spec.hang_timeout_s)
            context = self._host.context(spec.name, stopping=run.stopping, beat=run.beat)
        call = self._host.calls.start(
            f"job {spec.name}", job.function, context, on_end=lambda call: self._ended(job, call)
        )
        job.runs[call] = run
        if spec.timeout_s is not None:
            self._host.calls.limit(call, spec.timeout_s, lambda call: self._timed_out(job, call))

    def _timed_out(self, job: Job, call: Call) -> None:
        """It has failed, and is asked to leave; its thread cannot be taken away, so it counts as running until it
        ends.
        """
        run = job.runs[call]
        run.timed_out = True
        if run.stopping is not None:
            run.stopping.set()
        self._failed(
            job, TIMEOUT, TimeoutError(f"it took longer than {job.spec.timeout_s:g} s"), job.spec.timeout_s or 0.0
        )

    def _ended(self, job: Job, call: Call) -> None:
        run = job.runs.pop(call)
        if run.beat is not None:
            self._host.watchdog.forget(run.beat)
        if run.timed_out:
            job.context.log.info("ended after its timeout", event_id=24, duration_s=round(call.duration_s, 3))
        elif call.error is None:
            self._succeeded(job, call)
        elif not job.stopping or type(call.error).__name__ != "CancelledError":
            self._failed(job, FAILURE, call.error, call.duration_s)
        if self._active and job.waiting and job.spec.name in self._jobs:
            job.waiting -= 1
            self._start(job)
        elif self._active and job.retry_due is not None and job.retry_timer is None:
            self._try_again(job)
        if self._jobs.get(job.spec.name) is not job:
            self.leaving -= 1
            self._host.size_pool()
        self.on_ended()
        self._tell_idle()

    def _succeeded(self, job: Job, call: Call) -> None:
        job.counts[SUCCESS] += 1
        job.last_success = self._loop.clock.time()
        job.history = None
        self.on_run(job, SUCCESS, call.duration_s)
        if job.last_error:
            job.last_error = ""
            job.context.log.info("well again", event_id=25)
        if job.degraded:
            job.degraded = False
            self._host.on_change(self._host)

    def _failed(self, job: Job, result: str, error: BaseException, duration_s: float) -> None:
        job.counts[result] += 1
        job.last_error = text_of(error)
        self.on_run(job, result, duration_s)
        retry_s, why = self._retry(job, error, duration_s)
        more: dict[str, Any] = {"retry_in_s": round(retry_s, 3)} if retry_s is not None else {"why": why} if why else {}
        job.context.log.failure("job failed", error, event_id=23, result=result, **more)
        if retry_s is not None:
            job.retry_due = self._loop.clock.monotonic() + retry_s
            job.retry_timer = self._loop.call_at(job.retry_due, self._try_again, job)
        elif job.spec.on_failure == DEGRADE:
            job.degraded = True
            self._host.on_change(self._host)
        elif job.spec.on_failure == FAIL:
            self._host.fail(error, f"job {job.spec.name}")

    def _retry(self, job: Job, error: BaseException, duration_s: float) -> tuple[float | None, str]:
        """In how many seconds to try again, or None and why not."""
        if job.spec.retry is None or not self._active or job.stopping:
            return None, ""
        from stayon.core import restart

        now = self._loop.clock.monotonic()
        ended = restart.Ended(exit_code_of(error), now, now - duration_s)
        decision = restart.decide(job.spec.retry, job.history or restart.History(), ended, self._host.equipment.chance)
        if isinstance(decision, restart.Restart):
            job.history = decision.history
            return decision.in_s, ""
        job.history = None
        return None, getattr(decision, "why", "")

    def _try_again(self, job: Job) -> None:
        """Unless the failed run is still there, timed out but not ended: then its end comes back here."""
        job.retry_timer = None
        if overlap.admit(job.spec.overlap, len(job.runs), job.waiting) == overlap.RUN:
            job.retry_due = None
            self._start(job)

    def _tell_idle(self) -> None:
        if self._on_idle is not None and not any(job.runs for job in self):
            on_idle, self._on_idle = self._on_idle, None
            on_idle()
