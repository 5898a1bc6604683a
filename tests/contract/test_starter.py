"""The Starter port: asked from outside, told from inside. What each does of its own is in test_console_*.py and
test_starter_systemd.py.
"""

from __future__ import annotations

import os
import signal
import sys

import pytest

from stayon.core.events import Report
from stayon.testing.starter import FakeStarter

if sys.platform == "win32":
    from stayon.platforms.windows.console import WindowsConsole as Console

    def press(console: Console) -> None:
        console.hear(0)  # as the system does, at Ctrl-C

else:
    from stayon.platforms.console import Console
    from stayon.platforms.systemd.notify import NotifySocket
    from stayon.platforms.systemd.starter import SystemdStarter

    def press(console: Console) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(params=["console", "fake", "systemd"])
def starter(request, tmp_path):
    """A starter, and how to make it ask for a stop."""
    console, fake = Console(), FakeStarter()
    if request.param == "console":
        yield console, lambda: press(console)
    elif request.param == "fake":
        yield fake, lambda: fake.ask("stop")
    elif sys.platform == "win32":
        pytest.skip("systemd: Windows has no signals that say something")
    else:
        sock = NotifySocket(str(tmp_path / "notify"))  # nobody has to listen there
        systemd = SystemdStarter(sock)
        yield systemd, lambda: os.kill(os.getpid(), signal.SIGTERM)
        systemd.detach()
        sock.close()
    console.detach()
    fake.bell.close()


def test_a_request_makes_the_descriptor_readable(starter, is_ready) -> None:
    """Nothing was asked at first; then there is exactly the stop that was asked for, and afterwards nothing again."""
    starter, ask_to_stop = starter
    fd = starter.attach()
    assert not is_ready(fd, 0)
    assert starter.requests() == []
    ask_to_stop()
    assert is_ready(fd)
    assert [request.event for request in starter.requests()] == ["stop"]
    assert not is_ready(fd, 0)
    assert starter.requests() == []


def test_reports_are_taken_at_any_time(starter) -> None:
    """report never raises, also before attach, after detach, when repeated, and when nobody listens; the starter has a
    name, and says how often it wants one.
    """
    starter, _ = starter
    for _ in range(2):
        starter.report(Report("RUNNING", "well"))
    starter.attach()
    starter.report(Report("STOPPED", exit_code=70, why="run: ValueError"))
    starter.detach()
    starter.detach()
    starter.report(Report("STOPPED"))
    assert starter.name in ("console", "fake", "systemd")
    assert starter.beat_s == 0.0
    assert starter.is_manager == (starter.name == "systemd")


def test_the_fake_notes_what_it_is_told() -> None:
    """Reports are kept in order."""
    fake = FakeStarter()
    fake.report(Report("RUNNING"))
    fake.report(Report("STOPPED"))
    assert [report.state for report in fake.reports] == ["RUNNING", "STOPPED"]
    fake.bell.close()
