"""The port ServiceManager for the SCM, on a simulated one: what it is asked for is waited for, and comes to an end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stayon.errors import (
    FailedError,
    HangError,
    TemporaryError,
    UnavailableError,
    UsageError,
)
from stayon.platforms.windows import scm_errors
from stayon.platforms.windows.api import ScmError, ServiceStatus
from stayon.testing import puppet
from tests.unit.scm_desk import NAME, Desk, opened, refused

PAUSE = 2


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A manager on an SCM that can all, in virtual time."""
    with opened() as desk:
        yield desk


def test_a_life(desk) -> None:
    """Start, pause, resume, reload, restart and stop arrive, each is waited for, and doing it twice is harmless."""
    desk.install()

    assert desk.ask("start").state == "RUNNING"
    assert desk.ask("start").state == "RUNNING"
    assert desk.ask("pause").state == "PAUSED"
    assert desk.ask("pause").state == "PAUSED"
    assert desk.ask("resume").state == "RUNNING"
    assert desk.ask("reload").state == "RUNNING"
    before = desk.manager.look(NAME)
    after = desk.ask("restart")
    assert after.state == "RUNNING"
    assert after.pid != before.pid
    assert after.since == after.pid
    assert desk.ask("stop").state == "STOPPED"
    assert desk.ask("stop").state == "STOPPED"
    assert desk.store.record.flaws == []


def test_a_slow_start_is_waited_for(desk) -> None:
    """As long as its checkpoint moves, it is working on it; the start arguments arrive."""
    desk.install()

    assert desk.ask("start", arguments=(puppet.SLOW,)).state == "RUNNING"
    assert f"{NAME} is START_PENDING" in desk.said


def test_a_failed_start_has_its_reason(desk) -> None:
    """The service's exit code, which is the answer's too, its meaning, and where to look."""
    desk.install(restart=None)

    error = refused(FailedError, "scm.start-failed", lambda: desk.ask("start", arguments=(puppet.FAIL,)))

    assert "exit code 75" in error.why
    assert "log" in error.hint
    assert desk.manager.look(NAME).exit_code == error.exit_code == 75


def test_what_is_not_installed_can_not_be_asked(desk) -> None:
    """Looking gives None; asking is an error."""
    assert desk.manager.look(NAME) is None
    refused(UnavailableError, "manager.not-installed", lambda: desk.ask("start"))


def test_a_disabled_one_can_not_be_started(desk) -> None:
    """It says how to change that."""
    desk.install(start="disabled")
    assert "--start" in refused(UsageError, "scm.disabled", lambda: desk.ask("start")).hint


def test_what_is_stopped_can_not_be_paused(desk) -> None:
    """It says so."""
    desk.install()
    refused(UnavailableError, "scm.not-running", lambda: desk.ask("pause"))


def test_an_unknown_verb(desk) -> None:
    """The SCM has no word for it."""
    desk.install()
    refused(UsageError, "scm.verb", lambda: desk.ask("dance"))


def test_dependents_are_stopped_first_and_a_restart_starts_them_again(desk) -> None:
    """In reverse: who needs it goes before it, and comes after it."""
    desk.install("store")
    desk.install("shop", after=("store",))
    desk.install("till", after=("shop",))
    desk.ask("start", name="till")
    pids = {name: desk.manager.look(name).pid for name in ("store", "shop", "till")}

    desk.ask("restart", name="store")

    for name, pid in pids.items():
        found = desk.manager.look(name)
        assert found.state == "RUNNING"
        assert found.pid != pid
    desk.ask("stop", name="store")
    assert [desk.manager.look(name).state for name in pids] == ["STOPPED"] * 3


def test_a_missing_dependency_is_named_so(desk) -> None:
    """The SCM has a number for it, we have a sentence."""
    desk.install(after=("nobody",))
    refused(UsageError, "scm.dependency-missing", lambda: desk.ask("start"))


def test_who_shows_no_progress_hangs(desk) -> None:
    """A pending service whose checkpoint doesn't move within its wait hint is called hung, long before the timeout."""
    clock = desk.store.clock

    def stuck(process) -> int:
        def main(_arguments) -> None:
            handle = process.register(process.name, lambda *_control: 0)
            process.set_status(handle, ServiceStatus(puppet.START_PENDING, checkpoint=1, wait_hint_ms=15_000))
            process.sleep(1_000.0)

        return process.dispatch(process.name, main)

    desk.store.programs[NAME] = stuck
    desk.install()
    before = clock.monotonic()

    error = refused(HangError, "scm.hung", lambda: desk.ask("start", timeout_s=300.0))

    assert 15.0 <= clock.monotonic() - before < 20.0
    assert "taskkill" in error.hint


def test_waiting_has_an_end(desk) -> None:
    """Who makes progress, but no end of it, is not waited for longer than was said."""
    clock = desk.store.clock

    def slow(process) -> int:
        def main(_arguments) -> None:
            handle = process.register(process.name, lambda *_control: 0)
            for checkpoint in range(1, 100):
                pending = ServiceStatus(puppet.START_PENDING, checkpoint=checkpoint, wait_hint_ms=1_000 * checkpoint)
                process.set_status(handle, pending)
                process.sleep(0.5)

        return process.dispatch(process.name, main)

    desk.store.programs[NAME] = slow
    desk.install()
    before = clock.monotonic()

    refused(TemporaryError, "scm.timeout", lambda: desk.ask("start", timeout_s=5.0))

    assert 5.0 <= clock.monotonic() - before < 6.0


def test_a_refused_pause_is_no_pause(desk) -> None:
    """A hook that fails leaves it RUNNING, and the asking one hears of it."""

    def stubborn(process) -> int:
        handles: list[int] = []

        def control(code, _kind, _data) -> int:
            if code == PAUSE:
                process.set_status(handles[0], ServiceStatus(puppet.PAUSE_PENDING, 3, checkpoint=1, wait_hint_ms=2_000))
                process.start_thread(go_on, "hook")
            return 0

        def go_on() -> None:
            process.sleep(1.0)
            process.set_status(handles[0], ServiceStatus(puppet.RUNNING, 3))

        def main(_arguments) -> None:
            handles.append(process.register(process.name, control))
            process.set_status(handles[0], ServiceStatus(puppet.RUNNING, 3))
            process.sleep(1_000.0)

        return process.dispatch(process.name, main)

    desk.store.programs[NAME] = stubborn
    desk.install()
    desk.ask("start")

    refused(FailedError, "scm.refused-by-service", lambda: desk.ask("pause"))


@pytest.mark.parametrize("number", [2, 3])
def test_a_lost_interpreter_is_said_to_be_lost(number: int) -> None:
    """What Windows calls a file that is not found is the program of the service, and installing it again helps."""
    error = scm_errors.explained(ScmError(number, "StartServiceW"), NAME, str)

    assert (error.code, error.where) == ("scm.no-program", NAME)
    assert "install it again" in error.hint


def test_what_cannot_be_asked_says_the_number(desk) -> None:
    """An error that we have no sentence for keeps Windows' own text, its number and the call."""
    desk.store.fail = {1: 1450}

    error = refused(UnavailableError, "scm.refused", lambda: desk.manager.look(NAME))

    assert "text of 1450" in error.why
    assert "1450" in error.why
    with pytest.raises(ScmError):
        desk.store.status(NAME)
