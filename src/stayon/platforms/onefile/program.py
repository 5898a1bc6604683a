"""Whether this process is a program that is one file, and what is in that."""

from __future__ import annotations

import sys

from stayon.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LAUNCHER = "_stayon"

# The first of the words by which others than people call such a program.
SERVICE, RELOAD, INIT, PARSE = "--service", "--reload", "--init", "--parse"


class OneFile(Record):
    """A program that is one file: where it is, the directories of its *sets* (the interpreter's, then its own if it has
    any), the file with what the launcher carries, and whether this very start has put a set into its directory.
    """

    executable: str
    sets: tuple[str, ...]
    payload: str
    was_registered: bool
    written: bytes

    @property
    def about(self) -> dict[str, Any]:
        """What its builder has noted; read anew each time, as that is asked for seldom."""
        import _json

        told: dict[str, Any] = _json.make_scanner(_Json)(self.written.decode(), 0)[0]  # type: ignore[arg-type]  # typeshed wants a whole decoder
        return told

    @property
    def entry(self) -> str:
        """Its service: ``module:attribute``; nothing behind the colon for the only one there is."""
        said: str = self.about["entry"]
        return said if ":" in said else f"{said}:"


class _Json:
    """What the C scanner asks for: ``import json`` costs 1.6 MB."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


def here() -> OneFile | None:
    """What this process is, if it is a program of one file."""
    launcher: Any = sys.modules.get(LAUNCHER)
    if launcher is None:
        return None
    return OneFile(
        launcher.executable, tuple(launcher.sets), launcher.payload, bool(launcher.was_registered), launcher.about
    )
