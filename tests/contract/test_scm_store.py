"""The ServiceStore: what the SCM keeps of services, on a simulated SCM and on real ones."""

from __future__ import annotations

from typing import Any

import pytest

from stayon.platforms.windows.api import FailureActions, ScmError, Trigger
from tests.contract.scm_computers import Computer

FIELDS: list[tuple[str, Any]] = [
    ("display_name", "Another name"),
    ("start_type", 4),
    ("error_control", 0),
    ("group", "stayon-group"),
    ("description", "Does as it is told: äöü, \u4e2d\u6587."),
    ("delayed", True),
    ("failure", FailureActions(600, ((1, 1_000), (1, 2_000), (1, 4_000), (1, 8_000), (0, 0)))),
    ("failure_on_non_crash", True),
    ("preshutdown_ms", 35_000),
    ("sid_type", 1),
    ("privileges", ("SeChangeNotifyPrivilege", "SeImpersonatePrivilege")),
    ("triggers", (Trigger(2, 1, "4f27f2de-14e2-430b-a549-7cd48cbc8245"),)),
    ("environment", ("TZ=UTC", "GREETING=a b")),
    ("mark", "0.1.0"),
]

# ERROR_INVALID_PARAMETER and ERROR_INVALID_LEVEL; and what Wine says of triggers, RPC_S_INVALID_TAG.
UNKNOWN_THERE = (87, 124, 1733)

# Wine 8 says yes and keeps nothing.
FORGOTTEN_BY_WINE = ("failure", "group")


def code_of(call: Any, *arguments: Any) -> int:
    with pytest.raises(ScmError) as caught:
        call(*arguments)
    return caught.value.code


def test_what_was_created_is_read_again(computer: Computer) -> None:
    """The command line, the account, the start type and the display name are kept as they were given."""
    name = computer.install()
    wanted, found = computer.config(name), computer.store.read(name)
    assert (found.command, found.display_name, found.start_type) == (wanted.command, wanted.display_name, 3)
    assert found.account.lower() == wanted.account.lower()
    assert found.dependencies == ()


def test_dependencies_and_groups_are_kept(computer: Computer) -> None:
    """Names of services, and groups with a "+" before, come back; taking them away leaves none."""
    computer.install("first")
    name = computer.install("second", dependencies=("stayon-first", "+stayon-group"))
    assert computer.store.read(name).dependencies == ("stayon-first", "+stayon-group")
    computer.store.change(name, "dependencies", ())
    assert computer.store.read(name).dependencies == ()


@pytest.mark.parametrize(("field", "value"), FIELDS, ids=[field for field, _ in FIELDS])
def test_a_field_is_changed_and_no_other(computer: Computer, field: str, value: Any) -> None:
    """Each field is as it was set, and all others are as before; or it is unkept, and says so with 87 or 124."""
    name = computer.install(dependencies=("RpcSs",))
    if field == "delayed":
        computer.store.change(name, "start_type", 2)
    before = computer.store.read(name)
    try:
        computer.store.change(name, field, value)
    except ScmError as error:
        assert error.code in UNKNOWN_THERE, error  # noqa: PT017  # what else it may be is what is asked here
        assert field in before.unkept
        return
    after = computer.store.read(name)
    if computer.is_whole or field not in FORGOTTEN_BY_WINE:
        assert getattr(after, field) == value
        assert after == before.replace(**{field: value})


def test_a_name_is_taken_once(computer: Computer) -> None:
    """Creating a service again is error 1073, whatever its letters' case."""
    name = computer.install()
    assert code_of(computer.store.create, name, computer.config(name)) == 1073
    assert code_of(computer.store.create, name.upper(), computer.config(name)) == 1073


def test_a_display_name_is_taken_once(computer: Computer) -> None:
    """Showing another service's name is error 1078."""
    computer.install("first")
    taken = computer.config("x").replace(display_name="Puppet stayon-first")
    assert code_of(computer.store.create, "stayon-second", taken) == 1078


def test_what_is_not_there_is_1060(computer: Computer) -> None:
    """Reading, changing and deleting a service that doesn't exist is error 1060."""
    assert code_of(computer.store.read, "stayon-nobody") == 1060
    assert code_of(computer.store.change, "stayon-nobody", "description", "x") == 1060
    assert code_of(computer.store.delete, "stayon-nobody") == 1060


@pytest.mark.parametrize("name", ["", "a/b", "a\\b"])
def test_a_bad_name_is_refused(computer: Computer, name: str) -> None:
    """No service is without a name, or with a slash in it: error 123."""
    assert code_of(computer.store.create, name, computer.config("x")) in (87, 123)


def test_an_unknown_account_is_refused(computer: Computer) -> None:
    """An account that doesn't exist is error 1057, and nothing is installed."""
    if not computer.is_whole:
        pytest.skip("Wine looks at no account")
    config = computer.config("stayon-nobody").replace(account=".\\stayon-no-such-user")
    assert code_of(computer.store.create, "stayon-nobody", config, "password") == 1057
    assert code_of(computer.store.read, "stayon-nobody") == 1060


def test_a_deleted_service_is_gone(computer: Computer) -> None:
    """After delete its name is free again."""
    name = computer.install()
    computer.store.delete(name)
    assert code_of(computer.store.read, name) == 1060
    computer.install()


def test_a_running_service_is_only_marked(computer: Computer) -> None:
    """Who is deleted while it runs, runs on, is marked (1072 for the next one), and goes when it stops."""
    name = computer.install()
    computer.start(name)
    computer.store.delete(name)
    assert computer.calls.status(name).state == 4
    assert code_of(computer.store.delete, name) == 1072
    computer.calls.control(name, 1)
    computer.wait_until_gone(name)


def test_installed_services_are_listed(computer: Computer) -> None:
    """``names`` has it while it is installed, and not afterwards."""
    name = computer.install()
    assert name in computer.calls.names()
    computer.store.delete(name)
    assert name not in computer.calls.names()
