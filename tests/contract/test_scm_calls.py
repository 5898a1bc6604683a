"""The ServiceCalls: starting, controlling and looking at services, on a simulated SCM and on real ones."""

from __future__ import annotations

from typing import Any

import pytest

from stayon.platforms.windows.api import ScmError
from stayon.testing.puppet import BREAK, DEAFEN, EXIT_CODE, FAIL, FINISH, LISTEN, SLOW, VANISH
from tests.contract.scm_computers import Computer

STOPPED, START_PENDING, STOP_PENDING, RUNNING, CONTINUE_PENDING, PAUSE_PENDING, PAUSED = range(1, 8)
STOP, PAUSE, CONTINUE, INTERROGATE, PARAMCHANGE = 1, 2, 3, 4, 6


def code_of(call: Any, *arguments: Any) -> int:
    with pytest.raises(ScmError) as caught:
        call(*arguments)
    return caught.value.code


def start_in_vain(computer: Computer, name: str) -> None:
    """Start it with ``FAIL``. Wine may take an end right after the beginning for no answer, and say 1053."""
    try:
        computer.calls.start(name, [FAIL])
    except ScmError as error:
        if computer.is_whole or error.code != 1053:
            raise


def test_a_new_service_is_stopped(computer: Computer) -> None:
    """It was never started, and has no process."""
    status = computer.calls.status(computer.install())
    assert (status.state, status.pid) == (STOPPED, 0)


def test_what_is_not_there_is_1060(computer: Computer) -> None:
    """Starting, controlling and looking at a service that doesn't exist is error 1060."""
    assert code_of(computer.calls.start, "stayon-nobody") == 1060
    assert code_of(computer.calls.control, "stayon-nobody", STOP) == 1060
    assert code_of(computer.calls.status, "stayon-nobody") == 1060


def test_a_life(computer: Computer) -> None:
    """Started it runs, with a pid; paused, continued and stopped it is so; stopped, it has no pid and no error."""
    name = computer.install()
    assert computer.start(name).pid > 0
    computer.calls.control(name, PAUSE)
    computer.wait(name, PAUSED)
    computer.calls.control(name, CONTINUE)
    computer.wait(name, RUNNING)
    computer.calls.control(name, STOP)
    status = computer.wait(name, STOPPED)
    assert (status.exit_code, status.pid) == (0, 0)


def test_a_handler_is_done_when_control_returns(computer: Computer) -> None:
    """Right after STOP it is on its way, if not there."""
    name = computer.install()
    computer.start(name)
    computer.calls.control(name, STOP)
    assert computer.calls.status(name).state in (STOP_PENDING, STOPPED)
    computer.wait(name, STOPPED)


def test_a_slow_start_shows_its_progress(computer: Computer) -> None:
    """While it starts it is START_PENDING, with checkpoint and hint as it says; then it runs, with neither."""
    name = computer.install()
    computer.calls.start(name, [SLOW])
    assert computer.wait(name, START_PENDING, RUNNING).state == START_PENDING
    status = computer.wait(name, RUNNING)
    assert (status.checkpoint, status.wait_hint_ms) == (0, 0)


def test_two_starts_are_1056(computer: Computer) -> None:
    """Who starts, or runs, can't be started: error 1056."""
    name = computer.install()
    computer.calls.start(name, [SLOW])
    assert code_of(computer.calls.start, name) == 1056
    computer.wait(name, RUNNING)
    assert code_of(computer.calls.start, name) == 1056


def test_a_stopped_one_hears_nothing(computer: Computer) -> None:
    """No control reaches a service that doesn't run: error 1062."""
    name = computer.install()
    for code in (STOP, PAUSE, INTERROGATE, PARAMCHANGE, 200):
        assert code_of(computer.calls.control, name, code) == 1062


def test_what_is_not_accepted_is_1052(computer: Computer) -> None:
    """A control that it doesn't accept at the moment is error 1052; own codes always pass."""
    name = computer.install()
    computer.start(name)
    computer.calls.control(name, DEAFEN)
    assert code_of(computer.calls.control, name, STOP) == 1052
    assert code_of(computer.calls.control, name, PAUSE) == 1052
    computer.calls.control(name, INTERROGATE)
    computer.calls.control(name, LISTEN)
    computer.calls.control(name, PARAMCHANGE)


@pytest.mark.parametrize("code", [0, 5, 15, 127, 256])
def test_what_only_the_system_sends_is_87(computer: Computer, code: int) -> None:
    """SHUTDOWN, PRESHUTDOWN and what is no control are refused with 87, whoever asks."""
    name = computer.install()
    computer.start(name)
    assert code_of(computer.calls.control, name, code) in (5, 87)
    assert computer.calls.status(name).state == RUNNING


def test_a_failure_has_its_code(computer: Computer) -> None:
    """Who stops with an error of its own, while starting or later, leaves 1066 and the code."""
    name = computer.install()
    start_in_vain(computer, name)
    status = computer.wait(name, STOPPED)
    assert (status.exit_code, status.specific) == (1066, EXIT_CODE)
    computer.start(name)
    computer.calls.control(name, BREAK)
    status = computer.wait(name, STOPPED)
    assert (status.exit_code, status.specific) == (1066, EXIT_CODE)


def test_a_good_end_leaves_no_error(computer: Computer) -> None:
    """Who stops by itself, unasked, with 0, has stopped with 0, whatever was before."""
    name = computer.install()
    start_in_vain(computer, name)
    computer.wait(name, STOPPED)
    computer.start(name)
    computer.calls.control(name, FINISH)
    assert computer.wait(name, STOPPED).exit_code == 0


def test_who_died_is_stopped(computer: Computer) -> None:
    """A process that ends without a word is a service stopped with 1067."""
    if not computer.is_whole:
        pytest.skip("Wine doesn't notice it before the next start")
    name = computer.install()
    computer.start(name)
    with pytest.raises(ScmError):
        computer.calls.control(name, VANISH)
    assert computer.wait(name, STOPPED).exit_code == 1067


def test_a_disabled_one_does_not_start(computer: Computer) -> None:
    """Start type 4 is error 1058."""
    name = computer.install()
    computer.store.change(name, "start_type", 4)
    assert code_of(computer.calls.start, name) == 1058


def test_dependents_hold_it(computer: Computer) -> None:
    """What is needed is started first, names its dependents, and is stopped only after them: 1051 before."""
    if not computer.is_whole:
        pytest.skip("Wine starts no dependencies")
    first = computer.install("first")
    second = computer.install("second", dependencies=(first,))
    assert computer.calls.names(first) == []
    computer.start(second)
    assert computer.calls.status(first).state == RUNNING
    assert computer.calls.names(first) == [second]
    assert code_of(computer.calls.control, first, STOP) == 1051
    for name in (second, first):
        computer.calls.control(name, STOP)
        computer.wait(name, STOPPED)


def test_a_missing_dependency_is_1075(computer: Computer) -> None:
    """Who needs a service that isn't there can't be started."""
    if not computer.is_whole:
        pytest.skip("Wine starts no dependencies")
    name = computer.install(dependencies=("stayon-nobody",))
    assert code_of(computer.calls.start, name) == 1075
