"""The verb ``level``: a service that runs logs more, or less, for a while."""

from __future__ import annotations

from stayon import exits
from stayon.cli.ask import ANSWER_S, peer
from stayon.cli.command import answer
from stayon.cli.words import level_of
from stayon.core.duration import seconds
from stayon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.cli.command import Call

CONFIGURED = "-"


def level(call: Call) -> int:
    """Have it log at another level, or at the configured one, or say at which it does."""
    wanted, length = call.given.get("level", ""), call.given.get("for")
    arguments: dict[str, object] = {"level": wanted}
    if wanted not in ("", CONFIGURED):
        level_of(wanted, "level")
    elif length is not None:
        raise UsageError("--for needs a level", hint="Try level debug --for 10m.", code="usage.option")
    if length is not None:
        arguments["for"] = seconds(length, where="--for")
    said = peer(call).ask("level", ANSWER_S, **arguments)
    until = f" until {said['until']}" if said["until"] else ""
    answer(call, said, f"{call.name} logs {said['level']} and worse{until}")
    return exits.DONE
