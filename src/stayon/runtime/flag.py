"""A flag that threads and tasks can wait for: what ``ctx.stopping`` and ``ctx.paused`` are."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from stayon.ports import Clock


class Flag:
    """Set or not; waiting costs nothing until it is set. A third of ``threading.Event``'s size, and the clock is given.

    The gate is shut (its lock held) while the flag is not set; whoever passes opens it for the next.
    """

    __slots__ = ("_clock", "_gate", "_is_set", "_listeners")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gate = clock.gate()
        self._gate.acquire()
        self._is_set = False
        self._listeners: list[Callable[[], object]] = []

    def __bool__(self) -> bool:
        return self._is_set

    def is_set(self) -> bool:
        """Whether it is set now."""
        return self._is_set

    def set(self) -> None:
        """Set it and wake everyone who waits. Setting twice is harmless. For the host's thread only."""
        if not self._is_set:
            self._is_set = True
            self._gate.release()
            for listener in self._listeners[:]:
                listener()

    def clear(self) -> None:
        """Make later waits block again. For the host's thread only."""
        if self._is_set:
            self._gate.acquire()
            self._is_set = False

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until it is set or *timeout_s* seconds are over; True if it is set."""
        if not self._is_set and self._clock.wait(self._gate, timeout_s):
            self._gate.release()
        return self._is_set

    async def wait_async(self, timeout_s: float | None = None) -> bool:
        """As ``wait``, for a coroutine: only the calling task waits."""
        import asyncio

        loop = asyncio.get_running_loop()
        woken = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(woken.set)

        self._listeners.append(wake)
        try:
            if not self._is_set:
                async with asyncio.timeout(timeout_s):
                    await woken.wait()
        except TimeoutError:
            pass
        finally:
            self._listeners.remove(wake)
        return self._is_set
