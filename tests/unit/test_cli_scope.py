"""Whose services the verbs are about: the computer's, or those of the account which asks; and who may."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from stayon import exits
from stayon.cli import keepers
from stayon.cli.command import Call, execute
from stayon.core import states
from stayon.core.installation import SYSTEM, USER, Managed
from stayon.core.places import Places
from stayon.errors import NotPermittedError, UnavailableError, UsageError
from stayon.machine import Machine, Management
from stayon.runtime.service import Service
from stayon.runtime.status import Status, StatusPage
from stayon.testing import FakeMachine
from stayon.testing.installed import FakeServices
from tests.unit.install_desk import Said

# At the top level, as it has to be for whoever starts it later.
service = Service("collector", stop_timeout="5s")
service.installation(memory="100M", limits={"nofile": 1024}, allow=["devices"], environment={"TZ": "UTC"})

NAME, ROOT, SOMEBODY = "collector", 0, 1000
KEPT = Managed(NAME, states.STOPPED, account="nobody", start="auto", command="python collector.py", mark="stayon 1")


@service.every("5s")
def collect(_ctx: object) -> None:
    """A service needs something to do."""


class Desk(NamedTuple):
    """A Unix with a manager for the computer and one for each user, and somebody who types."""

    machine: FakeMachine
    system: FakeServices
    own: FakeServices
    say: Callable[..., Said]

    def sits(self, uid: int) -> None:
        """Who types."""
        self.machine.facts["uid"] = uid


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Nothing is installed, and an ordinary account sits there."""
    for variable in ("STAYON_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "PYTHONPATH"):
        monkeypatch.delenv(variable, raising=False)
    with FakeMachine() as machine:
        machine.services = FakeServices()
        machine.services.users = FakeServices()

        def say(*words: str, ports: Machine | None = None) -> Said:
            code = execute(words, program="collector.py", service=service, machine=ports or machine.ports())
            printed = capsys.readouterr()
            return Said(code, printed.out, printed.err)

        found = Desk(machine, machine.services, machine.services.users, say)
        found.sits(SOMEBODY)
        yield found


def test_an_ordinary_account_needs_sudo_or_says_user(desk: Desk) -> None:
    """Installing a service of the computer is root's; the line that does it is told, and so is the other way."""
    said = desk.say("install")

    assert (said.code, said.out) == (exits.NOT_PERMITTED, "")
    assert f"sudo {sys.executable} collector.py install" in said.err
    assert "--user" in said.err
    assert desk.system.kept == desk.own.kept == {}


def test_a_dry_run_needs_nobody(desk: Desk) -> None:
    """It shows what root would change, with what is in the way."""
    said = desk.say("install", "--dry-run")

    assert said.code == exits.NOT_PERMITTED
    assert "would be installed" in said.out
    assert "rights" in said.err


def test_user_installs_for_the_account_alone(desk: Desk) -> None:
    """Its own manager gets it, and is told so; the answer says when it starts by itself."""
    said = desk.say("install", "--user")

    assert said.code == exits.DONE, said.err
    assert (list(desk.own.kept), list(desk.system.kept)) == ([NAME], [])
    assert desk.own.wanted[NAME].scope == USER
    assert "when you log on" in said.out


def test_root_installs_for_the_computer(desk: Desk) -> None:
    """Without a word, and never for itself alone."""
    desk.sits(ROOT)

    assert desk.say("install", "--json").json["scope"] == SYSTEM
    assert desk.system.wanted[NAME].scope == SYSTEM
    refused = desk.say("install", "--user")
    assert refused.code == exits.USAGE
    assert "[manager.no-user]" in refused.err
    assert desk.own.kept == {}


def test_a_system_without_such_services_says_so(desk: Desk) -> None:
    """On Windows there is no service of one account alone."""
    del desk.machine.facts["uid"]

    assert "[manager.no-user]" in desk.say("install", "--user").err


def test_verbs_find_it_wherever_it_is(desk: Desk) -> None:
    """The account's own goes before the computer's; no word is needed."""
    desk.system.kept[NAME] = KEPT
    assert desk.say("start").code == exits.DONE
    desk.own.kept[NAME] = KEPT
    assert desk.say("start").code == exits.DONE

    assert desk.system.asked == desk.own.asked == [(NAME, "start", ())]


def test_somebody_elses_service_hides_none_of_ours(desk: Desk) -> None:
    """A foreign unit of the user's manager is no obstacle for the computer's service of that name."""
    desk.own.add_foreign(NAME)
    desk.system.kept[NAME] = KEPT

    assert desk.say("start").code == exits.DONE
    del desk.system.kept[NAME]
    assert "[manager.foreign]" in desk.say("start").err


def test_root_does_not_look_into_its_own_manager(desk: Desk) -> None:
    """What root asks for is the computer's."""
    desk.sits(ROOT)
    desk.own.kept[NAME] = KEPT

    assert "[manager.not-installed]" in desk.say("start").err


def test_an_account_without_a_manager_of_its_own_has_the_computers(desk: Desk, monkeypatch) -> None:
    """Nobody is logged on as it: the verbs go on, and ``list`` shows what there is."""

    def unreachable(*_args: object) -> None:
        raise UnavailableError("this account's own manager isn't running", code="fake.unreachable")

    monkeypatch.setattr(desk.own, "look", unreachable)
    monkeypatch.setattr(desk.own, "names", unreachable)
    desk.system.kept[NAME] = KEPT

    assert desk.say("start").code == exits.DONE
    assert [one["scope"] for one in desk.say("list", "--json").json] == [SYSTEM]


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_what_takes_root_is_told_with_the_line_for_it(desk: Desk, verb: str) -> None:
    """The manager refuses an ordinary account: 77, and the same verb with sudo."""
    desk.system.kept[NAME] = KEPT.replace(state=states.STOPPED if verb == "start" else states.RUNNING, pid=7)
    desk.system.refuse[verb] = NotPermittedError("access denied", hint="Say it as root.", code="fake.denied")

    said = desk.say(verb)

    assert said.code == exits.NOT_PERMITTED
    assert f"sudo {sys.executable} collector.py {verb} [fake.denied]" in said.err


def test_taking_it_away_takes_root_too(desk: Desk) -> None:
    """``uninstall`` by an ordinary account names the line for root."""
    desk.system.kept[NAME] = KEPT
    desk.system.refuse["change"] = NotPermittedError("access denied", code="fake.denied")

    assert f"sudo {sys.executable} collector.py uninstall" in desk.say("uninstall").err


def test_list_shows_both_and_says_whose(desk: Desk) -> None:
    """A column for the scope, where there are two."""
    desk.system.kept[NAME] = KEPT
    assert "scope" not in desk.say("list").out
    desk.own.kept["other"] = KEPT.replace(name="other")

    lines = desk.say("list").out.splitlines()

    assert lines[0].split()[0] == "scope"
    assert [line.split()[:2] for line in lines[1:]] == [[USER, "other"], [SYSTEM, NAME]]


def test_its_things_are_where_its_manager_says(desk: Desk) -> None:
    """A service of the computer has its status page there, not where the account that asks has its own things."""
    top = str(desk.machine.folder / "elsewhere")
    places = Places(f"{top}/etc", f"{top}/log", f"{top}/lib", f"{top}/run")
    desk.system.kept[NAME] = KEPT.replace(state=states.RUNNING, pid=77, places=places)
    (desk.machine.folder / "elsewhere" / "run").mkdir(parents=True)
    desk.machine.processes[77] = "fake/77"
    page = Status(NAME, "", 77, "fake/77", states.RUNNING, "", "", desk.machine.clock.monotonic(), 1.0)
    StatusPage(f"{top}/run/{NAME}.status").publish(page.replace(status="busy"))

    said = desk.say("status")

    assert said.code == exits.DONE
    assert "busy" in said.out


def test_what_only_the_manager_knows_is_told(desk: Desk) -> None:
    """Without a page, the status text and the restarts are the manager's."""
    desk.system.kept[NAME] = KEPT.replace(state=states.RUNNING, pid=77, status="waiting for the database", restarts=3)

    said = desk.say("status")

    assert "waiting for the database" in said.out
    assert "3 by its manager" in said.out


def test_a_verb_that_the_manager_lacks_goes_to_the_service(desk: Desk) -> None:
    """systemd can't pause; the service can, through its control socket. Here nobody answers there, which is told."""
    desk.sits(ROOT)
    desk.system.kept[NAME] = KEPT.replace(state=states.RUNNING, pid=77)
    desk.system.refuse["pause"] = UsageError("it knows no pause", code="manager.verb")

    said = desk.say("pause")

    assert "cannot pause collector" in said.err
    assert "[control.not-running]" in said.err


def test_a_stop_reaches_one_that_waits_to_be_started_again(desk: Desk) -> None:
    """It isn't running just now; without the manager's word it would be soon."""
    desk.sits(ROOT)
    desk.system.kept[NAME] = KEPT.replace(why="it is started again in 4s")

    assert desk.say("stop").code == exits.DONE
    assert desk.system.asked == [(NAME, "stop", ())]


def test_what_is_not_installed_can_run_in_the_background(desk: Desk) -> None:
    """On Unix, ``start`` of what is not installed names all three ways."""
    said = desk.say("start")

    assert said.code == exits.UNAVAILABLE
    for word in ("collector.py install", "collector.py run.", "collector.py run --detach"):
        assert word in said.err


def test_where_nobody_keeps_services_start_makes_a_daemon(desk: Desk, monkeypatch) -> None:
    """``start`` goes on without a manager; installing names it."""
    asked = []

    def start(call: Call) -> int:
        asked.append(call.name)
        return exits.DONE

    monkeypatch.setattr("stayon.cli.detached.start", start)
    nobody = desk.machine.ports().replace(
        management=lambda _scope: Management(None, lambda _program: (), lambda *_args: [], {}, lambda: None)
    )

    assert desk.say("start", ports=nobody).code == exits.DONE
    assert asked == [NAME]
    assert "collector.py start" in desk.say("install", ports=nobody).err
    assert "manager" in desk.say("doctor", ports=nobody).out


def test_everything_that_bounds_it_reaches_the_manager(desk: Desk, tmp_path) -> None:
    """Options go before what is declared, and add to its lists and pairs."""
    desk.sits(ROOT)
    said = desk.say("install", "--memory", "200M", "--cpu", "50%", "--tasks", "64", "--limit", "core=0",
                    "--allow", "jit", "--allow", "devices", "--write", str(tmp_path), "--socket", "http=8080",
                    "--env", "A=1", "--instance", "two")  # fmt: skip

    assert said.code == exits.DONE, said.err
    wanted = desk.system.wanted[f"{NAME}@two"]
    assert (wanted.memory_bytes, wanted.cpu_percent, wanted.tasks) == (200 * 1024**2, 50.0, 64)
    assert wanted.limits == (("nofile", "1024"), ("core", "0"))
    assert wanted.allow == ("devices", "jit")
    assert (wanted.writes, wanted.sockets) == ((str(tmp_path),), (("http", "127.0.0.1:8080"),))
    assert wanted.environment == (("TZ", "UTC"), ("A", "1"))
    assert (wanted.instance, wanted.hang_timeout_s, wanted.probes) == ("two", 30.0, "")
    assert [job.name for job in wanted.jobs] == ["collect"]


def test_who_runs_what_is_kept_is_told_so(desk: Desk) -> None:
    """Its directories are another account's then: nobody should "correct" them, and break the one that is kept."""
    desk.system.kept[NAME] = KEPT.replace(state=states.RUNNING, pid=77)
    call = Call(NAME, service, "collector.py", machine=desk.machine.ports())
    error = NotPermittedError("not safe", hint="Correct its owner.", code="places.unsafe")

    keepers.explain_unsafe(error, call)

    assert "which the system keeps (RUNNING, process 77)" in error.hint
    assert "--instance" in error.hint
    del desk.system.kept[NAME]
    other = NotPermittedError("not safe", hint="Correct its owner.", code="places.unsafe")
    keepers.explain_unsafe(other, call)
    assert other.hint == "Correct its owner."


@pytest.mark.parametrize("option", ["--limit", "--socket", "--env"])
def test_pairs_are_pairs(desk: Desk, option: str) -> None:
    """What has no "=" is a wrong use, with an example of the right one."""
    said = desk.say("install", option, "alone")

    assert said.code == exits.USAGE
    assert f"Try {option} " in said.err


def test_a_users_places_are_carried_into_the_service(desk: Desk, monkeypatch) -> None:
    """Its manager has none of the shell's variables, so the service gets those that say where things are."""
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")

    desk.say("install", "--user")
    assert dict(desk.own.wanted[NAME].environment)["XDG_STATE_HOME"] == "/elsewhere"
    desk.sits(ROOT)
    desk.say("install")
    assert "XDG_STATE_HOME" not in dict(desk.system.wanted[NAME].environment)


def test_uninstalling_names_what_others_have_added(desk: Desk, tmp_path) -> None:
    """A drop-in stays, is named, and goes with ``--purge``."""
    desk.sits(ROOT)
    drop_in = tmp_path / "override.conf"
    drop_in.touch()
    desk.system.left = [str(drop_in)]
    desk.say("install")

    assert desk.say("uninstall", "--json").json["left"] == [str(drop_in)]
    assert desk.say("uninstall", "--purge", "--yes", "--json").json["removed"] == [str(drop_in)]
    assert not drop_in.exists()


@pytest.mark.linux
def test_purging_follows_links_to_what_the_manager_keeps_apart(desk: Desk) -> None:
    """A service's directory may be a link to where its passing account may write: both are removed."""
    desk.sits(ROOT)
    desk.say("install")
    own = desk.machine.folder / NAME
    private = own / "private" / "state"
    private.mkdir(parents=True)
    (private / f"{NAME}.crash").touch()
    (own / "state").symlink_to(private)

    removed = desk.say("uninstall", "--purge", "--yes", "--json").json["removed"]

    assert sorted(removed) == [str(private), str(own / "state")]
    assert not private.exists()
    assert not (own / "state").is_symlink()


@pytest.mark.linux
def test_purging_follows_no_link_that_a_service_has_laid(desk: Desk, tmp_path) -> None:
    """A link to anywhere else is taken away, and what it leads to stays."""
    desk.sits(ROOT)
    desk.say("install")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / f"{NAME}.crash").touch()
    own = desk.machine.folder / NAME
    own.mkdir()
    (own / "state").symlink_to(elsewhere)

    removed = desk.say("uninstall", "--purge", "--yes", "--json").json["removed"]

    assert removed == [str(own / "state")]
    assert (elsewhere / f"{NAME}.crash").exists()


@pytest.mark.linux
@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can give a directory away")
def test_root_purges_nothing_below_a_directory_of_another(desk: Desk) -> None:
    """Whoever may write above it could lay a link there at the last moment: nothing is removed, nor uninstalled."""
    desk.sits(ROOT)
    desk.say("install")
    state = desk.machine.folder / NAME / "state"
    state.mkdir(parents=True)
    os.chown(desk.machine.folder, 4711, 4711)

    said = desk.say("uninstall", "--purge", "--yes")

    assert said.code == exits.NOT_PERMITTED
    assert "[uninstall.unsafe]" in said.err
    assert state.is_dir()
    assert NAME in desk.system.wanted
