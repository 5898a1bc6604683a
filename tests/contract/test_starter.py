"""The Starter port: asked from outside, told from inside. What each does of its own is in test_console_*.py."""

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

    def press(console: Console) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(params=["console", "fake"])
def starter(request):
    """A starter, and how to make it ask for a stop."""
    console, fake = Console(), FakeStarter()
    if request.param == "console":
        yield console, lambda: press(console)
    else:
        yield fake, lambda: fake.ask("stop")
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
    """report never raises, also before attach, after detach, and when repeated; the starter has a name."""
    starter, _ = starter
    for _ in range(2):
        starter.report(Report("RUNNING", "well"))
    starter.attach()
    starter.report(Report("STOPPED", exit_code=70, why="run: ValueError"))
    starter.detach()
    starter.detach()
    starter.report(Report("STOPPED"))
    assert starter.name in ("console", "fake")


def test_the_fake_notes_what_it_is_told() -> None:
    """Reports are kept in order."""
    fake = FakeStarter()
    fake.report(Report("RUNNING"))
    fake.report(Report("STOPPED"))
    assert [report.state for report in fake.reports] == ["RUNNING", "STOPPED"]
    fake.bell.close()
