"""The process between a daemon and whoever starts it: it stays until the daemon is RUNNING, and knows how it ended.

It is the daemon's parent, so it alone can tell its exit code; and whoever waits for the start may be killed meanwhile.
"""

from __future__ import annotations

import os
import select
import time

from stayon.core.record import Record
from stayon.platforms.daemon import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # the standard module's C half

# What a sign of life may be late by, on a computer that is busy with everything else.
MARGIN_S = 10.0
# After SIGKILL. What is still there then can't be ended (a disk that doesn't answer).
_KILLED_S = 10.0

STARTING, STOPPING, KILLED = "starting", "stopping", "killed"


class Limits(Record):
    """How long the daemon may give no sign of life while it starts, and when it was asked to stop. *is_fixed*: its
    signs of life don't count, the start has to be over by then.
    """

    start_s: float
    stop_s: float
    is_fixed: bool = False


class Witness:
    """Attends the start of the process *daemon*. *fds*: on the first it reports, the second gets what it says and what
    came of it, the third is the first of ``hear``, called before it was started. SIGTERM has the daemon stopped, a
    second one killed.
    """

    def __init__(self, daemon: int, fds: tuple[int, int, int], limits: Limits) -> None:
        self._daemon, self._limits = daemon, limits
        self._report_fd, self._tell_fd, self._bell_fd = fds
        self._phase, self._deadline = STARTING, time.monotonic() + limits.start_s
        self._unread, self._is_over = b"", False

    def attend(self) -> None:
        """Return when whoever waits has been told all there is. Blocks; no signal is blocked from here on."""
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self._tell(b"%s %d\n" % (words.PID, self._daemon))
        while not self._is_over:
            ready = self._ready((self._bell_fd, self._report_fd), self._deadline - time.monotonic())
            if self._report_fd in ready:
                self._read()
            if self._bell_fd in ready:
                for signum in os.read(self._bell_fd, 4096):
                    self._heard(signum)
            if not ready:
                self._too_late()

    def _ready(self, fds: tuple[int, ...], timeout_s: float) -> list[int]:
        """Which of *fds* can be read, or are at their end."""
        poll = select.poll()
        for fd in fds:
            if fd != -1:
                poll.register(fd, select.POLLIN)
        # Rounded up: before the deadline, there would be nothing to do.
        return [fd for fd, _events in poll.poll(max(0, int(timeout_s * 1000) + 1))]

    def _read(self) -> None:
        said = os.read(self._report_fd, 65536)
        if not said:
            self._report_fd = -1  # it ends, as its exit code will tell
            return
        self._tell(said)
        *lines, self._unread = (self._unread + said).split(b"\n")
        for line in lines:
            word, _, rest = line.partition(b" ")
            if word == words.WAIT:
                self._still_at_it(float(rest))
            elif word in (words.RUNNING, words.AGAIN) and self._phase == STARTING:
                self._is_over = True

    def _still_at_it(self, hint_s: float) -> None:
        if self._phase == STOPPING or (self._phase == STARTING and not self._limits.is_fixed):
            self._deadline = time.monotonic() + hint_s + MARGIN_S

    def _heard(self, signum: int) -> None:
        if signum == signal.SIGTERM:
            self._end()
        elif signum == signal.SIGCHLD and not self._is_over:
            pid, status = os.waitpid(self._daemon, os.WNOHANG)
            if pid:
                while self._ready((self._report_fd,), -1):
                    self._read()
                self._tell(b"%s %d\n" % (words.EXIT, os.waitstatus_to_exitcode(status)))
                self._is_over = True

    def _too_late(self) -> None:
        if self._phase == STARTING:
            self._tell(words.LATE + b"\n")
        if self._phase == KILLED:
            self._is_over = True
        else:
            self._end()

    def _end(self) -> None:
        """Ask it to stop; if that was done, end it with all that it has in its process group."""
        if self._phase == STARTING:
            os.kill(self._daemon, signal.SIGTERM)
            self._phase, self._deadline = STOPPING, time.monotonic() + self._limits.stop_s
        else:
            try:
                os.killpg(self._daemon, signal.SIGKILL)
            except OSError:
                os.kill(self._daemon, signal.SIGKILL)
            self._phase, self._deadline = KILLED, time.monotonic() + _KILLED_S

    def _tell(self, line: bytes) -> None:
        try:
            os.write(self._tell_fd, line)
        except OSError:
            return  # who waited is gone; the daemon isn't


def hear() -> tuple[int, int]:
    """A pipe from which those signals can be read that come from now on and that a witness hears, and its other end;
    all others are ignored. Call it with all of them blocked.

    Before there is a child: where SIGCHLD is ignored, as it may be here, the system forgets how a child has ended.
    """
    read_fd, write_fd = os.pipe()
    for fd in (read_fd, write_fd):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    for other in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(other, signal.SIG_IGN)
    for heard in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(heard, lambda _number, _frame: None)
    return read_fd, write_fd
