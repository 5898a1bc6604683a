"""Calls of the user's functions: made elsewhere, limited, and each end reported once on the loop's thread."""

from __future__ import annotations

import functools
import threading
from _thread import get_ident

import pytest

from stayon import platforms
from stayon.platforms.clock import SystemClock
from stayon.runtime.calls import Calls, Sequence, is_async
from stayon.runtime.loop import Loop
from stayon.runtime.pool import Pool
from stayon.runtime.rooms import AsyncRoom, Seat
from stayon.runtime.threads import start_thread

LIMIT_S = 10.0


class Stage:
    """A real loop, pool and event loop, with what calls need."""

    def __init__(self) -> None:
        self.loop = Loop(SystemClock(), platforms.current().poller(), self.fail)
        self.errors: list[BaseException] = []
        self.pool = Pool(4)
        self.room = AsyncRoom(lambda run: start_thread(run, "async"), lambda context: None)
        self.calls = Calls(self.loop, self.pool, self.room)

    def fail(self, error: BaseException) -> None:
        """An error of the loop is one of the test."""
        self.errors.append(error)
        self.loop.end()

    def run(self) -> None:
        """Run the loop until it is ended; not longer than the limit."""
        timer = self.loop.call_later(LIMIT_S, self.fail, TimeoutError("the loop was not ended"))
        self.loop.run()
        timer.cancel()
        if self.errors:
            raise self.errors[0]


@pytest.fixture
def stage():
    """A stage, cleared afterwards."""
    made = Stage()
    yield made
    made.pool.close()
    made.room.close()
    assert made.pool.join(LIMIT_S)


async def coroutine(*_arguments: object) -> str:
    """A coroutine function."""
    return "coroutine"


class CallableObject:
    """What is called may be an object, too."""

    async def __call__(self) -> None:
        """Do nothing."""

    def method(self) -> None:
        """Do nothing."""

    async def async_method(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (coroutine, True),
        (functools.partial(coroutine, 1), True),
        (functools.partial(functools.partial(coroutine, 1), 2), True),
        (CallableObject(), True),
        (CallableObject().async_method, True),
        (CallableObject().method, False),
        (len, False),
        (print, False),
        (lambda: None, False),
        (CallableObject, False),
    ],
)
def test_a_coroutine_function_is_told_from_a_plain_one(function, expected: bool) -> None:
    """Through partials, bound methods and callable objects; C functions and classes are plain."""
    assert is_async(function) is expected


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_call_ends_on_the_loops_thread_with_its_result(stage: Stage, kind: str) -> None:
    """The function runs on another thread; its result, duration and end are told on the loop's, once."""
    ends, threads = [], []

    def plain(number: int) -> int:
        threads.append(get_ident())
        return number + 1

    async def asynchronous(number: int) -> int:
        threads.append(get_ident())
        return number + 1

    def ended(call) -> None:
        ends.append((call.result, call.error, get_ident()))
        stage.loop.post(stage.loop.end)

    call = stage.calls.start("add", plain if kind == "def" else asynchronous, 41, on_end=ended)
    assert call in stage.calls.under_way
    stage.run()

    assert ends == [(42, None, get_ident())]
    assert threads != [get_ident()]
    assert call.thread == threads[0]
    assert call.duration_s >= 0
    assert not stage.calls.under_way


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_whatever_is_raised_is_the_calls_error(stage: Stage, kind: str, error: BaseException) -> None:
    """Also what ends threads elsewhere: it is reported, and neither the worker nor the event loop falls."""
    ends = []

    def plain() -> None:
        raise error

    async def asynchronous() -> None:
        raise error

    def ended(call) -> None:
        ends.append(call.error)
        if len(ends) == 2:
            stage.loop.end()
        else:
            stage.calls.start("again", function, on_end=ended)

    function = plain if kind == "def" else asynchronous
    stage.calls.start("bad", function, on_end=ended)
    stage.run()

    assert ends == [error, error]


def test_a_limit_tells_and_the_end_is_told_all_the_same(stage: Stage) -> None:
    """A thread that is late is told of at its limit, and ends when it ends."""
    order, leave = [], threading.Event()

    def late(call) -> None:
        order.append("late")
        leave.set()

    call = stage.calls.start("slow", leave.wait, LIMIT_S, on_end=lambda call: (order.append("end"), stage.loop.end()))
    stage.calls.limit(call, 0.01, late)
    stage.run()

    assert order == ["late", "end"]


def test_a_limit_cancels_a_task(stage: Stage) -> None:
    """A coroutine that is late is cancelled, and its end says so."""
    import asyncio

    ends: list[object] = []
    call = stage.calls.start(
        "sleeps",
        functools.partial(asyncio.sleep, 3600),
        on_end=lambda call: (ends.append(call.error), stage.loop.end()),
    )
    stage.calls.limit(call, 0.01, lambda call: ends.append("late"))
    stage.run()

    assert ends[0] == "late"
    assert isinstance(ends[1], asyncio.CancelledError)


def test_a_call_in_time_is_never_told_as_late(stage: Stage) -> None:
    """The limit of a call that has ended is gone."""
    told: list[object] = []
    call = stage.calls.start("quick", lambda: None, on_end=lambda call: stage.loop.call_later(0.05, stage.loop.end))
    stage.calls.limit(call, 0.02, told.append)
    stage.run()

    assert told == []


def test_a_sequence_is_one_after_the_other(stage: Stage) -> None:
    """Each function begins when the one before has returned; then the end is told, without an error."""
    order: list[int] = []
    ends: list[object] = []
    sequence = Sequence(stage.calls, LIMIT_S, lambda error: (ends.append(error), stage.loop.end()))
    sequence.start([("first", order.append, (1,)), ("second", coroutine, ()), ("third", order.append, (3,))])
    stage.run()

    assert (order, ends) == ([1, 3], [None])


def test_an_error_ends_a_sequence(stage: Stage) -> None:
    """What comes after it is not called, and the error is its end."""
    order: list[int] = []
    ends: list[object] = []
    sequence = Sequence(stage.calls, LIMIT_S, lambda error: (ends.append(error), stage.loop.end()))
    sequence.start([("bad", int, ("x",)), ("never", order.append, (2,))])
    stage.run()

    assert order == []
    assert [type(error) for error in ends] == [ValueError]


def test_a_late_function_ends_a_sequence_by_name(stage: Stage) -> None:
    """Its name and the limit are told; when it returns after all, nobody hears it."""
    ends, leave = [], threading.Event()
    sequence = Sequence(stage.calls, 0.01, lambda error: (ends.append(error), leave.set()))
    sequence.start([("slow", leave.wait, (LIMIT_S,)), ("never", ends.append, (2,))])
    stage.calls.on_ended = stage.loop.end
    stage.run()

    assert [str(error) for error in ends] == ["slow did not return within 0.01 s"]


def test_a_sequence_that_was_given_up_tells_nothing(stage: Stage) -> None:
    """The call under way may end; nothing follows it."""
    told: list[object] = []
    sequence = Sequence(stage.calls, LIMIT_S, told.append)
    sequence.start([("first", lambda: None, ()), ("second", told.append, (2,))])
    sequence.give_up()
    stage.calls.on_ended = stage.loop.end
    stage.run()

    assert told == []


def test_an_empty_sequence_ends_at_once(stage: Stage) -> None:
    """With nothing to call, the end is told before ``start`` returns."""
    ends: list[object] = []
    Sequence(stage.calls, LIMIT_S, ends.append).start([])

    assert ends == [None]


def test_the_seat_calls_on_its_own_thread_in_order() -> None:
    """What other threads give is called by whoever sits, until it is left; what was given before is still called."""
    seat = Seat()
    called: list[tuple[int, int]] = []

    def give_many() -> None:
        for number in range(100):
            seat.give(functools.partial(lambda number: called.append((number, get_ident())), number))
        seat.give(seat.leave)

    thread = threading.Thread(target=give_many)
    thread.start()
    seat.sit()
    thread.join(LIMIT_S)

    assert called == [(number, get_ident()) for number in range(100)]


def test_an_event_loop_that_nobody_needed_is_not_made() -> None:
    """Without a coroutine there is no event loop, and closing it is harmless."""
    room = AsyncRoom(lambda run: pytest.fail("made"), lambda context: None)
    room.close()

    assert room.loop is None
