"""What doesn't log with us arrives all the same: ``logging``, ``warnings``, and exceptions that nobody caught."""

from __future__ import annotations

import os
import sys

from stayon.core.levels import CRITICAL
from stayon.runtime.logs.late import when_imported
from stayon.runtime.logs.values import text_of
from stayon.runtime.threads import make_known

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from stayon.runtime.logs.pipeline import Pipeline

_CRASH_LIMIT = 32768


class Capture:
    """Sends to *pipeline* what would go to standard error. One at a time; ``remove`` puts back what was there before.

    ``logging`` and ``threading`` are joined when somebody imports them, and cost nothing until then.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._log = pipeline.logger()
        self._undo: list[Callable[[], object]] = []

    def install(self) -> None:
        """Begin. The hooks that were there are not called any more."""
        self._hook(sys, "excepthook", self._on_exception)
        self._hook(sys, "unraisablehook", self._on_unraisable)
        self._undo.append(when_imported("threading", self._join_threading))
        self._undo.append(when_imported("warnings", self._join_warnings))
        self._undo.append(when_imported("logging", self._join_logging))

    def remove(self) -> None:
        """End, in reverse. Calling it twice is harmless."""
        while self._undo:
            self._undo.pop()()

    def asyncio_failure(self, context: dict[str, Any]) -> None:
        """What an event loop tells its exception handler: a task that failed unseen, a callback that raised."""
        fields = {name: value for name, value in context.items() if name not in ("message", "exception")}
        message = context.get("message") or "unhandled exception in the event loop"
        error = context.get("exception")
        if error is None:
            self._log.bind(**fields).error(message)
        else:
            self._log.bind(**fields).failure(message, error)

    def _hook(self, owner: Any, name: str, ours: Callable[..., object]) -> None:
        before = getattr(owner, name)
        setattr(owner, name, ours)
        self._undo.append(lambda: setattr(owner, name, before))

    def _on_exception(self, kind: type[BaseException], error: BaseException, stack: TracebackType | None) -> None:
        del kind, stack
        self._log.failure("uncaught exception", error, level=CRITICAL)

    def _on_thread_exception(self, arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_type is SystemExit:
            return  # a quiet way to end a thread, as threading's own hook has it
        name = arguments.thread.name if arguments.thread is not None else "?"
        error = arguments.exc_value or RuntimeError(arguments.exc_type.__name__)
        self._log.failure("uncaught exception in a thread", error, thread=name)

    def _on_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        message = unraisable.err_msg or "exception ignored in"
        error = unraisable.exc_value or RuntimeError(unraisable.exc_type.__name__)
        # The text now: keeping the object would bring a dying one back to life.
        self._log.failure(message, error, object=text_of(unraisable.object))

    def _join_threading(self) -> None:
        import threading

        self._hook(threading, "excepthook", self._on_thread_exception)
        make_known()

    def _join_logging(self) -> None:
        from stayon.runtime.logs.stdlib import join

        self._undo.append(join(self._pipeline))

    def _join_warnings(self) -> None:
        import warnings

        show = warnings.showwarning
        log = self._pipeline.logger("py.warnings")

        def showwarning(  # noqa: PLR0913  # as the documentation of warnings.showwarning has it
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: Any = None,
            line: str | None = None,
        ) -> None:
            if file is not None:
                show(message, category, filename, lineno, file, line)
            else:
                log.warning(text_of(message), category=category.__name__, file=filename, line=lineno)

        self._hook(warnings, "showwarning", showwarning)


def enable_crash_file(path: str) -> int:
    """Let the faulthandler write to *path* when the process crashes. Gives the descriptor, which must stay open."""
    import faulthandler

    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    faulthandler.enable(fd, all_threads=True)
    return fd


def leftovers(path: str) -> str | None:
    """Take what a crash of an earlier process left at *path*, at most its first 32 KiB; None if there is nothing."""
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        data = os.read(fd, _CRASH_LIMIT)
        os.ftruncate(fd, 0)
    finally:
        os.close(fd)
    return data.decode("utf-8", "backslashreplace").strip() or None
