"""The services of one user, kept by that user's own systemd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.systemd import lab as laboratory

if TYPE_CHECKING:
    from tests.systemd.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.linux]

HOME = f"/home/{laboratory.USER}"


def test_a_service_of_a_user(systemd: Lab) -> None:
    """An ordinary account installs, starts, asks, stops and uninstalls its own service, below its home."""
    service = systemd.service(user=systemd.user_manager())
    refused = service.verb("install")
    assert (refused.code, "--user" in refused.err) == (77, True), refused
    service.install("--user")
    assert service.show("ActiveState") == "active"
    assert service.show("FragmentPath") == f"{HOME}/.config/systemd/user/{service.unit}"
    status = service.status()
    assert (status["state"], status["pid"]) == ("RUNNING", service.pid)
    assert service.verb("restart").code == 0
    logs = service.verb("logs", "-n", "5")
    assert (logs.code, "START_PENDING -> RUNNING" in logs.out) == (0, True), logs
    assert service.verb("stop").code == 0
    assert service.show("ActiveState") == "inactive"
    service.uninstall()
    found = systemd.check("find", HOME, "/run/user", "-name", f"*{service.name}*")
    assert [path for path in found.splitlines() if "/systemd/units/" not in path] == []
    assert systemd.run("systemctl", "status", service.unit).code == 4  # the system has never heard of it


def test_the_systems_services_are_not_a_users(systemd: Lab) -> None:
    """An ordinary account that asks for a service of the system is told that it may not (77), and changes nothing."""
    user = systemd.user_manager()
    service = systemd.service()
    service.install()
    pid = service.pid
    stopped = service.verb("stop", user=user)
    assert stopped.code == 77, stopped
    gone = service.verb("uninstall", user=user)
    assert gone.code == 77, gone
    assert service.pid == pid
    assert service.verb("status", user=user).code == 0
