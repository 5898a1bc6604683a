"""The Machine: the ports of this computer, chosen once, and those of the imaginary one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from stayon.core.events import READABLE, Request
from stayon.machine import Machine
from stayon.platforms import current
from stayon.platforms.places import Account, places_of
from stayon.platforms.slow_poll import SlowPollWatch
from stayon.testing.machine import FakeMachine


def test_the_choice_is_made_once() -> None:
    """Everybody gets the same machine."""
    assert current() is current()


@pytest.fixture(params=["real", "fake"])
def machine(request):
    with FakeMachine() as fake:
        yield current() if request.param == "real" else fake.ports()


def test_every_port_is_there(machine: Machine) -> None:
    """No field is missing or None, but for a manager of services; and factories make a new adapter each time."""
    assert all(value is not None for name, value in machine.as_dict().items() if name != "management")
    first, second = machine.directory_watch(), machine.directory_watch()
    assert first is not second
    first.close()
    second.close()
    assert machine.facts()
    assert machine.process_figures()["cpu_s"] >= 0
    assert machine.process_identity(os.getpid())


@pytest.mark.linux
def test_linux_has_its_own_mechanisms() -> None:
    """epoll and inotify, not what would do anywhere."""
    machine = current()
    watch = machine.directory_watch()
    watch.close()
    assert (machine.poller.__name__, type(watch).__name__) == ("EpollPoller", "InotifyWatch")


@pytest.mark.windows
def test_windows_has_its_own_mechanisms() -> None:
    """Each port is Windows' own; what can't be done there is said."""
    machine = current()
    ports = (machine.poller, machine.directory_watch, machine.deadman, machine.file_lock, type(machine.control_door))
    assert all(port.__module__.startswith("stayon.platforms.windows.") for port in ports)
    assert not machine.keeps_process


@pytest.mark.linux
@pytest.mark.macos
def test_the_places_are_those_of_this_account() -> None:
    """System, account and home are asked of the computer, the variables are given."""
    account = Account(sys.platform, os.geteuid() == 0, "/h")
    assert current().places("x", {"HOME": "/h"}) == places_of("x", account, {})


@pytest.mark.linux
@pytest.mark.macos
def test_another_system_has_what_every_unix_has(run_python) -> None:
    """macOS: the slow poll instead of inotify. (Only the choice is tried: the mechanisms are tested each by itself.)"""
    program = """
import sys
sys.platform = "darwin"
from stayon.platforms import current
machine = current()
print(machine.poller.__name__, type(machine.directory_watch()).__name__, machine.deadman.__name__)
"""
    told = run_python(program).communicate()[0].split()
    assert told == ["PollPoller", SlowPollWatch.__name__, "FaulthandlerDeadman"]


def test_the_fake_machine_hangs_together() -> None:
    """A request and a change wake the poller, which sees their descriptors; time passes when nothing is ready."""
    with FakeMachine() as fake:
        machine = fake.ports()
        poller, watch = machine.poller(), machine.directory_watch()
        asked, changed = machine.starter.attach(), watch.fileno()
        poller.register(asked, READABLE)
        poller.register(changed, READABLE)
        before = machine.clock.monotonic()
        assert poller.wait(60) == []
        assert machine.clock.monotonic() == before + 60
        fake.starter.ask("stop")
        assert poller.wait(60) == [(asked, READABLE)]
        assert [one.event for one in machine.starter.requests() if isinstance(one, Request)] == ["stop"]
        fake.directory_watches[0].change("a.toml")
        assert (asked, READABLE) not in poller.wait(60)
        assert watch.drain() == {"a.toml"}


def test_the_fake_machine_cleans_up(open_files) -> None:
    """Its places are real directories, gone afterwards, with all descriptors."""
    before = open_files()
    with FakeMachine() as fake:
        machine = fake.ports()
        places = machine.places("x", {})
        machine.make_directory(places.state, 0o700)
        machine.directory_watch()
        assert Path(places.state).is_dir()
        assert places.state.startswith(str(fake.folder))
    fake.close()
    assert not fake.folder.exists()
    assert open_files() == before
