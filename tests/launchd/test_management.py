"""What the verbs have of macOS: found on any Unix, as it only decides."""

from __future__ import annotations

import plistlib
from pathlib import Path
from typing import Any

import pytest

from stayon.core.finding import BAD, OK, WARNING
from stayon.core.installation import Installation

pytestmark = [pytest.mark.linux, pytest.mark.macos]
management = pytest.importorskip("stayon.platforms.launchd.management", reason="launchd's rooms are for Unix")

WANTED = Installation(
    name="collector",
    display_name="Price Collector",
    description="",
    command=("/bin/sh", "-c", "true"),
    mark="stayon 0.1.0",
    restart=None,
    start_timeout_s=60.0,
    stop_timeout_s=20.0,
    directories=(("/a/config", "read"), ("/a/logs", "write"), ("/a/state", "write"), ("/a/run", "publish")),
)


@pytest.fixture
def sites(tmp_path: Path) -> Any:
    """Those of the user whose home is empty."""
    return management.user_sites(str(tmp_path))


def test_places_are_those_of_who_keeps_it(monkeypatch, tmp_path) -> None:
    """The computer's daemons are in /Library, a user's agents in that user's; STAYON_HOME goes before."""
    monkeypatch.setenv("HOME", str(tmp_path))
    system, user = management.management(None, "system"), management.management(None, "user")

    assert system.places("collector", {}).logs == "/Library/Logs/collector"
    assert user.places("collector", {}).logs == f"{tmp_path}/Library/Logs/collector"
    assert user.places("collector", {"STAYON_HOME": "/srv"}).logs == "/srv/collector/logs"
    assert system.manager.name == user.manager.name == "launchd"


@pytest.mark.parametrize("is_system", [True, False])
def test_an_export_is_a_list_that_launchd_takes(sites, is_system) -> None:
    """With everything in it; a daemon's has an account."""
    text = management.exported(WANTED, management.SYSTEM_SITES if is_system else sites)
    content = plistlib.loads(text.encode())

    assert content["Label"] == "collector"
    assert content["StandardOutPath"] == "/a/logs/collector.out"
    assert ("UserName" in content) is is_system
    assert text == management.exported(WANTED, management.SYSTEM_SITES if is_system else sites)


def _found(wanted: Installation, sites: Any, home: str, *loaded_from: str) -> dict[str, str]:
    look = management.preflight(sites, home)
    return {one.subject: one.verdict for one in look(wanted, loaded_from)}


def test_all_is_well(sites, tmp_path) -> None:
    """Everything that was looked at is told."""
    assert set(_found(WANTED, sites, str(tmp_path)).values()) == {OK}


@pytest.mark.parametrize("place", ["Desktop", "Documents/work", "Downloads"])
def test_a_program_where_macos_lets_no_job_in(sites, tmp_path, place) -> None:
    """It would be refused at its start, and nobody could allow it."""
    path = f"{tmp_path}/{place}/collector.py"

    assert _found(WANTED.replace(command=("/bin/sh", path)), sites, str(tmp_path))["privacy"] == BAD
    assert _found(WANTED, sites, str(tmp_path), f"{tmp_path}/{place}/lib")["privacy"] == BAD
    assert _found(WANTED, sites, "", path)["privacy"] == OK


def test_what_is_not_there_is_found(sites, tmp_path) -> None:
    """The interpreter, the account, a name that can't be."""
    assert _found(WANTED.replace(command=("/nowhere/python",)), sites, "")["interpreter"] == BAD
    assert _found(WANTED.replace(account="nobody-of-that-name"), management.SYSTEM_SITES, "") == {"installation": BAD}
    assert _found(WANTED.replace(name="a b"), sites, "") == {"installation": BAD}
    assert _found(WANTED.replace(account="root"), management.SYSTEM_SITES, "")["account"] == WARNING


@pytest.mark.needs_root
def test_a_daemon_whose_account_can_not_read_its_program(tmp_path) -> None:
    """It would end at its start; the directory that is in the way is named."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "program.py").write_text("", "utf-8")
    wanted = WANTED.replace(command=("/bin/sh", str(closed / "program.py")))
    look = management.preflight(management.SYSTEM_SITES, "")
    (found,) = [one for one in look(wanted, ()) if one.subject == "readable"]

    assert (found.verdict, found.exit_code) == (BAD, 77)
    assert "drwx------" in found.text
    assert _found(WANTED, management.SYSTEM_SITES, "")["readable"] == OK
    assert "readable" not in _found(wanted.replace(account="root"), management.SYSTEM_SITES, "")
