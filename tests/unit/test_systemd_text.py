"""The text of units: words that survive, policies and limits as directives, what is relaxed by which allowance."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core import restart
from stayon.core.installation import ALLOWANCES, Installation
from stayon.errors import FailedError
from stayon.platforms.clock import SystemClock
from stayon.platforms.launcher import UnixLauncher
from stayon.platforms.systemd import checks, definition, hardening, management, restarts, socket_unit, unit
from stayon.platforms.systemd.quoting import command_line, line, word
from stayon.platforms.systemd.systemctl import Systemctl
from stayon.platforms.systemd.unit_file import understood, written
from tests.unit.systemd_desk import NAME, WANTED, instance_of

NOW, BEFORE = unit.Target(256), unit.Target(252)
EXPOSURE_AT_MOST = 3.0

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ue000"))


def taken_apart(value: str) -> list[str]:
    """The words of *value* by the rules of systemd.syntax(7) and systemd.unit(5), written from these pages."""
    words, current, escapes = [], None, {"\\": "\\", '"': '"', "n": "\n", "r": "\r", "t": "\t"}
    quoted, letters = False, iter(value)
    for letter in letters:
        if letter == "\\" and quoted:
            kind = next(letters)
            current = (current or "") + (chr(int(next(letters) + next(letters), 16)) if kind == "x" else escapes[kind])
        elif letter == '"':
            quoted, current = not quoted, current or ""
        elif letter == " " and not quoted:
            words.append(current or "")
            current = None
        else:
            assert letter not in "\\\t\n", value
            assert quoted or letter not in ";'", value
            current = (current or "") + letter
    return [each.replace("%%", "%") for each in [*words, current or ""]]


@given(st.lists(texts, min_size=1))
def test_any_word_survives(words: list[str]) -> None:
    """systemd takes a command line apart into the words that it was made of, and no variable is put into one."""
    value = command_line(words)
    assert ("$" in value) <= value.startswith(":")
    assert taken_apart(value.removeprefix(":")) == words if "$" in value else taken_apart(value) == words
    assert not set(value).intersection("\n\r\t\0")


@given(st.lists(texts, min_size=1))
def test_a_value_is_one_line(words: list[str]) -> None:
    """A description is one line, which the next one doesn't join, and has no specifier in it."""
    value = line(" ".join(words))
    assert not set(value).intersection("\n\r")
    assert not value.endswith("\\")
    assert value.count("%") % 2 == 0


@given(texts, texts)
def test_a_unit_file_is_read_as_it_was_written(description: str, content: str) -> None:
    """What was written is ours and intact, whatever is in it; a change of any of its lines is noticed."""
    wanted = WANTED.replace(description=description, command=("/bin/x", content))
    text = definition.files(wanted, NOW)[f"{NAME}.service"]
    found = understood(text)
    assert (found.ours, found.intact) == (True, True)
    assert found.values("Service", "ExecStart") == [command_line(wanted.command)]
    assert not understood(text.replace("Type=notify", "Type=exec")).intact
    assert not understood(text + "\n[Service]\nNice=1\n").intact
    assert not understood("[Service]\nExecStart=/bin/x\n").ours


def service_of(wanted: Installation = WANTED, target: unit.Target = NOW) -> dict[str, str]:
    """The lines of [Service]; the last of several."""
    return dict(unit.sections(wanted, target)["Service"])


@pytest.mark.parametrize(
    ("policy", "version", "expected"),
    [
        (None, 256, {"Restart": "on-failure", "RestartSec": "1s", "RestartSteps": "8", "RestartMaxDelaySec": "300s"}),
        (None, 252, {"Restart": "on-failure", "RestartSec": "1s"}),
        (restart.never(), 256, {"Restart": "no"}),
        (restart.immediate(), 256, {"Restart": "on-failure", "RestartSec": "0.1s"}),
        (restart.immediate(on="always", final=()), 256, {"Restart": "always", "RestartSec": "0.1s"}),
        (
            restart.backoff("0.5s", 3, "10s"),
            254,
            {"Restart": "on-failure", "RestartSec": "0.5s", "RestartSteps": "3", "RestartMaxDelaySec": "10s"},
        ),
        (restart.backoff("5s", 1, "5s"), 256, {"Restart": "on-failure", "RestartSec": "5s"}),
    ],
)
def test_restart_policies(policy: restart.Policy | None, version: int, expected: dict[str, str]) -> None:
    """A policy is the best that systemd of that version can do; exit codes that a restart can't help are named."""
    found = dict(restarts.service_directives(policy, version))
    assert found.pop("SuccessExitStatus") == "130 143"
    final = found.pop("RestartPreventExitStatus", "")
    assert final == ("" if policy is not None and (policy.name == "never" or not policy.final) else "64 77 78")
    assert found == expected


def test_giving_up() -> None:
    """Without a number of attempts systemd never gives up; with one, all of them and their waits fit into its time."""
    assert restarts.unit_directives(None) == [("StartLimitIntervalSec", "0")]
    policy = restart.backoff("1s", 2, "4s", max_attempts=4, reset_after="60s")
    assert restarts.unit_directives(policy) == [("StartLimitIntervalSec", "71s"), ("StartLimitBurst", "5")]


def test_what_is_lost_is_told() -> None:
    """Growing waits before systemd 254, and budgets, come with a warning; nothing else does."""
    assert "252" in restarts.warning(None, 252)
    assert restarts.warning(None, 254) == ""
    assert restarts.warning(restart.immediate(), 252) == ""
    assert "budget" in restarts.warning(restart.backoff(budget=3), 254)


def test_limits_of_time_leave_the_first_word_to_the_host() -> None:
    """systemd waits longer than the host does itself, for a start, a stop, and a sign of life."""
    found = service_of()
    assert found["TimeoutStartSec"] == "70s"
    assert found["TimeoutStopSec"] == "30s"
    assert found["WatchdogSec"] == "35s"
    assert "WatchdogSec" not in service_of(WANTED.replace(hang_timeout_s=None))


def test_accounts() -> None:
    """Without an account it has one that exists only while it runs; for a user's manager there is none to choose."""
    assert service_of()["DynamicUser"] == "yes"
    given = service_of(WANTED.replace(account="prices:readers"))
    assert (given["DynamicUser"], given["User"], given["Group"]) == ("no", "prices", "readers")
    assert not {"DynamicUser", "User", "StateDirectory"} & set(service_of(WANTED.replace(scope="user")))


def test_directories() -> None:
    """The usual ones are made by systemd, each with its mode, but for that of the configuration, of which the service
    is told: it must not be the service's. Others it may write to are let through.
    """
    found = service_of()
    assert not [name for name in found if name.startswith("ConfigurationDirectory")]
    assert found["Environment"] == f"CONFIGURATION_DIRECTORY=/etc/{NAME}"
    assert "Environment" not in service_of(WANTED.replace(scope="user"))
    for kind, mode in (("Logs", "0750"), ("State", "0700"), ("Runtime", "0755")):
        assert (found[f"{kind}Directory"], found[f"{kind}DirectoryMode"]) == (NAME, mode)
    home = tuple((f"/srv/{NAME}{path}", access) for path, access in WANTED.directories)
    elsewhere = service_of(WANTED.replace(directories=home, writes=("/data/a b",)))
    assert not {"StateDirectory", "Environment"} & set(elsewhere)
    assert taken_apart(elsewhere["ReadWritePaths"]) == [
        "-/data/a b",
        *(f"-/srv/{NAME}{path}" for path, access in WANTED.directories if access != "read"),
    ]


@pytest.mark.parametrize("allowance", ALLOWANCES)
def test_each_allowance_relaxes_something_of_its_own(allowance: str) -> None:
    """Every name that a service may say changes the unit, and only by directives of hardening."""
    strict = hardening.directives((), 256, for_user=False)
    relaxed = hardening.directives((allowance,), 256, for_user=False)
    assert relaxed != strict
    assert {name for name, _ in relaxed} <= hardening.DIRECTIVES
    kept = [name for name, value in strict if (name, value) in relaxed]
    assert len(kept) >= len(strict) - 6, "it takes away more than it says"


def test_the_loosest_allowance_holds() -> None:
    """Of two that relax the same, the looser one counts, whatever the order."""
    for allow in (("home", "home-read"), ("home-read", "home")):
        assert dict(hardening.directives(allow, 256, for_user=False))["ProtectHome"] == "no"


def test_a_program_in_a_home_may_be_read() -> None:
    """Where the program is in a home, homes are read-only instead of hidden, and that is told."""
    target = unit.Target(256, in_home=True)
    assert service_of(WANTED, target)["ProtectHome"] == "read-only"
    told = definition.with_warnings(definition.differences({}, definition.files(WANTED, target)), WANTED, target)
    assert [(each.name, each.new) for each in told if each.name == "allow"] == [("allow", "home-read")]


def test_older_versions_are_spared_what_they_do_not_know() -> None:
    """A directive is left out before the version that brought it."""
    names = {name for name, _ in hardening.directives((), 241, for_user=False)}
    assert not names & {"ProtectHostname", "ProtectKernelLogs", "ProtectClock", "ProtectProc", "RestrictSUIDSGID"}


def test_what_systemd_has_nothing_for_is_told() -> None:
    """Triggers, groups, privileges and controllers of Windows are left out with a warning, and so is a delay."""
    wanted = WANTED.replace(
        start="delayed",
        triggers=("network-up", "network-down"),
        groups=("Base",),
        privileges=("SeTcbPrivilege",),
        controllers="Operators",
        allow=("home",),
    )
    changes = definition.with_warnings(definition.differences({}, definition.files(wanted, NOW)), wanted, NOW)
    warned = {change.name: change.new for change in changes if change.warning}
    assert warned.pop("start") == "delayed"
    assert warned.pop("allow") == "home"
    assert warned == {
        "trigger": "network-down",
        "load-order groups": "Base",
        "privileges": "SeTcbPrivilege",
        "controllers": "Operators",
    }
    lines = dict(unit.sections(wanted, NOW)["Unit"])
    assert lines["After"] == "network-online.target multi-user.target"


@pytest.mark.parametrize(
    ("said", "listened"),
    [
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("[::1]:80", "[::1]:80"),
        (":80", "80"),
        ("*:80", "80"),
        ("/run/a b", "/run/a b"),
    ],
)
def test_addresses_of_sockets(said: str, listened: str) -> None:
    """An address is as ListenStream= has it."""
    assert socket_unit.listened(said) == listened


def test_a_template_with_its_drop_in_is_the_whole() -> None:
    """What the template says of an instance, and over it its drop-in, is what the instance is to have."""
    one = instance_of(WANTED.replace(tasks=3, allow=("jit",), environment=(("A", "%i 1"),)), "one")
    two = instance_of(WANTED.replace(account="root", memory_bytes=2**20), "two")
    template = definition.files(one, NOW)[f"{NAME}@.service"]
    files = definition.files(two, NOW, template)
    assert files[f"{NAME}@.service"] == template
    base, over = understood(template), understood(files[f"{NAME}@two.service.d/10-stayon.conf"])
    for directive, values in wanted_values(two).items():
        said = [value.replace("%i", "two") for value in base.values("Service", directive)]
        for value in over.values("Service", directive):
            said = (
                [] if value == "" else [*said, value] if directive in ("Environment", "SystemCallFilter") else [value]
            )
        assert [each for each in said if each] == [each for each in values if each], directive
    assert "TasksMax=\n" in over.text
    assert "Environment=\n" in over.text


def wanted_values(wanted: Installation) -> dict[str, list[str]]:
    """All values of [Service], by directive."""
    found: dict[str, list[str]] = {}
    for name, value in unit.sections(wanted, NOW)["Service"]:
        found.setdefault(name, []).append(value)
    return found


def test_an_export_is_the_unit() -> None:
    """What is exported is what would be installed; of several files each has a line with its name above it."""
    exports = management.exports()
    assert exports["systemd"](WANTED) == definition.files(WANTED, BEFORE)[f"{NAME}.service"]
    several = exports["systemd"](WANTED.replace(sockets=(("http", ":80"),)))
    assert f"# {NAME}.service\n" in several
    assert f"# {NAME}-http.socket\n" in several


@pytest.mark.needs_systemd
@pytest.mark.parametrize("scope", ["system", "user"])
@pytest.mark.parametrize("allow", [(), tuple(ALLOWANCES), ("low-ports", "home-read")])
def test_systemd_accepts_it(tmp_path: Path, scope: str, allow: tuple[str, ...]) -> None:
    """``systemd-analyze verify`` has nothing to say of what we write, for the version that is installed here."""
    version = int(
        subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    )
    wanted = WANTED.replace(
        command=(sys.executable, "-P", "/opt/unix_entry.py", "$HOME %h", 'a "b"'),
        scope=scope,
        allow=allow,
        sockets=(("http", "127.0.0.1:8080"),),
        limits=(("nofile", "100:200"), ("cpu", "infinity")),
        memory_bytes=2**26,
        cpu_percent=12.5,
        tasks=7,
        after=("dbus",),
        triggers=("network-up",),
        start="delayed",
        restart=restart.backoff(max_attempts=3),
    )
    files = definition.files(wanted, unit.Target(version))
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    command = ["systemd-analyze", *(["--user"] if scope == "user" else []), "verify", "--man=no"]
    checked = subprocess.run(
        [*command, *(str(tmp_path / name) for name in files)], capture_output=True, text=True, check=False
    )
    own = [each for each in (checked.stdout + checked.stderr).splitlines() if NAME in each]
    assert own == []


@pytest.mark.needs_systemd
def test_systemd_reads_the_drop_in_of_an_instance() -> None:
    """What an instance has of its own is read by systemd, too, before it is installed."""
    calls = Systemctl(UnixLauncher(), SystemClock(), for_user=False)
    files = {"x@.service": "[Service]\nExecStart=/bin/true\n", "x@a.service.d/10.conf": "[Service]\nCPUQuota=lots\n"}
    with pytest.raises(FailedError, match=r"systemd\.verify"):
        checks.verify(calls, files, "x@a.service", 252)
    checks.verify(calls, files | {"x@a.service.d/10.conf": "[Service]\nCPUQuota=10%\n"}, "x@a.service", 252)


@pytest.mark.needs_systemd
def test_exposure(tmp_path: Path) -> None:
    """``systemd-analyze security`` gives a plain service 3.0 or less."""
    path = tmp_path / f"{NAME}.service"
    path.write_text(definition.files(WANTED.replace(command=(sys.executable, "x")), BEFORE)[path.name])
    command = [shutil.which("systemd-analyze") or "", "security", "--offline=true", "--no-pager", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    level = float(next(each for each in told.splitlines() if "Overall exposure" in each).split(":")[1].split()[0])
    assert level <= EXPOSURE_AT_MOST, told


def test_written_is_signed() -> None:
    """The digest is of all that is above it."""
    text = written({"Service": [("Type", "exec")], unit.OURS: [("Version", word("x"))]}, "a.service")
    assert understood(text).intact
    assert not understood(text.replace("Version=x", "Version=y")).intact
