"""Where a service's things are."""

from __future__ import annotations

from stayon.core.record import Record


class Places(Record):
    """The directories of one service (docs/reference/places.md). All absolute; none is made by asking."""

    config: str
    logs: str
    state: str
    run: str
