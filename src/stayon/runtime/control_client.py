"""The other end of the control socket: ask a running service for something, and wait for its answer."""

from __future__ import annotations

import time

from stayon.errors import StayonError, TemporaryError, UnavailableError
from stayon.runtime.control_errors import error_from
from stayon.runtime.control_visit import message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from stayon.ports import ControlDoor, ControlSocket

# More than a dump of a thousand threads.
ANSWER_BYTES = 16 * 1024 * 1024
_PIECE_BYTES = 65536


class ControlClient:
    """Asks the service whose control socket is at *path*. Every question is a connection of its own."""

    def __init__(self, door: ControlDoor, path: str) -> None:
        self.path = path
        self._door = door

    def ask(
        self,
        verb: str,
        args: Mapping[str, Any] | None = None,
        timeout_s: float = 30.0,
        on_progress: Callable[[str], object] = lambda _text: None,
    ) -> dict[str, Any]:
        """What the service answers, without ``ok``. Blocks; *on_progress* gets each line of progress meanwhile.

        Raises the service's error as it was there (exit code kept), ``UnavailableError`` (nobody there, or gone in the
        middle), ``NotPermittedError``, or ``TemporaryError`` after *timeout_s* without the answer.
        """
        connection = self._door.connect(self.path, timeout_s)
        try:
            _send(connection, message({"verb": verb, "args": dict(args or {})}))
            for fields in self._lines(connection, time.monotonic() + timeout_s):
                if fields.get("event") == "progress":
                    on_progress(str(fields.get("text", "")))
                elif fields.pop("ok", False):
                    return fields
                else:
                    raise error_from(_error_in(fields))
        except TimeoutError as error:
            raise TemporaryError(
                f"{verb}: the service has not answered within {timeout_s:g} s",
                where=self.path,
                hint="Look at its status; it may be busy or hang.",
                code="control.no-answer",
            ) from error
        except (OSError, ValueError) as error:
            raise self._gone(verb, str(error)) from error
        finally:
            connection.close()
        raise self._gone(verb, "the connection ended")

    def _lines(self, connection: ControlSocket, deadline_s: float) -> Iterator[dict[str, Any]]:
        """The messages as they come, up to the end of the connection. Raises ``TimeoutError`` at *deadline_s*."""
        import json

        pending = b""
        while data := connection.recv(_PIECE_BYTES):
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                try:
                    fields = json.loads(line)
                except RecursionError as error:
                    raise ValueError("it speaks another language") from error
                if not isinstance(fields, dict):
                    raise ValueError("it speaks another language")  # noqa: TRY004  # as what is no JSON at all
                yield fields
            if len(pending) > ANSWER_BYTES:
                raise UnavailableError(
                    f"an answer of more than {ANSWER_BYTES} bytes", where=self.path, code="control.answer-too-long"
                )
            if time.monotonic() > deadline_s:
                raise TimeoutError

    def _gone(self, verb: str, why: str) -> StayonError:
        return UnavailableError(
            f"{verb}: the service went away before it answered",
            where=self.path,
            why=why,
            hint="Its log and its status say more.",
            code="control.gone",
        )


def _error_in(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The error that is the answer. Raises ``ValueError`` if it is none."""
    error = fields.get("error", {})
    if not isinstance(error, dict) or not isinstance(error.get("details", []), list):
        raise ValueError("it speaks another language")  # noqa: TRY004  # as what is no JSON at all
    return error


def _send(connection: ControlSocket, data: bytes) -> None:
    """All of *data*; or as much as is wanted: who refuses us unheard has said why, and that is to be read next."""
    try:
        while data:
            data = data[connection.send(data) :]
    except (BrokenPipeError, ConnectionResetError):
        pass
