"""One computer, as the host sees it: all its ports.

(The ports themselves are only types, and are never loaded by a service: ``ports``.)
"""

from __future__ import annotations

from stayon.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn

    from stayon.core.finding import Finding
    from stayon.core.installation import Installation
    from stayon.ports import (
        Clock,
        ControlDoor,
        Deadman,
        DirectoryWatch,
        FileLock,
        Launcher,
        Poller,
        ServiceManager,
        Starter,
        SystemLog,
    )


class Places(Record):
    """Where a service's things are (docs/reference/places.md). All absolute; none is made by asking."""

    config: str
    logs: str
    state: str
    run: str


class Program(Record):
    """What a manager is to run: the service *name* (and *instance*) of the file, or the module, *path*, called
    *attribute* there ("" where it is the only one), with *options* of the verb ``run``.
    """

    name: str
    path: str
    attribute: str = ""
    instance: str = ""
    options: tuple[str, ...] = ()
    start_timeout_s: float = 60.0


class Management(Record):
    """What only the verbs need of a computer; a service that runs never loads it.

    *command* gives the words that a manager has to run for a program. *preflight* looks at an installation before it is
    made, and at the files that the program was loaded from. *exports* gives an installation as text that makes it
    without stayon, by the format's name. *prepare* is called after each installation: what makes a start quicker.
    """

    manager: ServiceManager
    command: Callable[[Program], tuple[str, ...]]
    preflight: Callable[[Installation, Sequence[str]], list[Finding]]
    exports: Mapping[str, Callable[[Installation], str]]
    prepare: Callable[[], object]


def no_system_log(_source: str, _rest: str) -> SystemLog | None:
    """None: the computer has no log of its own, or none that is known."""
    return None


class Machine(Record):
    """All ports of one computer, chosen once. Callables make a new adapter each time.

    *system_log* gives the computer's own log for what *source* says; *rest* tells its readers where to look for more.
    *management* is None where there is no manager. *become* goes on as a command with more environment variables, and
    *keeps_process* says whether that is this very process, rid of its threads. *open_shared* opens a file for reading
    so that others may rename and remove it meanwhile. *parses_apart*: a short-lived child that parses a file saves this
    process more than it costs.
    """

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
    check_directory: Callable[[str], None]
    process_identity: Callable[[int], str]
    process_figures: Callable[[], Mapping[str, float]]
    prepare: Callable[[], None]
    suspend: Callable[[], None]
    become: Callable[[Sequence[str], Mapping[str, str]], NoReturn]
    keeps_process: bool
    open_shared: Callable[[str], int]
    facts: Callable[[], Mapping[str, Any]]
    parses_apart: bool = True
    system_log: Callable[[str, str], SystemLog | None] = staticmethod(no_system_log)
    management: Callable[[], Management] | None = None
