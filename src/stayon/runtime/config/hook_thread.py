"""Calling the user's hooks one after the other on one thread, each within a limit."""

from __future__ import annotations

from stayon.runtime.threads import start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stayon.ports import Clock


class HookThread:
    """``call(function, *arguments, timeout_s=...)`` runs it on the thread and gives what it returns, or raises what it
    raises.

    All calls have the same thread, since what a hook opens in its first half (an SQLite connection, say) may belong to
    the thread. A call that is late raises ``TimeoutError``; its thread is left to itself, and the next call gets a new
    one.
    """

    def __init__(
        self, clock: Clock, start_thread: Callable[[Callable[[], object], str], object] = start_thread
    ) -> None:
        self._clock, self._start_thread = clock, start_thread
        self._current: _Worker | None = None

    def call(self, function: Callable[..., Any], *arguments: Any, timeout_s: float) -> Any:
        """Run ``function(*arguments)``. Blocks up to *timeout_s*. For one caller at a time."""
        if self._current is None:
            self._current = _Worker(self._clock)
            self._start_thread(self._current.work, "stayon-reload")
        worker = self._current
        worker.give(function, arguments)
        if not self._clock.wait(worker.done, timeout_s):
            self._current = None
            worker.leave()
            raise TimeoutError(f"it did not return within {timeout_s:g} s")
        if worker.error is not None:
            raise worker.error
        return worker.result

    def close(self) -> None:
        """Let the thread end."""
        if self._current is not None:
            self._current.leave()
            self._current = None


class _Worker:
    """One thread that waits for the next function, or for leave."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._given, self.done = clock.gate(), clock.gate()
        self._given.acquire()
        self.done.acquire()
        self.result: Any = None
        self.error: BaseException | None = None
        self._task: tuple[Callable[..., Any], tuple[Any, ...]] | None = None
        self._left = False

    def give(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.result = self.error = None
        self._task = (function, arguments)
        self._given.release()

    def leave(self) -> None:
        self._left = True
        try:
            self._given.release()
        except RuntimeError:
            return  # what was given last is not taken yet: the thread will see that it is to leave

    def work(self) -> None:
        """Call what is given until ``leave``. On its thread."""
        while True:
            self._clock.wait(self._given, None)
            if self._left or self._task is None:
                return
            function, arguments = self._task
            try:
                self.result = function(*arguments)
            except BaseException as error:  # noqa: BLE001  # handed to the caller, SystemExit included
                self.error = error
            self.done.release()
