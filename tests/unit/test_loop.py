"""The loop: one mailbox, timers and descriptors, all on one thread, and nothing polled."""

from __future__ import annotations

import functools
import gc
import socket
import threading
import weakref
from _thread import get_ident

from hypothesis import given
from hypothesis import strategies as st

from stayon import platforms
from stayon.platforms.clock import SystemClock
from stayon.runtime.loop import Loop
from stayon.testing import ManualClock
from stayon.testing.poller import FakePoller


def virtual_loop(on_error=None) -> Loop:
    """A loop in virtual time, which goes on to the next timer when there is nothing else to do."""
    clock = ManualClock(autojump=True)
    return Loop(clock, FakePoller(clock), on_error or (lambda error: None))


def real_loop() -> Loop:
    """A loop on this computer."""
    return Loop(SystemClock(), platforms.current().poller(), lambda error: None)


def run_for(loop: Loop, seconds: float) -> None:
    """Run *loop* for a time of its clock."""
    loop.call_later(seconds, loop.end)
    loop.run()


@given(st.lists(st.floats(0, 100, allow_nan=False), max_size=30))
def test_timers_come_in_the_order_of_their_moments(delays: list[float]) -> None:
    """Each call comes at its moment, not before; those of one moment in the order of asking."""
    loop = virtual_loop()
    came: list[tuple[float, int]] = []
    began = loop.clock.monotonic()
    for number, delay_s in enumerate(delays):
        loop.call_later(delay_s, came.append, (began + delay_s, number))
    run_for(loop, 101)

    assert came == sorted(came)
    assert len(came) == len(delays)


def test_a_cancelled_timer_is_never_called() -> None:
    """Cancelling works before the moment, at the moment by an earlier call of it, and twice."""
    loop = virtual_loop()
    came: list[str] = []
    first = loop.call_later(1, came.append, "first")
    loop.call_later(2, lambda: second.cancel())  # noqa: PLW0108  # it is not there yet
    second = loop.call_later(2, came.append, "second")
    third = loop.call_later(3, came.append, "third")
    first.cancel()
    first.cancel()
    run_for(loop, 10)
    third.cancel()

    assert came == ["third"]


def test_cancelled_timers_do_not_pile_up() -> None:
    """A hundred thousand long timers that are cancelled leave nothing behind, nor what they would have called with."""
    loop = virtual_loop()

    class Load:
        pass

    kept = []
    for _ in range(1000):
        load = Load()
        kept.append(weakref.ref(load))
        loop.call_later(1e9, lambda load: None, load).cancel()
    del load
    gc.collect()

    assert sum(reference() is not None for reference in kept) <= 128


def test_posts_come_in_order_on_the_loops_thread() -> None:
    """What any thread posts is called on the loop's thread, in the order of posting, with its arguments."""
    loop, came = real_loop(), []

    def post_many() -> None:
        for number in range(1000):
            loop.post(lambda number: came.append((number, get_ident())), number)
        loop.post(loop.end)

    thread = threading.Thread(target=post_many)
    thread.start()
    loop.run()
    thread.join()

    assert came == [(number, get_ident()) for number in range(1000)]


def test_a_post_wakes_the_sleeping_loop() -> None:
    """A loop with nothing to do sleeps without limit, and a post from another thread wakes it."""
    loop = real_loop()
    about_to_sleep = threading.Event()
    loop.post(about_to_sleep.set)
    thread = threading.Thread(target=lambda: (about_to_sleep.wait(5), loop.post(loop.end)))
    thread.start()
    loop.run()
    thread.join(5)

    assert loop.ended
    assert not thread.is_alive()


def test_an_idle_loop_does_not_turn() -> None:
    """Between two timers far apart the loop comes round only for them."""
    loop = virtual_loop()
    loop.call_later(3600, lambda: None)
    run_for(loop, 86400)

    assert loop.turns <= 3


def test_a_callback_that_posts_to_itself_does_not_starve_timers() -> None:
    """What is posted during a turn comes in the next, after what is due."""
    loop, came = real_loop(), []

    def again() -> None:
        came.append("again")
        loop.post(again)

    loop.post(again)
    loop.call_later(0.001, loop.end)
    loop.run()

    assert loop.ended
    assert came


def test_an_error_in_a_callback_is_told_and_the_loop_goes_on() -> None:
    """What raises goes to ``on_error``; the others are called all the same."""
    errors: list[BaseException] = []
    came: list[str] = []
    loop = virtual_loop(errors.append)
    error = ValueError("bad")

    def bad() -> None:
        raise error

    loop.post(bad)
    loop.post(came.append, "posted")
    loop.call_later(1, bad)
    loop.call_later(1, came.append, "timer")
    run_for(loop, 2)

    assert errors == [error, error]
    assert came == ["posted", "timer"]


def test_end_leaves_after_the_callback_that_is_running() -> None:
    """Nothing else that is due is called once it has ended."""
    loop = virtual_loop()
    came: list[str] = []
    loop.call_later(1, loop.end)
    loop.call_later(1, came.append, "too late")
    loop.run()

    assert came == []


def test_descriptors_are_heard_until_they_are_forgotten() -> None:
    """A watched descriptor that is ready is reported; watching it again replaces the callback; forgetting ends it."""
    loop = real_loop()
    came: list[object] = []
    reader, writer = socket.socketpair()  # what every system can wait for
    fd = reader.fileno()
    writer.send(b"x")

    def second(events: int) -> None:
        came.append(("second", reader.recv(1)))
        loop.forget(fd)
        loop.forget(fd)
        writer.send(b"y")
        loop.call_later(0.01, loop.end)

    loop.watch(fd, lambda events: (came.append("first"), loop.watch(fd, second)))
    loop.run()
    reader.close()
    writer.close()

    assert came == ["first", ("second", b"x")]


def test_a_descriptor_forgotten_by_another_in_the_same_turn_is_not_called() -> None:
    """Two are ready together and the first forgets the second: the second is not called any more."""
    loop = real_loop()
    came: list[int] = []
    pairs = [socket.socketpair() for _ in range(2)]
    fds = [reader.fileno() for reader, _ in pairs]

    def only(events: int, mine: int) -> None:
        came.append(mine)
        for fd in fds:
            loop.forget(fd)
        loop.call_later(0.01, loop.end)

    for reader, writer in pairs:
        writer.send(b"x")
        loop.watch(reader.fileno(), functools.partial(only, mine=reader.fileno()))
    loop.run()
    for pair in pairs:
        for end in pair:
            end.close()

    assert len(came) == 1
