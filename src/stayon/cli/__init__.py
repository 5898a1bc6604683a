"""The command: the only room that prints and exits."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def main(words: Sequence[str] | None = None) -> NoReturn:
    """``stayon VERB SERVICE``: the entry point of the command. Never returns."""
    import sys

    from stayon.cli.command import execute
    from stayon.cli.program import leave

    leave(execute(sys.argv[1:] if words is None else words, program="stayon"))
