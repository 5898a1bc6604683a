"""Stored lines as records again, and which of them somebody wants to see."""

from __future__ import annotations

from stayon.core.levels import LEVELS
from stayon.runtime.logs.stamps import moment_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def decode(line: str) -> dict[str, Any] | None:
    """The record that *line* holds; None if it is no record of ours (cut by a crash, or written by somebody else)."""
    import json

    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and "message" in record else None


def matches(record: Mapping[str, Any] | None, *, level: int = 0, job: str = "", since: float | None = None) -> bool:
    """Whether *record* has at least *level*, belongs to *job*, and is not older than *since* (seconds since 1970).

    Zero, the empty string and None ask for nothing. What is no record (None) passes only when nothing is asked for.
    """
    if record is None:
        return not level and not job and since is None
    if level and LEVELS.get(str(record.get("level")), 0) < level:
        return False
    if job and record.get("job") != job:
        return False
    if since is None:
        return True
    moment = moment_of(str(record.get("time")))
    return moment is not None and moment >= since
