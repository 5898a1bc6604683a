"""Where the user's code runs: the main thread's seat, and the event loop for what is ``async def``."""

from __future__ import annotations

from _thread import allocate_lock, get_ident

from stayon.runtime.logs.job import current_job

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any, Protocol

    from stayon.runtime.calls import Call

    class Executor(Protocol):
        """Runs calls elsewhere, at most *limit* at a time: the pool, or the simulation's own way."""

        limit: int

        def submit(self, function: Callable[..., object], *arguments: Any) -> None: ...

        def close(self) -> None: ...


class Seat:
    """Lets the host have functions called on the main thread, where signals, GUIs and many C libraries want to live."""

    def __init__(self) -> None:
        # Locked until there is something to be looked at.
        self._bell = allocate_lock()
        self._bell.acquire()
        self._functions: list[Callable[[], object]] = []
        self._left = False

    def give(self, function: Callable[[], object]) -> None:
        """Have *function* called on the main thread, after what was given before. It must not raise."""
        self._functions.append(function)
        self._ring()

    def leave(self) -> None:
        """Let ``sit`` return when it has nothing to call."""
        self._left = True
        self._ring()

    def sit(self) -> None:
        """Call what is given until ``leave``. Blocks; on the main thread."""
        while not self._left:
            self._bell.acquire()
            while self._functions:
                self._functions.pop(0)()

    def _ring(self) -> None:
        try:
            self._bell.release()
        except RuntimeError:  # it rings already, and who hears it looks at everything
            return


class AsyncRoom:
    """An event loop that is made when the first coroutine function is to be called, by the *open* that is given.

    *open* gets the function that runs the loop, and calls it on the thread of its choice. Methods are for the host's
    thread; asyncio is imported on the thread that runs the loop. *new_loop* makes it; None: as asyncio does.
    """

    def __init__(
        self,
        open_room: Callable[[Callable[[], None]], object],
        on_error: Callable[[dict[str, Any]], object],
        new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self._open_room, self._on_error, self._new_loop = open_room, on_error, new_loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None
        self._lock = allocate_lock()
        self._waiting: list[tuple[Call, Callable[[Call], object]]] | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop, or None if nothing needed one."""
        return self._loop

    def start(self, call: Call, on_end: Callable[[Call], object]) -> None:
        """Run the coroutine of *call* as a task; ``on_end(call)`` on the event loop's thread, once, whatever
        happened.
        """
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._create, call, on_end)
            elif self._waiting is not None:
                self._waiting.append((call, on_end))
            else:
                self._waiting = [(call, on_end)]
                self._open_room(self._run)

    def run(self, coroutine: Any) -> Any:
        """Run *coroutine* to its end; gives what it returns, raises what it raises. Blocks; not on the loop's
        thread.
        """
        from stayon.runtime.calls import Call

        done = allocate_lock()
        done.acquire()
        call = Call("coroutine", lambda: coroutine, (), lambda _call: None)
        self.start(call, lambda _call: done.release())
        done.acquire()
        if call.error is not None:
            raise call.error
        return call.result

    def cancel(self, call: Call) -> None:
        """Ask the task of *call* to end; without one this does nothing."""
        if call.task is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(call.task.cancel)

    def close(self) -> None:
        """Let the event loop end once its tasks have been cancelled. Does not wait."""
        if self._loop is not None and self._closing is not None:
            self._loop.call_soon_threadsafe(self._closing.set)

    def _run(self) -> None:
        import asyncio

        with asyncio.Runner(loop_factory=self._new_loop) as runner:
            runner.run(self._stay_open())

    async def _stay_open(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: self._on_error(context))
        self._closing = asyncio.Event()
        with self._lock:
            self._loop = loop
            for call, on_end in self._waiting or ():
                self._create(call, on_end)
        await self._closing.wait()

    def _create(self, call: Call, on_end: Callable[[Call], object]) -> None:
        import asyncio

        call.task = asyncio.get_running_loop().create_task(self._follow(call), name=call.name)
        call.task.add_done_callback(lambda _task: on_end(call))

    async def _follow(self, call: Call) -> None:
        call.thread = get_ident()
        current_job.set(call.job)
        try:
            call.result = await call.function(*call.arguments)
        except BaseException as error:  # noqa: BLE001  # SystemExit and cancellation included: each is how this call ended
            call.error = error
