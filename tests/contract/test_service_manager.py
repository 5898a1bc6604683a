"""The port ServiceManager: the same of every manager, in its own words."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from stayon.core import states
from stayon.errors import NotPermittedError, StayonError, UnavailableError
from stayon.ports import ServiceManager
from tests.contract import service_managers
from tests.contract.service_managers import EXIT_CODE, LIMIT_S, NAME, NEVER, World


@pytest.fixture(
    params=[
        "fake",
        "scm",
        pytest.param("agents", marks=[pytest.mark.linux, pytest.mark.macos]),
        pytest.param("systemd", marks=pytest.mark.linux),
    ]
)
def world(request) -> Iterator[World]:
    """A computer with a manager: stayon's fake, Windows' SCM (simulated), launchd (a fake that really runs what it is
    told to), systemd.
    """
    make = getattr(service_managers, request.param)
    with make(request.getfixturevalue("systemd")) if request.param == "systemd" else make() as made:
        yield made


def _ask(world: World, verb: str, name: str = NAME):
    return world.manager.ask(name, verb, LIMIT_S, lambda _said: None)


def _install(world: World, **fields):
    return world.manager.change(fields.get("name", NAME), world.wanted(**fields))


def _state(world: World, name: str = NAME) -> str:
    found = world.manager.look(name)
    assert found is not None
    return found.state


def test_what_was_installed_can_be_looked_at(world) -> None:
    """It is there as it was wanted, ours, and STOPPED; what installing made is told."""
    changes = _install(world, start="manual", display_name="Price Collector")

    found = world.manager.look(NAME)
    assert found is not None
    assert (found.name, found.state, found.pid, found.start) == (NAME, states.STOPPED, 0, "manual")
    assert found.mark == "stayon 0.1.0"
    assert found.display_name in ("Price Collector", world.wanted().description)  # systemd has one of the two
    assert found.account
    assert changes
    assert all(change.name for change in changes)


def test_what_is_not_there_is_none(world) -> None:
    """Looking for it is no error."""
    assert world.manager.look(NAME) is None
    assert world.manager.look("x" * 40) is None


def test_the_same_again_is_no_change(world) -> None:
    """Nothing is told, and nothing touched."""
    _install(world)
    before = world.entries()

    assert _install(world) == []
    assert world.entries() == before


def test_a_change_is_told_and_holds(world) -> None:
    """What differs is told, and only that; afterwards the same is no change any more."""
    _install(world, start="manual", description="Collects prices.")

    changes = _install(world, start="manual", description="Collects all prices.")

    assert [(change.old, change.new) for change in changes] == [("Collects prices.", "Collects all prices.")]
    assert _install(world, start="manual", description="Collects all prices.") == []


@pytest.mark.parametrize("start", ["auto", "manual", "disabled"])
def test_how_it_starts_can_be_changed(world, start) -> None:
    """From each to each other, and looking says so."""
    for first in ("auto", "manual", "disabled"):
        _install(world, start=first)
        changes = _install(world, start=start)

        found = world.manager.look(NAME)
        assert found is not None
        assert found.start == start
        assert bool(changes) is (first != start)


def test_a_dry_run_says_the_same_and_changes_nothing(world) -> None:
    """For a new one, for a change, and for the end."""
    before = world.entries()
    said = world.manager.change(NAME, world.wanted(), dry_run=True)
    assert world.entries() == before
    assert _install(world) == said

    before = world.entries()
    said = world.manager.change(NAME, world.wanted(description="another"), dry_run=True)
    assert world.entries() == before
    assert said

    said = world.manager.change(NAME, None, dry_run=True)
    assert world.entries() == before
    assert world.manager.change(NAME, None) == said


def test_uninstalling_leaves_nothing_of_the_entry(world) -> None:
    """It is told, and looking finds nothing; uninstalling it again is an error."""
    _install(world)

    assert world.manager.change(NAME, None)

    assert world.manager.look(NAME) is None
    assert world.manager.names() == []
    with pytest.raises(UnavailableError) as caught:
        world.manager.change(NAME, None)
    assert caught.value.code == "manager.not-installed"


def test_uninstalling_stops_it_first(world) -> None:
    """Nothing of it runs on."""
    _install(world, start="manual")
    _ask(world, "start")

    world.manager.change(NAME, None)

    assert world.manager.look(NAME) is None


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "reload"])
def test_what_is_not_installed_can_not_be_asked(world, verb) -> None:
    """It is an error that says so, with the nearest name that there is."""
    _install(world, name="collectors")

    with pytest.raises(UnavailableError) as caught:
        _ask(world, verb)
    assert caught.value.code == "manager.not-installed"


def test_a_service_of_somebody_else_is_left_alone(world) -> None:
    """It can be looked at, without a mark, and is in no list of ours; nothing is done to it."""
    world.add_foreign(NAME)
    before = world.entries()

    found = world.manager.look(NAME)
    assert found is not None
    assert found.mark == ""
    assert world.manager.names() == []
    for act in (
        lambda: _install(world),
        lambda: world.manager.change(NAME, world.wanted(), dry_run=True),
        lambda: world.manager.change(NAME, None),
        lambda: _ask(world, "start"),
        lambda: _ask(world, "stop"),
    ):
        with pytest.raises(NotPermittedError) as caught:
            act()
        assert caught.value.code == "manager.foreign"
    assert world.entries() == before


def test_start_waits_until_it_is_running(world) -> None:
    """Not only until there is a process; again it does nothing."""
    _install(world, start="manual")

    started = _ask(world, "start")

    assert started.state == states.RUNNING
    assert started.pid
    again = _ask(world, "start")
    assert (again.state, again.pid) == (states.RUNNING, started.pid)


def test_a_start_that_fails_says_how(world) -> None:
    """The error has the service's exit code, as a number and in words; looking has it, too."""
    _install(world, start="manual", restart=NEVER)
    world.break_program()

    with pytest.raises(StayonError) as caught:
        _ask(world, "start")

    assert f"exit code {EXIT_CODE}" in str(caught.value)
    assert caught.value.exit_code == EXIT_CODE
    found = world.manager.look(NAME)
    assert found is not None
    assert (found.state, found.exit_code, found.pid) == (states.STOPPED, EXIT_CODE, 0)
    assert found.why


def test_stop_waits_until_it_is_gone(world) -> None:
    """And again does nothing."""
    _install(world, start="manual")
    _ask(world, "start")

    stopped = _ask(world, "stop")

    assert (stopped.state, stopped.pid, stopped.exit_code) == (states.STOPPED, 0, 0)
    assert _ask(world, "stop").state == states.STOPPED
    assert _ask(world, "start").state == states.RUNNING


def test_restart_is_another_process(world) -> None:
    """RUNNING again; also of one that is stopped."""
    _install(world, start="manual")
    first = _ask(world, "restart")

    second = _ask(world, "restart")

    assert (first.state, second.state) == (states.RUNNING, states.RUNNING)
    assert second.pid not in (0, first.pid)


def test_a_changed_service_is_the_new_one_from_its_restart_on(world) -> None:
    """Installing a change doesn't touch what runs."""
    _install(world, start="manual")
    first = _ask(world, "start")

    _install(world, start="manual", stop_timeout_s=7.0)

    still = world.manager.look(NAME)
    assert still is not None
    assert (still.state, still.pid) == (states.RUNNING, first.pid)
    assert _ask(world, "restart").pid not in (0, first.pid)


def test_pause_and_resume(world) -> None:
    """It is PAUSED, then RUNNING, the same process; a manager without a word for it says so by the code."""
    _install(world, start="manual")
    started = _ask(world, "start")
    if not world.pauses:
        for verb in ("pause", "resume"):
            with pytest.raises(StayonError) as caught:
                _ask(world, verb)
            assert caught.value.code == "manager.verb"
        return

    paused = _ask(world, "pause")
    resumed = _ask(world, "resume")

    assert (paused.state, resumed.state) == (states.PAUSED, states.RUNNING)
    assert paused.pid == resumed.pid == started.pid


def test_reload_leaves_it_running(world) -> None:
    """The same process, RUNNING."""
    _install(world, start="manual")
    started = _ask(world, "start")

    reloaded = _ask(world, "reload")

    assert (reloaded.state, reloaded.pid) == (states.RUNNING, started.pid)


def test_an_unknown_verb_is_refused(world) -> None:
    """Whatever it is, it is not done."""
    _install(world, start="manual")

    with pytest.raises(StayonError):
        _ask(world, "explode")
    assert _state(world) == states.STOPPED


@pytest.mark.parametrize("is_new", [True, False])
def test_what_fails_midway_leaves_what_was(world, is_new) -> None:
    """A new service isn't there, a changed one is as it was; and without the obstacle it works."""
    if not is_new:
        _install(world, start="manual", description="as it was")
    with world.fail_midway():
        # What stands in the way is no part of what is kept.
        before = world.entries()
        with pytest.raises(StayonError):
            _install(world, start="auto" if world.manager.name == "systemd" else "manual", description="changed")
        assert world.entries() == before

    _install(world, start="manual", description="changed")
    assert _ask(world, "start").state == states.RUNNING


def test_two_installs_at_once_leave_one_whole_service(world) -> None:
    """Whoever was first, the result is one of the two, and works; who was refused was told so."""
    refused: list[StayonError] = []

    def install(manager: ServiceManager, description: str) -> None:
        try:
            manager.change(NAME, world.wanted(start="manual", description=description))
        except StayonError as error:
            refused.append(error)

    both = ((world.manager, "one"), (world.another, "two"))
    threads = [threading.Thread(target=install, args=each) for each in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) <= 1
    assert world.manager.names() == [NAME]
    assert _ask(world, "start").state == states.RUNNING


def test_names_are_ours_and_sorted(world) -> None:
    """Those of others are not among them."""
    for name in ("collector", "archiver", "zebra"):
        _install(world, name=name, display_name=name, start="manual")
    world.add_foreign("beside")

    assert world.manager.names() == ["archiver", "collector", "zebra"]


def test_looking_needs_no_privileges(world) -> None:
    """Any account sees how it is, and may change nothing (where the manager knows of accounts)."""
    _install(world, start="manual")
    started = _ask(world, "start")

    found = world.stranger.look(NAME)

    assert found is not None
    assert (found.state, found.pid) == (states.RUNNING, started.pid)
    assert world.stranger.names() == [NAME]
