"""The ServiceProcess, through a puppet on it: what it hears and says is seen with the SCM's eyes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stayon.platforms.windows.api import ScmError
from stayon.testing import puppet
from stayon.testing.puppet import DAWDLE, REFUSE, SLOW
from stayon.testing.scm_process import SimulatedProcess
from tests.contract.scm_computers import Computer, SimulatedComputer

STOPPED, RUNNING = 1, 4


def test_arguments_arrive(computer: Computer) -> None:
    """Start arguments reach on_start: this one makes it slow."""
    name = computer.install()
    computer.calls.start(name, ["one", "zwei äöü", SLOW])
    assert computer.wait(name, 2, RUNNING).state == 2
    assert computer.wait(name, RUNNING).accepted == puppet.EVERYTHING


def test_a_status_is_seen_as_it_was_set(computer: Computer) -> None:
    """Accepted controls, too, are those of the last call."""
    name = computer.install()
    assert computer.start(name).accepted == puppet.EVERYTHING
    computer.calls.control(name, puppet.DEAFEN)
    assert computer.calls.status(name).accepted == 0


def test_a_handlers_answer_is_not_the_askers(computer: Computer) -> None:
    """A handler that says "not implemented" is no error for who asked by ControlService, and goes on."""
    name = computer.install()
    computer.start(name)
    computer.calls.control(name, REFUSE)
    assert computer.calls.status(name).state == RUNNING


def test_it_can_be_started_again(computer: Computer) -> None:
    """Each start is a process of its own."""
    name = computer.install()
    for _ in range(3):
        computer.start(name)
        computer.calls.control(name, 1)
        computer.wait(name, STOPPED)


def test_the_dispatcher_of_a_stranger_is_1063(request: pytest.FixtureRequest) -> None:
    """A process that the SCM has not started, or that has ended, gets 1063."""
    with SimulatedComputer().scm as scm:
        process = SimulatedProcess(scm, "nobody", 4)
        process.end(0)
        assert process.dispatch("nobody", lambda _arguments: None) == 1063


@pytest.mark.windows
def test_the_real_dispatcher_of_a_stranger_is_1063() -> None:
    """As above, for real."""
    done = subprocess.run([sys.executable, puppet.__file__, "nobody"], timeout=30, check=False)
    assert done.returncode == 1063


def test_a_slow_handler_is_1053_for_who_asked() -> None:
    """After 30 s the one who asked gets 1053; the service is as before, and hears the next once it is free."""
    computer = SimulatedComputer()
    with computer.scm as scm:
        name = computer.install()
        computer.start(name)
        began = scm.clock.monotonic()
        with pytest.raises(ScmError) as caught:
            scm.control(name, DAWDLE)
        assert (caught.value.code, scm.clock.monotonic() - began) == (1053, 30.0)
        scm.control(name, 4)
        assert scm.clock.monotonic() - began == puppet.DAWDLE_S
        assert scm.status(name).state == RUNNING
