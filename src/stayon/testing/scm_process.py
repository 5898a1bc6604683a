"""A process that the simulated SCM has started: what its program has of the SCM, and the threads it runs on."""

from __future__ import annotations

import threading
from _collections import deque
from _thread import allocate_lock

from stayon.testing import scm_rules as rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stayon.platforms.windows.api import ServiceStatus
    from stayon.testing.clock import ManualClock
    from stayon.testing.scm import SimulatedScm

    # What a program is: called with its process on the process's main thread; gives the process's exit code.
    Program = Callable[["SimulatedProcess"], int | None]

KILLED = 1  # TerminateProcess's usual exit code

_STATUS_HANDLE = 0x5C0  # any number but 0: a process of ours has one service


class Delivery:
    """A control on its way to the handler; ``result`` is what that gave."""

    def __init__(self, clock: ManualClock, code: int, kind: int = 0, data: bytes = b"") -> None:
        self.code, self.kind, self.data = code, kind, data
        self.result: int | None = None
        self.is_finished = False
        self.done = clock.gate()
        self.done.acquire()

    def finish(self, result: int | None) -> None:
        """The handler gave *result*; None: it never will. Only the first time counts."""
        if not self.is_finished:
            self.is_finished, self.result = True, result
            self.done.release()


class SimulatedProcess:
    """A process of a service; for its program, a ``ServiceProcess``.

    Threads of ``start_thread`` count as busy: no time passes while one works. Once the process has ended, what is left
    of its threads can do the service no more good or harm; ``on_end`` are called at its end, with nothing held.
    """

    def __init__(self, scm: SimulatedScm, name: str, pid: int) -> None:
        self._scm, self.clock = scm, scm.clock
        self.name, self.pid = name, pid
        self.started_at = scm.clock.monotonic()
        self.exit_code: int | None = None
        self.on_end: list[Callable[[], object]] = []
        self.connected = scm.clock.gate()
        self.connected.acquire()
        self.is_connected = self.stopped = False
        self._handler: Callable[[int, int, bytes], int] | None = None
        self._deliveries: deque[Delivery | Callable[[], object]] = deque()
        self._under_way: Delivery | None = None
        self._bell = scm.clock.gate()
        self._bell.acquire()

    # -- ServiceProcess ----------------------------------------------------------------------------

    def dispatch(self, name: str, on_start: Callable[[Sequence[str]], object]) -> int:
        """StartServiceCtrlDispatcherW: handlers are called on this thread."""
        self._check_name(name)
        if self.exit_code is not None:
            return rules.CONTROLLER_CONNECT
        if self.is_connected:
            return rules.ALREADY_RUNNING
        joined = self.clock.join()
        try:
            self._on_start = on_start
            self.is_connected = True
            self.connected.release()
            self._serve()
        finally:
            if joined:
                self.clock.leave()
        return 0

    def register(self, name: str, handler: Callable[[int, int, bytes], int]) -> int:
        """RegisterServiceCtrlHandlerExW."""
        self._check_name(name)
        self._handler = handler
        return _STATUS_HANDLE

    def set_status(self, handle: int, status: ServiceStatus) -> int:
        """SetServiceStatus: 6 for a wrong handle or after the end, 13 for what is no state."""
        if handle != _STATUS_HANDLE or self.exit_code is not None or self.stopped:
            return rules.INVALID_HANDLE
        if status.state not in rules.NEXT:
            return rules.INVALID_DATA
        self.stopped = status.state == rules.STOPPED
        self._scm.reported(self, status)
        if self.stopped:
            self._put(lambda: None)
        return 0

    # -- for programs ------------------------------------------------------------------------------

    def start_thread(self, function: Callable[[], object], name: str) -> None:
        """Have *function* called on a thread of its own. What it raises is noted as a flaw, and lost, as in C."""
        begun = allocate_lock()
        begun.acquire()

        def work() -> None:
            self.clock.join()
            begun.release()
            try:
                function()
            except BaseException as error:  # noqa: BLE001  # it is noted, and the test looks at what was noted
                self._scm.flaw(self.name, f"{name} raised {error!r}")
            finally:
                self.clock.leave()

        threading.Thread(target=work, name=f"{self.name} {name}", daemon=True).start()
        begun.acquire()

    def sleep(self, length_s: float) -> None:
        """Let the calling thread wait in virtual time."""
        gate = self.clock.gate()
        gate.acquire()
        self.clock.wait(gate, length_s)

    def at_close(self, close: Callable[[], object]) -> None:
        """Call *close* when the SCM itself is closed: until then what the process left behind may be used."""
        self._scm.closes.append(close)

    def end(self, exit_code: int) -> None:
        """End it, as ``os._exit`` or TerminateProcess does. Ending it again changes nothing."""
        if self.exit_code is not None:
            return
        self.exit_code = exit_code
        for each in self.on_end:
            each()
        if not self.is_connected:
            self.connected.release()
        self._put(lambda: None)
        for delivery in self._deliveries:
            if isinstance(delivery, Delivery):
                delivery.finish(None)
        if self._under_way is not None:
            self._under_way.finish(None)
        self._scm.ended(self)

    # -- for the SCM -------------------------------------------------------------------------------

    def begin(self, program: Program) -> None:
        """Run *program* on the main thread."""

        def main() -> None:
            code = 1
            try:
                code = program(self) or 0
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else int(bool(error.code))
            finally:
                self.end(code)

        self.start_thread(main, "main")

    def start_service(self, arguments: Sequence[str]) -> None:
        """Have ServiceMain called, on a thread of its own."""
        self._put(lambda: self.start_thread(lambda: self._on_start(arguments), "ServiceMain"))

    def deliver(self, delivery: Delivery, limit_s: float) -> int:
        """Have the handler called with *delivery*, after those before it, and wait; gives the error, or 0."""
        self._put(delivery)
        if not self.clock.wait(delivery.done, limit_s):
            return rules.SERVICE_REQUEST_TIMEOUT
        return rules.BROKEN_PIPE if delivery.result is None else 0

    def _check_name(self, name: str) -> None:
        if name.lower() != self.name.lower():
            self._scm.flaw(self.name, f"it calls itself {name!r}")  # not seen by an SCM that runs it by itself

    def _put(self, delivery: Delivery | Callable[[], object]) -> None:
        self._deliveries.append(delivery)
        try:
            self._bell.release()
        except RuntimeError:
            return  # it rings already

    def _serve(self) -> None:
        while True:
            while self._deliveries:
                delivery = self._deliveries.popleft()
                if not isinstance(delivery, Delivery):
                    delivery()
                elif self.stopped or self.exit_code is not None:
                    delivery.finish(None)
                else:
                    self._under_way = delivery
                    delivery.finish(self._handle(delivery))
                    self._under_way = None
            if self.stopped or self.exit_code is not None:
                return
            self.clock.wait(self._bell, None)

    def _handle(self, delivery: Delivery) -> int:
        if self._handler is None:
            self._scm.flaw(self.name, f"control {delivery.code} before a handler was registered")
            return 0
        try:
            return self._handler(delivery.code, delivery.kind, delivery.data)
        except BaseException as error:  # noqa: BLE001  # as on_start's
            self._scm.flaw(self.name, f"the handler raised {error!r}")
            return 0
