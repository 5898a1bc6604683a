"""``/livez /readyz /startupz /metrics``: an HTTP server of its own on the host's loop, bounded in every direction."""

from __future__ import annotations

import errno

from stayon.core.record import Record
from stayon.runtime.probe_address import Address, listening_socket, parse_address
from stayon.runtime.threads import start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from typing import Any

    from stayon.runtime.loop import Loop
    from stayon.runtime.probe_visit import Visit
else:
    import _socket as socket  # the standard module's C half: the rest (enum, selectors) costs 0.9 MB

_NO_MORE_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_S = 1.0
_ACCEPTED_A_TURN = 16


class Answer(Record):
    """What a probe says: 200 or 503, a short line, and the verdicts behind it (shown as JSON for ``?verbose``)."""

    code: int
    text: str
    details: Mapping[str, Any]


class Answers(Record):
    """Where the answers come from. All are called on the loop's thread and must not block.

    *metrics* gives text in exposition format, and None or a call for what is to be appended. That call may block: it
    is made on a thread of its own, one at a time.
    """

    live: Callable[[], Answer]
    ready: Callable[[], Answer]
    started: Callable[[], Answer]
    metrics: Callable[[], tuple[str, Callable[[], str] | None]]


class Limits(Record):
    """How much a visitor may take. A connection that has waited for *evict_after_s* makes room when all are taken."""

    connections: int = 64
    header_bytes: int = 8192
    header_timeout_s: float = 5.0
    append_timeout_s: float = 5.0
    write_timeout_s: float = 5.0
    evict_after_s: float = 1.0
    linger_s: float = 1.0


class ProbeServer:
    """Answers probes. For the loop's thread only; ``refused`` counts the connections turned away."""

    def __init__(self, loop: Loop, listen: str | int, answers: Answers, limits: Limits | None = None) -> None:
        self.loop, self.answers, self.limits = loop, answers, limits or Limits()
        self.address: Address = parse_address(listen)
        self.refused = 0
        self._listener: socket.socket | None = None
        self._visits: dict[Visit, None] = {}
        self._waiting: list[tuple[Visit, str, bool]] = []
        self._appending = False

    def open(self) -> None:
        """Listen; ``address`` then has the real port. Raises what ``listening_socket`` raises."""
        self._listener = listening_socket(self.address)
        self.address = Address(self.address.host, self._listener.getsockname()[1])
        self.loop.watch(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Stop listening and end all connections, answered or not. Calling it twice is harmless."""
        if self._listener is not None:
            self.loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None
        for visit in list(self._visits):
            visit.close()

    def leave_to_parent(self) -> None:
        """In a forked child: close the door that is the parent's."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    @property
    def visits(self) -> int:
        """How many connections are open."""
        return len(self._visits)

    def left(self, visit: Visit) -> None:
        """*visit* is over."""
        self._visits.pop(visit, None)

    def append_later(self, visit: Visit, text: str, append: Callable[[], str], *, with_body: bool) -> None:
        """Answer *visit* with *text* and what *append* gives, when it has; those who come meanwhile share it."""
        if not self._appending:
            start_thread(lambda: self._append(append), "metrics")
            self._appending = True
        self._waiting.append((visit, text, with_body))

    def _append(self, append: Callable[[], str]) -> None:
        more = ""
        try:
            more = append()
        finally:
            self.loop.post(self._appended, more)

    def _appended(self, more: str) -> None:
        self._appending = False
        waiting, self._waiting = self._waiting, []
        for visit, text, with_body in waiting:
            visit.send_metrics(text + more, with_body=with_body)

    def _accept(self, _events: int) -> None:
        for _ in range(_ACCEPTED_A_TURN):
            if self._listener is None:
                return
            try:
                fd, _ = self._listener._accept()  # type: ignore[attr-defined]  # what the C half has for accept()
            except OSError as error:
                if error.errno in _NO_MORE_FILES:
                    self._pause()
                return
            self._welcome(socket.socket(self._listener.family, socket.SOCK_STREAM, 0, fd))

    def _welcome(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if len(self._visits) >= self.limits.connections and not self._made_room():
            self.refused += 1
            _turn_away(connection)
            return
        from stayon.runtime.probe_visit import Visit

        visit = Visit(self, connection)
        self._visits[visit] = None
        visit.begin()

    def _made_room(self) -> bool:
        """Whoever holds a connection longest without a request gives way: slow visitors cannot lock a probe out."""
        oldest = next(iter(self._visits))
        if self.loop.clock.monotonic() - oldest.since_s < self.limits.evict_after_s:
            return False
        self.refused += 1
        oldest.close()
        return True

    def _pause(self) -> None:
        """Out of descriptors: the listener would stay readable and the loop spin, so look away for a moment."""
        if self._listener is not None:
            self.loop.forget(self._listener.fileno())
            self.loop.call_later(_PAUSE_S, self._look_again)

    def _look_again(self) -> None:
        if self._listener is not None:
            self.loop.watch(self._listener.fileno(), self._accept)


def _turn_away(connection: socket.socket) -> None:
    """Say 503 and close, without waiting for anything."""
    try:
        from stayon.runtime.http_message import plain_response

        connection.send(plain_response(503))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(16384)
    except OSError:
        pass
    connection.close()
