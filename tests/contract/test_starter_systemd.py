"""systemd as the starter: a real datagram socket is its end, and signals are sent for real."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("systemd: Windows has no signals that say something", allow_module_level=True)

from stayon.core.events import UNHEARD, Event, Report, Request
from stayon.platforms.systemd.notify import NotifySocket
from stayon.platforms.systemd.starter import SystemdStarter

KINDS = ["path", pytest.param("abstract", marks=pytest.mark.linux)]


class Listener:
    """systemd's end, at an *address* as NOTIFY_SOCKET has it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(5)

    def lines(self) -> list[str]:
        """The next message's."""
        return self._socket.recv(4096).decode().split("\n")

    def nothing(self) -> bool:
        """Whether nothing more has come."""
        self._socket.settimeout(0)
        try:
            self._socket.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self._socket.settimeout(5)
        return False

    def fill(self) -> None:
        """Let the queue be full, as of one who doesn't read."""
        with contextlib.ExitStack() as senders:
            sent = 1
            while sent:  # each may have no more than so much on the way
                sender = senders.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
                sender.setblocking(False)
                sent = 0
                with contextlib.suppress(BlockingIOError):
                    while True:
                        sender.sendto(b"X", self._socket.getsockname())
                        sent += 1

    def drain(self) -> None:
        """Read all that is there."""
        while not self.nothing():
            pass

    def close(self) -> None:
        """Listen no more; its path goes, too."""
        self._socket.close()
        if not self.address.startswith("@"):
            Path(self.address).unlink(missing_ok=True)


@pytest.fixture(params=KINDS)
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    """systemd's end, of both kinds."""
    listener = Listener(f"@stayon-{uuid.uuid4()}" if request.param == "abstract" else str(tmp_path / "notify"))
    yield listener
    listener.close()


@pytest.fixture
def starter(listener: Listener) -> Iterator[SystemdStarter]:
    """An attached starter that tells *listener*, at the moment 2.5 ms."""
    sock = NotifySocket(listener.address)
    starter = SystemdStarter(sock, monotonic_ns=lambda: 2_500_000)
    starter.attach()
    yield starter
    starter.detach()
    sock.close()


def test_a_life_is_told(starter: SystemdStarter, listener: Listener) -> None:
    """Start, reload, stop: a datagram each, and none where there is nothing new."""
    starter.report(Report("START_PENDING", wait_hint_s=15.0))
    starter.report(Report("RUNNING", "2 prices"))
    starter.report(Report("RUNNING", "2 prices"))
    starter.report(Report("RUNNING", "2 prices", reloading=True))
    starter.report(Report("RUNNING", "2 prices"))
    starter.report(Report("STOP_PENDING"))
    starter.report(Report("STOPPED", exit_code=70, why="run: OSError", error_number=5))

    assert listener.lines() == ["STATUS=starting", "EXTEND_TIMEOUT_USEC=15000000"]
    assert listener.lines() == ["READY=1", "STATUS=2 prices"]
    assert listener.lines() == ["RELOADING=1", "MONOTONIC_USEC=2500"]
    assert listener.lines() == ["READY=1"]
    assert listener.lines() == ["STOPPING=1", "STATUS=stopping"]
    assert listener.lines() == ["STATUS=run: OSError", "EXIT_STATUS=70", "ERRNO=5"]
    assert listener.nothing()


@pytest.mark.parametrize(
    ("signum", "wanted"),
    [
        (signal.SIGTERM, Request("stop", "SIGTERM")),
        (signal.SIGINT, Request("stop", "SIGINT")),
        (signal.SIGHUP, Request("reload", "SIGHUP")),
        (signal.SIGUSR1, Request("reload", "SIGUSR1")),
        (signal.SIGUSR2, Request("dump", "SIGUSR2")),
        (signal.SIGQUIT, Request("dump", "SIGQUIT")),
    ],
)
def test_signals_ask(starter: SystemdStarter, signum: int, wanted: Request) -> None:
    """Each for what it means where no terminal is: SIGHUP never stops, and who is asked to stop has no code for it."""
    os.kill(os.getpid(), signum)
    assert starter.requests() == [wanted]


def test_a_second_stop_forces_nothing(starter: SystemdStarter) -> None:
    """A manager that wants it to end at once kills it."""
    os.kill(os.getpid(), signal.SIGTERM)
    starter.requests()
    os.kill(os.getpid(), signal.SIGTERM)
    assert starter.requests() == [Request("stop", "SIGTERM")]


def test_no_terminal_is_suspended(starter: SystemdStarter) -> None:
    """SIGTSTP is left as it was."""
    assert signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL


def test_systemd_gone_is_told_once(starter: SystemdStarter, listener: Listener, open_files: Callable[[], int]) -> None:
    """The host goes on, hears of it once, and what was missed is said when somebody listens again."""
    listener.close()
    before = 0
    for state in ("START_PENDING", "RUNNING", "RUNNING"):
        starter.report(Report(state))
        before = before or open_files()
    assert open_files() == before
    [trouble] = starter.requests()
    assert isinstance(trouble, Event)
    assert trouble.kind == UNHEARD
    assert trouble.code != 0
    assert starter.requests() == []

    again = Listener(listener.address)
    starter.report(Report("RUNNING"))
    assert again.lines() == ["READY=1"]
    again.close()

    starter.report(Report("STOP_PENDING"))
    assert [event for event in starter.requests() if isinstance(event, Event) and event.kind == UNHEARD]


def test_the_host_is_woken_to_hear_of_it(tmp_path: Path, is_ready: Callable[..., bool]) -> None:
    """Its descriptor becomes readable."""
    sock = NotifySocket(str(tmp_path / "nobody"))
    starter = SystemdStarter(sock)
    fd = starter.attach()
    assert not is_ready(fd, 0)
    starter.report(Report("RUNNING"))
    assert is_ready(fd)
    starter.detach()
    sock.close()


@pytest.mark.linux
def test_one_who_does_not_read_is_waited_for_once(listener: Listener) -> None:
    """A full queue holds the host up for a moment, and the next time not at all, until it works again."""
    sock = NotifySocket(listener.address, patience_s=0.2)
    starter = SystemdStarter(sock)
    listener.fill()
    took_s = []
    for _ in range(2):
        began = time.monotonic()
        starter.report(Report("RUNNING"))
        took_s.append(time.monotonic() - began)
    assert took_s[0] >= 0.2
    assert took_s[1] < 0.1
    assert len(starter.requests()) == 1
    listener.drain()
    starter.report(Report("RUNNING"))
    assert listener.lines() == ["READY=1"]
    sock.close()
