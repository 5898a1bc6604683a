"""The pool: bounded threads for calls, none of which waits for another as long as the limit is honest."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

import pytest

from stayon.runtime import pool as module
from stayon.runtime.pool import Pool

LIMIT_S = 10.0


def held(pool: Pool, count: int) -> tuple[list[threading.Event], threading.Event]:
    """*count* calls that stay until the event is set, and an event for each that says that it has begun."""
    begun, leave = [threading.Event() for _ in range(count)], threading.Event()
    for event in begun:
        pool.submit(lambda event=event: (event.set(), leave.wait(LIMIT_S)))
    return begun, leave


@pytest.fixture
def pool():
    """A pool of at most three threads, all of which have gone afterwards."""
    made = Pool(3)
    yield made
    made.close()
    assert made.join(LIMIT_S)


def test_a_slow_call_does_not_delay_another(pool: Pool) -> None:
    """While two calls hang, a third begins at once."""
    begun, leave = held(pool, 2)
    done = threading.Event()
    pool.submit(done.set)

    assert done.wait(LIMIT_S)
    assert all(event.wait(LIMIT_S) for event in begun)
    leave.set()


def test_no_more_than_the_limit_run_at_a_time_and_the_rest_in_order(pool: Pool) -> None:
    """The fourth call waits until one of three is over; those in line come oldest first."""
    begun, leave = held(pool, 3)
    assert all(event.wait(LIMIT_S) for event in begun)
    order: list[int] = []
    last = threading.Event()
    for number in range(10):
        pool.submit(order.append, number)
    pool.submit(last.set)
    assert order == []
    leave.set()

    assert last.wait(LIMIT_S)
    pool.close()
    assert pool.join(LIMIT_S)
    assert sorted(order) == list(range(10))


def test_a_thread_is_used_again(pool: Pool) -> None:
    """Calls one after the other share one thread: as many threads as calls at a time, not as calls."""
    names = set()
    for _ in range(20):
        done = threading.Event()
        pool.submit(lambda done=done: (names.add(threading.current_thread().name), done.set()))
        assert done.wait(LIMIT_S)
        # Between the end of a call and its worker's waiting for the next there is a moment.
        while not pool._idle:  # noqa: SLF001  # no signal tells it
            pass

    assert names == {"worker-1"}


def test_idle_threads_leave(monkeypatch) -> None:
    """A thread that was idle for long has gone, and a later call gets a new one."""
    monkeypatch.setattr(module, "IDLE_S", 0.01)
    pool = Pool(1)
    threads = []
    for _ in range(2):
        done = threading.Event()
        pool.submit(lambda done=done: (threads.append(threading.current_thread()), done.set()))
        assert done.wait(LIMIT_S)
        threads[-1].join(LIMIT_S)
        assert not threads[-1].is_alive()

    assert threads[0] is not threads[1]
    pool.close()


def test_a_call_handed_over_while_its_thread_is_leaving_is_not_lost(monkeypatch) -> None:
    """Threads that leave as soon as they are idle, and calls coming all the while: each call is made, once."""
    monkeypatch.setattr(module, "IDLE_S", 0.0)
    pool = Pool(2)
    lock, made, all_made = threading.Lock(), [], threading.Event()

    def call(number: int) -> None:
        with lock:
            made.append(number)
            if len(made) == 3000:
                all_made.set()

    for number in range(3000):
        pool.submit(call, number)

    assert all_made.wait(LIMIT_S)
    assert sorted(made) == list(range(3000))
    pool.close()
    assert pool.join(LIMIT_S)


class Gap:
    """A lock; what is set as ``after`` is done once, right after a worker has given it back."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.after: Callable[[], object] | None = None

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *error: object) -> None:
        self.lock.release()
        if self.after is not None and threading.current_thread().name.startswith("worker"):
            after, self.after = self.after, None
            after()


def test_a_call_that_comes_the_moment_a_worker_is_free_is_not_lost(pool: Pool) -> None:
    """Between its noting that it waits and its waiting, a worker is handed a call, and another: both are made."""
    gap = Gap()
    pool._lock = gap  # type: ignore[assignment]  # noqa: SLF001  # the moment lies within
    first, second, third = (threading.Event() for _ in range(3))

    def hand_over_again() -> None:
        gap.after = lambda: pool.submit(third.set)
        pool.submit(second.set)

    gap.after = hand_over_again
    pool.submit(first.set)

    assert first.wait(LIMIT_S)
    assert second.wait(LIMIT_S)
    assert third.wait(LIMIT_S)


def test_nothing_of_a_call_is_kept() -> None:
    """An idle worker does not keep the last call's objects alive."""

    class Load:
        pass

    pool, load = Pool(1), Load()
    gone = threading.Event()
    weakref.finalize(load, gone.set)
    pool.submit(lambda load: None, load)
    del load

    assert gone.wait(LIMIT_S)
    pool.close()


def test_a_call_that_raises_is_told_and_takes_no_place(monkeypatch) -> None:
    """What a call raises goes to ``threading.excepthook``; its place is free for the next, and the line goes on."""
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    pool = Pool(1)
    done = threading.Event()

    def bad() -> None:
        raise ValueError("bad")

    pool.submit(bad)
    pool.submit(done.set)

    assert done.wait(LIMIT_S)
    assert [type(arguments.exc_value) for arguments in told] == [ValueError]
    pool.close()
    assert pool.join(LIMIT_S)


def test_closing_lets_what_was_given_finish() -> None:
    """``close`` does not wait and takes nothing away: running and waiting calls are made, then the threads leave."""
    pool = Pool(1)
    begun, leave = held(pool, 1)
    done = threading.Event()
    pool.submit(done.set)
    assert begun[0].wait(LIMIT_S)
    pool.close()
    assert not pool.join(0.0)
    leave.set()

    assert done.wait(LIMIT_S)
    assert pool.join(LIMIT_S)


def test_a_call_that_takes_long_holds_up_none_of_a_burst() -> None:
    """Only the first of a burst wakes a worker; the rest are passed on before the first begins."""
    pool = Pool(50)
    gate = threading.Event()
    done = [threading.Event() for _ in range(50)]

    def slow(number: int) -> None:
        done[number].set()
        gate.wait(10)

    for number in range(50):
        pool.submit(slow, number)
    assert all(event.wait(5) for event in done)
    gate.set()
    pool.close()
    assert pool.join(5)


def test_a_raised_limit_is_used_by_what_waits() -> None:
    """Calls that stand in line for a full pool go on when the next one comes and there is room."""
    pool = Pool(1)
    gate = threading.Event()
    done = [threading.Event() for _ in range(3)]

    def slow(number: int) -> None:
        done[number].set()
        gate.wait(10)

    pool.submit(slow, 0)
    pool.submit(slow, 1)
    assert done[0].wait(5)
    pool.limit = 3
    pool.submit(slow, 2)
    assert done[1].wait(5)
    assert done[2].wait(5)
    gate.set()
    pool.close()
    assert pool.join(5)
