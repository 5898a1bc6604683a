"""Messages to systemd: what is said, as a pure function, and the socket that it is said into (sd_notify(3))."""

from __future__ import annotations

import _socket  # the C half: the rest is an enum of every constant
from _struct import pack

from stayon.core import states
from stayon.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from stayon.core.events import Report

# systemd drops messages of more than NOTIFY_BUFFER_MAX bytes (PIPE_BUF, src/core/manager.c); the rest of one is short.
STATUS_BYTES = 2048

# How long a message may wait for room in systemd's queue; while systemd doesn't hear us, the next ones don't wait.
PATIENCE_S = 1.0

_STARTED = (states.RUNNING, states.PAUSE_PENDING, states.PAUSED, states.CONTINUE_PENDING)
# systemd has a limit for these two; for resting and going on it has no word.
_LIMITED = (states.START_PENDING, states.STOP_PENDING)
_WORDS = {
    states.START_PENDING: "starting",
    states.PAUSE_PENDING: "pausing",
    states.PAUSED: "paused",
    states.CONTINUE_PENDING: "going on",
    states.STOP_PENDING: "stopping",
}


class Told(Record):
    """What systemd knows of us."""

    is_ready: bool = False
    is_reloading: bool = False
    is_stopping: bool = False
    status: str = ""


def message(told: Told, report: Report, now_us: int, *, watchdog: bool = False) -> tuple[str, Told]:
    """What to say to systemd, who knows what is *told*, for *report*, and what it knows then.

    *now_us* is of CLOCK_MONOTONIC, in microseconds. *watchdog*: each message is a sign of life. Empty if there is
    nothing to say.
    """
    after = Told(
        is_ready=told.is_ready or report.state in _STARTED,
        is_stopping=told.is_stopping or report.state in (states.STOP_PENDING, states.STOPPED),
        status=_status(report),
    )
    # Ready first: a reload is one of a service that is.
    if told.is_ready and report.reloading and not after.is_stopping:
        after = after.replace(is_reloading=True)
    lines: list[str] = []
    if after.is_stopping:
        lines += [] if told.is_stopping else ["STOPPING=1"]
    elif after.is_reloading:
        lines += [] if told.is_reloading else ["RELOADING=1", f"MONOTONIC_USEC={now_us}"]
    elif after.is_ready and (told.is_reloading or not told.is_ready):
        lines.append("READY=1")
    if after.status != told.status:
        lines.append(f"STATUS={after.status}")
    if report.wait_hint_s and report.state in _LIMITED:
        lines.append(f"EXTEND_TIMEOUT_USEC={int(report.wait_hint_s * 1e6)}")
    if report.state == states.STOPPED:
        lines.append(f"EXIT_STATUS={report.exit_code}")
        lines += [f"ERRNO={report.error_number}"] if report.error_number else []
    elif watchdog:
        lines.append("WATCHDOG=1")
    return "\n".join(lines), after


def _status(report: Report) -> str:
    """One line for ``systemctl status``: what pends, and what the service says; at the end, why."""
    text = report.why if report.state == states.STOPPED else report.status
    word = _WORDS.get(report.state, "")
    if not word and text.startswith(tuple(_WORDS.values())):
        word = "running"  # these words are the states', for whoever reads them back
    said = ": ".join(part for part in (word, text) if part)
    # What stands on a line of its own is one more message.
    plain = "".join(letter if letter.isprintable() else " " for letter in said)
    return plain.encode()[:STATUS_BYTES].decode("utf-8", "ignore").strip()


class NotifySocket:
    """Where systemd listens: *address* is what NOTIFY_SOCKET says, a path, or "@" and a name without one (unix(7)).

    It is opened when it is first used. *patience_s* is how long a message may wait.
    """

    def __init__(self, address: str, patience_s: float = PATIENCE_S) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: _socket.socket | None = None
        self._patience_s, self._has_patience = patience_s, True

    def send(self, text: str, fds: Sequence[int] = ()) -> None:
        """Say *text*, with the descriptors *fds* (SCM_RIGHTS). Waits no longer than it may, and not at all after a
        failure, until it works again. Raises ``OSError``.
        """
        if self._socket is None:
            self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
            # (Python's own timeout would ask again and again: a socket that isn't connected is always writable.)
            limit = pack("ll", int(self._patience_s), int(self._patience_s % 1 * 1e6))
            self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, limit)
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, pack(f"{len(fds)}i", *fds))] if fds else []
        flags = 0 if self._has_patience else _socket.MSG_DONTWAIT
        self._has_patience = False
        self._socket.sendmsg([text.encode()], rights, flags, self._address)
        self._has_patience = True

    def close(self) -> None:
        """Give the descriptor back. Calling it twice is harmless."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
