"""The stacks of all threads and tasks, as text: what a dump, a hang and a refused stop show."""

from __future__ import annotations

import gc
import sys

from stayon.runtime import threads

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable
    from types import FrameType
    from typing import Any

DEPTH_LIMIT = 100


def thread_stacks(only: Iterable[int] | None = None) -> str:
    """Every Python thread's stack, outermost call first; *only* limits it to some thread identifiers."""
    import traceback

    names = threads.names()
    wanted = None if only is None else set(only)
    parts = []
    for ident, frame in sorted(current_frames().items()):
        if wanted is None or ident in wanted:
            lines = traceback.format_stack(frame, limit=DEPTH_LIMIT)
            parts.append(f"thread {names.get(ident, 'unknown')} ({ident}):\n{''.join(lines)}")
    return "\n".join(parts)


def current_frames() -> dict[int, FrameType]:
    """The innermost frame of every thread. In Python 3.11, garbage that is collected while they are gathered may block
    all threads for ever (https://github.com/python/cpython/issues/106883).
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames()
    finally:
        if was_enabled:
            gc.enable()


def task_stacks(loop: asyncio.AbstractEventLoop | None) -> str:
    """The stack of every task of *loop* that has not ended; empty without a loop."""
    if loop is None:
        return ""
    import traceback

    parts = []
    for task in sorted(_all_tasks(loop), key=lambda task: task.get_name()):
        stack = traceback.StackSummary.extract(iter(_frames(task.get_coro())), limit=DEPTH_LIMIT)
        parts.append(f"task {task.get_name()}:\n{''.join(stack.format())}")
    return "\n".join(parts)


def _frames(awaited: Any) -> list[tuple[FrameType, int]]:
    """Each frame and its line, from the task's own coroutine to what it waits for in the end. (``Task.get_stack`` gives
    only the first, which for a user's function is ours.)
    """
    found: list[tuple[FrameType, int]] = []
    while awaited is not None and len(found) < DEPTH_LIMIT:
        kind = next((kind for kind in ("cr", "gi", "ag") if hasattr(awaited, f"{kind}_frame")), None)
        if kind is None:
            break
        frame = getattr(awaited, f"{kind}_frame")
        if frame is not None:
            found.append((frame, frame.f_lineno))
        awaited = getattr(awaited, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
    return found


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
