"""Starting, stopping, pausing through launchd, and waiting for what the service says of itself.

launchd starts what it loads, and starts again what ends too soon: so a stop unloads the job, and a restart doesn't (who
unloads to restart, and is interrupted, leaves no service).
"""

from __future__ import annotations

from stayon import exits
from stayon.core import states
from stayon.core.duration import text
from stayon.core.installation import DISABLED
from stayon.core.record import Record
from stayon.errors import FailedError, TemporaryError, UnavailableError, UsageError
from stayon.platforms.launchd import page
from stayon.platforms.launchd.launchctl import (
    ALREADY_IN_PROGRESS,
    IO_ERROR,
    NO_PROCESS,
    NO_SERVICE,
    NOW_IN_PROGRESS,
    LaunchctlError,
)
from stayon.platforms.waiting import pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stayon.platforms.launchd.launchctl import Launchctl
    from stayon.platforms.launchd.page import Page
    from stayon.platforms.launchd.printed import Job
    from stayon.ports import Clock

# Each look is a process; the first ones come quickly, as most services are quick.
FIRST_LOOK_S, LONGEST_LOOK_S = 0.02, 0.25

# What a stop may take beyond ExitTimeOut, after which launchd ends the process by force.
STOP_LIMIT_S = 10.0

# How long launchd may answer for a moment after a job was unloaded that it can't load it yet. "Input/output error" may
# mean that, too; or anything else.
_NOT_YET_S = {NOW_IN_PROGRESS: 10.0, ALREADY_IN_PROGRESS: 10.0, IO_ERROR: 1.0}

_GONE = (NO_PROCESS, NO_SERVICE)


class Target(Record):
    """A job of ours: *name* as launchctl takes it (DOMAIN/LABEL), *path* of its property list, and what stands there.
    *page* is where the service says how it is ("": it doesn't).
    """

    name: str
    domain: str
    path: str
    start: str
    exit_timeout_s: float
    page: str
    digest: str

    @property
    def label(self) -> str:
        """The service's name."""
        return self.name.rpartition("/")[2]


class Conversation:
    """What is asked of launchd within *timeout_s* from now on. Raises ``StayonError``, and ``LaunchctlError`` for what
    launchd refuses.
    """

    def __init__(self, launchctl: Launchctl, clock: Clock, timeout_s: float, tell: Callable[[str], object]) -> None:
        self._launchctl, self._clock, self._tell = launchctl, clock, tell
        self._timeout_s, self._deadline = timeout_s, clock.monotonic() + timeout_s

    def ask(self, target: Target, verb: str, arguments: Sequence[str]) -> None:
        """Do what *verb* says, and wait until it is done."""
        if arguments:
            raise UsageError(
                "launchd can't hand arguments to a start",
                hint="Say them when it is installed, or put them into its configuration.",
                code="launchd.arguments",
            )
        if verb == "start":
            self.start(target)
        elif verb == "stop":
            self.stop(target)
        elif verb == "restart":
            self.restart(target)
        elif verb == "pause":
            self._turn(target, "SIGTSTP", states.PAUSED, states.PAUSE_PENDING)
        elif verb == "resume":
            self._turn(target, "SIGCONT", states.RUNNING, states.CONTINUE_PENDING)
        elif verb == "reload":
            self._signal(target, "SIGHUP")
        else:
            raise UsageError(f"launchd can't {verb} a service", code="manager.verb")

    def start(self, target: Target) -> None:
        """Start it, and wait until it is RUNNING, or has finished well. Running already is fine."""
        if target.start == DISABLED:
            raise UsageError(
                f"{target.label} is disabled",
                hint="Install it again with --start manual.",
                code="launchd.disabled",
            )
        job = self._job(target)
        if job is not None and job.pid:
            now = page.read(target.page)
            if now is not None and now.pid == job.pid and now.state in (states.RUNNING, states.PAUSED):
                self._tell(f"{target.label} is {now.state} already")
                return
            self._until_running(target, job.runs - 1)
            return
        self._tell(f"starting {target.label}")
        page.remove(target.page)
        if job is not None and job.digest == target.digest:
            self._launchctl.kickstart(target.name)
            self._until_running(target, job.runs)
            return
        if job is not None:
            self._unload(target)
        self._load(target)
        self._until_running(target, 0)

    def stop(self, target: Target) -> None:
        """Stop it, and wait until launchd has forgotten it: then nothing starts it again but a verb, or the computer's
        next start.
        """
        if self._job(target) is None:
            self._tell(f"{target.label} is stopped already")
            return
        self._tell(f"stopping {target.label}")
        self._unload(target)

    def restart(self, target: Target) -> None:
        """Have its process end, and start it again, loaded all the while; but where its property list is another than
        it was loaded from, that one is loaded.
        """
        job = self._job(target)
        if job is None or job.digest != target.digest or not job.pid:
            if job is not None and job.pid:
                self.stop(target)
            self.start(target)
            return
        self._tell(f"stopping {target.label}")
        self._signal(target, "SIGTERM")
        after = self._until_gone(target, job)
        page.remove(target.page)
        self._tell(f"starting {target.label}")
        if after is None:
            self._load(target)
            self._until_running(target, 0)
            return
        self._launchctl.kickstart(target.name, kill=after.pid == job.pid)
        self._until_running(target, job.runs)

    # -- single steps ------------------------------------------------------------------------------

    def _load(self, target: Target) -> None:
        """Have launchd load it; for a moment after it was unloaded, launchd may not be able to."""
        began = self._clock.monotonic()
        while True:
            try:
                return self._launchctl.bootstrap(target.domain, target.path)
            except LaunchctlError as error:
                limit = min(began + _NOT_YET_S.get(error.code, 0.0), self._deadline)
                if self._clock.monotonic() >= limit or error.wants_root:
                    raise
                if self._job(target) is not None:
                    return None  # somebody else was quicker
            pause(self._clock, LONGEST_LOOK_S)

    def _unload(self, target: Target) -> None:
        try:
            self._launchctl.bootout(target.name)
        except LaunchctlError as error:
            if error.code in _GONE:
                return
            if error.code not in (NOW_IN_PROGRESS, ALREADY_IN_PROGRESS):
                raise
        look_s = FIRST_LOOK_S
        while self._job(target) is not None:
            self._check_time(target, "STOP_PENDING")
            look_s = self._pause(look_s)

    def _until_gone(self, target: Target, before: Job) -> Job | None:
        """Wait for the end of the process of *before*, as long as launchd would; gives how the job is then."""
        limit = self._clock.monotonic() + target.exit_timeout_s
        look_s = FIRST_LOOK_S
        while True:
            job = self._job(target)
            if job is None or job.pid != before.pid or self._clock.monotonic() >= limit:
                return job
            self._check_time(target, states.STOP_PENDING)
            look_s = self._pause(look_s)

    def _until_running(self, target: Target, runs_before: int) -> None:
        """Wait until its process says that it is RUNNING, or has ended: started *runs_before* times before."""
        look_s, last = FIRST_LOOK_S, ""
        while True:
            job, now = self._job(target), page.read(target.page)
            if job is not None and job.pid and not target.page:
                return
            is_its_own = job is not None and now is not None and now.pid == job.pid
            if now is not None and is_its_own and now.state in (states.RUNNING, states.PAUSED):
                self._tell(f"{target.label} is {now.state}")
                return
            if _has_ended(job, now, runs_before):
                self._check_ending(target, job, now)
                self._tell(f"{target.label} has finished")
                return
            state = now.state if now is not None and is_its_own else states.START_PENDING
            if state != last:
                last = state
                self._tell(f"{target.label} is {state}")
            self._check_time(target, state)
            look_s = self._pause(look_s)

    def _turn(self, target: Target, signal: str, goal: str, pending: str) -> None:
        """Pause or resume it. A hook that fails brings it back to where it was."""
        before = self._state(target)
        if before == goal:
            self._tell(f"{target.label} is {goal} already")
            return
        self._signal(target, signal)
        look_s, was_pending = FIRST_LOOK_S, False
        while True:
            state = self._state(target)
            if state == goal:
                return
            was_pending = was_pending or state == pending
            if state == states.STOPPED or (was_pending and state == before):
                raise FailedError(
                    f"{target.label} is {state}, and not {goal}",
                    why="its hook refused or failed" if state == before else "it stopped meanwhile",
                    hint=_look_into_log(target),
                    code="launchd.refused-by-service",
                )
            self._check_time(target, state)
            look_s = self._pause(look_s)

    def _signal(self, target: Target, signal: str) -> None:
        try:
            self._launchctl.kill(target.name, signal)
        except LaunchctlError as error:
            if error.code not in _GONE:
                raise
            raise UnavailableError(
                f"{target.label} is not running",
                hint=f"Start it first: stayon start {target.label}",
                code="launchd.not-running",
            ) from error

    # -- looking -----------------------------------------------------------------------------------

    def _job(self, target: Target) -> Job | None:
        return self._launchctl.job(target.name)

    def _state(self, target: Target) -> str:
        job, now = self._job(target), page.read(target.page)
        if job is None or not job.pid:
            return states.STOPPED
        return now.state if now is not None and now.pid == job.pid else states.START_PENDING

    def _check_ending(self, target: Target, job: Job | None, now: Page | None) -> None:
        """Raise ``FailedError`` if its last end was a failure; its exit code is the service's, where that is one of
        ours.
        """
        code = now.exit_code if now is not None and now.state == states.STOPPED else None
        if code is None and job is not None:
            code = job.exit_code
        if code == exits.DONE:
            return
        error = FailedError(
            f"{target.label} ended before it was RUNNING",
            why="somebody stopped it" if code is None else f"exit code {code} ({exits.meaning(code)})",
            hint=_look_into_log(target),
            code="launchd.start-failed",
        )
        if code is not None and code in exits.MEANINGS:
            error.exit_code = code
        raise error

    def _check_time(self, target: Target, state: str) -> None:
        if self._clock.monotonic() >= self._deadline:
            raise TemporaryError(
                f"{target.label} is still {state} after {text(self._timeout_s)}",
                hint=f"It may get there yet: see stayon status {target.label}. --timeout waits longer.",
                code="launchd.timeout",
            )

    def _pause(self, look_s: float) -> float:
        pause(self._clock, min(look_s, max(self._deadline - self._clock.monotonic(), FIRST_LOOK_S)))
        return min(look_s * 1.5, LONGEST_LOOK_S)


def _has_ended(job: Job | None, now: Page | None, runs_before: int) -> bool:
    """Whether the process that was started has ended: also if launchd has started the next one already, and if this
    launchd doesn't count.
    """
    if job is None or job.runs > runs_before + 1:
        return True
    is_over = now is not None and now.state == states.STOPPED
    return not job.pid and (job.runs > runs_before or is_over or (runs_before == 0 and job.exit_code is not None))


def _look_into_log(target: Target) -> str:
    return f"Its log says more: stayon logs {target.label}"
