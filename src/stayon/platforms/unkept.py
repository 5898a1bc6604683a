"""What the verbs need of a Unix on which nobody keeps services (a container, a Linux without systemd, a BSD)."""

from __future__ import annotations

from stayon.machine import Management
from stayon.platforms.unix_command import service_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stayon.core.finding import Finding
    from stayon.core.installation import Installation


def management(exports: Mapping[str, Callable[[Installation], str]]) -> Management:
    """No manager, so that ``start`` makes a daemon; *exports* need none."""
    return Management(None, service_command, _no_findings, exports, prepare=tuple)


def _no_findings(_installation: Installation, _files: Sequence[str]) -> list[Finding]:
    return []
