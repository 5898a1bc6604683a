"""From the SCM's command line to the running service: the connection, the standard handles, site-packages, and what
is left of a start that fails.
"""

from __future__ import annotations

import gc
import os
import sys
from _thread import allocate_lock

from stayon import exits
from stayon.core.record import Record
from stayon.platforms.windows.standard_handles import open_missing_handles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import NoReturn

    from stayon.platforms.windows.api import ServiceProcess
    from stayon.platforms.windows.dispatcher import Dispatcher

# How long the SCM may take from the connection to the call; it gives us 30 s for the way there.
CALL_TIMEOUT_S = 30.0

_START_FAILED = 12


class Line(Record):
    """What the command line says. *target* is what ``cli.target.find`` takes; *options* are those of the verb
    ``run``.
    """

    service: str
    target: str
    instance: str = ""
    venv: str = ""
    start_timeout_s: float = 60.0
    options: tuple[str, ...] = ()


def understood(words: Sequence[str]) -> Line:
    """The line that ``command`` made. What isn't such a line raises ``ValueError``."""
    named = {"service": "", "instance": "", "venv": "", "start-timeout": "60"}
    rest = list(words)
    while rest and rest[0].startswith("--"):
        option, value, *rest = rest
        if option[2:] not in named:
            raise ValueError(option)
        named[option[2:]] = value
    target, *options = rest
    return Line(
        named["service"],
        target,
        named["instance"],
        named["venv"],
        float(named["start-timeout"]),
        tuple(options[1:]),
    )


def of_system() -> ServiceProcess:
    """The end of the SCM that the system gives a process."""
    from stayon.platforms.windows.service_process import AdvapiServiceProcess

    return AdvapiServiceProcess()


class Boot:
    """One start. ``connect`` is for a thread of its own, or comes first where *process* has been called by the SCM
    already; ``run`` is for the main thread. *forget* is called when all that every service needs has been imported.
    """

    def __init__(
        self, line: Line, forget: Callable[[], object], process: Callable[[], ServiceProcess] = of_system
    ) -> None:
        self._line, self._forget, self._process = line, forget, process
        self._dispatcher: Dispatcher | None = None
        self._failure: BaseException | None = None
        self._is_logging = False
        self._made = allocate_lock()
        self._made.acquire()

    def connect(self) -> None:
        """Connect to the SCM. Blocks as ``ServiceProcess.dispatch`` does."""
        try:
            from stayon.platforms.windows.bell import EventBell
            from stayon.platforms.windows.dispatcher import Dispatcher

            line = self._line
            dispatcher = Dispatcher(line.service, self._process(), EventBell, start_timeout_s=line.start_timeout_s)
            dispatcher.on_late = self._late
            dispatcher.on_started = self._started
            self._dispatcher = dispatcher
        except BaseException as error:  # noqa: BLE001  # the main thread raises it
            self._failure = error
            return
        finally:
            self._made.release()
        dispatcher.connect()

    def run(self) -> NoReturn:
        """Run the service, and end the process."""
        try:
            open_missing_handles()
            # This program is above all floors: it joins the platform to the command that it is. (And it is imported
            # before anything that has to wait for the system's libraries, which the other thread is loading.)
            started = __import__("stayon.cli.started", fromlist=["run"])
            use_site(self._line.venv)
            # Whatever it starts ends with it, however it ends.
            from stayon.platforms.windows.jobs import adopt_self

            adopt_self()
            self._serve(started)
        except BaseException as error:  # noqa: BLE001  # it is the process's last word, and the SCM gets it
            self._fail(error)

    def _fail(self, error: BaseException) -> NoReturn:
        """Tell of *error* where nobody has, and let the SCM have its exit code, not just an end of the process."""
        from stayon.errors import StayonError, exit_code_of

        if not self._is_logging:
            self._log(error)
        if sys.stderr is not None:
            sys.stderr.write(f"{error}\n" if isinstance(error, StayonError) else f"{error!r}\n")
            sys.stderr.flush()
        try:
            self._arguments()
        except StayonError:
            os._exit(exit_code_of(error) or exits.FAILED)
        self._end(exit_code_of(error) or exits.FAILED)

    def _log(self, error: BaseException) -> None:
        """Log what comes before anything that could log."""
        try:
            started = __import__("stayon.cli.started", fromlist=["log"])
            started.log(self._line.service, self._line.instance, error)
        except Exception as second:  # noqa: BLE001  # then the Event Log, which needs next to nothing, gets both
            from traceback import format_exception

            from stayon.core.levels import CRITICAL
            from stayon.platforms.windows.eventlog import report_event

            text = "".join([*format_exception(error), *format_exception(second)])
            report_event(self._line.service, _START_FAILED, CRITICAL, text)

    def _serve(self, started: ModuleType) -> NoReturn:
        line = self._line
        sys.argv[:] = [line.target]
        start = started.Start(
            line.service,
            line.target,
            line.instance,
            line.options,
            self._arguments,
            self._reason,
            self._found,
            self._end,
        )
        self._is_logging = True
        run: Callable[..., NoReturn] = started.run
        run(start, self._starter)

    def _starter(self) -> Dispatcher:
        self._made.acquire()
        self._made.release()
        if self._dispatcher is None:
            raise self._failure or RuntimeError("not connected")
        return self._dispatcher

    def _arguments(self) -> tuple[str, ...]:
        return self._starter().wait_for_start(CALL_TIMEOUT_S)

    def _reason(self) -> str:
        from stayon.platforms.windows.service_process import start_reason

        return start_reason(self._starter().handle)

    def _found(self, kinds: Sequence[str]) -> None:
        from stayon.platforms.windows.controls import powers_of

        self._starter().declare(powers_of(kinds))

    def _started(self) -> None:
        """All that there is now stays."""
        self._forget()
        gc.freeze()
        gc.enable()

    def _late(self) -> None:
        """The program is being imported, and that takes too long: nobody would ever end it."""
        started = __import__("stayon.cli.started", fromlist=["run"])
        line = self._line
        started.log_too_late(line.service, line.instance, line.start_timeout_s)
        self._end(exits.FAILED)

    def _end(self, exit_code: int, *, asked: bool = False, again: bool = False) -> NoReturn:
        """Tell the SCM, and end the process, from any thread. (Its exit code is for who looks at the process; the SCM
        has ours already.)
        """
        if self._dispatcher is not None:
            self._dispatcher.finish(exit_code, asked=asked, again=again)
        os._exit(exit_code)


def use_site(venv: str) -> None:
    """What Python does at its start where it isn't told not to: site-packages, those of *venv* if it is given, and
    their .pth files. An embeddable Python has its ``._pth`` file instead, and a one-file program all that it needs.
    """
    if getattr(sys, "frozen", False) or not sys.flags.no_site or "site" in sys.modules or _has_own_path():
        return
    if venv:
        sys.executable = os.path.join(venv, "Scripts", "python.exe")
        if sys.version_info >= (3, 14):
            # There the interpreter does what ``site`` did before.
            sys.prefix = sys.exec_prefix = venv
    import site

    site.main()


def _has_own_path() -> bool:
    base, _ = os.path.splitext(sys.executable)
    library = os.path.join(os.path.dirname(base), f"python{sys.version_info[0]}{sys.version_info[1]}")
    return any(os.path.isfile(f"{one}._pth") for one in (library, base))
