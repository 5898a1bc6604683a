"""One connection to the probes: what may be asked, where answers come from, and how much of the host it may take."""

from __future__ import annotations

from stayon.core.events import WRITABLE
from stayon.runtime import http_message as http
from stayon.runtime.exposition import CONTENT_TYPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from stayon.runtime.loop import Timer
    from stayon.runtime.probes import Answer, ProbeServer
else:
    import _socket as socket  # the standard module's C half: the rest (enum, selectors) costs 0.9 MB

LISTING = b"/livez\n/readyz\n/startupz\n/metrics\n"
_VERBOSE_ROOM = 65536
_DISCARDED_AT_ONCE = 16384


class Visit:
    """One connection: a request is read, answered, and the connection closed. Every phase has a deadline."""

    def __init__(self, server: ProbeServer, connection: socket.socket) -> None:
        self._server, self._connection, self._loop = server, connection, server.loop
        self.since_s = server.loop.clock.monotonic()
        self._head = b""
        self._unsent = memoryview(b"")
        self._timer: Timer | None = None
        self._lingers = False
        self._answered = False
        self._closed = False

    def begin(self) -> None:
        """Read what is there already: often the whole request is, and the loop is spared a turn."""
        self._on_readable(0)
        if not self._closed and self._timer is None:
            self._wait(self._server.limits.header_timeout_s, self._too_late)
            self._loop.watch(self._connection.fileno(), self._on_readable)

    def send_metrics(self, text: str, *, with_body: bool) -> None:
        """Answer with *text* as metrics, unless the visitor is gone or was answered before."""
        self._send(http.response(200, CONTENT_TYPE, text.encode("utf-8", "replace"), with_body=with_body))

    def close(self) -> None:
        """End the connection now. Calling it twice is harmless."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._loop.forget(self._connection.fileno())
        self._connection.close()
        self._server.left(self)

    def _wait(self, timeout_s: float, then: Callable[[], object]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(timeout_s, then)

    def _on_readable(self, _events: int) -> None:
        try:
            data = self._connection.recv(self._server.limits.header_bytes + 1)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not data:
            self.close()
            return
        self._head += data
        request = http.parse_request(self._head, self._server.limits.header_bytes)
        if request is not None:
            self._answer(request)

    def _too_late(self) -> None:
        self._refuse(408)

    def _refuse(self, code: int, *, with_body: bool = True) -> None:
        self._lingers = True
        self._send(http.plain_response(code, with_body=with_body))

    def _answer(self, request: http.HttpRequest) -> None:
        self._lingers = not http.is_alone(self._head)
        with_body = request.method != "HEAD"
        probe = self._probes().get(request.path)
        if request.error:
            self._refuse(request.error)
        elif probe is None:
            self._send(http.plain_response(404, with_body=with_body))
        elif request.method not in ("GET", "HEAD"):
            self._refuse(405)
        else:
            try:
                probe(request)
            except Exception:
                self._send(http.plain_response(500, with_body=with_body))
                raise  # to the loop's on_error: a failure to answer must be seen

    def _probes(self) -> dict[str, Callable[[http.HttpRequest], None]]:
        answers = self._server.answers
        return {
            "/": self._list,
            "/metrics": self._metrics,
            "/livez": lambda request: self._verdict(request, answers.live()),
            "/readyz": lambda request: self._verdict(request, answers.ready()),
            "/startupz": lambda request: self._verdict(request, answers.started()),
        }

    def _list(self, request: http.HttpRequest) -> None:
        self._send(http.response(200, http.TEXT, LISTING, with_body=request.method != "HEAD"))

    def _verdict(self, request: http.HttpRequest, answer: Answer) -> None:
        text, content_type = answer.text, http.TEXT
        if "verbose" in [part.partition("=")[0] for part in request.query.split("&")]:
            from stayon.runtime.logs.walk import encode

            text, content_type = encode({"verdict": answer.text, **answer.details}, _VERBOSE_ROOM), http.JSON
        body = f"{text}\n".encode("utf-8", "replace")
        self._send(http.response(answer.code, content_type, body, with_body=request.method != "HEAD"))

    def _metrics(self, request: http.HttpRequest) -> None:
        text, append = self._server.answers.metrics()
        with_body = request.method != "HEAD"
        if append is None:
            self.send_metrics(text, with_body=with_body)
            return
        limit_s = self._server.limits.append_timeout_s
        late = f"{text}# what prometheus_client has registered took longer than {limit_s:g} s\n"
        self._loop.forget(self._connection.fileno())
        self._wait(limit_s, lambda: self.send_metrics(late, with_body=with_body))
        self._server.append_later(self, text, append, with_body=with_body)

    def _send(self, data: bytes) -> None:
        if self._answered or self._closed:
            return
        self._answered = True
        self._unsent = memoryview(data)
        self._on_writable(0)
        if self._unsent and not self._closed:
            self._wait(self._server.limits.write_timeout_s, self.close)
            self._loop.watch(self._connection.fileno(), self._on_writable, WRITABLE)

    def _on_writable(self, _events: int) -> None:
        try:
            self._unsent = self._unsent[self._connection.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not self._unsent:
            self._finish()

    def _finish(self) -> None:
        """All is sent. Closing with something unread would reset the connection, and the answer may get lost."""
        if not self._lingers:
            self.close()
            return
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self._wait(self._server.limits.linger_s, self.close)
        self._loop.watch(self._connection.fileno(), self._discard)

    def _discard(self, _events: int) -> None:
        try:
            if self._connection.recv(_DISCARDED_AT_ONCE):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.close()
