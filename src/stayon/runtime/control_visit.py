"""One conversation over the control socket: a request in, progress and one answer out, a line of JSON each.

A visitor sends ``{"verb": "pause", "args": {}}`` and reads any number of ``{"event": "progress", "text": "..."}``,
then one ``{"ok": true, ...}`` or ``{"ok": false, "error": {...}}``, after which the connection ends.
"""

from __future__ import annotations

from stayon.core.events import WRITABLE
from stayon.errors import StayonError, TemporaryError, UsageError
from stayon.runtime.control_errors import error_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon.ports import ControlSocket
    from stayon.runtime.control import ControlServer
    from stayon.runtime.loop import Timer

_HINT = 'A request is one line: {"verb": "status", "args": {}}.'


class Reply:
    """What a verb's answer goes through. Loop's thread only. A visitor who has gone hears nothing, and nobody minds."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor

    def progress(self, text: str) -> None:
        """Tell how it goes meanwhile."""
        self._visitor.progress(text)

    def done(self, **fields: Any) -> None:
        """It is done; *fields* are what there is to tell. Only the first of ``done`` and ``fail`` counts."""
        self._visitor.answer({**fields, "ok": True})

    def fail(self, error: BaseException) -> None:
        """It failed, or was refused, with *error*."""
        self._visitor.answer({"ok": False, "error": error_fields(error)})


class Visitor:
    """One conversation: a request, progress, an answer. Every phase has a deadline."""

    def __init__(self, server: ControlServer, connection: ControlSocket) -> None:
        self._server, self._connection, self._loop = server, connection, server.loop
        self._fd = connection.fileno()
        self._line = b""
        self._unsent = b""
        self._timer: Timer | None = None
        self._answered = False
        self._left = False

    def begin(self) -> None:
        """Wait for the request."""
        self._wait(self._server.limits.request_timeout_s, "no request came")
        self._loop.watch(self._fd, self._on_readable)

    def turn_away(self, others: int) -> None:
        """There are *others* already, the most allowed."""
        refusal = TemporaryError(
            f"{others} others are talking to the service", hint="Ask again in a moment.", code="control.busy"
        )
        self.answer({"ok": False, "error": error_fields(refusal)})

    def progress(self, text: str) -> None:
        """Send an event, unless the visitor doesn't read those it has."""
        if not self._answered and len(self._unsent) < self._server.limits.unread_bytes:
            self._send({"event": "progress", "text": text})

    def answer(self, fields: dict[str, Any]) -> None:
        """Send the last word, and end the conversation when it is through."""
        if self._answered:
            return
        self._answered = True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._server.limits.send_timeout_s, self.leave)
        self._send(fields)

    def leave(self) -> None:
        """End the conversation now. Calling it twice is harmless."""
        if self._left:
            return
        self._left = self._answered = True
        if self._timer is not None:
            self._timer.cancel()
        self._loop.forget(self._fd)
        self._connection.close()
        self._server.left(self)

    def _wait(self, timeout_s: float, why: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(timeout_s, self._too_late, timeout_s, why)

    def _too_late(self, timeout_s: float, why: str) -> None:
        self._refuse(TemporaryError(f"{why} within {timeout_s:g} s", code="control.timeout"))

    def _refuse(self, error: StayonError) -> None:
        self.answer({"ok": False, "error": error_fields(error)})

    def _on_readable(self, _events: int) -> None:
        limit = self._server.limits.line_bytes
        try:
            data = self._connection.recv(limit + 1)
        except BlockingIOError:
            return
        except OSError:
            self.leave()
            return
        if not data:
            self.leave()
            return
        self._line += data
        line, end, _ = self._line.partition(b"\n")
        if len(line) > limit:
            self._refuse(UsageError(f"the request is longer than {limit} bytes", hint=_HINT, code="control.too-long"))
        elif end:
            # From here on the visitor has nothing to say. Whether it is still there is seen when it is answered.
            self._loop.forget(self._fd)
            self._ask(line)

    def _ask(self, line: bytes) -> None:
        try:
            verb, arguments = parse_request(line)
        except StayonError as error:
            self._refuse(error)
            return
        self._wait(self._server.limits.answer_timeout_s, f"{verb} was not answered")
        reply = Reply(self)
        try:
            self._server.give(verb, arguments, reply)
        except StayonError as error:
            reply.fail(error)
        except Exception as error:
            reply.fail(error)
            raise  # to the loop's on_error: a mistake of ours must be seen

    def _send(self, fields: dict[str, Any]) -> None:
        self._unsent += message(fields)
        self._on_writable(0)

    def _on_writable(self, _events: int) -> None:
        if self._left:
            return
        try:
            while self._unsent:
                self._unsent = self._unsent[self._connection.send(self._unsent) :]
        except BlockingIOError:
            self._loop.watch(self._fd, self._on_writable, WRITABLE)
            return
        except OSError:
            self.leave()
            return
        if self._answered:
            self.leave()
        else:
            self._loop.forget(self._fd)


def message(fields: dict[str, Any]) -> bytes:
    """*fields* as one line of JSON. What JSON has no form for is given as text."""
    import json

    return json.dumps(fields, default=str).encode("ascii") + b"\n"


def parse_request(line: bytes) -> tuple[str, dict[str, Any]]:
    """The verb of a request and its arguments. Raises ``UsageError``."""
    import json

    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError("the request is not JSON", why=str(error), hint=_HINT, code="control.request") from error
    verb = request.get("verb") if isinstance(request, dict) else None
    arguments = request.get("args", {}) if isinstance(request, dict) else None
    if not isinstance(verb, str) or not isinstance(arguments, dict):
        raise UsageError("the request has no verb, or no object as args", hint=_HINT, code="control.request")
    return verb, arguments
