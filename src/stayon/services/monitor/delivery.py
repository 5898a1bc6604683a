"""Alerts on their way to people: one after the other on a thread of their own, so that no check ever waits for them."""

from __future__ import annotations

import json
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue

from stayon import ConfigError
from stayon.services.monitor.net import Deadline, StoppedError
from stayon.services.monitor.probes import said
from stayon.services.monitor.settings import Alerts

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping
    from typing import IO

    from stayon import Context
    from stayon.services.monitor.net import Net

# How much of a command's complaint is kept.
COMPLAINT_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Alert:
    """What to say, as a JSON object, and whom to tell on the delivering thread when it has arrived (True) or not."""

    content: Mapping[str, object]
    on_end: Callable[[bool], object]


class Delivery:
    """``put`` from any thread; ``deliver`` is the thread that sends.

    *alerts* may be replaced at any time. *trouble* is why the last alert did not arrive, or nothing.
    """

    def __init__(self, net: Net) -> None:
        self.alerts = Alerts()
        self.trouble = ""
        self._net = net
        self._queue: SimpleQueue[Alert | None] = SimpleQueue()
        self._closed = False

    def put(self, alert: Alert) -> None:
        """Have *alert* sent. Never blocks."""
        self._queue.put(alert)

    def close(self) -> None:
        """Let ``deliver`` return after the alert under way; those behind it are told by the next start."""
        self._closed = True
        self._queue.put(None)

    def deliver(self, ctx: Context) -> None:
        """Send what is put, until ``close``."""
        while (alert := self._queue.get()) is not None and not self._closed:
            self._deliver(alert, ctx)

    def _deliver(self, alert: Alert, ctx: Context) -> None:
        self.trouble = send(self.alerts, json.dumps(alert.content).encode(), self._net)
        if self.trouble:
            ctx.log.error("an alert did not arrive", why=self.trouble, alert=alert.content)
        else:
            ctx.log.notice("alert sent", alert=alert.content)
        alert.on_end(not self.trouble)


def check_alerts(alerts: Alerts) -> None:
    """Raise ``ConfigError`` if the command cannot be started."""
    if alerts.command and shutil.which(alerts.command[0]) is None:
        raise ConfigError(
            "the alert command is not there, or not executable",
            where=alerts.command[0],
            hint="Give its full path, or see to PATH.",
            code="monitor.alert-command",
        )


def send(alerts: Alerts, body: bytes, net: Net) -> str:
    """Hand *body* to the command or the webhook; gives why it did not arrive, or nothing. Blocks, up to ``timeout``."""
    try:
        if alerts.command:
            return _run(alerts, body)
        return _post(alerts, body, net) if alerts.webhook else "nobody is to be told any more"
    except StoppedError:
        return "the monitor is stopping"
    except OSError as error:  # a full disk among them
        return f"the {'command' if alerts.command else 'webhook'} failed: {said(error)}"


def _run(alerts: Alerts, body: bytes) -> str:
    import subprocess
    import tempfile

    # Files, not pipes: nothing can block on one that the command, or a child it leaves behind, doesn't read or close.
    with tempfile.TemporaryFile() as content, tempfile.TemporaryFile() as complaint:
        content.write(body)
        content.seek(0)
        process = subprocess.Popen(
            alerts.command,
            stdin=content,
            stdout=subprocess.DEVNULL,
            stderr=complaint,
            start_new_session=True,  # Ctrl-C in our terminal is not meant for it; and it ends with its children
        )
        try:
            code = process.wait(alerts.timeout.total_seconds())
        except subprocess.TimeoutExpired:
            _kill(process)
            return f"the command took longer than {alerts.timeout.total_seconds():g} s"
        return f"the command ended with {code}: {_beginning(complaint)}" if code else ""


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the command and, where there are process groups, its children."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _beginning(complaint: IO[bytes]) -> str:
    complaint.seek(0)
    return complaint.read(COMPLAINT_LIMIT).decode("utf-8", "replace").strip() or "it did not say why"


def _post(alerts: Alerts, body: bytes, net: Net) -> str:
    from stayon.services.monitor.http_exchange import Request, exchange
    from stayon.services.monitor.trust import trust

    headers = {"Content-Type": "application/json"}
    if alerts.token is not None:
        headers["Authorization"] = f"Bearer {alerts.token.reveal()}"
    answer = exchange(Request(alerts.webhook, headers, trust, body), net, Deadline(alerts.timeout.total_seconds()))
    return "" if 200 <= answer.status < 300 else f"the webhook answered with status {answer.status}"
