"""The port ServiceManager for the SCM, on a simulated one: installing and uninstalling are transactions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stayon.core.installation import Change
from stayon.errors import (
    NotPermittedError,
    StayonError,
    TemporaryError,
    UnavailableError,
    UsageError,
)
from stayon.platforms.windows.api import ServiceConfig
from stayon.testing import puppet
from stayon.testing.scm_database import USER, WINE_LACKS
from tests.unit.scm_desk import NAME, WANTED, Desk, opened, refused


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A manager on an SCM that can all, in virtual time."""
    with opened() as desk:
        yield desk


def test_an_installed_service_is_what_was_wanted(desk) -> None:
    """The SCM, the event source and the directories have everything; the same again is no change."""
    desk.install(
        start="delayed", after=(), triggers=("network-up",), environment=(("TZ", "UTC"),), controllers="Operators"
    )

    kept = desk.store.read(NAME)
    assert (kept.start_type, kept.delayed, kept.mark) == (2, True, "stayon 0.1.0")
    assert kept.failure.actions[0] == (1, 1_000)
    assert kept.failure_on_non_crash
    assert kept.environment == ("TZ=UTC",)
    assert "S-1-5-21-1-2-3-1001" in kept.security
    assert desk.world.names == {NAME}
    assert set(desk.world.made) == {path for path, _ in WANTED.directories}

    again = desk.install(
        start="delayed", after=(), triggers=("network-up",), environment=(("TZ", "UTC"),), controllers="Operators"
    )
    assert again == []


def test_a_dry_run_says_the_same_and_changes_nothing(desk) -> None:
    """What it says is what the real one says afterwards."""
    said = desk.manager.change(NAME, WANTED, dry_run=True)

    assert desk.store.contents() == {}
    assert desk.world.snapshot() == (set(), set(), {})
    assert desk.manager.change(NAME, WANTED) == said


def test_an_update_changes_only_what_differs(desk) -> None:
    """It is in place: the service stays, and only the fields that differ are set."""
    desk.install()
    desk.store.calls.clear()

    changes = desk.install(description="Collects all prices.")

    assert changes == [Change("description", "Collects prices.", "Collects all prices.")]
    assert [call for call in desk.store.calls if call.startswith(("Create", "Change", "Delete", "Set"))] == [
        f"ChangeServiceConfig2W {NAME}"
    ]


@pytest.mark.parametrize("number", range(1, 25))
def test_an_install_that_fails_midway_leaves_nothing(number) -> None:
    """Whichever call of the SCM fails, there is no service, no right, no event source and no directory afterwards."""
    with opened() as desk:
        desk.store.fail = {number: 1450}  # ERROR_NO_SYSTEM_RESOURCES
        wanted = WANTED.replace(
            account=".\\alice", password=lambda: "secret", triggers=("network-up",), controllers="Operators"
        )
        try:
            desk.manager.change(NAME, wanted)
        except StayonError as error:
            assert error.code == "scm.refused"  # noqa: PT017  # beyond the last call nothing fails
            assert desk.store.contents() == {}
            assert desk.world.snapshot() == (set(), set(), {})
        else:
            assert number > len(desk.store.calls) or not desk.store.fail


@pytest.mark.parametrize("what", ["right", "source", "C:\\ProgramData\\collector\\logs"])
def test_an_install_that_fails_outside_the_scm_leaves_nothing(desk, what) -> None:
    """The logon right, the event source and the directories are part of the same transaction."""
    desk.world.refuse = what
    wanted = WANTED.replace(account=".\\alice", password=lambda: "secret")

    with pytest.raises(NotPermittedError):
        desk.manager.change(NAME, wanted)

    assert desk.store.contents() == {}
    assert desk.world.snapshot() == (set(), set(), {})


@pytest.mark.parametrize("number", range(1, 12))
def test_an_update_that_fails_midway_leaves_what_was(number) -> None:
    """Whichever call fails, the old configuration holds."""
    with opened() as desk:
        desk.install()
        before, world = desk.store.contents(), desk.world.snapshot()
        desk.store.calls.clear()
        desk.store.fail = {number: 1450}
        try:
            desk.install(description="x", start="manual", stop_timeout_s=5.0, command=("C:\\other.exe",))
        except StayonError:
            assert desk.store.contents() == before
            assert desk.world.snapshot() == world
        else:
            assert desk.store.contents()[NAME].description == "x"


def test_a_service_of_somebody_else_is_never_touched(desk) -> None:
    """Not changed, not started, not stopped, not uninstalled; but it can be looked at."""
    desk.store.create(NAME, ServiceConfig("C:\\other.exe", display_name="Other"))
    before = desk.store.contents()

    for act in (
        lambda: desk.manager.change(NAME, WANTED),
        lambda: desk.manager.change(NAME, WANTED, dry_run=True),
        lambda: desk.manager.change(NAME, None),
        lambda: desk.ask("start"),
        lambda: desk.ask("stop"),
    ):
        refused(NotPermittedError, "manager.foreign", act)

    assert desk.store.contents() == before
    assert desk.manager.look(NAME).command == "C:\\other.exe"
    assert desk.manager.names() == []


def test_what_this_scm_does_not_know_is_a_warning(desk) -> None:
    """The install goes on, the feature is named, and the same again is no change."""
    with opened(unsupported=WINE_LACKS) as narrow:
        changes = narrow.install(start="delayed", triggers=("network-up",))

        warned = {change.name for change in changes if change.warning}
        assert {"start", "triggers", "SID of the service"} <= warned
        assert narrow.store.read(NAME).mark
        assert narrow.install(start="delayed", triggers=("network-up",)) == []


def test_who_is_not_elevated_is_told_so(desk) -> None:
    """Access denied says how to get the rights; looking needs none."""
    desk.install()
    desk.store.callers = USER

    for act in (
        lambda: desk.install(description="x"),
        lambda: desk.install("other"),
        lambda: desk.manager.change(NAME, None),
        lambda: desk.ask("start"),
    ):
        error = refused(NotPermittedError, "scm.access-denied", act)
        assert "elevated" in error.hint
    assert desk.manager.look(NAME).state == "STOPPED"
    assert desk.manager.names() == [NAME]


def test_members_of_the_group_may_start_and_stop(desk) -> None:
    """That is what controllers are for; people read the group's name, and not its SID."""
    made = desk.install(controllers="Operators")
    assert "administrators, Operators" in [change.new for change in made]
    desk.store.callers = frozenset({"IU", "S-1-5-21-1-2-3-1001"})

    assert desk.ask("start").state == "RUNNING"
    assert desk.ask("stop").state == "STOPPED"


def test_a_group_that_is_not_there(desk) -> None:
    """It is found before anything is changed."""
    refused(UsageError, "scm.group", lambda: desk.install(controllers="Nobody"))
    assert desk.store.contents() == {}


def test_a_user_gets_the_right_to_log_on_as_a_service(desk) -> None:
    """The password is checked, told to the SCM, and the service starts."""
    desk.install(account="alice", password=lambda: "secret")

    assert desk.world.rights == {".\\alice"}
    assert desk.ask("start").state == "RUNNING"


def test_a_wrong_password_changes_nothing(desk) -> None:
    """It is found before the first change."""
    error = refused(NotPermittedError, "scm.password", lambda: desk.install(account="alice", password=lambda: "wrong"))

    assert "wrong" not in str(error).replace("the password is wrong", "")
    assert desk.store.contents() == {}
    assert desk.world.snapshot() == (set(), set(), {})


def test_a_user_needs_a_password(desk) -> None:
    """Without one to ask for there is nothing to install."""
    refused(UsageError, "scm.password-needed", lambda: desk.install(account="alice"))


def test_an_account_that_is_not_there(desk) -> None:
    """It is found before anything is changed."""
    refused(UsageError, "scm.account", lambda: desk.install(account="bob", password=lambda: "x"))
    assert desk.store.contents() == {}


def test_a_password_is_asked_for_only_if_it_is_needed(desk) -> None:
    """Not in a dry run, not for an account that stays; with a fresh one it is set again."""
    asked: list[str] = []

    def password() -> str:
        asked.append("asked")
        return "secret"

    desk.manager.change(NAME, WANTED.replace(account="alice", password=password), dry_run=True)
    assert asked == []
    desk.install(account="alice", password=password)
    desk.install(account="alice", password=password, description="x")
    assert asked == ["asked"]
    desk.world.passwords[".\\alice"] = desk.store.accounts["alice"] = "changed"
    changes = desk.install(account="alice", password=lambda: "changed", fresh_password=True, description="x")

    assert [change.name for change in changes] == ["password"]
    assert desk.ask("start").state == "RUNNING"


def test_no_password_is_ever_shown(desk) -> None:
    """Neither in what an installation looks like, nor in what is changed."""
    wanted = WANTED.replace(account="alice", password=lambda: "secret")
    changes = desk.manager.change(NAME, wanted)

    assert "secret" not in repr(wanted)
    assert "secret" not in repr(changes)


def test_uninstalling_stops_it_first(desk) -> None:
    """Afterwards there is neither service nor event source; what it wrote stays."""
    desk.install()
    desk.ask("start")

    changes = desk.manager.change(NAME, None)

    assert [change.name for change in changes] == ["event source", "service"]
    assert desk.store.contents() == {}
    assert desk.world.names == set()
    assert set(desk.world.made) == {path for path, _ in WANTED.directories}
    assert puppet.STOP_PENDING in desk.store.record.states(NAME)


def test_a_dry_run_of_uninstalling_changes_nothing(desk) -> None:
    """It says what would go."""
    desk.install()
    desk.ask("start")

    assert [change.name for change in desk.manager.change(NAME, None, dry_run=True)] == ["event source", "service"]
    assert desk.manager.look(NAME).state == "RUNNING"


def test_what_is_not_installed_can_not_be_uninstalled(desk) -> None:
    """It is an error with the nearest name."""
    desk.install("collectors")

    error = refused(UnavailableError, "manager.not-installed", lambda: desk.manager.change(NAME, None))
    assert "collectors" in error.hint


def test_what_others_hold_open_is_explained(desk) -> None:
    """While somebody has it open it is only marked; the error says who that may be, and again works later."""
    desk.install()
    with desk.store.handle(NAME):
        error = refused(TemporaryError, "scm.marked-for-deletion", lambda: desk.manager.change(NAME, None))
        assert "services.msc" in error.hint
        refused(TemporaryError, "scm.marked-for-deletion", desk.install)
    desk.install()
    assert desk.manager.names() == [NAME]


def test_what_others_hold_open_for_a_moment_is_waited_for(desk) -> None:
    """Task Manager looks at services every second; that must fail nobody's update."""
    desk.install()
    holder = desk.store.handle(NAME)
    holder.__enter__()
    desk.store.clock.call_at(desk.store.clock.monotonic() + 2.0, lambda: holder.__exit__(None, None, None))

    desk.manager.change(NAME, None)

    assert desk.store.contents() == {}
