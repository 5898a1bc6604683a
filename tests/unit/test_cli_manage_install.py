"""``install`` and ``export``, on a manager that keeps services in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stayon import exits
from stayon.cli.command import execute
from stayon.core import states
from stayon.core.finding import BAD, OK, WARNING, Finding
from stayon.runtime.service import Service
from tests.unit.install_desk import NAME, PROGRAM, Desk, opened


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Desk]:
    """``stayon VERB …/collector.py`` on a computer with a manager that keeps nothing yet; nobody at the terminal."""
    with opened(capsys, monkeypatch, tmp_path) as made:
        yield made


def test_installing_tells_what_was_made_and_what_comes_next(desk: Desk) -> None:
    """The first ``install`` lists what was made, and names the verb that starts it."""
    said = desk.say("install")

    assert (said.code, said.err) == (exits.DONE, "")
    assert said.out.startswith("collector is installed:\n")
    assert f"command          {('fake-python', str(desk.file))}\n" in said.out
    assert said.out.endswith(f"Start it: stayon start {desk.file}\nIt also starts with the computer.\n")


def test_the_installation_is_what_the_service_declares(desk: Desk) -> None:
    """Name, description, time limits and directories come from the service; the mark says whose it is."""
    desk.say("install")

    wanted, places = desk.wanted, desk.machine.folder / NAME
    assert (wanted.name, wanted.display_name, wanted.description) == (NAME, NAME, "Collects prices")
    assert (wanted.start, wanted.account, wanted.stop_timeout_s, wanted.environment) == ("auto", "", 5.0, ())
    assert wanted.mark.startswith("stayon ")
    assert wanted.directories == (
        (str(places / "config"), "read"),
        (str(places / "logs"), "write"),
        (str(places / "state"), "write"),
        (str(places / "run"), "publish"),
    )


def test_options_go_before_what_is_declared(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option of the command line reaches the manager; those of ``run`` are in the command, with whole paths."""
    monkeypatch.chdir(tmp_path)
    Path("c.toml").touch()
    said = desk.say("install", "--account", "svc", "--start", "delayed", "--controllers", "operators",
             "--after", "a", "--after", "b", "--env", "TZ=UTC", "--display-name", "Prices", "--config", "c.toml",
             "--set", "stayon.log.level=debug")  # fmt: skip

    assert (said.code, said.err) == (exits.DONE, "")
    wanted = desk.wanted
    assert (wanted.account, wanted.start, wanted.controllers) == ("svc", "delayed", "operators")
    assert (wanted.after, wanted.environment, wanted.display_name) == (("a", "b"), (("TZ", "UTC"),), "Prices")
    assert wanted.command[2:] == ("--config", str(tmp_path / "c.toml"), "--set", "stayon.log.level=debug")


def test_what_the_service_says_of_its_installation_holds(desk: Desk) -> None:
    """``service.installation(...)`` is taken; the command line adds to lists, and goes before the rest."""
    desk.file.write_text(
        PROGRAM
        + "service.installation(start='manual', account='svc', after=['a'], environment={'TZ': 'UTC', 'X': '1'})\n"
    )

    desk.say("install", "--account", "other", "--after", "b", "--env", "X=2")

    wanted = desk.wanted
    assert (wanted.start, wanted.account, wanted.after) == ("manual", "other", ("a", "b"))
    assert dict(wanted.environment) == {"TZ": "UTC", "X": "2"}


def test_a_second_time_changes_nothing(desk: Desk) -> None:
    """Installing what is installed so is no change, and says so."""
    desk.say("install")

    again = desk.say("install")

    assert again.code == exits.DONE
    assert desk.services.prepared == 2, "what makes a start quicker may be stale all the same"
    assert again.out.startswith("collector is installed like this already: nothing to change\n")
    assert desk.say("install", "--json").json["changes"] == []


def test_an_update_tells_old_and_new(desk: Desk) -> None:
    """What differs is changed in place, and shown as old -> new; a running one is told to be started anew."""
    desk.say("install", "--now")

    said = desk.say("install", "--start", "manual")

    assert said.out.startswith("collector is changed:\n  start  auto -> manual\n")
    assert f"The changes hold from its next start: stayon restart {desk.file}" in said.out
    assert desk.services.kept[NAME].start == "manual"


def test_a_dry_run_changes_nothing(desk: Desk) -> None:
    """``--dry-run`` shows the same and touches nothing, for install and uninstall."""
    said = desk.say("install", "--dry-run")
    assert said.out.startswith("collector would be installed:\n")
    assert said.out.endswith("Nothing was changed.\n")
    assert (desk.services.kept, desk.services.prepared) == ({}, 0)

    desk.say("install")
    said = desk.say("uninstall", "--dry-run", "--purge")
    assert said.out.startswith("collector would be uninstalled:\n")
    assert list(desk.services.kept) == [NAME]


def test_now_starts_it(desk: Desk) -> None:
    """``--now`` starts what it has installed; what runs already is not started again."""
    assert desk.say("install", "--now").out.endswith("It is RUNNING, process 1001.\n")
    assert desk.say("install", "--now").code == exits.DONE
    assert desk.services.asked == [(NAME, "start", ())]


def test_now_and_disabled_contradict_each_other(desk: Desk) -> None:
    """What nobody may start can't be started at once: nothing is done."""
    assert desk.say("install", "--now", "--start", "disabled").code == exits.USAGE
    assert desk.services.kept == {}


def test_a_failed_start_after_installing_is_a_failure(desk: Desk) -> None:
    """``install --now`` of a service that doesn't come up ends with its error; it stays installed."""
    desk.services.exits_at_start[NAME] = exits.FAILED

    said = desk.say("install", "--now")

    assert said.code == exits.FAILED
    assert "[scm.start-failed]" in said.err
    assert NAME in desk.services.kept


def test_what_would_not_work_is_not_installed(desk: Desk) -> None:
    """One bad finding, and nothing is changed: each is told, and the exit code is that of the first."""
    desk.services.findings = [
        Finding(OK, "quotes", "fine"),
        Finding(BAD, "interpreter", "C:\\Users\\me\\python.exe can't be reached", exits.NOT_PERMITTED),
        Finding(BAD, "folder", "everybody may write to it", exits.FAILED),
    ]

    said = desk.say("install")

    assert (said.code, said.out) == (exits.NOT_PERMITTED, "")
    assert "nothing was changed: 2 of the checks say no" in said.err
    assert (
        "  interpreter: C:\\Users\\me\\python.exe can't be reached\n  folder: everybody may write to it\n" in said.err
    )
    assert "fine" not in said.err
    assert desk.services.kept == {}


def test_a_warning_that_only_installing_minds_refuses_it(desk: Desk) -> None:
    """Not being an administrator is none of ``doctor``'s failures, but installing ends with 77 before it begins."""
    desk.services.findings = [Finding(WARNING, "rights", "not elevated", exits.NOT_PERMITTED)]

    assert desk.say("install").code == exits.NOT_PERMITTED
    assert desk.services.kept == {}
    assert desk.say("doctor").code == exits.DONE


def test_a_dry_run_shows_the_changes_and_what_is_in_the_way(desk: Desk) -> None:
    """With ``--dry-run`` both are told, and the exit code is the one that installing would have."""
    desk.services.findings = [Finding(WARNING, "rights", "not elevated", exits.NOT_PERMITTED)]

    said = desk.say("install", "--dry-run")

    assert said.code == exits.NOT_PERMITTED
    assert "would be installed" in said.out
    assert "rights: not elevated" in said.err


def test_plain_warnings_are_told_and_do_not_hinder(desk: Desk) -> None:
    """A warning goes to standard error, and it is installed all the same."""
    desk.services.findings = [Finding(WARNING, "source", "left by another program")]

    said = desk.say("install")

    assert said.code == exits.DONE
    assert said.err == "warning: source: left by another program\n"
    assert [each["subject"] for each in desk.say("install", "--json").json["findings"]] == ["source"]


def test_doctor_looks_at_the_installation_too(desk: Desk) -> None:
    """Where there is a manager, ``doctor`` shows what it would find, and ends with its exit code."""
    desk.services.findings = [Finding(BAD, "interpreter", "gone", exits.UNAVAILABLE)]

    said = desk.say("doctor")

    assert said.code == exits.UNAVAILABLE
    assert "bad      interpreter    gone" in said.out


def test_settings_of_this_environment_are_not_the_services(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment sets here is told, with the option that gives it to the service."""
    monkeypatch.setenv("COLLECTOR_URL", "http://x")

    assert "environment: COLLECTOR_URL: set here, but not for the service" in desk.say("install").err
    assert desk.say("install", "--env", "COLLECTOR_URL=http://x").err == ""


def test_what_is_found_by_pythonpath_only_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service has only what is installed, so PYTHONPATH is told with what to do instead."""
    monkeypatch.setenv("PYTHONPATH", "/somewhere")

    assert "PYTHONPATH: it is set here, but a service has only what is installed" in desk.say("install").err


def test_secrets_among_what_is_installed_are_told(desk: Desk) -> None:
    """All accounts can read them: a warning names them, never their values; where one is read from is none."""
    words = ("API_TOKEN=aa1", "TLS_KEY=aa2", "URL=db://me:aa3@host", "API_TOKEN_FILE=/run/token", "KEYBOARD=us")
    options = [word for pair in words for word in ("--env", pair)]
    said = desk.say("install", *options, "--set", "log.level=debug", "--dry-run")
    line = next(line for line in said.err.splitlines() if "secrets:" in line)
    assert "warning: secrets: API_TOKEN, TLS_KEY, URL: " in line
    assert "NAME_FILE=PATH" in line
    assert "aa" not in line.replace("can", "")
    assert said.code == 0
    assert "secrets" not in desk.say("install", "--env", "API_TOKEN_FILE=/run/token", "--dry-run").err


def test_its_things_are_where_all_verbs_look(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """STAYON_HOME of whoever installs it becomes the service's own."""
    monkeypatch.setenv("STAYON_HOME", str(tmp_path / "home"))

    desk.say("install")

    assert desk.wanted.environment == (("STAYON_HOME", str(tmp_path / "home")),)
    assert desk.wanted.directories[0] == (str(tmp_path / "home" / NAME / "config"), "read")


@pytest.mark.parametrize(
    ("words", "code"), [(("--env", "NOVALUE"), "usage.option"), (("--start", "later"), "spec.choice")]
)
def test_a_wrong_option_changes_nothing(desk: Desk, words: tuple[str, ...], code: str) -> None:
    """It is told as a wrong use, before anything is done."""
    said = desk.say("install", *words)

    assert said.code == exits.USAGE
    assert f"[{code}]" in said.err
    assert desk.services.kept == {}


def test_a_name_is_not_enough(desk: Desk) -> None:
    """What has to be started later must be known: a bare name can't be installed."""
    assert execute(["install", "collector"], program="stayon", machine=desk.machine.ports()) == exits.USAGE
    assert desk.services.kept == {}


def test_which_of_several_is_written_down(desk: Desk) -> None:
    """Of a file with two services, the command names the one that is meant."""
    desk.file.write_text(PROGRAM + "\nother = Service('other')\n")

    execute(["install", f"{desk.file}:service"], program="stayon", machine=desk.machine.ports())

    assert desk.wanted.command[1] == f"{desk.file}:service"


def test_a_module_of_a_package_is_named_as_such(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``stayon install package.module:service`` works if the package is found from everywhere, else it says so."""
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "__init__.py").touch()
    (tmp_path / "prices" / "daily.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    machine = desk.machine.ports()

    assert execute(["install", "prices.daily:service"], program="stayon", machine=machine) == exits.USAGE
    assert "[install.not-importable]" in capsys.readouterr().err
    monkeypatch.setattr("sys.path", ["", str(tmp_path)])
    assert execute(["install", "prices.daily:service"], program="stayon", machine=machine) == exits.DONE
    assert desk.wanted.command[1] == "prices.daily:service"


def test_a_service_within_a_function_can_not_be_found_again(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """One that no top-level name holds could not be started by a manager: it says so, and is not installed."""
    hidden = Service("hidden")
    hidden.every("1s", name="tick")(lambda _ctx: None)

    assert execute(["install"], program="x.py", service=hidden, machine=desk.machine.ports()) == exits.USAGE
    assert "[install.not-found-again]" in capsys.readouterr().err


class TestPassword:
    """Of accounts that have one: from the environment or a terminal, never from the command line."""

    def test_comes_from_the_environment(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """STAYON_PASSWORD is taken, and told nobody but the manager."""
        monkeypatch.setenv("STAYON_PASSWORD", "s3cret")

        said = desk.say("install", "--account", "OFFICE\\me")

        assert desk.services.passwords == {"OFFICE\\me": "s3cret"}
        assert "s3cret" not in said.out + said.err

    def test_is_asked_for_at_a_terminal(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is asked for once, without showing it; not again when nothing has changed."""
        asked: list[str] = []
        monkeypatch.setattr("stayon.cli.command.has_somebody_to_ask", lambda: True)
        monkeypatch.setattr("getpass.getpass", lambda prompt: [asked.append(prompt), "typed"][1])

        desk.say("install", "--account", "OFFICE\\me")
        desk.say("install", "--account", "OFFICE\\me")
        desk.say("install", "--account", "OFFICE\\me", "--new-password")

        assert asked == ["Password of OFFICE\\me: "] * 2
        assert desk.services.passwords == {"OFFICE\\me": "typed"}

    def test_without_either_nothing_is_done(self, desk: Desk) -> None:
        """Nobody to ask: the error names the variable, and nothing is installed."""
        said = desk.say("install", "--account", "OFFICE\\me")

        assert said.code == exits.NOT_PERMITTED
        assert "[install.password]" in said.err
        assert "STAYON_PASSWORD" in said.err
        assert desk.services.kept == {}


def test_export_prints_and_changes_nothing(desk: Desk) -> None:
    """What ``install`` would make, in the words of the system's own tools."""
    said = desk.say("export", "--set", "x=1")

    assert said == (exits.DONE, f"keep collector running fake-python {desk.file} --set x=1\n", "")
    assert desk.services.kept == {}


def test_export_knows_its_formats(desk: Desk) -> None:
    """An unknown one is told with those that there are."""
    said = desk.say("export", "--format", "yaml")

    assert said.code == exits.USAGE
    assert "words" in said.err


def test_states_are_told_as_they_are(desk: Desk) -> None:
    """The JSON of ``install`` has the state afterwards."""
    assert desk.say("install", "--json").json["state"] == states.STOPPED
    assert desk.say("install", "--json", "--now").json["state"] == states.RUNNING
