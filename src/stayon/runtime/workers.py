"""The functions that live as long as the service: ``run`` on the main thread, each ``task`` on a thread of its own."""

from __future__ import annotations

from _thread import get_ident

from stayon.runtime.calls import Call, is_async

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stayon.core.spec import WorkerSpec
    from stayon.runtime.context import Context
    from stayon.runtime.host import Equipment
    from stayon.runtime.loop import Loop
    from stayon.runtime.watchdog import Beat, Watchdog

    Worker = tuple[WorkerSpec, Callable[..., Any]]


class Workers:
    """Starts workers, watches their beats and reports their ends: ``on_end(name, error)`` on the loop's thread."""

    def __init__(self, loop: Loop, watchdog: Watchdog, equipment: Equipment) -> None:
        self._loop, self._watchdog = loop, watchdog
        self._seat, self._room, self._start_thread = equipment.seat, equipment.async_room, equipment.start_thread
        self._beats: dict[Call, Beat] = {}
        self.under_way: set[Call] = set()

    def start(
        self,
        worker: Worker,
        context: Callable[[Beat | None], Context],
        on_end: Callable[[str, BaseException | None], object],
        *,
        on_main: bool,
    ) -> None:
        """Start *worker* with the context made for its beat; *on_main* chooses the main thread for a plain function."""
        spec, function = worker
        beat = None if spec.hang_timeout_s is None else self._watchdog.watch(spec.name, spec.hang_timeout_s)
        call = Call(spec.name, function, (context(beat),), lambda call: on_end(call.name, call.error))
        call.started = self._loop.clock.monotonic()
        if beat is not None:
            self._beats[call] = beat
        self.under_way.add(call)
        if is_async(function):
            self._room.start(call, self._ended_elsewhere)
        elif on_main:
            self._seat.give(lambda: self._work(call))
        else:
            self._start_thread(lambda: self._work(call), spec.name)

    def cancel_tasks(self) -> None:
        """Cancel what is ``async def`` and still there; threads have only ``ctx.stopping``."""
        for call in self.under_way:
            self._room.cancel(call)

    def _work(self, call: Call) -> None:
        call.thread = get_ident()
        try:
            call.result = call.function(*call.arguments)
        except BaseException as error:  # noqa: BLE001  # SystemExit included: how a worker ends is the host's to judge
            call.error = error
        self._ended_elsewhere(call)

    def _ended_elsewhere(self, call: Call) -> None:
        self._loop.post(self._ended, call)

    def _ended(self, call: Call) -> None:
        self.under_way.discard(call)
        beat = self._beats.pop(call, None)
        if beat is not None:
            self._watchdog.forget(beat)
        call.on_end(call)
