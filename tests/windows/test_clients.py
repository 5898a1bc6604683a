"""Clients of Windows' own, and pywin32, drive our service as they drive any."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.windows.lab import Lab

pytestmark = pytest.mark.slow

TICKER = """
    service = Service("{name}")

    @service.every("20ms")
    def tick(ctx):
        ctx.log.info("tick")
    """

PYWIN32 = """
import sys
packages = sys.argv[1]
sys.path[:0] = [packages + part for part in ("", "\\\\win32", "\\\\win32\\\\lib")]
import os
os.add_dll_directory(packages + "\\\\pywin32_system32")
import win32service
import win32serviceutil as controller

name = sys.argv[2]
controller.StartService(name)
controller.WaitForServiceStatus(name, win32service.SERVICE_RUNNING, 20)
print(controller.QueryServiceStatus(name)[1])
controller.ControlService(name, win32service.SERVICE_CONTROL_PAUSE)
controller.WaitForServiceStatus(name, win32service.SERVICE_PAUSED, 20)
controller.ControlService(name, win32service.SERVICE_CONTROL_CONTINUE)
controller.WaitForServiceStatus(name, win32service.SERVICE_RUNNING, 20)
controller.RestartService(name, waitSeconds=20)
controller.StopServiceWithDeps(name, waitSecs=20)
print(controller.QueryServiceStatus(name)[1])
"""


def test_sc(lab: Lab) -> None:
    """sc.exe starts, queries, pauses and stops it."""
    service = lab.service(TICKER)
    assert lab.exe("sc.exe", "start", service.name).code == 0
    service.wait("RUNNING")
    assert "RUNNING" in lab.exe("sc.exe", "query", service.name).out
    assert lab.exe("sc.exe", "stop", service.name).code == 0
    assert service.wait("STOPPED")["exit_code"] == 0


def test_net(lab: Lab) -> None:
    """net.exe starts and stops it."""
    service = lab.service(TICKER)
    started = lab.exe("net.exe", "start", service.name)
    assert started.code == 0, started
    service.wait("RUNNING")
    stopped = lab.exe("net.exe", "stop", service.name)
    assert stopped.code == 0, stopped
    service.wait("STOPPED")


def test_pywin32(lab: Lab) -> None:
    """pywin32's win32serviceutil, which knows nothing of us, starts, pauses, restarts and stops it."""
    service = lab.service(TICKER)
    answer = lab.run_python("-c", PYWIN32, lab.pywin32, service.name)
    assert answer.code == 0, answer
    assert answer.out.split() == ["4", "1"]
    assert len(service.records("START_PENDING -> RUNNING")) == 2
