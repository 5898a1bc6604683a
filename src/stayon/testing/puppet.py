"""A service straight on a ``ServiceProcess`` that does as it is told: for the contract suites of the SCM.

A simulated SCM runs ``play``; a real one ``python puppet.py NAME``.
"""

from __future__ import annotations

import os
import sys
from _collections import deque
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from stayon.platforms.windows.api import ServiceStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stayon.platforms.windows.api import ServiceProcess
    from stayon.ports import Clock
    from stayon.testing.scm_process import SimulatedProcess

STOPPED, START_PENDING, STOP_PENDING, RUNNING, CONTINUE_PENDING, PAUSE_PENDING, PAUSED = range(1, 8)

# Start arguments.
SLOW, FAIL, DIE = "slow", "fail", "die"
# Controls.
FINISH, BREAK, VANISH, DEAFEN, LISTEN, DAWDLE, REFUSE = range(130, 137)

EXIT_CODE = 75
EVERYTHING = 0x1 | 0x2 | 0x8
SLOW_S = 1.0
PULSES = 4
DAWDLE_S = 40.0

_STEADY = {1: (STOP_PENDING, STOPPED), 2: (PAUSE_PENDING, PAUSED), 3: (CONTINUE_PENDING, RUNNING)}


class Puppet:
    """The service *name*. *die* ends the process with an exit code, without a word."""

    def __init__(self, name: str, process: ServiceProcess, clock: Clock, die: Callable[[int], object]) -> None:
        self._name, self._process, self._clock, self._die = name, process, clock, die
        self._accepted = EVERYTHING
        self._state = START_PENDING
        self._to_do: deque[ServiceStatus] = deque()
        self._bell = clock.gate()
        self._bell.acquire()

    def play(self) -> int:
        """Be a service until the end; gives the dispatcher's error."""
        return self._process.dispatch(self._name, self._main)

    def _main(self, arguments: Sequence[str]) -> None:
        self._handle = self._process.register(self._name, self._control)
        if SLOW in arguments:
            for checkpoint in range(1, PULSES + 1):
                self._tell(ServiceStatus(START_PENDING, 1, checkpoint=checkpoint, wait_hint_ms=2_000 * checkpoint))
                self._sleep(SLOW_S / PULSES)
        if DIE in arguments:
            self._die(3)
        elif FAIL in arguments:
            self._tell(ServiceStatus(STOPPED, exit_code=1066, specific=EXIT_CODE))
        else:
            self._tell(ServiceStatus(RUNNING, self._accepted))
            self._serve()

    def _serve(self) -> None:
        while self._state != STOPPED:
            self._clock.wait(self._bell, None)
            while self._to_do:
                self._tell(self._to_do.popleft())

    def _control(self, code: int, _kind: int, _data: bytes) -> int:
        if code in _STEADY:
            pending, steady = _STEADY[code]
            self._tell(ServiceStatus(pending, checkpoint=1, wait_hint_ms=2_000))
            self._do(ServiceStatus(steady, self._accepted if steady != STOPPED else 0))
        elif code == FINISH:
            self._do(ServiceStatus(STOPPED))
        elif code == BREAK:
            self._do(ServiceStatus(STOPPED, exit_code=1066, specific=EXIT_CODE))
        elif code == VANISH:
            self._die(3)
        elif code in (DEAFEN, LISTEN):
            self._accepted = EVERYTHING if code == LISTEN else 0
            self._tell(ServiceStatus(self._state, self._accepted))
        elif code == DAWDLE:
            self._sleep(DAWDLE_S)
        elif code == REFUSE:
            return 120
        return 0

    def _do(self, status: ServiceStatus) -> None:
        self._to_do.append(status)
        if self._bell.locked():  # type: ignore[attr-defined]  # every gate that there is has it
            self._bell.release()

    def _tell(self, status: ServiceStatus) -> None:
        self._state = status.state
        self._process.set_status(self._handle, status)

    def _sleep(self, length_s: float) -> None:
        gate = self._clock.gate()
        gate.acquire()
        self._clock.wait(gate, length_s)


def play(process: SimulatedProcess) -> int:
    """The program, for a simulated SCM."""
    return Puppet(process.name, process, process.clock, process.end).play()


def main() -> int:
    """The program, for a real one. Gives the dispatcher's error."""
    from stayon.platforms.windows.clock import WindowsClock
    from stayon.platforms.windows.service_process import AdvapiServiceProcess

    return Puppet(sys.argv[1], AdvapiServiceProcess(), WindowsClock(), os._exit).play()


if __name__ == "__main__":
    sys.exit(main())
