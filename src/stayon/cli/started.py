"""What a service manager runs: the service of a program in this process, told by its starter instead of by words."""

from __future__ import annotations

from stayon import app
from stayon.core.record import Record
from stayon.errors import FailedError, StayonError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    from stayon.app import Ending
    from stayon.ports import Starter
    from stayon.runtime.service import Service


class Start(Record):
    """Which service, and how. *arguments* gives those of this start, and may block until they are there; then *reason*
    says why it was started. *found* is told what the service declares, when it has been imported; *end* ends the
    process; *said* is told of an error that is raised, and was logged to where standard error goes, too.
    """

    name: str
    target: str
    instance: str
    options: tuple[str, ...]
    arguments: Callable[[], tuple[str, ...]]
    reason: Callable[[], str]
    found: Callable[[Sequence[str]], object]
    end: Callable[..., NoReturn]
    said: Callable[[BaseException], object] = id


def run(start: Start, starter: Callable[[], Starter]) -> NoReturn:
    """Run the service and end the process. What fails before it could log for itself is logged, and raised."""
    try:
        service = _service(start)
        start.found([one.kind for one in service.declarations])
        app.here()  # before anything that waits
        options = _options(start)
        started_by = starter()
    except BaseException as error:
        if getattr(error, "code", "") != "scm.not-started-by-it":
            _log_or_note(start, error)
        raise

    def leave(ending: Ending) -> NoReturn:
        # Whoever hears that it has stopped may start it again at once.
        ending.lock.release()
        start.end(ending.exit_code, asked=ending.asked, again=ending.restart)

    try:
        ending = app.run(service, options, leave, started_by)
    except StayonError as error:
        if error.is_said:
            start.said(error)
        raise
    except BaseException as error:
        _log_or_note(start, error)
        raise
    _run_exit_functions()
    leave(ending)


def log_too_late(name: str, instance: str, limit_s: float) -> None:
    """Log that the program of *name* has not been imported after *limit_s*, with what every thread is doing."""
    from stayon.runtime.stacks import all_stacks

    error = FailedError(
        f"its program had not been imported after {limit_s:g} s",
        hint="Do on start what takes long: in an on_start hook, or in run; or raise start_timeout",
        code="scm.import-too-long",
    )
    error.details = tuple(str(all_stacks(None)).splitlines())
    log(name, instance, error)


def log(name: str, instance: str, error: BaseException) -> bool:
    """Log *error* where the service *name* would have logged if it had come so far. Gives whether that is where
    standard error goes, too.
    """
    return app.log_failed_start(app.here(), name, instance, error)


def _log_or_note(start: Start, error: BaseException) -> None:
    """Log *error*; where that can't be done, it has a note that says why, and is still what went wrong."""
    try:
        if log(start.name, start.instance, error):
            start.said(error)
    except Exception as second:  # noqa: BLE001  # whatever it is, the first error goes before it
        error.add_note(f"and it could not be logged: {second}")


def _service(start: Start) -> Service:
    from stayon.cli.target import find

    _, service = find(start.target)
    if service is None:
        raise UsageError(
            "the service manager was told no program", where=start.target, hint="Install it again.", code="scm.command"
        )
    if service.name != start.name:
        raise UsageError(
            f"it is {service.name!r} now, and was installed as {start.name!r}",
            where=start.target,
            hint="Uninstall the old name, then install the new one.",
            code="scm.other-name",
        )
    return service


def _options(start: Start) -> app.Options:
    given: dict[str, Any] = {}
    if start.options:
        from stayon.cli.words import parse

        given = dict(parse(["run", *start.options], with_target=False).given)
    return app.Options(
        config=given.get("config", ""),
        settings=tuple(given.get("set", ())),
        instance=start.instance,
        level=given.get("level", ""),
        once=given.get("once", ""),
        arguments=start.arguments(),
        start_reason=start.reason(),
    )


def _run_exit_functions() -> None:
    import atexit

    atexit._run_exitfuncs()  # noqa: SLF001  # what Py_Finalize calls first; there is no other name for it
