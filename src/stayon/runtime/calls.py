"""Calling the user's functions: on a pool thread, or as a task where the function is ``async def``; never on the
host's thread.
"""

from __future__ import annotations

from _thread import get_ident

from stayon.runtime.logs.job import current_job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stayon.ports import Clock
    from stayon.runtime.loop import Loop, Timer
    from stayon.runtime.rooms import AsyncRoom, Executor

    OnEnd = Callable[["Call"], object]

_COROUTINE = 0x80  # inspect.CO_COROUTINE, without inspect


def is_async(function: Callable[..., object]) -> bool:
    """Whether calling *function* gives a coroutine; partials and bound methods are looked through."""
    while True:
        inner = getattr(function, "__func__", None) or getattr(function, "func", None) or function
        if inner is function:
            break
        function = inner
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(type(function).__call__, "__code__", None)
    return bool(code is not None and code.co_flags & _COROUTINE)


class Call:
    """One call under way: who, since when, on which thread, and afterwards how it ended."""

    __slots__ = (
        "arguments",
        "duration_s",
        "error",
        "function",
        "job",
        "name",
        "on_end",
        "result",
        "started",
        "task",
        "thread",
        "timer",
    )

    def __init__(self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...], on_end: OnEnd) -> None:
        self.name, self.function, self.arguments, self.on_end = name, function, arguments, on_end
        # What log records of other libraries, which know nothing of jobs, are filed under while it runs.
        self.job = name.removeprefix("job ")
        self.started = self.duration_s = 0.0
        self.thread = 0
        self.result: Any = None
        self.error: BaseException | None = None
        self.task: Any = None
        self.timer: Timer | None = None


class Calls:
    """Starts calls and reports their ends on the loop's thread, then calls ``on_ended()``. For the loop's thread
    only.
    """

    def __init__(self, loop: Loop, executor: Executor, room: AsyncRoom) -> None:
        self._loop, self._executor, self._room = loop, executor, room
        self._clock: Clock = loop.clock
        self.under_way: set[Call] = set()
        self.on_late: Callable[[Call], object] = lambda _call: None
        self.on_ended: Callable[[], object] = lambda: None

    def start(self, name: str, function: Callable[..., Any], *arguments: Any, on_end: OnEnd) -> Call:
        """Call ``function(*arguments)`` elsewhere; ``on_end(call)`` follows on the loop's thread, whatever happened."""
        call = Call(name, function, arguments, on_end)
        self.under_way.add(call)
        call.started = self._clock.monotonic()
        if is_async(function):
            self._room.start(call, self._ended_elsewhere)
        else:
            try:
                self._executor.submit(self._work, call)
            except RuntimeError as error:  # no thread can be had: the limit of processes, or of memory
                call.error = error
                self._loop.post(self._ended, call)
        return call

    def limit(self, call: Call, timeout_s: float, on_timeout: Callable[[Call], object]) -> None:
        """Call ``on_timeout(call)`` if *call* is still under way in *timeout_s*; a task is cancelled as well."""
        call.timer = self._loop.call_later(timeout_s, self._too_long, call, on_timeout)

    def _too_long(self, call: Call, on_timeout: Callable[[Call], object]) -> None:
        if call in self.under_way:
            on_timeout(call)
            self._room.cancel(call)

    def _work(self, call: Call) -> None:
        call.thread = get_ident()
        current_job.set(call.job)
        call.started = self._clock.monotonic()
        try:
            call.result = call.function(*call.arguments)
        except BaseException as error:  # noqa: BLE001  # a user's SystemExit must not take a worker along; it is reported
            call.error = error
        call.duration_s = self._clock.monotonic() - call.started
        self._loop.post(self._ended, call)

    def _ended_elsewhere(self, call: Call) -> None:
        call.duration_s = self._clock.monotonic() - call.started
        self._loop.post(self._ended, call)

    def _ended(self, call: Call) -> None:
        self.under_way.discard(call)
        if call.timer is not None:
            call.timer.cancel()
        call.on_end(call)
        self.on_ended()


class Sequence:
    """Functions called one after the other, each within a limit.

    The first error or timeout ends it: *on_end* gets it, or None, on the loop's thread. With *on_error*, that is told
    ``(name, error)`` instead, and the next one is called. Of a call that came too late only
    its error is heard, by ``Calls.on_late``.
    """

    def __init__(
        self,
        calls: Calls,
        timeout_s: float,
        on_end: Callable[[BaseException | None], object],
        on_error: Callable[[str, BaseException], object] | None = None,
    ) -> None:
        self._calls, self._timeout_s, self._on_end, self._on_error = calls, timeout_s, on_end, on_error
        self._left: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = []
        self._current: Call | None = None

    def start(self, functions: list[tuple[str, Callable[..., Any], tuple[Any, ...]]]) -> None:
        """Begin with the first of ``(name, function, arguments)``; with none, *on_end* is called at once."""
        self._left = functions[::-1]
        self._next()

    def give_up(self) -> None:
        """Hear nothing more of the call under way, and call no further one."""
        self._current = None
        self._left = []

    def _next(self) -> None:
        if not self._left:
            self._finish(None)
            return
        name, function, arguments = self._left.pop()
        self._current = self._calls.start(name, function, *arguments, on_end=self._ended)
        self._calls.limit(self._current, self._timeout_s, self._timed_out)

    def _ended(self, call: Call) -> None:
        if call is not self._current:
            if call.error is not None:
                self._calls.on_late(call)
            return
        if call.error is None:
            self._next()
        else:
            self._failed(call, call.error)

    def _timed_out(self, call: Call) -> None:
        if call is self._current:
            self._failed(call, TimeoutError(f"{call.name} did not return within {self._timeout_s:g} s"))

    def _failed(self, call: Call, error: BaseException) -> None:
        if self._on_error is None:
            self._finish(error)
        else:
            self._on_error(call.name, error)
            self._next()

    def _finish(self, error: BaseException | None) -> None:
        self.give_up()
        self._on_end(error)
