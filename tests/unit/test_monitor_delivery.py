"""How the monitor's alerts reach people: by a command or by a webhook, bounded, and never in anybody's way."""

from __future__ import annotations

import http.server
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from stayon import ConfigError, Secret
from stayon.services.monitor.delivery import Alert, Delivery, check_alerts, send
from stayon.services.monitor.net import Net
from stayon.services.monitor.settings import Alerts

PATIENCE_S = 10.0
BODY = b'{"text": "it is down; rm -rf $HOME"}'


class Hook(http.server.ThreadingHTTPServer):
    """A webhook: keeps what it gets, answers with ``status``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Visit)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 204

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Visit(http.server.BaseHTTPRequestHandler):
    """One POST."""

    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def python(code: str, *arguments: str) -> tuple[str, ...]:
    """A command that runs *code*."""
    return (sys.executable, "-c", code, *arguments)


def test_a_command_gets_the_alert_on_its_stdin(tmp_path) -> None:
    """As it is, and its arguments as they are: no shell looks at them."""
    file = tmp_path / "got"
    code = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read() + sys.argv[2].encode())"

    assert send(Alerts(command=python(code, str(file), "$HOME; `id`")), BODY, Net()) == ""
    assert file.read_bytes() == BODY + b"$HOME; `id`"


def test_a_command_that_fails_did_not_tell_anybody() -> None:
    """Its exit code and the beginning of what it said are the reason."""
    why = send(Alerts(command=python("import sys; sys.exit('no route to pager ' + 'x' * 10000)")), BODY, Net())

    assert why.startswith("the command ended with 1: no route to pager")
    assert len(why) < 600


def test_a_command_that_does_not_read_is_none_of_our_business() -> None:
    """A full pipe blocks nobody: there is none."""
    assert send(Alerts(command=python("")), b"x" * 1_000_000, Net()) == ""


def test_a_command_that_takes_too_long_is_ended_with_its_children(tmp_path) -> None:
    """After its timeout nothing of it is left, also no child that it has started."""
    file = tmp_path / "pid"
    code = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "open(sys.argv[1], 'w').write(str(child.pid)); time.sleep(60)"
    )
    began = time.monotonic()
    why = send(Alerts(command=python(code, str(file)), timeout=timedelta(seconds=1)), BODY, Net())

    assert why == "the command took longer than 1 s"
    assert time.monotonic() - began < PATIENCE_S / 2
    child = int(file.read_text())
    deadline = time.monotonic() + PATIENCE_S
    while _lives(child) and time.monotonic() < deadline:
        time.sleep(0.01)  # its new parent reaps it, and tells nobody
    assert not _lives(child)


def _lives(pid: int) -> bool:
    """Whether there is such a process that is more than an entry waiting to be reaped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_command_that_is_not_there_is_told_with_the_configuration() -> None:
    """Before the first alert, not with it; and one that vanishes later is a failed alert."""
    with pytest.raises(ConfigError, match="no-such-command") as caught:
        check_alerts(Alerts(command=("no-such-command",)))

    assert caught.value.code == "monitor.alert-command"
    assert send(Alerts(command=("/no/such/command",)), BODY, Net()).startswith("the command failed: ")


def test_a_webhook_gets_the_alert_and_the_token(hook) -> None:
    """As JSON, in one POST, with the token as a bearer's."""
    assert send(Alerts(webhook=hook.url, token=Secret("s3cret")), BODY, Net()) == ""
    ((headers, body),) = hook.got
    assert body == BODY
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Bearer s3cret"


def test_a_webhook_that_refuses_is_a_failed_alert(hook, free_port) -> None:
    """By status, or by not being there; the reason has no token in it."""
    hook.status = 500

    assert send(Alerts(webhook=hook.url, token=Secret("s3cret")), BODY, Net()) == "the webhook answered with status 500"
    gone = Alerts(webhook=f"http://127.0.0.1:{free_port()}/", token=Secret("s3cret"))
    assert send(gone, BODY, Net()) == "the webhook failed: Connection refused"


class Desk:
    """What delivering needs of a ``ctx``."""

    def __init__(self) -> None:
        self.log = self
        self.lines: list[str] = []

    def notice(self, message: str, **_: Any) -> None:
        self.lines.append(message)

    error = notice


def delivered(delivery: Delivery, desk: Desk, contents: list[dict[str, object]]) -> list[bool]:
    """Deliver *contents*, one after the other; gives which have arrived."""
    ends: list[bool] = []
    done = threading.Semaphore(0)

    def on_end(arrived: bool) -> None:
        ends.append(arrived)
        done.release()

    thread = threading.Thread(target=delivery.deliver, args=(desk,))
    thread.start()
    for content in contents:
        delivery.put(Alert(content, on_end))
    for _ in contents:
        assert done.acquire(timeout=PATIENCE_S)
    delivery.close()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    return ends


def test_alerts_go_out_in_order_and_trouble_is_known(hook) -> None:
    """Each sender of an alert learns whether it arrived; ``trouble`` is about the last one."""
    delivery, desk = Delivery(Net()), Desk()
    delivery.alerts = Alerts(webhook=hook.url)
    ends = delivered(delivery, desk, [{"n": 1}, {"n": 2}])

    assert ends == [True, True]
    assert [json.loads(body)["n"] for _headers, body in hook.got] == [1, 2]
    assert delivery.trouble == ""
    assert desk.lines == ["alert sent", "alert sent"]


def test_an_alert_that_does_not_arrive_is_trouble(hook) -> None:
    """It is told to the sender, to the log, and to the health check by ``trouble``."""
    hook.status = 403
    delivery, desk = Delivery(Net()), Desk()
    delivery.alerts = Alerts(webhook=hook.url)

    assert delivered(delivery, desk, [{}]) == [False]
    assert "403" in delivery.trouble
    assert desk.lines == ["an alert did not arrive"]


def test_an_alert_that_nobody_wants_any_more_is_harmless() -> None:
    """The configuration may take command and webhook away while an alert waits."""
    delivery, desk = Delivery(Net()), Desk()

    assert delivered(delivery, desk, [{}]) == [False]


def test_a_full_disk_is_a_failed_alert(monkeypatch, tmp_path) -> None:
    """The command's input is a file; where none can be made, the alert has not arrived, and nothing is raised."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))

    assert send(Alerts(command=python("")), BODY, Net()).startswith("the command failed: ")


def test_closing_leaves_what_waits_to_the_next_start(hook) -> None:
    """What is queued behind the close is not sent, so stopping never takes longer than one alert."""
    delivery, desk = Delivery(Net()), Desk()
    delivery.alerts = Alerts(webhook=hook.url)
    delivery.put(Alert({}, lambda _arrived: None))
    delivery.close()
    delivery.deliver(desk)  # type: ignore[arg-type]  # a desk is all it needs

    assert hook.got == []
