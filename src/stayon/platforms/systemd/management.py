"""What the verbs need of systemd: the manager of the system or of a user, the look before, and exports."""

from __future__ import annotations

import os
import sys

from stayon.core.installation import USER
from stayon.machine import Management
from stayon.platforms.journal_reader import JournalReader
from stayon.platforms.launcher import UnixLauncher
from stayon.platforms.onefile.collect import remember_this
from stayon.platforms.places import Account, places_of
from stayon.platforms.systemd import timer
from stayon.platforms.systemd.checks import is_in_home
from stayon.platforms.systemd.definition import files
from stayon.platforms.systemd.files import UnitDirectory
from stayon.platforms.systemd.survey import preflight
from stayon.platforms.systemd.systemctl import Systemctl
from stayon.platforms.systemd.unit import Target
from stayon.platforms.systemd.units import Units
from stayon.platforms.unix import account_home
from stayon.platforms.unix_command import service_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stayon.core.installation import Installation
    from stayon.core.places import Places
    from stayon.ports import Clock

# An administrator's own units (systemd.unit(5), "UNIT FILE LOAD PATH"); those below /lib are of packages.
SYSTEM_UNITS = "/etc/systemd/system"

# What an export is for on a computer without systemd: one that is not old, and has all that matters.
USUAL_VERSION = 252


def management(clock: Clock, scope: str) -> Management:
    """All of it, on this computer, for the services of *scope*."""
    is_user = scope == USER
    home = account_home(os.environ.get("HOME", ""))
    systemctl = Systemctl(UnixLauncher(), clock, for_user=is_user)
    manager = Units(
        UnitDirectory(user_units(os.environ, home) if is_user else SYSTEM_UNITS), systemctl, clock, os.geteuid()
    )

    def places(name: str, env: Mapping[str, str]) -> Places:
        runtime = f"/run/user/{os.geteuid()}"
        if is_user and "XDG_RUNTIME_DIR" not in env and os.path.isdir(runtime):
            env = {**env, "XDG_RUNTIME_DIR": runtime}  # the service has it from its manager, whoever installs it
        return places_of(name, Account(sys.platform, not is_user, home), env)

    return Management(
        manager,
        service_command,
        preflight(manager, systemctl),
        exports(systemctl.version),
        prepare=remember_this,
        log_reader=JournalReader(user=is_user),
        places=places,
        leavings=manager.leavings,
    )


def exports(version: Callable[[], int] = lambda: USUAL_VERSION) -> dict[str, Callable[[Installation], str]]:
    """Installations as text, by the format's name, for the systemd whose *version* is asked for when it is needed."""

    def target(wanted: Installation) -> Target:
        return Target(version(), is_in_home(wanted))

    return {
        "systemd": lambda wanted: together(files(wanted, target(wanted))),
        "timer": lambda wanted: together(timer.files(wanted, target(wanted))),
    }


def together(texts: Mapping[str, str]) -> str:
    """*texts* of files by their names as one: each below a line that names it, if there are several."""
    if len(texts) == 1:
        return next(iter(texts.values()))
    return "\n".join(f"# {name}\n{text}" for name, text in texts.items())


def user_units(env: Mapping[str, str], home: str) -> str:
    """Where a user's own units are (systemd.unit(5)), by the XDG Base Directory Specification."""
    config = env.get("XDG_CONFIG_HOME", "")
    return os.path.join(config if config.startswith("/") else os.path.join(home, ".config"), "systemd", "user")
