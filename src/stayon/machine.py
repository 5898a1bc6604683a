"""One computer, as the host sees it: all its ports.

(The ports themselves are only types, and are never loaded by a service: ``ports``.)
"""

from __future__ import annotations

from stayon.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from stayon.ports import (
        Clock,
        ControlDoor,
        Deadman,
        DirectoryWatch,
        FileLock,
        Launcher,
        Poller,
        Starter,
    )


class Places(Record):
    """Where a service's things are (docs/reference/places.md). All absolute; none is made by asking."""

    config: str
    logs: str
    state: str
    run: str


class Machine(Record):
    """All ports of one computer, chosen once. Callables make a new adapter each time."""

    clock: Clock
    starter: Starter
    poller: Callable[[], Poller]
    directory_watch: Callable[[], DirectoryWatch]
    deadman: Callable[[str], Deadman]
    file_lock: Callable[[str], FileLock]
    control_door: ControlDoor
    launcher: Launcher
    places: Callable[[str, Mapping[str, str]], Places]
    make_directory: Callable[[str, int], None]
    process_identity: Callable[[int], str]
    process_figures: Callable[[], Mapping[str, float]]
    prepare: Callable[[], None]
    suspend: Callable[[], None]
    facts: Callable[[], Mapping[str, Any]]
