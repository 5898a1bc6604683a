"""The Poller port: descriptors, a timeout that is never early, and a wake-up from anywhere."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time

import pytest

from stayon.core.events import READABLE, WRITABLE
from stayon.platforms.poller import EpollPoller, PollPoller
from stayon.testing.clock import ManualClock
from stayon.testing.poller import FakePoller

REAL = [pytest.param(EpollPoller, id="epoll", marks=pytest.mark.linux), pytest.param(PollPoller, id="poll")]
ALL = [*REAL, pytest.param(lambda: FakePoller(ManualClock(autojump=True)), id="fake")]


@pytest.fixture(params=ALL)
def poller(request):
    poller = request.param()
    yield poller
    poller.close()


@pytest.fixture
def pipe():
    fds = os.pipe()
    yield fds
    for fd in fds:
        os.close(fd)


def test_it_tells_what_is_ready(poller, pipe) -> None:
    """A readable and a writable descriptor are reported, each with what it is ready for, as long as they are."""
    reader, writer = pipe
    poller.register(reader, READABLE)
    assert poller.wait(0) == []
    os.write(writer, b"x")
    assert poller.wait(5) == [(reader, READABLE)]
    assert poller.wait(5) == [(reader, READABLE)]
    poller.register(writer, WRITABLE)
    assert sorted(poller.wait(5)) == sorted([(reader, READABLE), (writer, WRITABLE)])


def test_registering_again_replaces(poller, pipe) -> None:
    """The last set of events counts."""
    _reader, writer = pipe
    poller.register(writer, WRITABLE)
    poller.register(writer, READABLE)
    assert poller.wait(0) == []


def test_a_hang_up_counts_as_readable(poller) -> None:
    """The end of a pipe is something to read."""
    reader, writer = os.pipe()
    poller.register(reader, READABLE)
    os.close(writer)
    assert poller.wait(5) == [(reader, READABLE)]
    poller.unregister(reader)
    os.close(reader)


def test_an_error_counts_as_readable(poller) -> None:
    """Nobody reads the pipe any more: whoever writes is told, even if he asked for nothing."""
    reader, writer = os.pipe()
    poller.register(writer, READABLE)
    os.close(reader)
    assert poller.wait(5) == [(writer, READABLE)]
    poller.unregister(writer)
    os.close(writer)


def test_what_is_forgotten_is_not_reported(poller, pipe) -> None:
    """Unregistered means silent; unknown descriptors are ignored, and a number may come again."""
    reader, writer = pipe
    os.write(writer, b"x")
    poller.register(reader, READABLE)
    poller.unregister(reader)
    poller.unregister(reader)
    poller.unregister(99999)
    assert poller.wait(0) == []
    poller.register(reader, READABLE)
    assert poller.wait(5) == [(reader, READABLE)]


def test_a_wake_before_the_wait_is_not_lost(poller) -> None:
    """wake makes the next wait return; a thousand of them are one."""
    for _ in range(1000):
        poller.wake()
    assert poller.wait(None) == []
    before = time.monotonic()
    poller.wait(0.02)
    assert isinstance(poller, FakePoller) or time.monotonic() - before >= 0.02


def test_a_wake_from_another_thread_ends_the_wait(poller) -> None:
    """A wait without limit ends when another thread says so."""
    waker = threading.Timer(0.02, poller.wake)
    waker.start()
    assert poller.wait(None) == []
    waker.join(5)


def test_a_wake_comes_beside_what_is_ready(poller, pipe) -> None:
    """The wake-up's own descriptor is never reported."""
    reader, writer = pipe
    poller.register(reader, READABLE)
    os.write(writer, b"x")
    poller.wake()
    assert poller.wait(5) == [(reader, READABLE)]


@pytest.mark.parametrize("make", REAL)
def test_a_wait_is_never_early_and_at_most_little_late(make) -> None:
    """Odd fractions of milliseconds are rounded up, and half of the waits are at most 2 ms late, also on a busy
    computer.
    """
    poller = make()
    late = []
    for timeout_s in (0.0001, 0.0009, 0.0011, 0.0033, 0.0077, 0.01) * 5:
        before = time.monotonic()
        assert poller.wait(timeout_s) == []
        late.append(time.monotonic() - before - timeout_s)
    poller.close()
    assert min(late) >= 0
    assert sorted(late)[len(late) // 2] <= 0.002


@pytest.mark.parametrize("make", REAL)
def test_a_wait_of_years_is_possible(make) -> None:
    """The system counts milliseconds in an int; a job that is due next year is no overflow."""
    poller = make()
    poller.wake()
    assert poller.wait(3.2e7) == []
    poller.close()


@pytest.mark.parametrize("make", REAL)
def test_a_wake_from_a_signal_handler_ends_the_wait(make) -> None:
    """A handler may wake the loop, also the one it interrupts."""
    poller = make()
    before = signal.signal(signal.SIGALRM, lambda *_: poller.wake())
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    assert poller.wait(None) == []
    signal.signal(signal.SIGALRM, before)
    poller.close()


@pytest.mark.parametrize("make", REAL)
def test_it_sleeps_without_using_the_processor(make) -> None:
    """Waiting is sleeping: woken once before, it does not spin afterwards."""
    poller = make()
    poller.wake()
    poller.wait(None)
    before = resource.getrusage(resource.RUSAGE_THREAD)
    assert poller.wait(0.1) == []
    after = resource.getrusage(resource.RUSAGE_THREAD)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.02
    poller.close()


@pytest.mark.parametrize("make", REAL)
def test_its_descriptors_are_given_back_and_not_inherited(make) -> None:
    """close leaves none open, twice is harmless, and a child gets none."""
    before = set(os.listdir("/dev/fd"))
    poller = make()
    poller.wake()
    own = [int(name) for name in set(os.listdir("/dev/fd")) - before]
    inheritable = []
    for fd in own:
        try:
            inheritable.append(os.get_inheritable(fd))
        except OSError:
            continue  # the listing's own
    assert inheritable
    assert not any(inheritable)
    poller.close()
    poller.close()
    assert len(os.listdir("/dev/fd")) == len(before)


def test_the_fake_goes_to_the_deadline_by_itself() -> None:
    """With nothing ready, a wait of a day is over at once, and a day has passed."""
    clock = ManualClock(monotonic=0, autojump=True)
    poller = FakePoller(clock)
    assert poller.wait(86400) == []
    assert clock.monotonic() == 86400


def test_the_fake_is_told_what_is_ready() -> None:
    """Any number serves as a descriptor."""
    clock = ManualClock(monotonic=0, autojump=True)
    poller = FakePoller(clock)
    poller.register(70001, READABLE | WRITABLE)
    poller.set_ready(70001, WRITABLE)
    assert poller.wait(60) == [(70001, WRITABLE)]
    poller.set_ready(70001, 0)
    poller.wait(0)
    assert poller.wait(60) == []
    assert clock.monotonic() == 60
