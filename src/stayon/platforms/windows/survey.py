"""What ``preflight`` has to know of this computer. Only verbs load this."""

from __future__ import annotations

import os
import sys

from stayon.platforms.onefile.program import here
from stayon.platforms.windows import event_source, security, win32
from stayon.platforms.windows.preflight import Sights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from stayon.core.finding import Finding
    from stayon.core.installation import Installation
    from stayon.ports import ServiceManager

_CREATE_SERVICE = 2  # SC_MANAGER_CREATE_SERVICE
_PATH_LETTERS = 1024

_SERVICES = "SYSTEM\\CurrentControlSet\\Services\\"
_PROFILES = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList"

_advapi32 = win32.Library("advapi32.dll", OpenSCManagerW="ZZI>P", CloseServiceHandle="P>i")
_kernel32 = win32.Library(
    "kernel32.dll",
    GetDriveTypeW="Z>I",
    GetModuleFileNameW="PPI>I",
    GetSystemDirectoryW="PI>I",
    QueryDosDeviceW="ZPI>I",
)


def preflight(
    manager: ServiceManager, has_account: Callable[[str], bool]
) -> Callable[[Installation, Sequence[str]], list[Finding]]:
    """Looks at an installation on this computer."""
    from stayon.platforms.windows.preflight import findings

    return lambda wanted, loaded_from: findings(
        wanted, [_existing(each) for each in loaded_from], sights(manager, has_account)
    )


def sights(manager: ServiceManager, has_account: Callable[[str], bool]) -> Sights:
    """How it looks here."""
    registry = event_source.WinRegistry()

    def is_marked_for_deletion(name: str) -> bool:
        values = registry.read(_SERVICES + name)
        return bool(values and values.get("DeleteFlag"))

    def check_source(name: str) -> None:
        event_source.source_change(name, wanted=True, registry=registry)

    return Sights(
        may_install=_may_install,
        exists=os.path.exists,
        drive_kind=_kernel32.GetDriveTypeW,
        is_substitute=_is_substitute,
        profiles=_profiles(registry),
        system_directory=_text(_kernel32.GetSystemDirectoryW),
        python_dll=_python_dll(),
        check_program=security.check_program,
        service=manager.look,
        is_marked_for_deletion=is_marked_for_deletion,
        check_source=check_source,
        has_account=has_account,
    )


def _may_install() -> bool:
    handle = _advapi32.OpenSCManagerW(None, None, _CREATE_SERVICE)
    if handle:
        _advapi32.CloseServiceHandle(handle)
    return bool(handle)


def _is_substitute(drive: str) -> bool:
    """``subst`` makes a drive that stands for a folder (https://learn.microsoft.com/windows/win32/fileio/naming-a-file)."""
    device = _text(lambda buffer, size: _kernel32.QueryDosDeviceW(drive, buffer, size))
    return device.startswith("\\??\\") and not device.startswith("\\??\\unix\\")  # the latter is Wine's word for a disk


def _profiles(registry: event_source.WinRegistry) -> str:
    values = registry.read(_PROFILES) or {}
    return os.path.expandvars(str(values.get("ProfilesDirectory") or "%SystemDrive%\\Users"))


def _python_dll() -> str:
    """The name of the DLL that is Python; "" for an interpreter that needs none, as a program that brings its own."""
    handle: Any = getattr(sys, "dllhandle", 0)
    if not handle or here() is not None:
        return ""
    return os.path.basename(_text(lambda buffer, size: _kernel32.GetModuleFileNameW(handle, buffer, size)))


def _text(ask: Callable[[Any, int], Any]) -> str:
    buffer = win32.text_buffer(_PATH_LETTERS)
    ask(buffer, _PATH_LETTERS)
    text: str = buffer.value
    return text


def _existing(path: str) -> str:
    """*path*, or the nearest above it that is there: modules may come out of a zip."""
    while not os.path.exists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path
