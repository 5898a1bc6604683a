"""Which job is running, for records that don't say."""

from __future__ import annotations

from _contextvars import ContextVar

# The name of the job that this thread or task is running; whoever runs jobs sets it.
current_job: ContextVar[str] = ContextVar("stayon_job", default="")
