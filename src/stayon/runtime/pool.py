"""A bounded pool of threads, each made when it is first needed and gone when it was idle for a while."""

from __future__ import annotations

import threading
from _collections import deque  # the C half of ``collections``

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

IDLE_S = 30.0


class Pool:
    """Runs calls on worker threads, at most *limit* at a time; more wait in line, oldest first.

    The host sets the limit to the number of runs that may be under way together, so a slow one never delays another.
    The worker that was idle for the shortest time takes the next call: the others grow old and leave.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._idle: list[_Worker] = []
        self._workers: set[_Worker] = set()
        self._closed = False
        self._made = 0

    def submit(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have *function* called on a worker. It must not raise; what does goes to ``threading.excepthook``."""
        with self._lock:
            if self._idle:
                self._idle.pop().give((function, arguments))
            elif len(self._workers) < self.limit:
                self._made += 1
                worker = _Worker(self, f"worker-{self._made}", (function, arguments))
                self._workers.add(worker)
                worker.start()
            else:
                self._calls.append((function, arguments))

    def close(self) -> None:
        """Let idle workers leave, and busy ones when they are done. Does not wait."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().give(None)

    def join(self, timeout_s: float) -> bool:
        """Wait for all workers to have left, after ``close``; False if some are still busy after *timeout_s* in all."""
        for worker in list(self._workers):
            worker.join(timeout_s)
        return not self._workers

    def next_call(self, worker: _Worker) -> tuple[Callable[..., object], tuple[Any, ...]] | None:
        """For a worker that is done: the next call, or None when it should wait for one."""
        with self._lock:
            if self._calls:
                call: tuple[Callable[..., object], tuple[Any, ...]] = self._calls.popleft()
                return call
            if not self._closed:
                self._idle.append(worker)
            return None

    def leave(self, worker: _Worker, *, fallen: bool = False) -> bool:
        """Take *worker* off the books; False if a call was handed to it just now and it has to stay."""
        with self._lock:
            if worker.has_call and not fallen:
                return False
            if worker in self._idle:
                self._idle.remove(worker)
            self._workers.discard(worker)
            return True

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed


class _Worker(threading.Thread):
    def __init__(self, pool: Pool, name: str, first: tuple[Callable[..., object], tuple[Any, ...]]) -> None:
        super().__init__(name=name, daemon=True)
        self._pool = pool
        self._call: tuple[Callable[..., object], tuple[Any, ...]] | None = first
        self._given = threading.Lock()
        self._given.acquire()

    @property
    def has_call(self) -> bool:
        return self._call is not None

    def give(self, call: tuple[Callable[..., object], tuple[Any, ...]] | None) -> None:
        self._call = call
        self._given.release()

    def run(self) -> None:
        while True:
            self._work()
            woken = not self._pool.closed and self._given.acquire(timeout=IDLE_S)
            if (not woken or self._pool.closed) and self._pool.leave(self):
                return

    def _work(self) -> None:
        while self._call is not None:
            function, arguments = self._call
            self._call = None
            try:
                function(*arguments)
            except BaseException:
                self._pool.leave(self, fallen=True)
                raise
            # A worker that waits must not keep the last call's objects alive.
            del function, arguments
            self._call = self._pool.next_call(self)
