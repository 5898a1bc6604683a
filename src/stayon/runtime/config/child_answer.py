"""What the parsing child runs, with as few imports as it can, and the form in which a tree comes back from it."""

from __future__ import annotations

import marshal
import os
import sys

from stayon.runtime.config.syntax import BadSyntaxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def answer(syntax: str, text: str) -> None:
    """Parse, print the tree or the error, and end the process."""
    from stayon.runtime.config.parsers import parse  # the child's alone; the parent reads this room, too

    try:
        said: tuple[str, Any] = ("tree", packed(parse(syntax, text)))
    except BadSyntaxError as error:
        said = ("error", (*error.args, error.code))
    sys.stdout.buffer.write(marshal.dumps(said))
    sys.stdout.flush()
    os._exit(0)  # tearing the interpreter down would take another 5 ms


def packed(value: Any) -> Any:
    """*value* as marshal can have it: dates and times become a tuple, which no document contains."""
    if isinstance(value, dict):
        return {key: packed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [packed(inner) for inner in value]
    if hasattr(value, "isoformat"):
        return (type(value).__name__, value.isoformat())
    return value


def unpacked(value: Any) -> Any:
    """The tree again, with its dates and times."""
    if isinstance(value, dict):
        return {key: unpacked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [unpacked(inner) for inner in value]
    if isinstance(value, tuple):
        import datetime

        return getattr(datetime, value[0]).fromisoformat(value[1])
    return value
