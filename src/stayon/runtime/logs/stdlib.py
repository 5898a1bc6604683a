"""Records of the standard library's ``logging`` become ours."""

from __future__ import annotations

from stayon.core.entry import Entry
from stayon.core.levels import NAMES, band
from stayon.runtime.logs.job import current_job
from stayon.runtime.logs.values import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from typing import Any

    from stayon.runtime.logs.pipeline import Pipeline


def join(pipeline: Pipeline) -> Callable[[], None]:
    """Send what reaches logging's root logger to *pipeline*, at its level. Gives what undoes it.

    Having a handler, the root is left alone by ``logging.basicConfig()``. ``extra`` becomes fields.
    """
    import logging

    class PipelineHandler(logging.Handler):
        """Where all loggers lead, as far as they propagate."""

        def handle(self, record: logging.LogRecord) -> bool:
            # Without Handler's lock: the pipeline has its own, and two would have to be taken in one order everywhere.
            kept: Any = self.filter(record)  # since 3.12 it may be another record
            if kept:
                pipeline.emit(entry_of(record if kept is True else kept, ordinary))
            return bool(kept)

        def follow(self, level: int) -> None:
            self.setLevel(level)
            root.setLevel(level)

    ordinary = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
    root = logging.getLogger()
    level_before = root.level
    handler = PipelineHandler()
    root.addHandler(handler)
    pipeline.on_level(handler.follow)

    def leave() -> None:
        pipeline.forget_level(handler.follow)
        root.removeHandler(handler)
        root.setLevel(level_before)

    return leave


def entry_of(record: logging.LogRecord, ordinary: frozenset[str]) -> Entry:
    """*record* as an entry. Attributes that are not *ordinary* ones came by ``extra``."""
    fields = {name: value for name, value in vars(record).items() if name not in ordinary}
    try:
        message = record.getMessage()
    except Exception as error:  # noqa: BLE001  # arguments that don't fit their format must not cost the record
        message = text_of(record.msg)
        fields["args"] = record.args
        fields["format_error"] = error
    if record.stack_info:
        fields["stack_info"] = record.stack_info
    exception = record.exc_info[1] if record.exc_info else None
    if exception is None and record.exc_text:
        fields["stack"] = record.exc_text
    level = record.levelno if record.levelno in NAMES else band(record.levelno)
    return Entry(record.created, level, str(record.name), current_job.get(), message, 0, fields, exception)
