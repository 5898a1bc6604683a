"""The Clock port: what the computer's clock and the manual one have in common, and what only the manual one can."""

from __future__ import annotations

import threading
import time
from _thread import allocate_lock

import pytest

from stayon.platforms.clock import SystemClock
from stayon.testing.clock import ManualClock

CLOCKS = [pytest.param(SystemClock, id="system"), pytest.param(lambda: ManualClock(autojump=True), id="manual")]


def shut_gate():
    gate = allocate_lock()
    gate.acquire()
    return gate


@pytest.fixture(params=CLOCKS)
def clock(request):
    return request.param()


def test_an_open_gate_lets_through_at_once(clock) -> None:
    """Waiting for an open gate takes no time, and shuts it."""
    gate = allocate_lock()
    assert clock.wait(gate, 60) is True
    assert gate.locked()


def test_a_wait_never_ends_early(clock) -> None:
    """A wait that times out has lasted at least as long as was asked for, and says so."""
    before = clock.monotonic()
    assert clock.wait(shut_gate(), 0.02) is False
    assert clock.monotonic() >= before + 0.02


@pytest.mark.parametrize("timeout_s", [0, -1, -0.001])
def test_no_time_is_no_wait(clock, timeout_s: float) -> None:
    """A timeout of nothing, or less, looks once."""
    before = clock.monotonic()
    assert clock.wait(shut_gate(), timeout_s) is False
    assert clock.monotonic() - before < 0.5


def test_an_opened_gate_ends_the_wait(clock) -> None:
    """Whoever opens the gate wakes the one who waits, long before the timeout."""
    gate, outcome = shut_gate(), []
    if isinstance(clock, ManualClock):
        clock.autojump = False
    waiter = threading.Thread(target=lambda: outcome.append(clock.wait(gate, 3600)))
    waiter.start()
    gate.release()
    waiter.join(5)
    assert outcome == [True]


def test_a_very_long_wait_is_possible(clock) -> None:
    """Ten thousand years are no overflow."""
    gate = shut_gate()
    opener = threading.Timer(0.02, gate.release)
    opener.start()
    if isinstance(clock, ManualClock):
        clock.autojump = False
    assert clock.wait(gate, 3e11) is True


def test_the_wall_clock_tells_unix_time() -> None:
    """time() of the system is the system's."""
    assert abs(SystemClock().time() - time.time()) < 1


# -- the manual clock ------------------------------------------------------------------------------------------------


def test_manual_time_stands_still() -> None:
    """Nothing passes by itself."""
    clock = ManualClock(monotonic=5, time=50)
    assert (clock.monotonic(), clock.time()) == (5, 50)
    clock.advance(2)
    assert (clock.monotonic(), clock.time()) == (7, 52)


def test_a_wall_clock_jump_changes_no_duration() -> None:
    """jump moves the wall clock only."""
    clock = ManualClock(monotonic=5, time=50)
    clock.jump(-3600)
    assert (clock.monotonic(), clock.time()) == (5, -3550)


@pytest.mark.parametrize("kind", ["manual gate", "bare lock"])
def test_advance_wakes_in_the_order_of_deadlines(kind: str) -> None:
    """Three threads sleep for different times; one advance wakes each at its own moment, in that order."""
    clock = ManualClock(monotonic=0)
    seen: list[tuple[float, float]] = []
    asleep = threading.Barrier(4)

    def sleep(seconds: float) -> None:
        with clock.busy():
            gate = clock.gate() if kind == "manual gate" else allocate_lock()
            gate.acquire()
            asleep.wait(5)
            clock.wait(gate, seconds)
            seen.append((seconds, clock.monotonic()))

    threads = [threading.Thread(target=sleep, args=(seconds,)) for seconds in (30.0, 10.0, 20.0)]
    for thread in threads:
        thread.start()
    asleep.wait(5)
    clock.advance(25)
    assert seen == [(10.0, 10.0), (20.0, 20.0)]
    clock.advance(5)
    assert seen[2:] == [(30.0, 30.0)]
    for thread in threads:
        thread.join(5)


def test_a_whole_chain_of_sleeps_fits_into_one_advance() -> None:
    """A thread that sleeps again and again is waited for each time: the course is exact, not hurried past."""
    clock = ManualClock(monotonic=0)
    seen: list[float] = []
    begun = threading.Event()

    def tick() -> None:
        with clock.busy():
            gate = clock.gate()
            gate.acquire()
            begun.set()
            while clock.monotonic() < 1000:
                clock.wait(gate, 1)
                seen.append(clock.monotonic())

    thread = threading.Thread(target=tick)
    thread.start()
    begun.wait(5)
    clock.advance(500.5)
    assert seen == [float(second) for second in range(1, 501)]
    clock.advance(500)
    thread.join(5)
    assert seen[-1] == 1000


def test_autojump_goes_to_the_next_deadline_when_everybody_waits() -> None:
    """Two threads in virtual time take turns by their deadlines, and a year takes no time."""
    clock = ManualClock(monotonic=0, autojump=True)
    seen: list[tuple[str, float]] = []
    ready = threading.Barrier(2)

    def tick(name: str, every_s: float, times: int) -> None:
        with clock.busy():
            ready.wait(5)
            gate = clock.gate()
            gate.acquire()
            for _ in range(times):
                clock.wait(gate, every_s)
                seen.append((name, clock.monotonic()))

    threads = [threading.Thread(target=tick, args=args) for args in (("day", 86400.0, 365), ("month", 2_629_800.0, 11))]
    before = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert time.monotonic() - before < 5
    assert len(seen) == 376
    assert [moment for _, moment in seen] == sorted(moment for _, moment in seen)
    assert seen[-1] == ("day", 365 * 86400.0)


def test_time_does_not_run_away_from_a_thread_at_work() -> None:
    """While one thread is busy, another's wait does not jump; it does as soon as the first leaves."""
    clock = ManualClock(monotonic=0, autojump=True)
    working, finish, woken = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        with clock.busy():
            working.set()
            finish.wait(5)

    def sleep() -> None:
        gate = clock.gate()
        gate.acquire()
        clock.wait(gate, 60)
        woken.set()

    threads = [threading.Thread(target=work), threading.Thread(target=sleep)]
    threads[0].start()
    working.wait(5)
    threads[1].start()
    assert not woken.wait(0.05)
    assert clock.monotonic() == 0
    finish.set()
    assert woken.wait(5)
    assert clock.monotonic() == 60
    for thread in threads:
        thread.join(5)


def test_a_thread_that_died_does_not_stop_the_time() -> None:
    """A busy thread that ended without leaving is forgotten."""
    clock = ManualClock(monotonic=0)
    thread = threading.Thread(target=clock.join)
    thread.start()
    thread.join(5)
    clock.advance(1)
    assert clock.monotonic() == 1


def test_a_manual_gate_is_a_lock() -> None:
    """It shuts, opens, passes on in order, and refuses to be opened twice."""
    clock = ManualClock(monotonic=0)
    gate = clock.gate()
    assert gate.acquire() is True
    assert gate.locked()
    assert gate.acquire(blocking=False) is False
    gate.release()
    assert not gate.locked()
    with pytest.raises(RuntimeError):
        gate.release()


def test_callbacks_are_called_at_their_moment() -> None:
    """call_at sees exactly its own time, and a cancelled one is never called."""
    clock = ManualClock(monotonic=0)
    seen: list[float] = []
    clock.call_at(3, lambda: seen.append(clock.monotonic()))
    cancel = clock.call_at(4, lambda: seen.append(-1))
    cancel()
    clock.advance(10)
    assert seen == [3]
