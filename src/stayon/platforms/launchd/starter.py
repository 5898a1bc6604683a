"""launchd as the one who started us: signals ask, a small file tells, and what cannot be helped by a restart is taken
out of launchd's hands.
"""

from __future__ import annotations

import os
import time

from stayon.core.events import UNHEARD, Event, Request
from stayon.core.states import PAUSE, RESUME, STOPPED
from stayon.platforms import signals
from stayon.platforms.launchd import page
from stayon.platforms.launchd.page import Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import MutableMapping, Sequence

    from stayon.core.events import Report
    from stayon.platforms.launchd.sockets import LaunchdSockets
else:
    import _signal as signal  # the standard module's C half: the rest makes enums of its constants, 0.5 MB

# launchctl can send signals only. These two have no other meaning where no terminal is, and none of their own once they
# are heard.
_MORE: dict[int, Request] = {signal.SIGTSTP: Request(PAUSE, "SIGTSTP"), signal.SIGCONT: Request(RESUME, "SIGCONT")}

# The names of ``plist``, which a service never loads.
STARTER, PAGE, DIGEST = "STAYON_STARTER", "STAYON_PAGE", "STAYON_DIGEST"
FINAL, UNLOAD, SOCKETS = "STAYON_FINAL", "STAYON_UNLOAD", "STAYON_SOCKETS"


class LaunchdStarter:
    """Whoever runs a property list of ours. SIGTERM and SIGINT stop, SIGHUP and SIGUSR1 reload, SIGTSTP pauses, SIGCONT
    resumes, SIGQUIT and SIGUSR2 dump.

    *path* is where it is told how we are ("": nowhere). launchd starts again whatever has failed; after the exit codes
    *final*, where that cannot help, *unload* is the command that has it forget us.
    """

    name = "launchd"
    is_manager = True
    beat_s = 0.0

    def __init__(self, path: str, final: Sequence[int] = (), unload: Sequence[str] = ()) -> None:
        self._path, self._final, self._unload = path, final, unload
        self._signals = signals.Signals((*signals.MEANINGFUL, *_MORE))
        self._since = time.time()
        self._told: Page | None = None
        # What could not be told, as an event that the host has not heard of yet.
        self._trouble: list[Event] = []
        self._is_heard = True
        self._is_attached = self._is_to_leave = False

    def attach(self) -> int:
        """Take the signals over; gives the descriptor that is readable when ``requests`` has some.

        On the main thread, once.
        """
        self._is_attached = True
        return self._signals.attach()

    def requests(self) -> list[Request | Event]:
        """What was asked for since the last call, in order; several of the same are one. Never blocks."""
        heard = signals.requests(self._signals.heard(), lambda signum: _MORE.get(signum) or signals.meaning(signum))
        trouble, self._trouble = self._trouble, []
        return [*heard, *trouble]

    def report(self, report: Report) -> None:
        """Write down what of it is new. Where that can't be, the host hears so once, until it can again."""
        now = Page(report.state, os.getpid(), self._since, report.exit_code, report.status, report.why)
        if self._path and now != self._told:
            try:
                page.write(self._path, now)
            except OSError as error:
                if self._is_heard:
                    self._is_heard = False
                    self._trouble.append(Event(UNHEARD, error.strerror or str(error), error.errno or 0))
                    self._signals.ring()
            else:
                self._is_heard, self._told = True, now
        self._is_to_leave = report.state == STOPPED and report.exit_code in self._final
        if not self._is_attached:
            self._leave()

    def detach(self) -> None:
        """Give the signals back; it is told to the end. On the main thread; calling it twice is harmless."""
        self._signals.detach()
        # Not before: until here, all that this process has started is ended by the host.
        self._leave()

    def _leave(self) -> None:
        """Have launchd forget us if it is to, once. The command is in a group of its own: launchd kills what is left of
        ours.
        """
        if not self._is_to_leave or not self._unload:
            return
        command, self._unload = self._unload, ()
        null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        try:
            os.posix_spawn(command[0], list(command), os.environ, file_actions=null, setpgroup=0, setsigmask=())
        except OSError:
            return  # then launchd starts us again, as it does with everything


def starter_of(env: MutableMapping[str, str]) -> tuple[LaunchdStarter, LaunchdSockets]:
    """The starter that *env* tells of, and the sockets that launchd has made. What is meant for this process only is
    taken out of *env*.
    """
    from stayon.platforms.launchd.sockets import LaunchdSockets

    for variable in (STARTER, DIGEST):
        env.pop(variable, None)
    final = tuple(int(code) for code in env.pop(FINAL, "").split() if code.isdecimal())
    starter = LaunchdStarter(env.pop(PAGE, ""), final, env.pop(UNLOAD, "").split())
    return starter, LaunchdSockets(tuple(env.pop(SOCKETS, "").split()))
