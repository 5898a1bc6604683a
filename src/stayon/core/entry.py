"""One log record, as it passes from whoever logs to wherever it is written."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Entry:
    """One record. ``time`` is in seconds since 1970 (UTC). Treat it as frozen; it is plain for the sake of speed."""

    __slots__ = ("event_id", "exception", "fields", "job", "level", "logger", "message", "time")

    def __init__(  # noqa: PLR0913  # all that a record is; made in four places, once a record
        self,
        time: float,
        level: int,
        logger: str,
        job: str,
        message: object,
        event_id: int,
        fields: Mapping[str, Any],
        exception: BaseException | None,
    ) -> None:
        self.time = time
        self.level = level
        self.logger = logger
        self.job = job
        self.message = message
        self.event_id = event_id
        self.fields = fields
        self.exception = exception
