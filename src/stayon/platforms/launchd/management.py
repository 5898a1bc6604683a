"""What the verbs need of macOS: launchd, the command line of a service, the look before, and exports."""

from __future__ import annotations

import os

from stayon.core.installation import SYSTEM, USER
from stayon.machine import Management
from stayon.platforms import manifests
from stayon.platforms.launchd import directories, plist
from stayon.platforms.launchd.jobs import Launchd, Owner
from stayon.platforms.launchd.launchctl import Launchctl
from stayon.platforms.launchd.preflight import preflight
from stayon.platforms.launchd.sites import Sites
from stayon.platforms.onefile.collect import remember_this
from stayon.platforms.places import MACOS, Account, places_of
from stayon.platforms.unix import account_home
from stayon.platforms.unix_command import service_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from stayon.core.installation import Installation
    from stayon.core.places import Places
    from stayon.ports import Clock

# launchd reads the first at the computer's start (launchd(8)).
SYSTEM_SITES = Sites(
    "/Library/LaunchDaemons",
    "/Library/Application Support/stayon/services",
    "/Library/Application Support/stayon/run",
    is_system=True,
)


def management(clock: Clock, scope: str) -> Management:
    """All of it, on this computer: daemons for *scope* "system", and for root; else agents of the user who asks."""
    is_system = scope == SYSTEM or (scope != USER and os.geteuid() == 0)
    home = account_home(os.environ.get("HOME", ""))
    sites = SYSTEM_SITES if is_system else user_sites(home)
    return joined(Launchd(Launchctl(), sites, clock, Owner(os.geteuid(), _account_name())), sites, home)


def joined(manager: Launchd, sites: Sites, home: str) -> Management:
    """All of it, with *manager* and *sites*, for a user with that *home*."""

    def places(name: str, env: Mapping[str, str]) -> Places:
        return places_of(name, Account(MACOS, sites.is_system, home), env)

    return Management(
        manager,
        service_command,
        preflight(sites, home),
        {"launchd": lambda wanted: exported(wanted, sites), **manifests.exports()},
        prepare=remember_this,
        places=places,
    )


def user_sites(home: str) -> Sites:
    """Where the agents of the user with that *home* are."""
    own = f"{home}/Library/Application Support/stayon"
    return Sites(f"{home}/Library/LaunchAgents", f"{own}/services", f"{own}/run", is_system=False)


def exported(wanted: Installation, sites: Sites) -> str:
    """*wanted* as a property list, for whoever may not run ours: ``launchctl bootstrap DOMAIN FILE`` starts it."""
    domain = plist.SYSTEM_DOMAIN if sites.is_system else f"gui/{os.geteuid()}"
    site = plist.Site(domain, directories.places_in(wanted, ""))
    return plist.rendered(plist.definition(wanted, site)).decode()


def _account_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"
