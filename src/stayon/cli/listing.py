"""``list``: the services that stayon has installed on this computer."""

from __future__ import annotations

from stayon import exits
from stayon.cli import keepers
from stayon.cli.command import answer
from stayon.cli.show import table
from stayon.errors import UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.cli.command import Call
    from stayon.core.installation import Managed

_COLUMNS = ("service", "state", "pid", "start", "account", "display name")


def listing(call: Call) -> int:
    """Print them, a line each; with ``--json`` as a list of all that the managers say."""
    there = _kept(call)
    scopes = {scope for scope, _one in there}
    rows: list[tuple[str, ...]] = [
        (one.name, one.state, str(one.pid or ""), one.start, one.account, one.display_name) for _scope, one in there
    ]
    columns: tuple[str, ...] = _COLUMNS
    if len(scopes) > 1:
        columns = ("scope", *columns)
        rows = [(scope, *row) for (scope, _one), row in zip(there, rows, strict=True)]
    text = "\n".join(table(columns, rows)) if rows else "stayon has installed no service here"
    answer(call, [{**one.as_dict(), "scope": scope} for scope, one in there], text)
    return exits.DONE


def _kept(call: Call) -> list[tuple[str, Managed]]:
    """All services with their scopes. Raises ``UnavailableError`` if there is no manager, or none that can be asked."""
    found: list[tuple[str, Managed]] = []
    *others, last = keepers.scopes(call)
    for scope in (*others, last):
        here = keepers.here(call, scope)
        if scope != last and (here is None or here.manager is None):
            continue
        manager = keepers.manager_in(here, call)
        try:
            looked = [manager.look(name) for name in manager.names()]
        except UnavailableError:
            if scope == last:
                raise
            continue  # this account's own manager does not run
        # One may have gone in between.
        found += [(scope, one) for one in looked if one is not None]
    return found
