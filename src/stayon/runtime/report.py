"""The first-failure report: everything somebody far away will ask for, in one record, before anything is torn down."""

from __future__ import annotations

import sys

from stayon.core.levels import CRITICAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.runtime.host import Host

LINES = 20


def report_first_failure(host: Host, error: BaseException, origin: str) -> None:
    """Log the exception with the last log lines, the account, versions and paths. Never raises."""
    machine, places = host.equipment.machine, host.places
    try:
        facts = dict(machine.facts())
    except Exception as fault:  # noqa: BLE001  # the report must go out, with less in it if need be
        facts = {"facts": f"cannot be had: {fault}"}
    host.log.failure(
        f"{origin} failed",
        error,
        level=CRITICAL,
        event_id=13,
        state=host.state,
        up_s=round(machine.clock.time() - host.started, 3),
        last_lines=host.equipment.logs.recent()[-LINES:],
        places=places.as_dict(),
        config=host.config.loaded.path,
        version=host.spec.version,
        stayon=sys.modules["stayon"].__version__,
        **facts,
    )
