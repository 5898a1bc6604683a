"""``export``: the installation as commands of the system's own."""

from __future__ import annotations

import sys

from stayon import exits
from stayon.cli import keepers
from stayon.cli.command import say
from stayon.cli.wanted import service_of, wanted_installation
from stayon.core.nearest import did_you_mean
from stayon.errors import UnavailableError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.cli.command import Call


def export(call: Call) -> int:
    """Print what ``install`` with these options would make. Changes nothing."""
    service_of(call)
    here = keepers.management(call)
    wanted = call.given.get("format", next(iter(here.exports)))
    if wanted not in here.exports:
        raise UsageError(
            f"the format {wanted!r} is not known here", hint=did_you_mean(wanted, here.exports), code="export.format"
        )
    text = here.exports[wanted](wanted_installation(call, here.command))
    _refuse_unwritable(text)
    # Standard output ends lines as this system has them.
    say(text.replace("\r\n", "\n").rstrip("\n"))
    return exits.DONE


def _refuse_unwritable(text: str) -> None:
    """Commands with an escape for a character would be other commands. Raises ``UnavailableError``."""
    encoding = sys.stdout.encoding if sys.stdout is not None else None
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError as error:
        raise UnavailableError(
            f"the output's code page {encoding} has no {error.object[error.start]!r}",
            hint="Set PYTHONUTF8=1 and say it again: the output is UTF-8 then.",
            code="export.encoding",
        ) from error
