"""``list``: the services that stayon has installed on this computer."""

from __future__ import annotations

from stayon import exits
from stayon.cli import managed
from stayon.cli.command import answer
from stayon.cli.show import table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.cli.command import Call

_COLUMNS = ("service", "state", "pid", "start", "account", "display name")


def listing(call: Call) -> int:
    """Print them, a line each; with ``--json`` as a list of all that the manager says."""
    manager = managed.manager_of(call)
    looked = [manager.look(name) for name in manager.names()]
    # One may have gone in between.
    there = [one for one in looked if one is not None]
    rows = [(one.name, one.state, str(one.pid or ""), one.start, one.account, one.display_name) for one in there]
    text = "\n".join(table(_COLUMNS, rows)) if rows else "stayon has installed no service here"
    answer(call, [one.as_dict() for one in there], text)
    return exits.DONE
