"""The SCM as the one who started us: its controls ask, and it is told every state.

The dispatcher (https://learn.microsoft.com/windows/win32/api/winsvc/nf-winsvc-startservicectrldispatcherw) runs on a
thread of its own, and so do the system's calls; the user's code has the main thread.
"""

from __future__ import annotations

from _collections import deque  # the C half of ``collections``
from _thread import allocate_lock, start_new_thread

from stayon.core import states
from stayon.core.pulse import FIRST_HINT_S, GROWTH_S, Pulse, pulse
from stayon.errors import UnavailableError
from stayon.platforms.windows import controls
from stayon.platforms.windows.api import ServiceStatus
from stayon.platforms.windows.clock import WindowsClock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from stayon.core.events import Event, Report, Request
    from stayon.platforms.windows.api import ServiceProcess
    from stayon.platforms.windows.controls import Powers
    from stayon.ports import Clock

    class Bell(Protocol):
        """What the host's loop can sleep on, and any thread can make ready."""

        def fileno(self) -> int: ...
        def ring(self) -> None: ...
        def hush(self) -> None: ...


_NOT_STARTED_BY_SCM = 1063  # ERROR_FAILED_SERVICE_CONTROLLER_CONNECT


class Dispatcher:
    """A starter that is the SCM. ``connect`` first and on a thread of its own, then ``wait_for_start``; whoever ends
    the process calls ``finish`` as the very last thing.

    Until the host speaks, it tells the SCM that it is starting, for *start_timeout_s* at most; then it calls
    ``on_late()``, on another thread. ``on_started()`` is called when the host has said that it is RUNNING.
    """

    name = "scm"
    is_manager = True
    beat_s = 0.0

    def __init__(
        self,
        service: str,
        process: ServiceProcess,
        bell: Callable[[], Bell],
        *,
        start_timeout_s: float = 60.0,
        clock: Clock | None = None,
    ) -> None:
        self._service, self._process, self._new_bell = service, process, bell
        self._clock: Clock = clock or WindowsClock()
        self._start_timeout_s = start_timeout_s
        self.powers = controls.Powers()
        self.on_late: Callable[[], object] = lambda: None
        self.on_started: Callable[[], object] = lambda: None
        self.start_thread: Callable[[Callable[[], object]], object] = lambda function: start_new_thread(function, ())
        self.handle = 0
        self._arguments: tuple[str, ...] = ()
        self._error = 0
        self._bell: Bell | None = None
        self._heard: deque[Request | Event] = deque()
        # Guards what the SCM has been told, so that it is told in the order of what happens.
        self._telling = allocate_lock()
        self._state = states.STOPPED
        self._told = ServiceStatus(states.SCM_NUMBERS[states.STOPPED])
        # By how much the SCM was told of the present state before the host said anything of it.
        self._ahead = Pulse(0, 0.0, None)
        self._is_started = self._is_stopping = self._is_finished = False
        self._is_called = False
        self._called = allocate_lock()
        self._called.acquire()
        self._has_spoken = False
        self._host_speaks = allocate_lock()
        self._host_speaks.acquire()

    # -- for who starts the process ----------------------------------------------------------------

    def connect(self) -> None:
        """Be connected to the SCM. Blocks until STOPPED; on a thread of its own. Raises nothing."""
        self._error = self._process.dispatch(self._service, self._start)
        if not self._is_called:
            self._called.release()

    def wait_for_start(self, timeout_s: float = 30.0) -> tuple[str, ...]:
        """What StartService was given besides the name. Blocks until the SCM has called.

        Raises ``UnavailableError`` ("scm.not-started-by-it", "scm.no-connection") if it doesn't.
        """
        called = self._called.acquire(timeout=timeout_s)
        if called:
            self._called.release()
        if called and self.handle:
            return self._arguments
        if self._error == _NOT_STARTED_BY_SCM:
            raise UnavailableError(
                "this is what the service manager runs; a person says: python FILE.py",
                why="the SCM has not started this process",
                hint="Use the verb start, or run the program itself.",
                code="scm.not-started-by-it",
            )
        raise UnavailableError(
            "there is no connection to the SCM",
            why=f"error {self._error}" if called else f"it has not called within {timeout_s:g} s",
            hint="Start it again.",
            code="scm.no-connection",
        )

    def declare(self, powers: Powers) -> None:
        """Accept what the service has a use for, from its next state on."""
        self.powers = powers

    def finish(self, exit_code: int, *, asked: bool = False, again: bool = False) -> None:
        """Tell the SCM STOPPED: it may start the next process at once, so let nothing be held any more. Twice is
        harmless.
        """
        with self._telling:
            if self._is_finished:
                return
            self._is_finished = True
            self._speak()
            asked = asked or self._is_stopping
        # Not under the lock: this may take until a handler, which may wait for the lock, has returned.
        if self.handle:
            self._process.set_status(self.handle, controls.last_status(exit_code, asked=asked, again=again))

    # -- the port ----------------------------------------------------------------------------------

    def attach(self) -> int:
        """Begin to hear it; gives what is readable when ``requests`` has some."""
        bell = self._new_bell()
        self._bell = bell
        if self._heard:
            bell.ring()
        return bell.fileno()

    def requests(self) -> list[Request | Event]:
        """What was asked for, and what happened, since the last call, in order. Never blocks."""
        # First the bell, then the list: what comes in between rings once too often, and nothing is left unheard.
        if self._bell is not None:
            self._bell.hush()
        return [self._heard.popleft() for _ in range(len(self._heard))]

    def report(self, report: Report) -> None:
        """Tell it the host's state. That it is STOPPED is for ``finish``: until then the process has open files."""
        with self._telling:
            self._speak()
            state = states.STOP_PENDING if report.state == states.STOPPED else report.state
            if self._is_finished or (self._is_stopping and state != states.STOP_PENDING):
                return  # it was asked to stop and knows so already; the host will say so, too
            if state != self._state:
                self._ahead = Pulse(0, 0.0, None)
            if report.state == states.STOPPED:
                told = self._told if self._state == states.STOP_PENDING else ServiceStatus(0)
                hint_s = max(FIRST_HINT_S, told.wait_hint_ms / 1000 + GROWTH_S)
                self._tell(state, told.checkpoint + 1, hint_s)
            elif state in states.PENDING:
                self._tell(
                    state, self._ahead.checkpoint + report.checkpoint, self._ahead.wait_hint_s + report.wait_hint_s
                )
            else:
                self._tell(state)
        if state == states.RUNNING and not self._is_started:
            self._is_started = True
            self.on_started()

    def detach(self) -> None:
        """Nothing: the SCM is heard to the end, as only its own thread can leave it. Twice is harmless."""

    # -- on threads of the system's ----------------------------------------------------------------

    def _start(self, arguments: Sequence[str]) -> None:
        """ServiceMain. It returns at once: the thread isn't needed."""
        self._arguments = tuple(arguments[1:])
        self._state = states.START_PENDING
        self.handle = self._process.register(self._service, self._control)
        since = self._clock.monotonic()
        with self._telling:
            # (One that was asked to stop before anybody could hear it has been told so by now.)
            if not self._is_stopping:
                self._tell_ahead(states.START_PENDING, pulse(since, since, self._start_timeout_s))
        self._is_called = True
        self._called.release()
        if self.handle:
            self.start_thread(lambda: self._keep_telling(since))

    def _keep_telling(self, since: float) -> None:
        """Say that it is starting for as long as the host isn't there to say it."""
        wait, now = self._clock.wait, self._clock.monotonic
        beat = pulse(since, since, self._start_timeout_s)
        while beat.next is not None:
            if wait(self._host_speaks, max(0.0, beat.next - now())):
                return
            beat = pulse(since, now(), self._start_timeout_s)
            with self._telling:
                if self._has_spoken:
                    return
                self._tell_ahead(self._state, beat)
        if not wait(self._host_speaks, max(0.0, since + self._start_timeout_s - now())):
            self.on_late()

    def _control(self, control: int, event_type: int, data: bytes) -> int:
        """HandlerEx. It tells what is pending at once, as whoever asked looks at the state next, and waits for
        nothing.
        """
        if control == controls.INTERROGATE:
            # It is told every state as it comes, so it knows.
            return controls.NO_ERROR
        found = controls.understood(control, event_type, data, self.powers)
        if found is None:
            return controls.ERROR_CALL_NOT_IMPLEMENTED
        with self._telling:
            pending = controls.pending_after(control, self._state) if not self._is_finished else ""
            if pending == states.STOP_PENDING:
                self._is_stopping = True
            if pending and pending != self._state:
                self._tell_ahead(pending, pulse(0.0, 0.0, None))
            self._heard.append(found)
        if self._bell is not None:
            self._bell.ring()
        return controls.NO_ERROR

    # -- with the lock -----------------------------------------------------------------------------

    def _speak(self) -> None:
        """The host is there."""
        if not self._has_spoken:
            self._has_spoken = True
            self._host_speaks.release()

    def _tell_ahead(self, state: str, beat: Pulse) -> None:
        self._ahead = beat.replace(wait_hint_s=beat.wait_hint_s - FIRST_HINT_S + GROWTH_S)
        self._tell(state, beat.checkpoint, beat.wait_hint_s)

    def _tell(self, state: str, checkpoint: int = 0, wait_hint_s: float = 0.0) -> None:
        self._state = state
        self._told = ServiceStatus(
            states.SCM_NUMBERS[state],
            controls.accepted(state, self.powers),
            checkpoint=checkpoint,
            wait_hint_ms=int(wait_hint_s * 1000),
        )
        if self.handle:
            self._process.set_status(self.handle, self._told)
