"""A bounded pool of threads, each made when it is first needed and gone when it was idle for a while."""

from __future__ import annotations

from _collections import deque  # the C half of ``collections``
from _thread import allocate_lock

from stayon.runtime.threads import make_known, start_thread, tell_uncaught

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Task = tuple[Callable[..., object], tuple[Any, ...]]

IDLE_S = 30.0


class Pool:
    """Runs calls on worker threads, at most *limit* at a time; more wait in line, oldest first.

    The host sets the limit to the number of runs that may be under way together, so a slow one never delays another.
    The worker that was idle for the shortest time takes the next call: the others grow old and leave.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = allocate_lock()
        self._calls: deque[Task] = deque()
        self._idle: list[_Worker] = []
        self._workers: set[_Worker] = set()
        self._closed = False
        # A worker was given a call and has not begun it yet; it will look at what is in line.
        self._waking = False
        self._made = 0

    def submit(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have *function* called on a worker. It must not raise; what does goes to ``threading.excepthook``.

        Of calls that come together only the first wakes a worker; whoever begins a call first wakes the next one for
        what is in line. So few threads contend, and a call that takes long holds up none behind it.
        """
        with self._lock:
            self._calls.append((function, arguments))
            try:
                self._wake_next()
            except RuntimeError:  # no thread can be had now: whoever is done first takes it, if there is anybody
                if not self._workers:
                    self._calls.pop()
                    raise

    def begin(self) -> None:
        """A worker is about to make a call: let another see to what waits."""
        with self._lock:
            self._waking = False
            try:
                self._wake_next()
            except RuntimeError:  # as in ``submit``; and there is somebody: the one who asks
                return

    def _wake_next(self) -> None:
        """Give the first call in line to an idle worker, or a new one, unless one is waking or there may be no more."""
        if self._waking or not self._calls:
            return
        if self._idle:
            self._idle.pop().give(self._calls.popleft())
        elif len(self._workers) < self.limit:
            worker = _Worker(self, f"worker-{self._made + 1}", self._calls[0])
            worker.start()
            self._calls.popleft()
            self._made += 1
            self._workers.add(worker)
        else:
            return
        self._waking = True

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

    def next_call(self, worker: _Worker) -> None:
        """Give *worker*, which is done, its next call, or None if it is to leave, or do so later."""
        with self._lock:
            if self._calls:
                worker.give(self._calls.popleft())
            elif self._closed:
                worker.give(None)
            else:
                self._idle.append(worker)

    def is_superfluous(self, worker: _Worker) -> bool:
        """Whether *worker*, idle for long, may leave: not if it is being given something just now."""
        with self._lock:
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            self._workers.discard(worker)
            return True

    def forget(self, worker: _Worker) -> None:
        """*worker* leaves."""
        with self._lock:
            self._workers.discard(worker)


class _Worker:
    """Makes calls. Whatever it is given opens its gate once, and it passes the gate once for each: nothing is lost."""

    def __init__(self, pool: Pool, name: str, first: Task) -> None:
        self._pool, self._name = pool, name
        self._given, self._leaves = allocate_lock(), allocate_lock()
        self._leaves.acquire()
        self._call: Task | None = first

    def start(self) -> None:
        start_thread(self._run, self._name)

    def join(self, timeout_s: float) -> None:
        if self._leaves.acquire(timeout=timeout_s):
            self._leaves.release()

    def give(self, call: Task | None) -> None:
        self._call = call
        self._given.release()

    def _run(self) -> None:
        while self._wait():
            call, self._call = self._call, None
            if call is None:
                break
            function, arguments = call
            self._pool.begin()
            make_known()
            try:
                function(*arguments)
            except BaseException:  # noqa: BLE001  # told as a thread's uncaught one; the line behind it must go on
                tell_uncaught()
            # A worker that waits must not keep the last call's objects alive.
            del call, function, arguments
            self._pool.next_call(self)
        self._pool.forget(self)
        self._leaves.release()

    def _wait(self) -> bool:
        while not self._given.acquire(timeout=IDLE_S):
            if self._pool.is_superfluous(self):
                return False
        return True
