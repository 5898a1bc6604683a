"""The stacks of all threads and tasks, as text: what a dump, a hang and a refused stop show."""

from __future__ import annotations

import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

DEPTH_LIMIT = 100


def thread_stacks(only: Iterable[int] | None = None) -> str:
    """Every Python thread's stack, outermost call first; *only* limits it to some thread identifiers."""
    import traceback

    names = {thread.ident: thread.name for thread in threading.enumerate()}
    wanted = None if only is None else set(only)
    parts = []
    for ident, frame in sorted(sys._current_frames().items()):
        if wanted is None or ident in wanted:
            lines = traceback.format_stack(frame, limit=DEPTH_LIMIT)
            parts.append(f"thread {names.get(ident, 'unknown')} ({ident}):\n{''.join(lines)}")
    return "\n".join(parts)


def task_stacks(loop: asyncio.AbstractEventLoop | None) -> str:
    """The stack of every task of *loop* that has not ended; empty without a loop."""
    if loop is None:
        return ""
    import io

    out = io.StringIO()
    for task in sorted(_all_tasks(loop), key=lambda task: task.get_name()):
        out.write(f"task {task.get_name()}:\n")
        task.print_stack(limit=DEPTH_LIMIT, file=out)
    return out.getvalue()


def _all_tasks(loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[object]]:
    """``asyncio.all_tasks`` walks a set that the loop's thread changes; it gives up after 1,000 tries, we after
    three more.
    """
    import asyncio

    for _ in range(3):
        try:
            return asyncio.all_tasks(loop)
        except RuntimeError:
            continue
    return set()


def all_stacks(loop: asyncio.AbstractEventLoop | None) -> str:
    """Threads, then tasks."""
    return "\n".join(part for part in (thread_stacks(), task_stacks(loop)) if part)
