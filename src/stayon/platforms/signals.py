"""Signals as requests: how they are heard, and what they mean whoever sends them."""

from __future__ import annotations

import os

from stayon.core.events import Request
from stayon.core.states import RELOAD, STOP
from stayon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any
else:
    import _signal as signal  # the standard module's C half: the rest makes enums of its constants, 0.5 MB

# (faulthandler could dump on a signal by itself, but it reads running threads' stacks without the GIL: that crashes.)
_MEANINGS: dict[int, Request] = {
    signal.SIGTERM: Request(STOP, "SIGTERM"),
    signal.SIGINT: Request(STOP, "SIGINT"),
    signal.SIGHUP: Request(RELOAD, "SIGHUP"),
    signal.SIGUSR1: Request(RELOAD, "SIGUSR1"),
    signal.SIGQUIT: Request("dump", "SIGQUIT"),
    signal.SIGUSR2: Request("dump", "SIGUSR2"),
}
# Those that mean something where no terminal is.
MEANINGFUL = tuple(_MEANINGS)

# Written into the pipe by ``ring``; no signal has this number.
_RING = 0


class Signals:
    """Takes the signals *numbers* over. The C half of Python's signal handling writes each one's number into a pipe at
    once, on whatever thread it comes, so that a main thread stuck in C code does not keep the host from hearing.

    SIGPIPE is ignored.
    """

    def __init__(self, numbers: Sequence[int] = MEANINGFUL) -> None:
        self._numbers = numbers
        self._read_fd = self._write_fd = self._wakeup_before = -1
        self._before: dict[int, Any] = {}

    def attach(self) -> int:
        """Take them over; gives the descriptor that is readable when ``heard`` has some. On the main thread, once."""
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        try:
            self._wakeup_before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        except ValueError as error:
            self._close_pipe()
            raise UsageError(
                "only the main thread can take signals",
                why=str(error),
                hint="Run the service from the main thread.",
                code="console.not-main-thread",
            ) from error
        self._before = {signum: signal.signal(signum, self._heard) for signum in self._numbers}
        self._before[signal.SIGPIPE] = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        # A forked child has our handlers and our pipe: a signal sent to it would look like one sent to us.
        os.register_at_fork(after_in_child=self.detach)
        return self._read_fd

    def heard(self) -> bytes:
        """The numbers of the signals that came since the last call, in order. Never blocks."""
        try:
            return os.read(self._read_fd, 65536).replace(bytes([_RING]), b"")
        except OSError:
            return b""

    def ring(self) -> None:
        """Make the descriptor readable, though no signal came. From any thread; harmless while nothing is attached."""
        if self._write_fd != -1:
            try:
                os.write(self._write_fd, bytes([_RING]))
            except BlockingIOError:
                return  # full of what nobody has read yet: it is readable

    def detach(self) -> None:
        """Give the signals back. On the main thread; calling it twice is harmless."""
        if self._read_fd == -1:
            return
        for signum, handler in self._before.items():
            if handler is not None:  # None: it was set by C code, and Python cannot set it again
                signal.signal(signum, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._close_pipe()

    def _close_pipe(self) -> None:
        os.close(self._read_fd)
        os.close(self._write_fd)
        self._read_fd = self._write_fd = -1

    def _heard(self, signum: int, _frame: object) -> None:
        """Python's half of a handler, on the main thread.

        The C half has written the number already, unless somebody else (asyncio's add_signal_handler) has taken the
        wake-up descriptor: then it is for us to write it.
        """
        current = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        if current != self._write_fd:
            signal.set_wakeup_fd(current, warn_on_full_buffer=False)
            os.write(self._write_fd, bytes([signum]))


def meaning(signum: int) -> Request | None:
    """What the signal *signum* asks for where a manager sends it; None: nothing.

    One who is asked to stop ends with 0 however far it is: its manager wanted that, and would take any other code for
    a failure.
    """
    return _MEANINGS.get(signum)


def requests(heard: Iterable[int], mean: Callable[[int], Request | None] = meaning) -> list[Request]:
    """What the signals *heard* ask for, in order; several that ask for the same are one."""
    found: list[Request] = []
    for signum in heard:
        request = mean(signum)
        if request is not None and request not in found:
            found.append(request)
    return found
