"""What is logged, before it becomes a line; and which job is running, for records that don't say."""

from __future__ import annotations

from _contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol
else:
    Protocol = object

# The name of the job that this thread or task is running; whoever runs jobs sets it.
current_job: ContextVar[str] = ContextVar("stayon_job", default="")


class Entry:
    """One record. ``time`` is in seconds since 1970 (UTC). Treat it as frozen; it is plain for the sake of speed."""

    __slots__ = ("event_id", "exception", "fields", "job", "level", "logger", "message", "time")

    def __init__(  # noqa: PLR0913  # all that a record is; made in three places, once a record
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


class Sink(Protocol):
    """Where lines go. Calls come one at a time; whatever ``write`` raises is counted as a lost line, not passed on."""

    render: Callable[[Entry], bytes] | None
    """What makes of an entry what ``write`` gets; None: the line of JSON."""

    def write(self, data: bytes, level: int) -> None:
        """Write all of *data* or raise; having raised, leave no part of it behind."""
        ...

    def reopen(self) -> None:
        """Whatever it writes to was moved away: write to a new one."""
        ...

    def close(self) -> None:
        """Give everything back. Calling it twice is harmless."""
        ...
