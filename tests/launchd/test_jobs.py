"""launchd as a manager, on a fake that takes what launchctl(1) says and really runs the services. (What is the same of
every manager is in tests/contract/test_service_manager.py; the real one is in test_real_launchd.py.)
"""

from __future__ import annotations

import os
import plistlib
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stayon.core import restart, states
from stayon.errors import FailedError, NotPermittedError, StayonError, TemporaryError, UnavailableError, UsageError

pytestmark = [pytest.mark.linux, pytest.mark.macos]
desk_of = pytest.importorskip("tests.launchd.desk", reason="launchd's rooms are for Unix")
NAME = "collector"

FAILING = """
from stayon import ConfigError, Service
from stayon.errors import FailedError

service = Service("collector")

@service.on_start
def fail(ctx):
    raise {error}("it is wrong")

@service.every("1h")
def collect(ctx):
    pass
"""


@pytest.fixture
def desk() -> Iterator[Any]:
    """launchd, with the agents of the user who asks."""
    with desk_of.opened() as desk:
        yield desk


def refused(kind: type[StayonError], code: str, act) -> StayonError:
    """The error that *act* raises, which has to be of *kind* and *code*."""
    with pytest.raises(kind) as caught:
        act()
    assert caught.value.code == code, caught.value
    return caught.value


# ---------------------------------------------------------------------------------------------------- the property list


def test_launchd_gets_a_list_that_only_its_owner_may_write(desk) -> None:
    """Or it would refuse it; whole, and nothing beside it."""
    desk.install()

    (path,) = Path(desk.sites.loaded).iterdir()
    assert path.name == "collector.plist"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert plistlib.loads(path.read_bytes())["Label"] == NAME


@pytest.mark.parametrize("start", ["manual", "disabled"])
def test_what_is_not_to_start_by_itself_is_where_launchd_does_not_look(desk, start) -> None:
    """As everything that launchd loads starts."""
    desk.install()
    desk.install(start=start)

    assert list(Path(desk.sites.loaded).iterdir()) == []
    assert [path.name for path in Path(desk.sites.unloaded).iterdir()] == ["collector.plist"]


def test_what_is_disabled_can_not_be_started(desk) -> None:
    """And the error says how it could."""
    desk.install(start="disabled")

    assert "--start manual" in refused(UsageError, "launchd.disabled", lambda: desk.ask("start")).hint


def test_an_edited_list_is_never_written_over(desk) -> None:
    """Not by the same, not by a change; it can be looked at, started, and uninstalled."""
    desk.install()
    path = Path(desk.sites.path(NAME, by_itself=True))
    content = plistlib.loads(path.read_bytes())
    path.write_bytes(plistlib.dumps({**content, "ThrottleInterval": 30}))
    before = desk.tree()

    for fields in ({}, {"description": "another"}):
        error = refused(FailedError, "launchd.edited", lambda fields=fields: desk.install(**fields))
        assert str(path) in str(error)
    assert desk.tree() == before
    assert desk.ask("start").state == states.RUNNING
    desk.manager.change(NAME, None)
    assert desk.tree() == {}


def test_a_job_that_others_have_loaded_from_elsewhere_is_theirs(desk) -> None:
    """Though there is no list of that name where we look."""
    elsewhere = desk.folder / "collector.plist"
    elsewhere.write_bytes(
        plistlib.dumps({"Label": NAME, "ProgramArguments": ["/bin/sleep", "1000"], "RunAtLoad": True})
    )
    elsewhere.chmod(0o644)
    assert desk.launchctl("bootstrap", desk.domain, str(elsewhere)).returncode == 0

    found = desk.manager.look(NAME)

    assert found is not None
    assert (found.mark, found.state, found.command) == ("", states.RUNNING, "/bin/sleep")
    refused(NotPermittedError, "manager.foreign", desk.install)
    refused(NotPermittedError, "manager.foreign", lambda: desk.manager.change(NAME, None))
    assert desk.tree() == {}


def test_values_launchd_has_no_place_for_are_told_once(desk) -> None:
    """With the rest, as warnings; the same again is no change."""
    changes = desk.install(after=("postgres",), memory_bytes=2**28)

    assert [change.name for change in changes if change.warning] == ["after", "memory"]
    assert desk.install(after=("postgres",), memory_bytes=2**28) == []


def test_an_agent_lives_where_its_user_is(desk) -> None:
    """At the screen, or without one in the background; where it was installed it stays."""
    desk.tell("domains", f"user/{desk.uid}")
    desk.install()
    assert desk.ask("start").state == states.RUNNING
    assert [words[1] for words in desk.calls("bootstrap")] == [f"user/{desk.uid}"]

    desk.tell("domains", f"gui/{desk.uid} user/{desk.uid}")
    assert desk.install() == []
    assert desk.look().state == states.RUNNING


def test_without_a_session_an_agent_can_not_be_started(desk) -> None:
    """The error says where one comes from."""
    desk.install()
    desk.tell("domains", "")

    assert desk.look().state == states.STOPPED
    error = refused(UnavailableError, "launchd.no-session", lambda: desk.ask("start"))
    assert "Log in" in error.hint or "log in" in error.hint


@pytest.mark.needs_root
def test_a_daemon_has_its_own_account_and_directories() -> None:
    """It writes where it may, and nowhere else; the list is root's."""
    with desk_of.opened(is_system=True) as desk:
        places = desk.wanted().directories
        desk.manager.change(NAME, desk.wanted(account="", environment=()), dry_run=True)
        assert not any(os.path.exists(path) for path, _access in places)

        desk.manager.change(NAME, desk.wanted(account="", environment=()))

        content = plistlib.loads(Path(desk.sites.path(NAME, by_itself=True)).read_bytes())
        told = content["EnvironmentVariables"]
        owners = {Path(path).name: os.stat(path).st_uid for path, _access in places if os.path.exists(path)}
        assert content["UserName"] == "daemon"
        assert owners == {"config": 0, "logs": 1, "state": 1}
        assert told["RUNTIME_DIRECTORY"] == f"{desk.sites.run}/collector"
        assert os.stat(told["RUNTIME_DIRECTORY"]).st_uid == 1
        assert desk.look().account == "daemon"
        assert desk.look().places is not None
        assert desk.look().places.run == told["RUNTIME_DIRECTORY"]


def test_an_account_that_is_not_there(desk) -> None:
    """It is found before anything is changed."""
    with desk_of.opened(is_system=True) as daemons:
        refused(UsageError, "launchd.account", lambda: daemons.install(account="nobody-of-that-name"))
        assert daemons.tree() == {}


# --------------------------------------------------------------------------------------------------- starting, stopping


def test_a_restart_never_unloads(desk) -> None:
    """Who is interrupted between unloading and loading has no service."""
    desk.install()
    desk.ask("start")
    desk.forget_calls()

    desk.ask("restart")

    assert [words[0] for words in desk.calls()] == ["kill", "kickstart"]


def test_a_restart_after_a_change_loads_the_new_list(desk) -> None:
    """launchd goes by what it has loaded, not by the file."""
    desk.install()
    desk.ask("start")
    desk.install(environment=(*desk.wanted().environment, ("TZ", "UTC")))
    desk.forget_calls()

    desk.ask("restart")

    assert [words[0] for words in desk.calls()] == ["bootout", "bootstrap"]
    assert "TZ => UTC" in desk.launchctl("print", f"{desk.domain}/{NAME}").stdout
    desk.forget_calls()
    desk.ask("restart")
    assert [words[0] for words in desk.calls()] == ["kill", "kickstart"]


def test_a_process_that_does_not_stop_is_ended_by_the_restart(desk) -> None:
    """After the time that launchd would give it."""
    stubborn = ("/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
    desk.install(command=stubborn, directories=(), stop_timeout_s=-4.0)
    first = desk.ask("start")

    second = desk.ask("restart")

    assert (second.state, second.pid != first.pid) == (states.RUNNING, True)
    assert desk.calls("kickstart") == [["kickstart", "-k", f"{desk.domain}/{NAME}"]]


def test_what_launchd_can_not_load_yet_is_tried_again(desk) -> None:
    """For a moment after a job was unloaded."""
    desk.install()
    desk.tell("faults", "bootstrap 5\nbootstrap 37")

    assert desk.ask("start").state == states.RUNNING
    assert len(desk.calls("bootstrap")) == 3


def test_what_launchd_refuses_is_told_in_its_words(desk) -> None:
    """With its exit code, and what may help."""
    desk.install()
    desk.tell("faults", "\n".join(["bootstrap 119"] * 9))

    error = refused(FailedError, "launchd.refused", lambda: desk.ask("start"))

    assert "exit code 119" in error.why
    assert f"launchctl enable {desk.domain}/{NAME}" in error.hint
    assert desk.look().state == states.STOPPED


def test_what_was_disabled_by_hand_is_explained(desk) -> None:
    """launchd says no more than that it can't."""
    desk.install()
    desk.launchctl("disable", f"{desk.domain}/{NAME}")

    assert "launchctl enable" in refused(FailedError, "launchd.refused", lambda: desk.ask("start")).hint
    desk.launchctl("enable", f"{desk.domain}/{NAME}")
    assert desk.ask("start").state == states.RUNNING


def test_another_account_is_told_so(desk) -> None:
    """Looking needs no rights; everything else says which are missing."""
    desk.install(start="manual")
    desk.ask("start")
    desk.tell("caller", 4242)

    assert desk.look().state == states.RUNNING
    for verb in ("stop", "reload", "restart", "pause"):
        refused(NotPermittedError, "launchd.access-denied", lambda verb=verb: desk.ask(verb))


def test_a_daemon_is_roots() -> None:
    """launchd says "Input/output error" to others, and that root would hear more."""
    with desk_of.opened(is_system=True) as desk:
        desk.install(start="manual")
        desk.tell("caller", 4242)
        refused(NotPermittedError, "launchd.access-denied", lambda: desk.ask("start"))


def test_a_bootout_that_takes_longer_is_waited_for(desk) -> None:
    """launchd says that it is under way."""
    desk.install()
    desk.ask("start")
    desk.tell("faults", "bootout 36")
    desk.forget_calls()
    refused(TemporaryError, "launchd.timeout", lambda: desk.ask("stop", timeout_s=0.3))

    assert desk.ask("stop").state == states.STOPPED


def test_a_start_has_no_arguments(desk) -> None:
    """launchd can hand over none."""
    desk.install()
    refused(
        UsageError, "launchd.arguments", lambda: desk.manager.ask(NAME, "start", 5.0, desk.said.append, ("--fast",))
    )


# --------------------------------------------------------------------------------------------------- how it goes wrong


def test_a_crash_is_started_again(desk) -> None:
    """By launchd, after its interval; looking tells how often."""
    desk.install()
    first = desk.ask("start")
    os.kill(first.pid, signal.SIGKILL)

    desk.until(lambda: desk.look().state == states.RUNNING and desk.look().pid != first.pid, "it is started again")
    assert desk.look().restarts == 1


@pytest.mark.parametrize("error", ["FailedError", "RuntimeError"])
def test_a_failure_is_started_again(desk, error) -> None:
    """And again; stop ends that."""
    desk.file.write_text(FAILING.format(error=error), "utf-8")
    desk.install()
    failed = refused(FailedError, "launchd.start-failed", lambda: desk.ask("start"))
    assert failed.exit_code == 70

    desk.until(lambda: desk.look().restarts >= 2, "it is started again")
    assert desk.ask("stop").state == states.STOPPED
    assert desk.launchctl("print", f"{desk.domain}/{NAME}").returncode == 113


def test_what_a_restart_can_not_help_is_not_started_again(desk) -> None:
    """The service has launchd forget it, and still ends with its exit code; looking has that, and start tries anew."""
    desk.file.write_text(FAILING.format(error="ConfigError"), "utf-8")
    desk.install()

    failed = refused(FailedError, "launchd.start-failed", lambda: desk.ask("start"))

    assert failed.exit_code == 78
    assert "bad configuration" in failed.why
    desk.until(lambda: desk.calls("bootout"), "it is taken out of launchd")
    desk.until(lambda: desk.launchctl("print", f"{desk.domain}/{NAME}").returncode == 113, "it is forgotten")
    found = desk.look()
    assert (found.state, found.exit_code) == (states.STOPPED, 78)
    assert found.why
    desk.file.write_text(desk_of.PROGRAM, "utf-8")
    assert desk.ask("start").state == states.RUNNING


def test_a_program_that_can_not_be_imported_fails_the_start(desk) -> None:
    """Before there is a host to say anything."""
    desk.file.write_text("import nothing_of_that_name\n", "utf-8")
    desk.install(restart=restart.never())

    failed = refused(FailedError, "launchd.start-failed", lambda: desk.ask("start"))

    assert "exit code 70" in failed.why
    assert "nothing_of_that_name" in desk.look().why


def test_a_program_that_is_not_there_fails_the_start(desk) -> None:
    """launchd itself says so by an exit code."""
    desk.install(command=("/nowhere/python",), restart=restart.never())

    assert "exit code 78" in refused(FailedError, "launchd.start-failed", lambda: desk.ask("start")).why


def test_one_that_finishes_well_has_not_failed(desk) -> None:
    """A service may be done at once."""
    desk.install(command=("/bin/sh", "-c", "exit 0"))

    finished = desk.ask("start")

    assert (finished.state, finished.exit_code) == (states.STOPPED, 0)
    assert "collector has finished" in desk.said


def test_a_start_that_takes_longer_than_one_waits(desk) -> None:
    """It goes on, and the error says so."""
    desk.file.write_text(FAILING.replace("raise {error}", "import time; time.sleep(60), ").format(), "utf-8")
    desk.install()

    error = refused(TemporaryError, "launchd.timeout", lambda: desk.ask("start", timeout_s=0.5))

    assert "START_PENDING" in error.what
    assert desk.look().state == states.START_PENDING


def test_an_uninstall_that_fails_midway_leaves_it_running(desk) -> None:
    """It is loaded again, from its list."""
    from stayon.platforms.launchd.sites import Sites

    class Stuck(Sites):
        def remove(self, path: str):
            raise NotPermittedError("stuck", where=path)

    desk.install()
    desk.ask("start")
    stuck = desk.manager_of(Stuck(**desk.sites.as_dict()))

    with pytest.raises(NotPermittedError):
        stuck.change(NAME, None)

    desk.until(lambda: desk.look().state == states.RUNNING, "it is loaded again")
    assert desk.manager.names() == [NAME]


def test_there_is_no_launchctl(desk) -> None:
    """As on any other system."""
    (desk.folder / "launchctl").unlink()

    refused(UnavailableError, "launchd.no-launchctl", desk.look)


# ------------------------------------------------------------------------------------------------------------- the fake


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 64),
        (("load", "/x.plist"), 64),
        (("bootstrap", "gui"), 64),
        (("bootstrap", "system"), 64),
        (("bootout", "collector"), 64),
        (("kickstart", "-x", "system/collector"), 64),
        (("kickstart", "system/collector"), 113),
        (("kill", "SIGNOTHING", "system/collector"), 64),
        (("kill", "SIGTERM", "system/collector"), 113),
        (("print", "gui/99999"), 112),
        (("print", "system/collector"), 113),
        (("bootout", "system/collector"), 3),
        (("bootstrap", "system", "/nowhere.plist"), 5),
        (("bootstrap", "system", "relative.plist"), 122),
    ],
)
def test_the_fake_takes_what_launchctl_takes(desk, words, code) -> None:
    """And refuses all else, with launchctl's exit codes."""
    assert desk.launchctl(*words).returncode == code


@pytest.mark.parametrize(
    "content",
    [
        {"Label": "x"},
        {"ProgramArguments": ["/bin/true"]},
        {"Label": "x", "ProgramArguments": ["/bin/true"], "KeepAlive": "yes"},
        {"Label": "x", "ProgramArguments": ["/bin/true"], "KeepAlive": {"Successful": True}},
        {"Label": "x", "ProgramArguments": ["/bin/true"], "EnvironmentVariables": {"A": 1}},
        {"Label": "x", "ProgramArguments": ["/bin/true"], "SoftResourceLimits": {"nofile": 1}},
        {"Label": "x", "ProgramArguments": ["/bin/true"], "Throttle": 1},
    ],
)
def test_the_fake_takes_no_wrong_list(desk, content) -> None:
    """So that the lists that it took are right."""
    path = desk.folder / "x.plist"
    path.write_bytes(plistlib.dumps(content))
    path.chmod(0o644)

    assert desk.launchctl("bootstrap", "system", str(path)).returncode == 122
