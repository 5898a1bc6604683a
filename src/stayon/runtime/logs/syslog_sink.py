"""The log on a syslog server: sent by a thread of its own, so that no network can hold up the service."""

from __future__ import annotations

import errno
import os
import threading
import time

from stayon.core.restart import Ended, History, Restart, backoff, decide
from stayon.core.syslog import FACILITIES, LOCAL, Speaker, message, parse_target, traditional
from stayon.exits import UNAVAILABLE
from stayon.runtime.logs.plain import plain
from stayon.runtime.logs.stamps import text_of
from stayon.runtime.logs.syslog_link import link_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from stayon.core.entry import Entry
    from stayon.runtime.logs.logger import Logger
    from stayon.runtime.logs.pipeline import Pipeline
    from stayon.runtime.logs.syslog_link import Link
else:
    from _collections import deque  # the C half of ``collections``

WAITING_LIMIT = 1000
CLOSE_PATIENCE_S = 2.0

# A server that is away is asked again and again, ever less often; the service neither ends nor waits for that.
_POLICY = backoff(first="500ms", cap="30s", reset_after="1m")


def syslog_sink(pipeline: Pipeline, address: str, facility: str, authorities: str) -> SyslogSink:
    """A sink of *pipeline* for the server at *address*; *authorities* is the file with those that TLS trusts."""
    import _socket

    target = parse_target(address)
    speaker = Speaker(FACILITIES[facility], _socket.gethostname(), pipeline.service, pipeline.instance, os.getpid())

    def render(entry: Entry) -> bytes:
        if target.transport == LOCAL:
            return traditional(plain(entry), time.localtime(entry.time), speaker)
        return message(plain(entry), text_of(entry.time), speaker)

    return SyslogSink(link_to(target, authorities), render, pipeline.logger("stayon.log"), address)


class SyslogSink:
    """Sends by *link* what *render* makes of each record; ``WAITING_LIMIT`` of them may wait, more are lost.

    Losses are counted and told by the pipeline, as those of every sink. *log* is told here when the server, at
    *address*, goes away and comes back.
    """

    def __init__(self, link: Link, render: Callable[[Entry], bytes], log: Logger, address: str) -> None:
        self.render: Callable[[Entry, bytes], bytes] | None = lambda entry, _line: render(entry)
        self._link, self._log, self._address = link, log, address
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def write(self, data: bytes, level: int) -> None:  # noqa: ARG002  # the message has it
        """Have it sent. Raises ``OSError`` if too many are waiting."""
        with self._changed:
            if len(self._waiting) >= WAITING_LIMIT:
                raise OSError(errno.ETIMEDOUT, f"{self._address} takes nothing")
            self._waiting.append(data)
            if self._thread is None:
                self._thread = threading.Thread(target=self._send_all, name="stayon-syslog", daemon=True)
                self._thread.start()
            self._changed.notify()

    def reopen(self) -> None:
        """Nothing: it is no file."""

    def close(self) -> None:
        """Wait until all are sent, for ``CLOSE_PATIENCE_S`` at most."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_PATIENCE_S)

    # -- on the thread ---------------------------------------------------------------------------

    def _send_all(self) -> None:
        """Until it is closed and nothing is waiting, or it is closed and the server is away."""
        history, begun, is_away = History(), time.monotonic(), False
        while (data := self._next()) is not None:
            try:
                self._link.send(data)
            except OSError as error:
                if not is_away:
                    is_away = True
                    self._tell_away(error)
                verdict = decide(_POLICY, history, Ended(UNAVAILABLE, time.monotonic(), begun), _chance)
                if self._is_closed or not isinstance(verdict, Restart):
                    break
                self._sleep(verdict.in_s)
                history, begun = verdict.history, time.monotonic()
                continue
            with self._changed:
                self._waiting.popleft()  # only now: what is under way counts as waiting
            if is_away:
                is_away = False
                self._log.notice("the syslog server takes records again", event_id=39, server=self._address)
        self._link.close()

    def _tell_away(self, error: OSError) -> None:
        if not self._is_closed:
            why = error.strerror or str(error)
            self._log.warning(
                "the syslog server takes no records; they wait for it", event_id=38, server=self._address, why=why
            )

    def _next(self) -> bytes | None:
        with self._changed:
            while not self._waiting and not self._is_closed:
                self._changed.wait()
            return self._waiting[0] if self._waiting else None

    def _sleep(self, wait_s: float) -> None:
        """Wait; less if it is closed meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed, wait_s)


def _chance() -> float:
    """An even random number in [0, 1). (The ``random`` module costs 1 MB.)"""
    return int.from_bytes(os.urandom(6), "big") / (1 << 48)
