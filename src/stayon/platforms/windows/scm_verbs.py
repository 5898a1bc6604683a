"""Starting, stopping, pausing through the SCM, and waiting for it by the SCM's own rule: who is pending has to move its
checkpoint within its wait hint.

(https://learn.microsoft.com/windows/win32/services/service-status-transitions)
"""

from __future__ import annotations

from stayon.core import states
from stayon.core.duration import text
from stayon.errors import FailedError, HangError, StayonError, TemporaryError, UsageError
from stayon.platforms.waiting import pause
from stayon.platforms.windows import definition, scm_errors
from stayon.platforms.windows.api import ScmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stayon.platforms.windows.api import ServiceCalls, ServiceStatus
    from stayon.ports import Clock

# SERVICE_CONTROL_*
STOP, PAUSE, CONTINUE, PARAMCHANGE = 1, 2, 3, 6

# A hint may be zero, or forgotten while modules are imported: nobody counts as hung sooner.
PATIENCE_S = 10.0

# Looking costs a call to the SCM's process; the first looks come quickly, as most services are quick.
FIRST_LOOK_S, LONGEST_LOOK_S = 0.005, 0.25

_STATES = {number: state for state, number in states.SCM_NUMBERS.items()}

# A process that ended, or did not answer, while it was being asked: how it is says more than that.
_LOOK_AGAIN = (
    scm_errors.REQUEST_TIMEOUT,
    scm_errors.PROCESS_ABORTED,
    scm_errors.BROKEN_PIPE,
    scm_errors.NO_DATA,
)


class Conversation:
    """What is asked of the SCM within *timeout_s* from now on. Raises ``StayonError``, and ``ScmError`` for what the
    SCM refuses.
    """

    def __init__(
        self,
        calls: ServiceCalls,
        clock: Clock,
        timeout_s: float,
        tell: Callable[[str], object],
        text_of: Callable[[int], str],
    ) -> None:
        self._calls, self._clock, self._tell, self._text_of = calls, clock, tell, text_of
        self._timeout_s, self._deadline = timeout_s, clock.monotonic() + timeout_s

    def ask(self, name: str, verb: str, arguments: Sequence[str]) -> None:
        """Do what *verb* says, and wait until it is done."""
        if verb == "start":
            self.start(name, arguments)
        elif verb == "stop":
            self.stop(name)
        elif verb == "restart":
            self.restart(name, arguments)
        elif verb == "pause":
            self._turn(name, PAUSE, states.PAUSED, states.PAUSE_PENDING)
        elif verb == "resume":
            self._turn(name, CONTINUE, states.RUNNING, states.CONTINUE_PENDING)
        elif verb == "reload":
            self._control(name, PARAMCHANGE)
        else:
            raise UsageError(f"the SCM can't {verb} a service", code="scm.verb")

    def start(self, name: str, arguments: Sequence[str] = ()) -> None:
        """Start it, and wait until it is RUNNING, or has finished well. Running already is fine."""
        state = self._state(name)
        if state in (states.RUNNING, states.PAUSED):
            self._tell(f"{name} is {state} already")
            return
        if state == states.STOP_PENDING:
            self._until(name, states.STOPPED)
        if state != states.START_PENDING:
            self._begin(name, arguments)
        status = self._until(name, states.RUNNING, states.STOPPED)
        if status.state == states.SCM_NUMBERS[states.STOPPED]:
            self._check_ending(name, status)
            self._tell(f"{name} has finished")

    def stop(self, name: str) -> list[str]:
        """Stop it, and before it those that depend on it; gives these, in the order in which they were stopped."""
        dependents = self._calls.names(name) if self._state(name) != states.STOPPED else []
        for each in dependents:
            self._tell(f"{each} depends on {name}, and is stopped first")
            self._stop_one(each)
        if not self._stop_one(name):
            self._tell(f"{name} is stopped already")
        return dependents

    def restart(self, name: str, arguments: Sequence[str] = ()) -> None:
        """Stop it, start it, then start again those that depend on it and were running."""
        dependents = self.stop(name)
        self.start(name, arguments)
        for each in reversed(dependents):
            self._tell(f"{each} is started again")
            self.start(each)

    def _begin(self, name: str, arguments: Sequence[str]) -> None:
        self._tell(f"starting {name}")
        while True:
            try:
                return self._calls.start(name, arguments)
            except ScmError as error:
                if error.code == scm_errors.ALREADY_RUNNING:
                    return None  # somebody else was quicker
                if error.code in _LOOK_AGAIN:
                    self._check_ending(name, self._calls.status(name))
                if error.code != scm_errors.DATABASE_LOCKED or self._is_over():
                    raise
            pause(self._clock, LONGEST_LOOK_S)

    def _stop_one(self, name: str) -> bool:
        """Stop it if it is not stopped; False if it was."""
        if self._state(name) == states.STOPPED:
            return False
        self._tell(f"stopping {name}")
        while self._state(name) not in (states.STOPPED, states.STOP_PENDING):
            try:
                self._control(name, STOP)
                break
            except ScmError as error:
                if error.code != scm_errors.NOT_ACTIVE and error.code not in _LOOK_AGAIN:
                    raise
                if self._is_over():
                    raise
            pause(self._clock, LONGEST_LOOK_S)
        self._until(name, states.STOPPED)
        return True

    def _turn(self, name: str, code: int, goal: str, pending: str) -> None:
        """Pause or resume it. A hook that fails brings it back to where it was."""
        if self._state(name) == goal:
            self._tell(f"{name} is {goal} already")
            return
        before = self._state(name)
        self._control(name, code)
        status = self._until(name, goal, states.STOPPED, after=(pending, before))
        state = _STATES[status.state]
        if state == goal:
            return
        if state == states.STOPPED:
            self._check_ending(name, status)
        raise FailedError(
            f"{name} is {state}, and not {goal}",
            why="its hook refused or failed" if state == before else "it stopped meanwhile",
            hint=scm_errors.LOOK_INTO_LOG.replace("NAME", name),
            code="scm.refused-by-service",
        )

    def _control(self, name: str, code: int) -> None:
        """Send a control; a service that is changing its state can't take it yet, so try until it can."""
        while True:
            try:
                return self._calls.control(name, code)
            except ScmError as error:
                if error.code != scm_errors.CANNOT_ACCEPT or self._is_over():
                    raise
                if code == STOP and self._state(name) == states.STOP_PENDING:
                    return None
            pause(self._clock, LONGEST_LOOK_S)

    def _until(
        self, name: str, goal: str, other: str = states.STOPPED, after: tuple[str, str] | None = None
    ) -> ServiceStatus:
        """Wait until it is in *goal* or *other*, or, with *after*, back in the second when it has been in the first."""
        look_s, since, last, was_pending = FIRST_LOOK_S, self._clock.monotonic(), (0, 0, 0), False
        while True:
            status = self._calls.status(name)
            state, now = _STATES.get(status.state, states.STOPPED), self._clock.monotonic()
            if state in (goal, other) or (was_pending and after is not None and state == after[1]):
                return status
            was_pending = was_pending or (after is not None and state == after[0])
            sign = (status.state, status.checkpoint, status.wait_hint_ms)
            if sign[:1] != last[:1]:
                self._tell(f"{name} is {state}")
            if sign != last:
                since, last = now, sign
            if state in states.PENDING and now - since > max(PATIENCE_S, status.wait_hint_ms / 1_000):
                raise _hung(name, state, status.pid, now - since)
            if self._is_over():
                raise TemporaryError(
                    f"{name} is still {state} after {text(self._timeout_s)}",
                    hint=f"It may get there yet: see stayon status {name}. --timeout waits longer.",
                    code="scm.timeout",
                )
            pause(self._clock, min(look_s, max(self._deadline - now, FIRST_LOOK_S)))
            look_s = min(look_s * 1.5, LONGEST_LOOK_S)

    def _check_ending(self, name: str, status: ServiceStatus) -> None:
        """Raise ``FailedError`` if its last end was a failure; its exit code is the service's, where that is one of
        ours.
        """
        code, why = definition.ending(status, self._text_of)
        if code:
            error = FailedError(
                f"{name} ended before it was RUNNING"
                if status.exit_code != scm_errors.REQUEST_TIMEOUT
                else f"{name} did not answer",
                why=f"exit code {code} ({why})",
                hint=scm_errors.LOOK_INTO_LOG.replace("NAME", name),
                code="scm.start-failed",
            )
            if status.exit_code == scm_errors.SPECIFIC:
                error.exit_code = code
            raise error

    def _state(self, name: str) -> str:
        return _STATES.get(self._calls.status(name).state, states.STOPPED)

    def _is_over(self) -> bool:
        return self._clock.monotonic() >= self._deadline


def _hung(name: str, state: str, pid: int, length_s: float) -> StayonError:
    return HangError(
        f"{name} hangs: it is {state} and gave no sign of life for {text(round(length_s))}",
        hint=f"Its log may say why. End it with: taskkill /F /T /PID {pid}",
        code="scm.hung",
    )
