"""The SCM as starter, driven by hand: what it is told, in which order, from which thread."""

from __future__ import annotations

import threading
from _thread import allocate_lock
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import pytest

from stayon.core import states
from stayon.core.events import Event, Report, Request
from stayon.errors import UnavailableError
from stayon.platforms.windows import controls
from stayon.platforms.windows.api import ServiceStatus
from stayon.platforms.windows.dispatcher import Dispatcher
from stayon.testing.bell import Bell
from stayon.testing.clock import ManualClock

HANDLE = 7
NUMBERS = {number: state for state, number in states.SCM_NUMBERS.items()}


class Process:
    """The SCM's side: calls ServiceMain at once, sends controls when asked to, and notes what it is told."""

    def __init__(self, error: int = 0) -> None:
        self.error = error
        self.told: list[ServiceStatus] = []
        self.handler: Callable[[int, int, bytes], int] = lambda *_: -1
        self.is_stopped = threading.Event()

    def dispatch(self, name: str, on_start: Callable[[Sequence[str]], object]) -> int:
        if not self.error:
            on_start([name, "--fast", "two words"])
            self.is_stopped.wait(10)
        return self.error

    def register(self, name: str, handler: Callable[[int, int, bytes], int]) -> int:
        assert name == "demo"
        self.handler = handler
        return HANDLE

    def set_status(self, handle: int, status: ServiceStatus) -> int:
        assert handle == HANDLE
        self.told.append(status)
        if NUMBERS[status.state] == states.STOPPED:
            self.is_stopped.set()
        return 0

    @property
    def states(self) -> list[str]:
        """The states it was told, in order."""
        return [NUMBERS[status.state] for status in self.told]


class Rig:
    """A dispatcher that has been started by the SCM, and is attached; its own threads are for the test to run."""

    def __init__(self) -> None:
        self.process, self.bell, self.clock = Process(), Bell(), ManualClock(autojump=True)
        self.dispatcher = Dispatcher("demo", self.process, lambda: self.bell, start_timeout_s=60, clock=self.clock)
        self.threads: list[Callable[[], object]] = []
        self.dispatcher.start_thread = self.threads.append
        self.dispatcher.declare(controls.Powers(pause=True, events=True))
        threading.Thread(target=self.dispatcher.connect, daemon=True).start()
        assert self.dispatcher.wait_for_start(10) == ("--fast", "two words")

    def report(self, state: str, checkpoint: int = 0, hint_s: float = 0.0) -> None:
        self.dispatcher.report(Report(state, checkpoint=checkpoint, wait_hint_s=hint_s))


@pytest.fixture
def rig() -> Iterator[Rig]:
    """One that is STOPPED at the end."""
    made = Rig()
    yield made
    made.dispatcher.finish(0)
    made.bell.close()


def test_the_scm_hears_at_once_that_it_is_starting(rig: Rig) -> None:
    """START_PENDING with a checkpoint, a hint, and nothing accepted but a stop, before anything else."""
    first = rig.process.told[0]

    assert (NUMBERS[first.state], first.checkpoint, first.accepted) == (states.START_PENDING, 1, controls.ACCEPT_STOP)
    assert first.wait_hint_ms > 5_000


def test_numbers_grow_over_all_that_tell_of_one_state(rig: Rig) -> None:
    """The host's first pulse is larger than what the SCM was told of the state before the host was there."""
    rig.report(states.START_PENDING, 1, 15.0)
    rig.report(states.START_PENDING, 2, 16.0)
    rig.report(states.RUNNING)
    rig.process.handler(controls.STOP, 0, b"")
    rig.report(states.STOP_PENDING, 1, 15.0)
    rig.report(states.STOPPED)

    for state in (states.START_PENDING, states.STOP_PENDING):
        numbers = [(one.checkpoint, one.wait_hint_ms) for one in rig.process.told if NUMBERS[one.state] == state]
        assert len(numbers) == 3
        assert all(a < c and b < d for (a, b), (c, d) in pairwise(numbers)), numbers
    assert all(
        one.checkpoint == one.wait_hint_ms == 0 for one in rig.process.told if NUMBERS[one.state] == states.RUNNING
    )


def test_a_stop_is_pending_when_its_handler_returns(rig: Rig) -> None:
    """And stays so, whatever the host, which has not heard of it yet, says meanwhile."""
    assert rig.process.handler(controls.STOP, 0, b"") == controls.NO_ERROR
    assert rig.process.states[-1] == states.STOP_PENDING
    told = len(rig.process.told)

    rig.report(states.START_PENDING, 2, 16.0)
    rig.report(states.RUNNING)

    assert len(rig.process.told) == told
    assert rig.process.told[-1].accepted == 0


def test_interrogate_changes_nothing(rig: Rig) -> None:
    """It is answered, and nothing is told, asked or forgotten by it."""
    rig.report(states.RUNNING)
    rig.dispatcher.attach()
    before = list(rig.process.told)

    assert [rig.process.handler(controls.INTERROGATE, 0, b"") for _ in range(3)] == [0, 0, 0]

    assert rig.process.told == before
    assert rig.dispatcher.requests() == []


def test_what_it_heard_comes_in_order(rig: Rig) -> None:
    """Requests and events, also those from before it was attached, wake the loop, once each."""
    rig.report(states.RUNNING)
    assert rig.process.handler(controls.PARAMCHANGE, 0, b"") == 0
    rig.dispatcher.attach()
    assert rig.process.handler(200, 0, b"") == 0
    assert rig.process.handler(controls.PAUSE, 0, b"") == 0
    assert rig.process.handler(17, 0, b"") == controls.ERROR_CALL_NOT_IMPLEMENTED

    assert rig.dispatcher.requests() == [
        Request("reload", "the SCM"), Event("custom", code=200), Request("pause", "the SCM"),
    ]  # fmt: skip
    assert rig.dispatcher.requests() == []
    assert rig.process.states[-1] == states.PAUSE_PENDING


def test_a_refusal_takes_back_what_the_handler_said(rig: Rig) -> None:
    """The host's next word holds for everything but a stop."""
    rig.report(states.RUNNING)
    rig.process.handler(controls.PAUSE, 0, b"")
    rig.report(states.RUNNING)

    assert rig.process.states[-1] == states.RUNNING


def test_stopped_is_the_last_word_and_the_callers(rig: Rig) -> None:
    """The host's STOPPED is still pending to the SCM: the process has a lock. ``finish`` says it, once."""
    rig.report(states.RUNNING)
    rig.report(states.STOP_PENDING, 1, 15.0)
    rig.report(states.STOPPED)
    assert rig.process.states[-1] == states.STOP_PENDING

    rig.dispatcher.finish(70)
    rig.dispatcher.finish(0)
    rig.report(states.RUNNING)

    assert rig.process.told[-1] == ServiceStatus(1, 0, 1066, 70)
    assert rig.process.states.count(states.STOPPED) == 1
    assert rig.process.handler(controls.STOP, 0, b"") == 0
    assert rig.process.states[-1] == states.STOPPED


def test_who_was_asked_to_stop_ends_without_an_error(rig: Rig) -> None:
    """Even if it had no host yet to take note of it: else the SCM would start it again."""
    rig.process.handler(controls.STOP, 0, b"")

    rig.dispatcher.finish(70)

    assert rig.process.told[-1] == ServiceStatus(1)


def test_a_status_that_blocks_does_not_block_a_handler() -> None:
    """SetServiceStatus(STOPPED) may not return before a handler does, and the handler does not wait for it."""
    rig = Rig()
    inside, returned = threading.Event(), allocate_lock()
    returned.acquire()
    tell = rig.process.set_status

    def set_status(handle: int, status: ServiceStatus) -> int:
        if NUMBERS[status.state] == states.STOPPED:
            inside.set()
            assert returned.acquire(timeout=10)
        return tell(handle, status)

    rig.process.set_status = set_status  # type: ignore[method-assign]  # on this one process only
    ending = threading.Thread(target=rig.dispatcher.finish, args=(0,))
    ending.start()
    assert inside.wait(10)

    assert rig.process.handler(controls.STOP, 0, b"") == 0

    returned.release()
    ending.join(10)
    assert rig.process.states[-1] == states.STOPPED
    rig.bell.close()


def test_it_says_that_it_is_starting_as_long_as_it_may(rig: Rig) -> None:
    """While the user's program is imported nobody else could; after the start timeout it is somebody else's turn."""
    late: list[float] = []
    rig.dispatcher.on_late = lambda: late.append(rig.clock.monotonic())
    since = rig.clock.monotonic()

    rig.threads.pop()()

    pending = [one for one in rig.process.told if NUMBERS[one.state] == states.START_PENDING]
    assert [one.checkpoint for one in pending] == list(range(1, 13))
    assert late == [since + 60]


def test_it_says_so_while_a_stop_waits_for_the_import(rig: Rig) -> None:
    """A stop that comes meanwhile is what is pending then."""
    rig.process.handler(controls.STOP, 0, b"")
    rig.threads.pop()()

    pending = [one.checkpoint for one in rig.process.told if NUMBERS[one.state] == states.STOP_PENDING]
    assert pending == list(range(1, 13))


def test_when_the_host_has_spoken_nobody_else_does(rig: Rig) -> None:
    """Not a period later either."""
    rig.report(states.RUNNING)
    told = list(rig.process.told)

    rig.threads.pop()()

    assert rig.process.told == told


def test_who_was_not_started_by_the_scm_is_told_so() -> None:
    """Error 1063, in words, with what to type instead."""
    dispatcher = Dispatcher("demo", Process(1063), Bell)
    dispatcher.connect()

    with pytest.raises(UnavailableError, match=r"python FILE\.py.*\[scm\.not-started-by-it\]"):
        dispatcher.wait_for_start(1)


def test_a_connection_that_fails_is_told_with_its_error() -> None:
    """Any other error of the dispatcher's."""
    dispatcher = Dispatcher("demo", Process(1056), Bell)
    dispatcher.connect()

    with pytest.raises(UnavailableError, match=r"error 1056.*\[scm\.no-connection\]"):
        dispatcher.wait_for_start(1)


def test_a_handler_that_cannot_be_registered_is_told() -> None:
    """Whoever waits for the start hears that there will be none, and the connection ends without a word of its own."""
    process = Process()
    process.register = lambda name, handler: 0  # type: ignore[method-assign]  # as Windows says that it failed
    process.is_stopped.set()
    dispatcher = Dispatcher("demo", process, Bell, start_timeout_s=60, clock=ManualClock(autojump=True))

    dispatcher.connect()

    with pytest.raises(UnavailableError) as caught:
        dispatcher.wait_for_start()
    assert caught.value.code == "scm.no-connection"
