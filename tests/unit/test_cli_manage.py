"""The verbs that a manager carries out, on one that keeps services in memory."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stayon import exits
from stayon.cli.command import execute
from stayon.core import states
from stayon.core.installation import Managed
from stayon.errors import NotPermittedError
from stayon.runtime.logs.stamps import text_of
from stayon.runtime.service import Service
from stayon.runtime.status import Status, StatusPage
from stayon.testing import FakeMachine
from stayon.testing.installed import FakeServices
from tests.unit.install_desk import Said

# At the top level, as it has to be for whoever starts it later.
service = Service("collector", description="Collects prices", stop_timeout="5s")

NAME = "collector"


@service.every("5s")
def collect(_ctx: object) -> None:
    """A service needs something to do."""


class Desk(NamedTuple):
    """A computer with a manager, and somebody who types."""

    machine: FakeMachine
    services: FakeServices
    say: Callable[..., Said]

    def install(self, **fields: Any) -> None:
        """Put it there as an installation would have."""
        kept = Managed(
            NAME, states.STOPPED, account="nobody", start="auto", command="python collector.py", mark="stayon 1"
        )
        self.services.kept[NAME] = kept.replace(**fields)

    def write_page(self, **fields: Any) -> None:
        """A status page as the process 77 writes it."""
        now_s = self.machine.clock.monotonic()
        page = Status(NAME, "", 77, "fake/77", states.RUNNING, "2025-01-01T00:00:00.000Z", "", now_s, 1.0)
        run = self.machine.folder / NAME / "run"
        run.mkdir(parents=True, exist_ok=True)
        StatusPage(str(run / f"{NAME}.status")).publish(page.replace(**fields))

    def live(self) -> None:
        """The process 77 lives."""
        self.machine.processes[77] = "fake/77"


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A computer with a manager that keeps nothing yet."""
    monkeypatch.delenv("STAYON_HOME", raising=False)
    with FakeMachine() as machine:
        machine.services = FakeServices()

        def say(*words: str) -> Said:
            code = execute(words, program="collector.py", service=service, machine=machine.ports())
            printed = capsys.readouterr()
            return Said(code, printed.out, printed.err)

        yield Desk(machine, machine.services, say)


@pytest.mark.parametrize("verb", ["install", "uninstall", "start", "list", "export"])
def test_without_a_manager_one_error_says_what_works(desk: Desk, verb: str) -> None:
    """Where nobody can keep services, the verbs for it end with 69 and name ``run``."""
    desk.machine.services = None

    said = desk.say(verb)

    assert (said.code, said.out) == (exits.UNAVAILABLE, "")
    assert "[manager.none]" in said.err
    assert "collector.py run" in said.err


@pytest.mark.parametrize("verb", ["start", "uninstall"])
def test_what_is_not_installed_can_be_neither_started_nor_taken_away(desk: Desk, verb: str) -> None:
    """The error names what to do, and nobody is asked anything."""
    said = desk.say(verb)

    assert (said.code, said.out) == (exits.UNAVAILABLE, "")
    assert "collector is not installed" in said.err
    assert "collector.py install" in said.err
    assert "[manager.not-installed]" in said.err
    assert desk.services.asked == []


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "pause", "resume", "reload", "uninstall"])
def test_somebody_elses_service_is_left_alone(desk: Desk, verb: str) -> None:
    """A service of the same name without our mark is never touched."""
    desk.services.add_foreign(NAME)

    said = desk.say(verb)

    assert said.code == exits.NOT_PERMITTED
    assert "[manager.foreign]" in said.err
    assert desk.services.asked == []
    assert NAME in desk.services.kept


def test_start_waits_and_tells_the_process(desk: Desk) -> None:
    """``start`` says the state and the pid; a second one says that it runs already, and asks nobody."""
    desk.install()

    first, second = desk.say("start"), desk.say("start")

    assert first == (exits.DONE, "collector is RUNNING, process 1001\n", "")
    assert second == (exits.DONE, "collector is RUNNING already, process 1001\n", "")
    assert desk.services.asked == [(NAME, "start", ())]


def test_start_passes_arguments_on(desk: Desk) -> None:
    """What stands behind ``--`` reaches the service as its start arguments."""
    desk.install()

    assert desk.say("start", "--json", "--", "--fast", "7").json == {"state": "RUNNING", "pid": 1001, "exit_code": 0}
    assert desk.services.asked == [(NAME, "start", ("--fast", "7"))]


@pytest.mark.parametrize("option", ["account", "limit", "pid-file", "config", "set"])
def test_a_start_takes_nothing_that_is_the_installations(desk: Desk, option: str) -> None:
    """It is refused and not forgotten, with what would do it, and nobody is asked anything."""
    desk.say("install")

    said = desk.say("start", f"--{option}", "a=1")

    assert (said.code, said.out) == (exits.USAGE, "")
    assert f"collector.py install --{option}" in said.err
    assert desk.services.asked == []


def test_what_runs_in_a_console_is_not_started_a_second_time(desk: Desk) -> None:
    """While a process that the manager doesn't have runs, a start could only fail: it is told at once, with the pid."""
    desk.install()
    desk.write_page()
    desk.live()

    said = desk.say("start")

    assert said.code == exits.TEMPORARY
    assert "process 77" in said.err
    assert desk.services.asked == []


def test_a_paused_one_is_not_started(desk: Desk) -> None:
    """Starting what is paused would be a surprise: the error names ``resume``."""
    desk.install(state=states.PAUSED, pid=5)

    said = desk.say("start")

    assert said.code == exits.FAILED
    assert "collector.py resume" in said.err


def test_a_failed_start_shows_the_last_words(desk: Desk) -> None:
    """The exit code and its meaning, and below them what it logged since it was asked to start; no older line."""
    desk.install()
    desk.services.exits_at_start[NAME] = exits.BAD_CONFIG
    _log(desk.machine.folder / NAME / "logs", ("2020-01-01T00:00:00.000Z", "long ago"), (text_of(4e9), "no such host"))

    said = desk.say("start")

    assert said.code == exits.FAILED
    assert "exit code 78: bad configuration" in said.err
    assert "no such host" in said.err
    assert "long ago" not in said.err


def test_a_failed_start_without_a_word_says_where_the_log_is(desk: Desk) -> None:
    """Where nothing was logged, the place of the log is told."""
    desk.install()
    desk.services.exits_at_start[NAME] = exits.FAILED

    said = desk.say("start")

    assert str(desk.machine.folder / NAME / "logs") in said.err


def test_the_last_words_are_short(desk: Desk) -> None:
    """What the first failure has beside it for later is in the log, not between the words of the answer."""
    desk.install()
    desk.services.exits_at_start[NAME] = exits.FAILED
    logs = desk.machine.folder / NAME / "logs"
    logs.mkdir(parents=True)
    failure = {"time": text_of(4e9), "level": "CRITICAL", "message": "on_start failed", "event": 13}
    (logs / f"{NAME}.log").write_text(json.dumps({**failure, "fields": {"last_lines": ["{}"]}}) + "\n")

    said = desk.say("start")

    assert "on_start failed" in said.err
    assert "last_lines" not in said.err


def _log(directory: Path, *lines: tuple[str, str]) -> None:
    directory.mkdir(parents=True)
    records = [json.dumps({"time": time, "level": "ERROR", "message": message}) for time, message in lines]
    (directory / f"{NAME}.log").write_text("".join(f"{record}\n" for record in records))


@pytest.mark.parametrize(
    ("verb", "state"), [("stop", "STOPPED"), ("pause", "PAUSED"), ("resume", "RUNNING"), ("restart", "RUNNING")]
)
def test_what_the_manager_runs_is_asked_through_it(desk: Desk, verb: str, state: str) -> None:
    """Stop, pause, resume and restart of an installed service that runs go to its manager, which knows more."""
    desk.install(state=states.RUNNING, pid=77)

    said = desk.say(verb, "--json")

    assert said.code == exits.DONE
    assert said.json["state"] == state
    assert desk.services.asked == [(NAME, verb, ())]


def test_stop_says_how_it_ended(desk: Desk) -> None:
    """In words: the state and the exit code with its meaning."""
    desk.install(state=states.RUNNING, pid=77)

    assert desk.say("stop").out == "collector is STOPPED: exit code 0 (done)\n"


def test_who_was_killed_was_not_started_by_hand(desk: Desk) -> None:
    """The page of a process that is gone says how it died, and nothing about who runs in a console."""
    desk.install(exit_code=1067, why="Process aborted")
    desk.write_page()

    said = desk.say("status")

    assert "died without a word" in said.out
    assert "by hand" not in said.out


def test_a_stop_that_took_too_long_says_so(desk: Desk) -> None:
    """The manager hears that a stop went well, or it would start the service again; people hear how it was."""
    desk.install(state=states.RUNNING, pid=77)
    desk.write_page(pid=77, exit_code=exits.FAILED, why="stop: it had not stopped after 3 s")

    assert "exit code 70 (failed): stop: it had not stopped after 3 s" in desk.say("stop").out
    assert "exit code 70 (failed): stop: it had not stopped after 3 s" in desk.say("status").out


@pytest.mark.parametrize("verb", ["pause", "resume", "reload", "stop"])
def test_what_the_manager_has_stopped_is_told_in_its_words(desk: Desk, verb: str) -> None:
    """A start that failed left no page; that of the run before says nothing about it."""
    desk.install(exit_code=exits.BAD_CONFIG)
    desk.write_page(exit_code=exits.DONE, why="asked to stop")

    said = desk.say(verb)

    assert said.code == (exits.DONE if verb == "stop" else exits.UNAVAILABLE)
    assert "exit code 78 (bad configuration)" in said.out + said.err
    assert "asked to stop" not in said.out + said.err


def test_stopping_the_stopped_is_done_already(desk: Desk) -> None:
    """Exit code 0, and nobody is asked."""
    desk.install()

    said = desk.say("stop")

    assert said.code == exits.DONE
    assert said.out.startswith("collector is not running")
    assert desk.services.asked == []


def test_restart_of_a_stopped_one_starts_it(desk: Desk) -> None:
    """``restart`` leaves an installed service running, whatever it was before."""
    desk.install()

    assert desk.say("restart").out == "collector is RUNNING, process 1001\n"


def test_what_runs_in_a_console_is_not_the_managers(desk: Desk) -> None:
    """Installed and stopped there, but running in a console: the verbs go to that process."""
    desk.install()
    desk.write_page()
    desk.live()
    desk.machine.lock_holders[str(desk.machine.folder / NAME / "run" / f"{NAME}.lock")] = 77

    said = desk.say("restart", "--timeout", "1s")

    assert desk.services.asked == []
    assert "[control.lost]" in said.err, "nobody listens there, but that is where it went"


def test_who_may_not_talk_to_it_reloads_through_the_manager(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member of the controllers' group cannot open the control door, but may have the manager ask."""
    desk.install(state=states.RUNNING, pid=77)

    def shut(_path: str, _timeout_s: float) -> Any:
        raise NotPermittedError("the door is shut", code="control.not-permitted")

    monkeypatch.setattr(desk.machine.control_door, "connect", shut)

    said = desk.say("reload")

    assert (said.code, said.err) == (exits.DONE, "")
    assert desk.services.asked == [(NAME, "reload", ())]


def test_an_instance_has_an_entry_of_its_own(desk: Desk) -> None:
    """``--instance`` means the manager's service NAME@INSTANCE."""
    assert "collector.py start --instance two\n" in desk.say("install", "--instance", "two").out
    assert desk.say("start", "--instance", "two").out == "collector@two is RUNNING, process 1001\n"


@pytest.mark.parametrize("words", [("NAME@eu",), ("NAME@eu", "--instance", "eu"), ("NAME", "--instance", "eu")])
def test_an_instance_is_named_as_lists_name_it(desk: Desk, words: tuple[str, ...]) -> None:
    """Without the program, NAME@INSTANCE is the same as --instance."""
    desk.services.kept[f"{NAME}@eu"] = Managed(f"{NAME}@eu", states.RUNNING, pid=77, mark="stayon 1")

    code = execute(
        ["stop", *(word.replace("NAME", NAME) for word in words)], program="stayon", machine=desk.machine.ports()
    )

    assert code == exits.DONE
    assert desk.services.asked == [(f"{NAME}@eu", "stop", ())]


def test_two_instances_at_once_are_refused(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """NAME@INSTANCE with another --instance is a contradiction."""
    words = ["stop", f"{NAME}@eu", "--instance", "us"]

    assert execute(words, program="stayon", machine=desk.machine.ports()) == exits.USAGE
    assert "[usage.option]" in capsys.readouterr().err


def test_what_the_output_can_not_have_is_escaped(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe of Windows takes a code page: an answer is never lost to a character that it lacks."""
    desk.install(display_name="Pr\u00fcfer \u2603")
    out = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", out)

    assert execute(["list"], program="stayon", machine=desk.machine.ports()) == exits.DONE
    assert b"Pr\xfcfer \\u2603" in out.buffer.getvalue()


def test_list_shows_our_services_only(desk: Desk) -> None:
    """A line each, in the order of names, and all that the manager says with ``--json``; it needs no service."""
    empty = desk.say("list")
    desk.services.add_foreign("theirs")
    desk.install(state=states.RUNNING, pid=77, display_name="The collector")

    said = desk.say("list")

    assert empty == (exits.DONE, "stayon has installed no service here\n", "")
    assert [line.split() for line in said.out.splitlines()] == [
        ["service", "state", "pid", "start", "account", "display", "name"],
        [NAME, "RUNNING", "77", "auto", "nobody", "The", "collector"],
    ]
    assert [one["name"] for one in desk.say("list", "--json").json] == [NAME]
    assert execute(["list"], program="stayon", machine=desk.machine.ports()) == exits.DONE


class TestStatus:
    """What the page and the manager say, together."""

    def test_both_views_are_one(self, desk: Desk) -> None:
        """The page tells how the service is, the manager how it is kept; the JSON has both."""
        desk.install(state=states.RUNNING, pid=77)
        desk.write_page(health="up")
        desk.live()

        said, data = desk.say("status"), desk.say("status", "--json").json

        assert said.code == exits.DONE
        assert said.out.startswith("collector: RUNNING, process 77, since 2025-01-01")
        assert "installed auto start, as nobody" in said.out
        assert "health    up" in said.out
        assert (data["verdict"], data["pid"], data["manager"]["pid"]) == ("running", 77, 77)

    def test_of_one_that_was_never_started(self, desk: Desk) -> None:
        """Installed and never run: STOPPED, with the exit code for "not running"."""
        desk.install()

        said = desk.say("status")

        assert (said.code, said.out) == (3, "collector: STOPPED\n  installed auto start, as nobody\n")

    def test_of_one_that_is_not_installed_is_as_ever(self, desk: Desk) -> None:
        """Without an installation only the page counts; the manager's part is null."""
        said = desk.say("status", "--json")

        assert (said.code, said.json["verdict"], said.json["manager"]) == (3, "never-run", None)

    def test_of_a_start_that_left_no_page(self, desk: Desk) -> None:
        """A process that never got as far as a page is told in the manager's words: exit code, meaning, reason."""
        desk.install(exit_code=1, why="the file is missing", since=0.0)

        said = desk.say("status")

        assert said.code == 3
        assert "STOPPED, ended with exit code 1" in said.out
        assert "the file is missing" in said.out

    def test_an_old_page_does_not_speak_for_a_new_process(self, desk: Desk) -> None:
        """While the manager starts a process, the page of the one before is not told as its state."""
        desk.install(state=states.START_PENDING, pid=78)
        desk.write_page(exit_code=70, state=states.STOPPED)

        said = desk.say("status", "--json")

        assert (said.code, said.json["verdict"], said.json["pid"]) == (exits.DONE, "starting", 78)

    def test_of_one_that_died(self, desk: Desk) -> None:
        """A process that is gone without a word is told as dead, whatever its manager still believes."""
        desk.install(state=states.RUNNING, pid=77)
        desk.write_page()

        said = desk.say("status")

        assert said.code == exits.FAILED
        assert "died without a word" in said.out

    def test_of_one_in_a_console(self, desk: Desk) -> None:
        """Installed, but started by hand: both are said."""
        desk.install()
        desk.write_page()
        desk.live()
        desk.machine.lock_holders[str(desk.machine.folder / NAME / "run" / f"{NAME}.lock")] = 77

        said = desk.say("status")

        assert said.code == exits.DONE
        assert "process 77 was started by hand" in said.out

    def test_needs_no_right_to_the_page(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who may not read the page gets the manager's view, and is told why it is short."""
        desk.install(state=states.RUNNING, pid=77)

        def shut(*_arguments: object, **_more: object) -> Any:
            raise NotPermittedError("may not be read", code="status.not-permitted")

        monkeypatch.setattr("stayon.runtime.status_reading.read_status", shut)

        said = desk.say("status")

        assert (said.code, said.err) == (exits.DONE, "")
        assert said.out.startswith("collector: RUNNING, process 77 (its status page may not be read by this account)")
