"""What the verbs need of a Unix on which nobody keeps services (a container, a Linux without systemd, a BSD)."""

from __future__ import annotations

import sys

from stayon.core.installation import SYSTEM
from stayon.machine import Management
from stayon.platforms.onefile.collect import remember_this
from stayon.platforms.places import Account, places_of
from stayon.platforms.unix_command import service_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stayon.core.finding import Finding
    from stayon.core.installation import Installation
    from stayon.core.places import Places


def management(exports: Mapping[str, Callable[[Installation], str]], scope: str = "") -> Management:
    """No manager, so that ``start`` makes a daemon; *exports* need none. For "system" services they name the places
    that those have, whoever asks.
    """
    return Management(
        None,
        service_command,
        _no_findings,
        exports,
        prepare=remember_this,
        places=_as_root if scope == SYSTEM else None,
    )


def _as_root(name: str, env: Mapping[str, str]) -> Places:
    return places_of(name, Account(sys.platform, True, ""), env)


def _no_findings(_installation: Installation, _files: Sequence[str]) -> list[Finding]:
    return []
