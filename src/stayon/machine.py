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
    from stayon.core.places import Places
    from stayon.ports import (
        Clock,
        ControlDoor,
        Deadman,
        DirectoryWatch,
        FileLock,
        Launcher,
        LogReader,
        Poller,
        ServiceManager,
        SocketStore,
        Starter,
        SystemLog,
    )


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


def nothing_left(_name: str) -> Sequence[str]:
    """A manager that leaves nothing of a service behind."""
    return ()


class Management(Record):
    """What only the verbs need of a computer; a service that runs never loads it.

    *manager* is None where nobody keeps services: then ``start`` makes a daemon of it. *command* gives the words that a
    manager has to run for a program. *preflight* looks at an installation before it is made, and at the files that the
    program was loaded from. *exports* gives an installation as text that makes it
    without stayon, by the format's name. *prepare* is called after each installation: what makes a start quicker.
    *log_reader* reads the computer's own log, where services that are kept log there and to no file. *places* is where
    services that it keeps have their things, by name and environment (None: as ``Machine.places`` has it). *leavings*
    gives what uninstalling leaves of a service besides: what others have added to its entry.
    """

    manager: ServiceManager | None
    command: Callable[[Program], tuple[str, ...]]
    preflight: Callable[[Installation, Sequence[str]], list[Finding]]
    exports: Mapping[str, Callable[[Installation], str]]
    prepare: Callable[[], object]
    log_reader: LogReader | None = None
    places: Callable[[str, Mapping[str, str]], Places] | None = None
    leavings: Callable[[str], Sequence[str]] = staticmethod(nothing_left)


class NoSockets:
    """Whoever started this process keeps no sockets for it."""

    def inherited(self) -> Mapping[str, tuple[int, ...]]:
        """None."""
        return {}

    def keep(self, _name: str, _fd: int) -> bool:
        """It is not kept."""
        return False

    def forget(self, _name: str) -> None:
        """There are none."""


def nothing() -> None:
    """There is nothing to be done here."""


def no_system_log(_source: str, _rest: str) -> SystemLog | None:
    """None: the computer has no log of its own, or none that is known."""
    return None


class Machine(Record):
    """All ports of one computer, chosen once. Callables make a new adapter each time.

    *system_log* gives the computer's own log for what *source* says; *rest* tells its readers where to look for more.
    *management* is for "system" services, those of one "user", or ("") what fits who asks. *settle* is called once,
    soon after the start: it gives back what only that has needed. *sweep* ends all that this process has started, and
    what that has, and gives their names; it is called when the service has stopped. *become* goes on as a command with
    more environment variables, and *keeps_process* says whether that is this very process, rid of its threads.
    *open_shared* opens a file for reading so that others may rename and remove it meanwhile. *parses_apart*: a
    short-lived child that parses a file saves this process more than it costs.
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
    management: Callable[[str], Management] | None = None
    socket_store: SocketStore = NoSockets()
    sweep: Callable[[], Sequence[str]] = tuple
    settle: Callable[[], None] = staticmethod(nothing)
