"""The lab itself: what the other tests stand on is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.windows.lab import Lab


@pytest.mark.parametrize("layout", ["python", "embeddable"])
def test_it_is_windows_cpython(lab: Lab, layout: str) -> None:
    """Both layouts of Python run, say win32, and have what a service needs."""
    answer = lab.exe(getattr(lab, layout) / "python.exe", "-c", "import sys, _ctypes, ssl; print(sys.platform)")
    assert answer == (0, "win32\n", "")


def test_a_foreign_client_finds_the_scm(lab: Lab) -> None:
    """sc.exe, the controller and the SCM mean the same service."""
    lab.ask("create", "lab-probe", "C:\\\\windows\\\\system32\\\\notepad.exe")
    try:
        assert lab.ask("status", "lab-probe")["state"] == "STOPPED"
        assert "STOPPED" in lab.exe("sc.exe", "query", "lab-probe").out
    finally:
        lab.ask("delete", "lab-probe")
