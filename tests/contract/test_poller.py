"""The Poller port: descriptors, a timeout that is never early, and a wake-up from anywhere."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time

import pytest

from stayon.core.events import READABLE, WRITABLE
from stayon.platforms.windows import win32
from stayon.platforms.windows.poller import MOST_HANDLES, WindowsPoller
from stayon.testing.clock import ManualClock
from stayon.testing.poller import FakePoller

if sys.platform == "win32":
    REAL = [pytest.param(WindowsPoller, id="windows")]
else:
    from stayon.platforms.poller import PollPoller

    REAL = [pytest.param(PollPoller, id="poll")]
    if sys.platform == "linux":
        from stayon.platforms.poller import EpollPoller

        REAL.append(pytest.param(EpollPoller, id="epoll"))
ALL = [*REAL, pytest.param(lambda: FakePoller(ManualClock(autojump=True)), id="fake")]


@pytest.fixture(params=ALL)
def poller(request):
    poller = request.param()
    yield poller
    poller.close()


def test_it_tells_what_is_ready(poller, line) -> None:
    """A readable and a writable descriptor are reported, each with what it is ready for, as long as they are."""
    poller.register(line.reader, READABLE)
    assert poller.wait(0) == []
    line.write(b"xyz")
    for _ in range(3):
        assert poller.wait(5) == [(line.reader, READABLE)]
    assert line.read(1) == b"x"
    assert poller.wait(5) == [(line.reader, READABLE)]
    poller.register(line.writer, WRITABLE)
    for _ in range(3):
        assert sorted(poller.wait(5)) == sorted([(line.reader, READABLE), (line.writer, WRITABLE)])
    assert line.read(9) == b"yz"
    assert poller.wait(5) == [(line.writer, WRITABLE)]


def test_registering_again_replaces(poller, line) -> None:
    """The last set of events counts."""
    poller.register(line.writer, WRITABLE)
    poller.register(line.writer, READABLE)
    assert poller.wait(0) == []


def test_a_hang_up_counts_as_readable(poller, line) -> None:
    """The end is something to read."""
    poller.register(line.reader, READABLE)
    assert poller.wait(0) == []
    line.close_writer()
    for _ in range(2):
        assert poller.wait(5) == [(line.reader, READABLE)]
    poller.unregister(line.reader)


def test_an_error_counts_as_readable(poller, line) -> None:
    """Nobody reads any more: whoever writes is told, even if he asked for nothing."""
    poller.register(line.writer, READABLE)
    assert poller.wait(0) == []
    line.close_reader()
    assert poller.wait(5) == [(line.writer, READABLE)]
    poller.unregister(line.writer)


def test_what_is_forgotten_is_not_reported(poller, line) -> None:
    """Unregistered means silent; unknown descriptors are ignored, and a number may come again."""
    line.write(b"x")
    poller.register(line.reader, READABLE)
    poller.unregister(line.reader)
    poller.unregister(line.reader)
    poller.unregister(99999)
    assert poller.wait(0) == []
    poller.register(line.reader, READABLE)
    assert poller.wait(5) == [(line.reader, READABLE)]


def test_a_wake_before_the_wait_is_not_lost(poller) -> None:
    """wake makes the next wait return; a thousand of them are one."""
    for _ in range(1000):
        poller.wake()
    assert poller.wait(None) == []
    before = time.perf_counter()
    poller.wait(0.02)
    assert isinstance(poller, FakePoller) or time.perf_counter() - before >= 0.02


def test_a_wake_from_another_thread_ends_the_wait(poller) -> None:
    """A wait without limit ends when another thread says so."""
    waker = threading.Timer(0.02, poller.wake)
    waker.start()
    assert poller.wait(None) == []
    waker.join(5)


def test_a_wake_comes_beside_what_is_ready(poller, line) -> None:
    """The wake-up's own descriptor is never reported."""
    poller.register(line.reader, READABLE)
    line.write(b"x")
    # It takes a moment through the network's layers, and a wake may be all that a wait finds.
    while poller.wait(5) != [(line.reader, READABLE)]:
        pass
    poller.wake()
    assert poller.wait(5) == [(line.reader, READABLE)]


@pytest.mark.parametrize("make", REAL)
def test_a_wait_is_never_early_and_at_most_little_late(make) -> None:
    """Odd fractions of milliseconds are rounded up, and half of the waits are at most 2 ms late, also on a busy
    computer.
    """
    poller = make()
    late = []
    for timeout_s in (0.0001, 0.0009, 0.0011, 0.0033, 0.0077, 0.01) * 5:
        before = time.perf_counter()
        assert poller.wait(timeout_s) == []
        late.append(time.perf_counter() - before - timeout_s)
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


@pytest.mark.linux
@pytest.mark.macos
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
    before = time.thread_time()
    assert poller.wait(0.1) == []
    assert time.thread_time() - before < 0.02
    poller.close()


@pytest.mark.linux
@pytest.mark.macos
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


# -- Windows ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def new_event():
    """Call it for one more event object, and whether it resets itself."""
    kernel32 = win32.Library("kernel32.dll", CreateEventW="PiiZ>P", SetEvent="P>i", ResetEvent="P>i", CloseHandle="P>i")
    made = []

    class Event:
        def __init__(self, *, resets_itself: bool = False) -> None:
            self.handle = win32.Handle(kernel32.CreateEventW(None, int(not resets_itself), 0, None))
            made.append(self.handle)

        def set(self) -> None:
            kernel32.SetEvent(self.handle)

        def reset(self) -> None:
            kernel32.ResetEvent(self.handle)

    yield Event
    for handle in made:
        kernel32.CloseHandle(handle)


@pytest.mark.windows
def test_a_handle_is_reported_as_long_as_it_is_signalled(new_event) -> None:
    """Each with all that it was registered for, however many there are, beside sockets; closed, nothing is left."""
    poller = WindowsPoller()
    events = [new_event() for _ in range(5)]
    for event in events:
        poller.register(event.handle, READABLE)
    assert poller.wait(0) == []
    poller.register(events[3].handle, READABLE | WRITABLE)
    for event in events[1:4]:
        event.set()
    expected = [(events[1].handle, READABLE), (events[2].handle, READABLE), (events[3].handle, READABLE | WRITABLE)]
    for _ in range(2):
        assert sorted(poller.wait(5)) == sorted(expected)
    events[1].reset()
    poller.unregister(events[3].handle)
    poller.unregister(events[3].handle)
    assert poller.wait(5) == [(events[2].handle, READABLE)]
    poller.close()
    poller.close()


@pytest.mark.windows
def test_an_event_that_resets_itself_is_reported_once(new_event) -> None:
    """The wait has taken it."""
    poller, event = WindowsPoller(), new_event(resets_itself=True)
    poller.register(event.handle, READABLE)
    event.set()
    assert poller.wait(5) == [(event.handle, READABLE)]
    assert poller.wait(0) == []
    poller.close()


@pytest.mark.windows
def test_handles_and_sockets_come_together(new_event, line) -> None:
    """One wait tells of both kinds."""
    poller, event = WindowsPoller(), new_event()
    poller.register(event.handle, READABLE)
    poller.register(line.reader, READABLE)
    line.write(b"x")
    assert poller.wait(5) == [(line.reader, READABLE)]
    event.set()
    assert sorted(poller.wait(5)) == sorted([(event.handle, READABLE), (line.reader, READABLE)])
    poller.close()


@pytest.mark.windows
def test_more_handles_than_a_wait_takes_are_an_error(new_event) -> None:
    """The last one that fits works; the next one is refused, and changes nothing."""
    poller = WindowsPoller()
    events = [new_event() for _ in range(MOST_HANDLES + 1)]
    for event in events[:-1]:
        poller.register(event.handle, READABLE)
    with pytest.raises(OSError, match=str(MOST_HANDLES)) as caught:
        poller.register(events[-1].handle, READABLE)
    assert caught.value.errno == errno.EMFILE
    events[-2].set()
    assert poller.wait(5) == [(events[-2].handle, READABLE)]
    poller.close()


@pytest.mark.windows
def test_without_sockets_there_is_no_winsock(run_python) -> None:
    """An idle service doesn't load what only probes need."""
    program = """
import sys
from stayon.platforms.windows.poller import WindowsPoller
poller = WindowsPoller()
poller.wait(0.01)
print(sorted({"select", "_socket", "socket"} & set(sys.modules)))
"""
    assert run_python(program).communicate()[0] == "[]\n"


# -- the fake ---------------------------------------------------------------------------------------------------------


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
