"""A terminal of Unix as the starter: signals are sent for real."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time

import pytest

if sys.platform == "win32":
    pytest.skip("Windows has no signals that say something", allow_module_level=True)

import pty

from stayon import exits
from stayon.core.events import Request
from stayon.errors import UsageError
from stayon.platforms.console import Console
from stayon.platforms.presses import SAME_PRESS_S
from stayon.testing.clock import ManualClock

HANDLED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTSTP,
    signal.SIGPIPE,
)

# What a child does that is to tell which requests it got.
LISTENER = """
import os, select, sys
from stayon.platforms.console import Console
console = Console()
fd = console.attach()
print("attached", flush=True)
while select.select([fd], [], [], 20)[0]:
    for request in console.requests():
        print(request.event, request.source, request.detail, flush=True)
        if request.event in ("stop", "force"):
            os._exit(0)
os._exit(1)
"""


def send(signum: int) -> None:
    os.kill(os.getpid(), signum)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def console(clock: ManualClock):
    """An attached console whose time is moved by hand."""
    console = Console(clock.monotonic)
    console.attach()
    yield console
    console.detach()


def asked(console: Console) -> list[tuple[str, str, int]]:
    return [(request.event, request.source, request.exit_code) for request in console.requests()]


@pytest.mark.parametrize(
    ("signum", "wanted"),
    [
        (signal.SIGINT, Request("stop", "SIGINT", "", exits.INTERRUPTED)),
        (signal.SIGTERM, Request("stop", "SIGTERM", "", exits.TERMINATED)),
        (signal.SIGUSR1, Request("reload", "SIGUSR1")),
        (signal.SIGQUIT, Request("dump", "SIGQUIT")),
        (signal.SIGUSR2, Request("dump", "SIGUSR2")),
        (signal.SIGTSTP, Request("suspend", "SIGTSTP")),
    ],
)
def test_each_signal_asks_for_its_own(console: Console, signum: int, wanted: Request) -> None:
    """The table of signals, with the exit codes for a service that was not ready yet."""
    send(signum)
    assert console.requests() == [wanted]


def test_a_hang_up_reloads(run_python) -> None:
    """SIGHUP without a terminal is the old way to say reload."""
    child = run_python(LISTENER)
    assert child.stdout.readline() == "attached\n"
    child.send_signal(signal.SIGHUP)
    assert child.stdout.readline().split() == ["reload", "SIGHUP"]


def test_a_closed_terminal_stops(run_python) -> None:
    """SIGHUP because the terminal window was closed: nobody is there any more to want a reload."""
    master, slave = pty.openpty()
    take_terminal = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    child = run_python(take_terminal + LISTENER, stdin=slave, start_new_session=True)
    os.close(slave)
    assert child.stdout.readline() == "attached\n"
    os.close(master)
    assert child.stdout.readline() == "stop SIGHUP the terminal was closed\n"


def test_the_second_stop_signal_forces(console: Console, clock: ManualClock) -> None:
    """Ctrl-C, and again: the second is meant. So is a third, and one of the other kind."""
    send(signal.SIGINT)
    assert asked(console) == [("stop", "SIGINT", 130)]
    clock.advance(SAME_PRESS_S + 0.001)
    send(signal.SIGINT)
    assert asked(console) == [("force", "SIGINT", 130)]
    send(signal.SIGTERM)
    assert asked(console) == [("force", "SIGTERM", 143)]


def test_a_stop_signal_that_came_twice_at_once_does_not_force(console: Console, clock: ManualClock) -> None:
    """A wrapper that passes Ctrl-C on, though the terminal has sent it already, is not a second press."""
    send(signal.SIGINT)
    assert asked(console) == [("stop", "SIGINT", 130)]
    clock.advance(SAME_PRESS_S / 2)
    send(signal.SIGINT)
    assert asked(console) == []


def test_a_storm_of_signals_loses_and_blocks_nothing(console: Console) -> None:
    """A thousand reloads and dumps are one of each, and the one stop among them is heard."""
    before = time.monotonic()
    for turn in range(1000):
        send(signal.SIGHUP if turn % 2 else signal.SIGQUIT)
        if turn == 500:
            send(signal.SIGTERM)
    assert sorted(request.event for request in console.requests()) == ["dump", "reload", "stop"]
    assert time.monotonic() - before < 2


def test_a_full_pipe_blocks_nobody(console: Console) -> None:
    """When the host hangs and nobody reads, signals pile up to a limit, and the process is not stopped by them."""
    for _ in range(66_000):
        send(signal.SIGUSR1)
    assert asked(console) == [("reload", "SIGUSR1", 0)]


def test_a_main_thread_stuck_in_c_code_does_not_matter(run_python) -> None:
    """The main thread waits for a mutex for ever, deep in libc; SIGTERM is heard by the thread that listens."""
    stuck = LISTENER.replace('print("attached"', 'print("ready"').split("while ")
    program = (
        stuck[0]
        + "import ctypes, threading\ndef listen():\n    while "
        + stuck[1].replace("\n", "\n    ")
        + "\nthreading.Thread(target=listen).start()\n"
        + "mutex = ctypes.create_string_buffer(64)\nlibc = ctypes.CDLL(None)\n"
        + "libc.pthread_mutex_lock(mutex)\nlibc.pthread_mutex_lock(mutex)\n"
    )
    child = run_python(program)
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGTERM)
    assert child.stdout.readline().split() == ["stop", "SIGTERM"]
    assert child.wait(5) == 0


def test_it_hears_though_asyncio_took_the_wakeup_descriptor(console: Console) -> None:
    """A user's add_signal_handler takes the descriptor away; our signals still arrive, and so do theirs."""
    theirs: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        called = asyncio.Event()
        loop.add_signal_handler(signal.SIGALRM, lambda: (theirs.append(1), called.set()))
        send(signal.SIGTERM)
        send(signal.SIGALRM)
        await asyncio.wait_for(called.wait(), 5)
        loop.remove_signal_handler(signal.SIGALRM)

    asyncio.run(main())
    assert asked(console) == [("stop", "SIGTERM", 143)]
    assert theirs == [1]


def test_a_signal_to_a_forked_child_is_the_child_s(run_python) -> None:
    """A worker of multiprocessing that is terminated dies of it, and the service is not asked to stop."""
    program = """
import os, signal
from stayon.platforms.console import Console
console = Console()
console.attach()
read_fd, write_fd = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(write_fd, b"x")
    signal.pause()
    os._exit(0)
os.read(read_fd, 1)
os.kill(pid, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), console.requests())
"""
    assert run_python(program).communicate()[0] == "-15 []\n"


def test_detaching_gives_everything_back(open_files) -> None:
    """Handlers, the wake-up descriptor and the pipe are as they were."""
    handlers, count = [signal.getsignal(signum) for signum in HANDLED], open_files()
    console = Console()
    console.attach()
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
    assert [signal.getsignal(signum) for signum in HANDLED] != handlers
    console.detach()
    assert [signal.getsignal(signum) for signum in HANDLED] == handlers
    assert signal.set_wakeup_fd(-1) == -1
    assert open_files() == count
    assert console.requests() == []


def test_only_the_main_thread_can_attach(open_files) -> None:
    """Elsewhere it says so, with a hint, and leaves nothing open."""
    outcome: list[UsageError] = []
    count = open_files()

    def attach() -> None:
        try:
            Console().attach()
        except UsageError as error:
            outcome.append(error)

    thread = threading.Thread(target=attach)
    thread.start()
    thread.join(5)
    assert [error.code for error in outcome] == ["console.not-main-thread"]
    assert open_files() == count
