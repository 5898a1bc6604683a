"""systemd as the one who started us: signals ask, and it is told through its socket."""

from __future__ import annotations

import time

from stayon.core.events import UNHEARD, Event
from stayon.platforms import signals
from stayon.platforms.systemd.notify import NotifySocket, Told, message
from stayon.platforms.systemd.sockets import SystemdSockets, listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from stayon.core.events import Report, Request

# systemd.exec(5), "Environment variables in spawned processes".
VARIABLE = "NOTIFY_SOCKET"
_WATCHDOG_USEC, _WATCHDOG_PID = "WATCHDOG_USEC", "WATCHDOG_PID"


class SystemdStarter:
    """Whoever listens at NOTIFY_SOCKET: systemd, or a container's runtime that passes it on.

    SIGTERM and SIGINT stop, SIGHUP and SIGUSR1 reload, SIGQUIT and SIGUSR2 dump. *interval_s* is how often a sign of
    life is wanted (0: not at all). What systemd did not take is said again with the next report.
    """

    name = "systemd"
    is_manager = True

    def __init__(
        self,
        socket: NotifySocket,
        interval_s: float = 0.0,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,  # CLOCK_MONOTONIC, as systemd wants it
    ) -> None:
        self.beat_s = interval_s
        self._socket, self._monotonic_ns = socket, monotonic_ns
        self._signals = signals.Signals()
        self._told = Told()
        # What systemd could not be told, as an event that the host has not heard of yet.
        self._trouble: list[Event] = []
        self._is_heard = True

    def attach(self) -> int:
        """Take the signals over; gives the descriptor that is readable when ``requests`` has some.

        On the main thread, once.
        """
        return self._signals.attach()

    def requests(self) -> list[Request | Event]:
        """What was asked for since the last call, in order; several of the same are one. Never blocks."""
        heard = signals.requests(self._signals.heard())
        trouble, self._trouble = self._trouble, []
        return [*heard, *trouble]

    def report(self, report: Report) -> None:
        """Tell systemd what of it is new. Where it can't be told, the host hears so once, until it can again."""
        text, after = message(self._told, report, self._monotonic_ns() // 1000, watchdog=self.beat_s > 0)
        if not text:
            return
        try:
            self._socket.send(text)
        except OSError as error:
            if self._is_heard:
                self._is_heard = False
                self._trouble.append(Event(UNHEARD, error.strerror or str(error), error.errno or 0))
                self._signals.ring()
            return
        self._is_heard, self._told = True, after

    def detach(self) -> None:
        """Give the signals back; systemd is told to the end. On the main thread; calling it twice is harmless."""
        self._signals.detach()


def beat_s(env: MutableMapping[str, str], pid: int) -> float:
    """How often systemd wants a sign of life of the process *pid*, three times in its limit; 0: it doesn't.

    Takes the variables out of *env*, so that no child takes itself for the one who is asked. (sd_watchdog_enabled(3))
    """
    limit_us, watched_pid = env.pop(_WATCHDOG_USEC, ""), env.pop(_WATCHDOG_PID, "")
    if not limit_us.isdecimal() or watched_pid not in ("", str(pid)):
        return 0.0
    return int(limit_us) / 3e6


def starter_of(env: MutableMapping[str, str], pid: int) -> tuple[SystemdStarter | None, SystemdSockets]:
    """Who started the process *pid*, by its *env*, where that is systemd and wants to be told; and what it keeps for
    it.

    All that is meant for this process alone is taken out of *env*.
    """
    address = env.pop(VARIABLE, "")
    socket = NotifySocket(address) if address else None
    sockets = SystemdSockets(listed(env, pid), socket)
    interval_s = beat_s(env, pid)
    return (SystemdStarter(socket, interval_s) if socket is not None else None), sockets
