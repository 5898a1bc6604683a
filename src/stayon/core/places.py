"""Where a service's things are."""

from __future__ import annotations

from stayon.core.record import Record

CONFIG_ENDINGS = (".toml", ".yaml", ".yml", ".json")

# The files by which a directory is known as a service's: NAME, and one of these.
OWN_ENDINGS = (*CONFIG_ENDINGS, ".lock", ".status", ".sock", ".crash", ".log", ".err")


class Places(Record):
    """The directories of one service (docs/reference/places.md). All absolute; none is made by asking."""

    config: str
    logs: str
    state: str
    run: str
