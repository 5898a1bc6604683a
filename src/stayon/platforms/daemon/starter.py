"""A daemon's starter: signals ask, and who waits for its start is told how that goes. Later, nobody is there."""

from __future__ import annotations

import os
import sys

from stayon.core import states
from stayon.platforms.daemon import words
from stayon.platforms.daemon.birth import VARIABLE, Birth, birth_of
from stayon.platforms.libc import Library, Pointer
from stayon.platforms.signals import MEANINGFUL, Signals, requests

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal

    from stayon.core.events import Report, Request
    from stayon.platforms.daemon.pid_file import PidFile
else:
    import _signal as signal  # the standard module's C half: the rest makes enums of its constants, 0.5 MB

_STOPS = (signal.SIGTERM, signal.SIGINT)

# signal(2): Python's own refuses but on the main thread, which may be what hangs. It is looked up here, as nothing may
# be between fork and exec.
_set_handler = Library().signal


class DaemonStarter:
    """Hears signals as under a manager: there is no terminal. Tells the pipe of *birth* how the start goes, until it is
    RUNNING. Keeps the pid file, across exec(2), until ``end``.
    """

    name = "daemon"
    is_manager = True
    beat_s = 0.0

    def __init__(self, birth: Birth, pid_file: PidFile | None = None) -> None:
        self._birth, self._report_fd, self._pid_file = birth, birth.report_fd, pid_file
        self._signals = Signals()

    def attach(self) -> int:
        """Take the signals over; gives the descriptor that is readable when ``requests`` has some. On the main thread,
        once.
        """
        return self._signals.attach()

    def requests(self) -> list[Request]:
        """What was asked for since the last call, in order. Never blocks."""
        return requests(self._signals.heard())

    def report(self, report: Report) -> None:
        """Tell who waits; nobody does once it was RUNNING."""
        if report.state == states.RUNNING:
            self._say(words.running())
            self._hang_up()
        elif report.state == states.STOPPED:
            self._say(words.stopped(report.exit_code, report.why))
        elif report.state in states.PENDING:
            self._say(words.wait(report.wait_hint_s))

    def detach(self) -> None:
        """Give the signals back. On the main thread; calling it twice is harmless."""
        self._signals.detach()

    def again(self, in_s: float) -> None:
        """Its start has failed, and by its restart policy it is tried again *in_s* seconds from now: who waits is told,
        and need not wait.
        """
        self._say(words.again(in_s))
        self._hang_up()

    def successor(self) -> dict[str, str]:
        """What the program that replaces this one in this process has to have in its environment. Its ends stay open
        for it. Call it right before exec(2).
        """
        fds = [fd for fd in (self._report_fd, self._birth.pid_file_fd) if fd != -1]
        for fd in fds:
            os.set_inheritable(fd, True)
        ignore_questions()
        return {VARIABLE: self._birth.replace(report_fd=self._report_fd).text()}

    def end(self) -> None:
        """The service has ended, and nothing follows: take the pid file away."""
        if self._pid_file is not None:
            self._pid_file.remove()

    def _say(self, line: bytes) -> None:
        if self._report_fd == -1:
            return
        try:
            os.write(self._report_fd, line)
        except OSError:
            self._hang_up()  # who waited is gone: the start goes on

    def _hang_up(self) -> None:
        if self._report_fd != -1:
            os.close(self._report_fd)
            self._report_fd = -1


def born(text: str) -> DaemonStarter | None:
    """The starter of this process, of which *text* is the birth; None if it is another's."""
    birth = birth_of(text, os.getpid())
    if birth is None:
        return None
    pid_file = None
    if birth.pid_file_fd != -1:
        from stayon.platforms.daemon.pid_file import PidFile

        pid_file = PidFile(birth.pid_file, birth.pid_file_fd)
    if birth.report_fd != -1:
        os.set_inheritable(birth.report_fd, False)
        os.set_blocking(birth.report_fd, False)
    starter = DaemonStarter(birth, pid_file)
    # A forked child has the pipe, too, and would keep who waits for its end.
    os.register_at_fork(after_in_child=starter._hang_up)  # noqa: SLF001  # its own factory
    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        # It is a file now, in which the last thing that was printed before a crash must be.
        sys.stdout.reconfigure(line_buffering=True)
    return starter


def ignore_questions() -> None:
    """Until the service listens to them, signals that ask for something else than to stop must not end the process.
    For the program that replaces this one: Python doesn't notice it here. From any thread.
    """
    for signum in MEANINGFUL:
        if signum not in _STOPS:
            _set_handler(int(signum), Pointer(signal.SIG_IGN))
