"""What is found before a service is installed with systemd, on computers that are made up."""

from __future__ import annotations

import stat
from collections.abc import Callable
from typing import Any

import pytest

from stayon import exits
from stayon.core.finding import BAD, OK, WARNING, Finding
from stayon.core.installation import USER, Change, Installation
from stayon.errors import NotPermittedError, UnavailableError
from stayon.platforms.systemd.preflight import Sights, findings
from stayon.platforms.unix_access import Entry, Person

PYTHON, ENTRY, PROGRAM = "/opt/app/bin/python", "/opt/app/lib/stayon/unix_entry.py", "/opt/app/main.py"
LIBRARY = "/opt/app/lib"

WANTED = Installation(
    name="prices",
    display_name="",
    description="",
    command=(PYTHON, "-P", ENTRY, "prices", f"{PROGRAM}:service", "--config", "/etc/prices/my.toml"),
    mark="stayon 1",
    restart=None,
    start_timeout_s=60.0,
    stop_timeout_s=20.0,
)

DIRECTORY = Entry(stat.S_IFDIR | 0o755, 0, 0)
TREE = {
    **dict.fromkeys(["/", "/opt", "/opt/app", "/opt/app/bin", LIBRARY, f"{LIBRARY}/stayon", "/etc", "/srv"], DIRECTORY),
    **dict.fromkeys([PYTHON], Entry(stat.S_IFREG | 0o755, 0, 0)),
    **dict.fromkeys([ENTRY, PROGRAM], Entry(stat.S_IFREG | 0o644, 0, 0)),
}
ACCOUNTS = {"root": Person("root", 0), "svc": Person("svc", 900, (900,)), "me": Person("me", 1000, (1000,))}

INSTALLED = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}


def _tree(**changed: Entry | None) -> Callable[[str], Entry | None]:
    return (TREE | changed).get


GOOD: dict[str, Any] = {
    "version": lambda: 252,
    "look": _tree(),
    "person": ACCOUNTS.get,
    "me": ACCOUNTS["me"],
    "members": lambda _group: (),
    "lingers": lambda _name: True,
    "unit": lambda _name: {},
    "drop_ins": lambda _name: (),
    "drift": lambda _wanted: (Change("unit", "", "prices.service"),),
    "names": lambda _path: (),
    "in_use": lambda _address: "",
    "is_noexec": lambda _path: False,
    "label": lambda _path: "",
    "profile": lambda _path: "",
    "journal_lasts": lambda: True,
    "controllers": lambda: ("cpu", "memory", "pids"),
}


def _found(
    wanted: Installation = WANTED, loaded_from: tuple[str, ...] = (LIBRARY,), **sights: Any
) -> dict[str, Finding]:
    found = findings(wanted, loaded_from, Sights(**(GOOD | sights)))
    assert len({one.subject for one in found}) == len(found)
    return {one.subject: one for one in found}


def _fails(error: Exception) -> Callable[..., Any]:
    def fail(*_args: object) -> None:
        raise error

    return fail


def test_a_good_computer_has_nothing_against_it() -> None:
    """Python and program where all may read them and only root may write: all is well, and it says so."""
    found = _found()

    assert {one.verdict for one in found.values()} == {OK}
    assert found["systemd"].text == "252"
    assert "DynamicUser" in found["runs as"].text
    assert found["command"].text.startswith(f"{PYTHON} -P {ENTRY} prices ")
    assert "4 places" in found["reachable"].text, "a file that isn't there is none; the configuration may come later"


def test_without_systemd_nothing_more_is_looked_at() -> None:
    """It is told with its own exit code."""
    found = _found(version=_fails(UnavailableError("systemd isn't running", code="systemd.unreachable")))

    assert (found["systemd"].verdict, found["systemd"].exit_code) == (BAD, exits.UNAVAILABLE)
    assert "reachable" not in found


def test_an_old_systemd_is_told() -> None:
    """What it lacks is hardening, so it is a warning."""
    assert _found(version=lambda: 239)["systemd"].verdict == WARNING


@pytest.mark.parametrize(
    ("account", "verdict", "said"),
    [
        ("svc", OK, "svc"),
        ("svc:adm", OK, "svc"),
        ("", OK, "DynamicUser"),
        ("root", WARNING, "--allow"),
        ("svx", BAD, "sudo useradd --system svx"),
    ],
)
def test_the_account_has_to_be_there(account: str, verdict: str, said: str) -> None:
    """One that isn't is refused with 64 and the way to make it; root may do more than a service needs."""
    found = _found(WANTED.replace(account=account))["runs as"]

    assert found.verdict == verdict
    assert said in found.text
    assert found.exit_code == (exits.USAGE if verdict == BAD else exits.DONE)


def test_a_users_service_is_that_users() -> None:
    """It can't run as somebody else."""
    assert _found(WANTED.replace(scope=USER))["runs as"].text == "me"
    assert _found(WANTED.replace(scope=USER, account="svc"))["runs as"].exit_code == exits.USAGE


HOME = {
    "/root": Entry(stat.S_IFDIR | 0o700, 0, 0),
    "/root/python": Entry(stat.S_IFREG | 0o755, 0, 0),
    "/home": DIRECTORY,
    "/home/me": Entry(stat.S_IFDIR | 0o750, 1000, 1000),
    "/home/me/main.py": Entry(stat.S_IFREG | 0o644, 1000, 1000),
}


def test_python_in_roots_home_can_not_be_started() -> None:
    """The very directory that stops it is named, with the places that are better."""
    found = _found(WANTED.replace(command=("/root/python", *WANTED.command[1:])), look=_tree(**HOME))["interpreter"]

    assert (found.verdict, found.exit_code) == (BAD, exits.NOT_PERMITTED)
    assert "/root is drwx------" in found.text
    assert "/opt or /srv" in found.text
    assert "chmod" not in found.text, "nobody should open root's home"


@pytest.mark.parametrize(("account", "reachable"), [("", BAD), ("svc", BAD), ("me", OK), ("root", OK)])
def test_a_program_in_a_home_is_that_users(account: str, reachable: str) -> None:
    """Others can't get there: the directory, its mode, and all three ways out are told."""
    command = (PYTHON, "-P", ENTRY, "prices", "/home/me/main.py")

    found = _found(WANTED.replace(command=command, account=account), look=_tree(**HOME))["reachable"]

    assert found.verdict == reachable
    if reachable == BAD:
        assert "/home/me is drwxr-x---" in found.text
        assert "sudo chmod o+x /home/me" in found.text
        assert ("--account" in found.text) == (account == "")


def test_an_access_list_may_say_otherwise() -> None:
    """Where a directory has one, its mode is not the last word: a warning, with how to look."""
    home = HOME | {"/home/me": HOME["/home/me"].replace(has_list=True)}

    found = _found(WANTED.replace(command=(PYTHON, "/home/me/main.py")), look=_tree(**home))["reachable"]

    assert found.verdict == WARNING
    assert "getfacl /home/me" in found.text


def test_packages_that_are_closed_are_found() -> None:
    """A package that was installed with a tight umask can't be imported by the service."""
    closed = {f"{LIBRARY}/stayon": Entry(stat.S_IFDIR | 0o700, 0, 0)}

    found = _found(loaded_from=(LIBRARY, f"{LIBRARY}/stayon"), look=_tree(**closed))

    assert found["reachable"].verdict == BAD
    assert f"{LIBRARY}/stayon is drwx------" in found["reachable"].text


@pytest.mark.parametrize(
    ("path", "entry", "account", "verdict"),
    [
        (PROGRAM, Entry(stat.S_IFREG | 0o644, 1000, 0), "", BAD),
        (PROGRAM, Entry(stat.S_IFREG | 0o644, 1000, 0), "me", OK),
        (PROGRAM, Entry(stat.S_IFREG | 0o666, 0, 0), "", BAD),
        ("/opt/app", Entry(stat.S_IFDIR | 0o777, 0, 0), "svc", BAD),
        (LIBRARY, Entry(stat.S_IFDIR | 0o775, 0, 50), "", BAD),
        (PROGRAM, Entry(stat.S_IFREG | 0o644, 900, 0), "svc", OK),
    ],
)
def test_who_may_change_a_program_may_do_what_its_service_may(
    path: str, entry: Entry, account: str, verdict: str
) -> None:
    """Code that others than root and the account may write to is refused, as on Windows; the cure is told."""
    found = _found(WANTED.replace(account=account), look=_tree(**{path: entry}), members=lambda _group: (1000,))

    assert found["unwritable"].verdict == verdict
    if verdict == BAD:
        assert found["unwritable"].exit_code == exits.NOT_PERMITTED
        assert f"chown -R root:root {path}" in found["unwritable"].text


def test_what_this_account_may_not_see_is_told() -> None:
    """Without root, some ways end at a closed door: then it is a warning that says so."""
    found = _found(look=_fails(PermissionError(13, "Permission denied", "/opt/app")))

    assert {found[subject].verdict for subject in ("interpreter", "reachable", "unwritable")} == {WARNING}
    assert "/opt/app" in found["reachable"].text


def test_an_interpreter_that_is_gone_is_told() -> None:
    """A virtual environment whose Python has been removed: its link leads nowhere."""
    gone = Entry(stat.S_IFLNK | 0o777, 0, 0, "/usr/bin/python3.9")

    found = _found(look=_tree(**{PYTHON: gone}))["interpreter"]

    assert (found.verdict, found.exit_code) == (BAD, exits.UNAVAILABLE)
    assert "there is no /usr" in found.text


def test_nothing_starts_from_a_noexec_file_system() -> None:
    """A mode with x is not enough."""
    assert "noexec" in _found(is_noexec=lambda _path: True)["interpreter"].text


@pytest.mark.parametrize(
    ("unit", "verdict", "said"),
    [
        (INSTALLED, OK, "active, enabled"),
        ({**INSTALLED, "LoadState": "masked", "UnitFileState": "masked"}, BAD, "sudo systemctl unmask prices"),
        ({**INSTALLED, "UnitFileState": "masked-runtime"}, BAD, "unmask"),
        ({**INSTALLED, "ActiveState": "failed", "Result": "exit-code"}, WARNING, "(exit-code)"),
        (
            {**INSTALLED, "ActiveState": "failed", "Result": "start-limit-hit", "NRestarts": "5"},
            WARNING,
            "after 5 starts",
        ),
    ],
)
def test_how_the_unit_is(unit: dict[str, str], verdict: str, said: str) -> None:
    """Masked, failed and given up are told, each with what to do."""
    found = _found(unit=lambda _name: unit, drift=lambda _wanted: ())["unit"]

    assert found.verdict == verdict
    assert said in found.text


def test_files_that_systemd_has_not_read_are_told() -> None:
    """Somebody has changed them without daemon-reload; for a user's service with --user."""
    unit = {**INSTALLED, "NeedDaemonReload": "yes"}

    found = _found(WANTED.replace(scope=USER), unit=lambda _name: unit, drift=lambda _wanted: ())

    assert "systemctl --user daemon-reload" in found["unread"].text


def test_drift_is_what_install_would_change() -> None:
    """An installed unit that is otherwise than the program says now: what differs, and how to have it so."""
    changes = tuple(Change(f"thing {number}", "1", "2") for number in range(6))

    found = _found(unit=lambda _name: INSTALLED, drift=lambda _wanted: changes)["drift"]

    assert found.verdict == WARNING
    assert "thing 0: 1 -> 2" in found.text
    assert "and 2 more" in found.text
    assert _found(unit=lambda _name: INSTALLED, drift=lambda _wanted: ())["installation"].verdict == OK
    assert "drift" not in _found(), "what isn't installed doesn't differ"


def test_what_can_not_be_installed_says_why() -> None:
    """A unit that was edited, or is somebody else's: as installing would say it."""
    error = NotPermittedError("it was edited by hand", code="systemd.edited")

    found = _found(drift=_fails(error))["installation"]

    assert (found.verdict, found.exit_code) == (BAD, exits.NOT_PERMITTED)
    assert "[systemd.edited]" in found.text


def test_what_this_systemd_can_not_do_is_told() -> None:
    """What a change warns of is known before."""
    changes = (Change("restart", "", "1s", warning="systemd 252 can't make the wait grow"),)

    assert "can't make the wait grow" in _found(drift=lambda _wanted: changes)["not here"].text


def test_drop_ins_are_named() -> None:
    """They are kept, and go before what is installed: who wonders why finds them."""
    found = _found(drop_ins=lambda _name: ("/etc/systemd/system/prices.service.d/override.conf",))["drop-ins"]

    assert found.verdict == OK
    assert "override.conf" in found.text


def test_a_directory_of_others_has_to_be_there() -> None:
    """systemd would refuse to start it; one that is not writable is told."""
    wanted = WANTED.replace(writes=("/srv/none", "/srv"), account="svc")

    found = _found(wanted)

    assert (found["--write /srv/none"].verdict, found["--write /srv/none"].exit_code) == (BAD, exits.UNAVAILABLE)
    assert "sudo mkdir -p /srv/none" in found["--write /srv/none"].text
    assert found["--write /srv"].verdict == WARNING


def test_directories_that_nobody_makes_are_the_accounts() -> None:
    """Those below STAYON_HOME have to be writable, if they are there."""
    wanted = WANTED.replace(account="svc", directories=(("/srv", "write"), ("/var/lib/prices", "write")))

    found = _found(wanted)["directories"]

    assert (found.verdict, found.exit_code) == (BAD, exits.NOT_PERMITTED)
    assert "sudo chown svc /srv" in found.text
    assert "directories" not in _found(wanted, look=_tree(**{"/srv": Entry(stat.S_IFDIR | 0o755, 900, 0)}))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (Entry(stat.S_IFDIR | 0o755, 0, 0), ""),
        (Entry(stat.S_IFDIR | 0o755, 900, 900), "the account with the number 900"),
        (Entry(stat.S_IFDIR | 0o777, 0, 0), "everybody"),
    ],
)
def test_whoever_may_change_the_configuration_is_told(entry: Entry, said: str) -> None:
    """That of root's verbs is root's: one that the service may write, as systemd had made it, comes with the cure."""
    wanted = WANTED.replace(account="svc", directories=(("/etc/prices", "read"), ("/var/lib/prices", "write")))
    found = _found(wanted, look=_tree(**{"/etc/prices": entry})).get("configuration directory")

    assert (found is None) == (said == "")
    if found is not None:
        assert found.verdict == WARNING
        assert said in found.text
        assert "sudo chown -R root:root /etc/prices;" in found.text


@pytest.mark.parametrize(
    ("names", "unit", "is_told"),
    [
        (["apt.conf"], {}, True),
        (["prices.toml", "token"], {}, False),
        ([], {}, False),
        (["certificate"], INSTALLED, False),
    ],
)
def test_a_configuration_among_others_things_is_told(names: list[str], unit: dict[str, str], is_told: bool) -> None:
    """A new service whose configuration would be where another program's is: a warning, as that stays root's."""
    wanted = WANTED.replace(account="svc", directories=(("/etc/prices", "read"),))
    found = _found(wanted, names=lambda _path: names, unit=lambda _name: unit).get("configuration of others")

    assert (found is not None) == is_told
    if found is not None:
        assert found.verdict == WARNING
        assert "apt.conf" in found.text


def test_addresses_have_to_be_free() -> None:
    """One that is taken stops the installation; one that its own socket unit holds does not."""
    wanted = WANTED.replace(sockets=(("http", "127.0.0.1:80"), ("admin", "/run/x.sock")))

    def unit(name: str) -> dict[str, str]:
        return {"ActiveState": "active"} if name == "prices-admin.socket" else {}

    found = _found(wanted, in_use=lambda _address: "Address already in use", unit=unit)

    assert (found["socket http"].verdict, found["socket http"].exit_code) == (BAD, exits.UNAVAILABLE)
    assert "its own" in found["socket admin"].text
    assert "free" in _found(wanted)["socket http"].text


def test_without_lingering_a_users_service_ends_with_the_session() -> None:
    """A warning with the line that changes it; nobody else is bothered."""
    found = _found(WANTED.replace(scope=USER), lingers=lambda _name: False)["lingering"]

    assert found.verdict == WARNING
    assert "sudo loginctl enable-linger me" in found.text
    assert "lingering" not in _found(lingers=lambda _name: False)


@pytest.mark.parametrize(
    ("kind", "is_told"), [("", False), ("bin_t", False), ("gpg_exec_t", False), ("user_home_t", True)]
)
def test_selinux_is_told_where_it_would_refuse(kind: str, is_told: bool) -> None:
    """An interpreter of a type that systemd may not start, with how to label it."""
    found = _found(label=lambda _path: kind)

    assert ("SELinux" in found) == is_told
    if is_told:
        assert f"restorecon -v {PYTHON}" in found["SELinux"].text


def test_a_profile_of_apparmor_is_told() -> None:
    """It would hold for the service, too."""
    assert "journalctl -k" in _found(profile=lambda path: path)["AppArmor"].text


def test_a_journal_that_is_gone_after_a_reboot_is_told() -> None:
    """With the one command that has it kept."""
    found = _found(journal_lasts=lambda: False)["journal"]

    assert found.verdict == WARNING
    assert "mkdir -p /var/log/journal" in found.text


def test_bounds_that_nobody_enforces_are_told() -> None:
    """Only those that are wanted, and only where it is known."""
    wanted = WANTED.replace(memory_bytes=10**8, tasks=5)

    assert "don't bound memory:" in _found(wanted, controllers=lambda: ("pids",))["bounds"].text
    assert "bounds" not in _found(wanted, controllers=lambda: None)
    assert "bounds" not in _found(controllers=lambda: ())
