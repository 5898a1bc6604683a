"""What the verbs need of Windows: the SCM, the command line of a service, the look before, and exports."""

from __future__ import annotations

from stayon.machine import Management
from stayon.platforms.onefile.collect import remember_this
from stayon.platforms.onefile.program import here
from stayon.platforms.windows import export
from stayon.platforms.windows.accounts import WindowsAccounts
from stayon.platforms.windows.command import service_command
from stayon.platforms.windows.real_scm import windows_scm
from stayon.platforms.windows.service_access import with_controllers
from stayon.platforms.windows.survey import preflight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from stayon.core.installation import Installation
    from stayon.ports import Clock


def management(clock: Clock) -> Management:
    """All of it, on this computer."""
    manager, accounts = windows_scm(clock), WindowsAccounts()
    return Management(
        manager,
        service_command,
        preflight(manager, lambda account: bool(accounts.sid(account))),
        {"sc": _secured(export.sc_lines), "powershell": _secured(export.powershell)},
        # A program that is one file has it all in itself.
        _pack if here() is None else remember_this,
    )


def _pack() -> None:
    from stayon.platforms.windows import pack

    pack.write()


def _secured(exported: Callable[[Installation, str], str]) -> Callable[[Installation], str]:
    """*exported*, given the list of who may control the service."""

    def text(wanted: Installation) -> str:
        sid = WindowsAccounts().sid(wanted.controllers) if wanted.controllers else ""
        return exported(wanted, with_controllers(sid) if sid else "")

    return text
