"""What a program logs with: ``ctx.log`` is one of these."""

from __future__ import annotations

import sys

from stayon.core.entry import Entry
from stayon.core.levels import CRITICAL, DEBUG, ERROR, INFO, NOTICE, TRACE, WARNING
from stayon.runtime.logs.job import current_job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from stayon.runtime.logs.pipeline import Pipeline

_NOTHING: Mapping[str, Any] = {}


class Logger:
    """Writes records, each with a message and fields given by name. Immutable, cheap to make, for any thread.

    Every method returns when the record is written, or known to be lost, and never raises: what cannot be written is
    counted, and told when it can be again. ``event_id`` is the number Windows' Event Log files it under, 0 for none.
    A value may be anything; one whose class says ``__secret__ = True`` is shown as ``***``.
    """

    __slots__ = ("_bound", "_job", "_name", "_pipeline")

    def __init__(self, pipeline: Pipeline, name: str, job: str = "", bound: Mapping[str, Any] = _NOTHING) -> None:
        self._pipeline = pipeline
        self._name = name
        self._job = job
        self._bound = bound

    def bind(self, /, **fields: Any) -> Logger:
        """A logger that adds *fields* to each of its records; what a call gives under the same name wins."""
        return Logger(self._pipeline, self._name, self._job, {**self._bound, **fields})

    def trace(self, message: object, /, *, event_id: int = 0, **fields: Any) -> None:
        """The finest grain: what happened inside."""
        if self._pipeline.level <= TRACE:
            self._write(TRACE, message, event_id, fields)

    def debug(self, message: object, /, *, event_id: int = 0, **fields: Any) -> None:
        """What a developer wants to see while looking for something."""
        if self._pipeline.level <= DEBUG:
            self._write(DEBUG, message, event_id, fields)

    def info(self, message: object, /, *, event_id: int = 0, **fields: Any) -> None:
        """It works, and this is what it did."""
        if self._pipeline.level <= INFO:
            self._write(INFO, message, event_id, fields)

    def notice(self, message: object, /, *, event_id: int = 0, **fields: Any) -> None:
        """Normal, but worth a look: a start, a stop, a reload."""
        if self._pipeline.level <= NOTICE:
            self._write(NOTICE, message, event_id, fields)

    def warning(self, message: object, /, *, event_id: int = 0, **fields: Any) -> None:
        """It goes on, but somebody should see to it."""
        if self._pipeline.level <= WARNING:
            self._write(WARNING, message, event_id, fields)

    def error(self, message: object, /, *, event_id: int = 0, **fields: Any) -> None:
        """Something that was asked for was not done."""
        if self._pipeline.level <= ERROR:
            self._write(ERROR, message, event_id, fields)

    def critical(self, message: object, /, *, event_id: int = 0, **fields: Any) -> None:
        """The service cannot go on."""
        if self._pipeline.level <= CRITICAL:
            self._write(CRITICAL, message, event_id, fields)

    def exception(self, message: object, /, *, event_id: int = 0, **fields: Any) -> None:
        """An error, with the exception that is being handled and its stack."""
        if self._pipeline.level <= ERROR:
            self._write(ERROR, message, event_id, fields, sys.exception())

    def failure(
        self, message: object, error: BaseException, /, *, level: int = ERROR, event_id: int = 0, **fields: Any
    ) -> None:
        """A record of *level* with *error* and its stack, for an exception that isn't being handled any more."""
        if self._pipeline.level <= level:
            self._write(level, message, event_id, fields, error)

    def _write(
        self, level: int, message: object, event_id: int, fields: dict[str, Any], error: BaseException | None = None
    ) -> None:
        if self._bound:
            fields = {**self._bound, **fields}
        pipeline = self._pipeline
        job = self._job or current_job.get()
        pipeline.emit(Entry(pipeline.now(), level, self._name, job, message, event_id, fields, error))
