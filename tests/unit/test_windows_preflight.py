"""What is found before a service is installed on Windows, on computers that are made up."""

from __future__ import annotations

from typing import Any

import pytest

from stayon import exits
from stayon.core import states
from stayon.core.finding import BAD, OK, WARNING, Finding
from stayon.core.installation import Installation, Managed
from stayon.errors import NotPermittedError, UsageError
from stayon.platforms.windows.preflight import Sights, findings, program_of

PYTHON = "C:\\Program Files\\Python313\\python.exe"
ENTRY = "C:\\Program Files\\Python313\\Lib\\site-packages\\stayon\\platforms\\windows\\entry.py"
PROGRAM = "D:\\services\\collector.py"

WANTED = Installation(
    name="collector",
    display_name="",
    description="",
    command=(PYTHON, "-I", "-S", ENTRY, "--service", "collector", f"{PROGRAM}:service"),
    mark="stayon 1",
    restart=None,
    start_timeout_s=60.0,
    stop_timeout_s=20.0,
)


def _nothing(_name: str) -> None:
    """Nothing to complain of."""


GOOD: dict[str, Any] = {
    "may_install": lambda: True,
    "exists": lambda _path: True,
    "drive_kind": lambda _root: 3,
    "is_substitute": lambda _drive: False,
    "profiles": "C:\\Users",
    "system_directory": "C:\\Windows\\system32",
    "python_dll": "python313.dll",
    "check_program": _nothing,
    "service": lambda _name: None,
    "is_marked_for_deletion": lambda _name: False,
    "check_source": _nothing,
    "has_account": lambda _name: True,
}


def _found(wanted: Installation = WANTED, loaded_from: tuple[str, ...] = (), **sights: Any) -> dict[str, Finding]:
    found = findings(wanted, loaded_from, Sights(**(GOOD | sights)))
    assert len({one.subject for one in found}) == len(found)
    return {one.subject: one for one in found}


def _with(**fields: Any) -> Installation:
    return WANTED.replace(**fields)


def test_a_good_computer_has_nothing_against_it() -> None:
    """Python for all users, a program where only administrators write, a new name: all is well, and it says so."""
    found = _found()

    assert {one.verdict for one in found.values()} == {OK}
    assert found["command"].text.startswith(f'"{PYTHON}" -I -S "{ENTRY}" --service collector ')
    assert found["runs as"].text == "NT AUTHORITY\\LocalService"


def test_who_may_not_install_can_look_all_the_same() -> None:
    """Without rights only installing ends with 77; the finding is a warning, and says how to get them."""
    found = _found(may_install=lambda: False)["rights"]

    assert (found.verdict, found.exit_code) == (WARNING, exits.NOT_PERMITTED)
    assert "Run as administrator" in found.text


@pytest.mark.parametrize(
    ("account", "verdict"),
    [
        ("", BAD),
        ("NetworkService", BAD),
        ("NT SERVICE\\collector", BAD),
        ("OFFICE\\svc$", BAD),
        ("OFFICE\\you", BAD),
        (".\\me", OK),
        ("OFFICE\\me", OK),
        ("me@office", OK),
        ("LocalSystem", OK),
    ],
)
def test_a_users_own_folder_is_only_that_users(account: str, verdict: str) -> None:
    r"""Python below C:\Users\me is for me and for the system; any other account could not even start it."""
    command = ("C:\\Users\\me\\AppData\\Local\\Programs\\Python\\Python313\\python.exe", *WANTED.command[1:])

    found = _found(_with(command=command, account=account))["reachable"]

    assert found.verdict == verdict
    assert ("all users" in found.text) == (verdict == BAD)


def test_packages_of_one_user_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    """What the program imported from a user's own site-packages would be missing in the service."""
    own = "C:\\Users\\me\\AppData\\Roaming\\Python\\Python313\\site-packages"

    found = _found(loaded_from=(f"{own}\\requests", own, "C:\\Program Files\\Python313\\Lib"))["reachable"]

    assert found.verdict == BAD
    assert f"{own}:" in found.text
    assert "requests" not in found.text, "what is within another folder is not named again"


def test_what_all_users_share_is_nobodys_own() -> None:
    r"""C:\Users\Public is not a user's own folder."""
    command = (*WANTED.command[:-1], "C:\\Users\\Public\\collector.py")

    assert _found(_with(command=command))["reachable"].verdict == OK


@pytest.mark.parametrize(
    ("path", "sights"),
    [
        ("Z:\\services\\collector.py", {"drive_kind": lambda root: 4 if root == "Z:\\" else 3}),
        ("Z:\\services\\collector.py", {"drive_kind": lambda root: 1 if root == "Z:\\" else 3}),
        ("Z:\\services\\collector.py", {"is_substitute": lambda drive: drive == "Z:"}),
        ("\\\\server\\share\\collector.py", {}),
    ],
    ids=["network", "gone", "subst", "unc"],
)
def test_a_drive_that_is_only_here_is_none_for_a_service(path: str, sights: dict[str, Any]) -> None:
    """Drives of the network, those of subst and shares are not there for a service: the drive is named."""
    found = _found(_with(command=(*WANTED.command[:-1], path)), **sights)["drives"]

    assert (found.verdict, found.exit_code) == (BAD, exits.UNAVAILABLE)
    assert path[:2] in found.text


def test_the_store_has_no_python_for_services() -> None:
    """Python of the Microsoft Store can't be started by the SCM."""
    store = "C:\\Program Files\\WindowsApps\\PythonSoftwareFoundation.Python.3.13\\python.exe"

    assert "python.org" in _found(_with(command=(store, *WANTED.command[1:])))["interpreter"].text


@pytest.mark.parametrize("lost", [PYTHON, "python313.dll", "vcruntime140.dll"])
def test_a_broken_interpreter_is_named(lost: str) -> None:
    """The interpreter, and the DLLs that it needs, must be there or in System32."""
    found = _found(exists=lambda path: not path.endswith(lost))["interpreter"]

    assert (found.verdict, found.exit_code) == (BAD, exits.UNAVAILABLE)
    assert lost in found.text


def test_a_dll_in_system32_will_do() -> None:
    """Python for all users may have its run-time library in System32 instead of beside it."""
    beside = "C:\\Program Files\\Python313\\vcruntime140.dll"

    assert _found(exists=lambda path: path != beside)["interpreter"].verdict == OK


def test_what_others_could_change_is_refused() -> None:
    """A program, an interpreter or a library where ordinary users write is an open door: who, and what to do."""

    def check(path: str) -> None:
        if path == PROGRAM:
            raise NotPermittedError("users may change it", where=path, why="Users may write", hint="icacls …", code="x")

    found = _found(check_program=check)["unwritable"]

    assert (found.verdict, found.exit_code) == (BAD, exits.NOT_PERMITTED)
    assert found.text == f"{PROGRAM}: users may change it: Users may write; icacls …"


def test_what_can_not_be_looked_at_is_told() -> None:
    """Where it can't be told who may write, that is a warning and no reason to refuse."""

    def check(_path: str) -> None:
        raise PermissionError(13, "Access is denied")

    assert _found(check_program=check)["unwritable"].verdict == WARNING


def test_somebody_elses_service_is_in_the_way() -> None:
    """A service of that name without our mark: refused, with its command."""
    found = _found(service=lambda name: Managed(name, states.STOPPED, command="C:\\other.exe", mark=""))["leftovers"]

    assert (found.verdict, found.exit_code) == (BAD, exits.NOT_PERMITTED)
    assert "C:\\other.exe" in found.text


def test_a_moved_interpreter_is_mended_by_installing() -> None:
    """Our service with a program that is gone: a warning that says what mends it."""
    old = "C:\\Python312\\python.exe"
    kept = Managed("collector", states.STOPPED, command=f'"{old}" -I x.py', mark="stayon 1")

    found = _found(service=lambda _name: kept, exists=lambda path: path != old)["leftovers"]

    assert found.verdict == WARNING
    assert f"{old}, which is gone; install it again" in found.text


def test_one_that_is_going_is_in_the_way() -> None:
    """Marked for deletion: ask again when its last holder is gone, and who that may be."""
    found = _found(is_marked_for_deletion=lambda _name: True)["leftovers"]

    assert (found.verdict, found.exit_code) == (BAD, exits.TEMPORARY)
    assert "services.msc" in found.text


def test_a_foreign_event_source_is_in_the_way() -> None:
    """Events of that name that belong to another program: refused."""

    def check(_name: str) -> None:
        raise UsageError("they belong to another program", code="eventlog.foreign-source")

    assert _found(check_source=check)["event log"].verdict == BAD


def test_an_account_must_be_there() -> None:
    """A user that nobody knows: refused; Windows' own accounts and the service's virtual one are not asked for."""
    assert _found(_with(account="OFFICE\\nobody"), has_account=lambda _name: False)["runs as"].verdict == BAD
    for account in ("", "NetworkService", "NT SERVICE\\collector"):
        assert _found(_with(account=account), has_account=lambda _name: False)["runs as"].verdict == OK


def test_the_system_itself_is_too_much() -> None:
    """LocalSystem is taken when asked for, with a warning."""
    assert _found(_with(account="LocalSystem"))["runs as"].verdict == WARNING


def test_what_it_waits_for_must_be_there() -> None:
    """A dependency that is not installed would keep it from starting for ever: it is named."""
    assert "no service Postgres" in _found(_with(after=("Postgres",)))["after"].text


def test_a_name_that_the_scm_refuses_ends_the_look() -> None:
    """What can't be an installation at all is the only finding."""
    found = findings(_with(name="a/b"), (), Sights(**GOOD))

    assert [(one.subject, one.verdict, one.exit_code) for one in found] == [("installation", BAD, exits.USAGE)]


@pytest.mark.parametrize(
    ("line", "program"),
    [('"C:\\a b\\p.exe" -x', "C:\\a b\\p.exe"), ("C:\\p.exe -x", "C:\\p.exe"), ("", "")],
)
def test_the_program_of_a_line(line: str, program: str) -> None:
    """The first word, with or without quotes."""
    assert program_of(line) == program
