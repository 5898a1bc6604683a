"""The monitor as its user has it: a process with a configuration file, watching real servers, changed while it runs."""

from __future__ import annotations

import http.server
import json
import signal
import socket
import sqlite3
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Program, Started  # type: ignore[import-not-found]  # pytest's own way to import it

MODULE = [sys.executable, "-m", "stayon.services.monitor"]


class Endpoint(http.server.ThreadingHTTPServer):
    """A website that can be told how to be: its status, and a door that holds answers back while it is shut."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Visit)
        self.status = 200
        self.door = threading.Event()
        self.door.set()
        self.posted: list[dict[str, Any]] = []
        self.tokens: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, *_: object) -> None:
        """A client that leaves early is no news here."""


class Visit(http.server.BaseHTTPRequestHandler):
    """A GET that is answered as told, or an alert."""

    server: Endpoint

    def do_GET(self) -> None:
        self.server.door.wait(30)
        self._answer()

    def do_POST(self) -> None:
        self.server.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.tokens.append(self.headers.get("Authorization", ""))
        self._answer()

    def _answer(self) -> None:
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def website() -> Iterator[Callable[[], Endpoint]]:
    """``website()`` starts one."""
    running: list[tuple[Endpoint, threading.Thread]] = []

    def begin() -> Endpoint:
        endpoint = Endpoint()
        endpoint.daemon_threads = True
        thread = threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((endpoint, thread))
        return endpoint

    yield begin
    for endpoint, thread in running:
        endpoint.door.set()
        endpoint.shutdown()
        thread.join()
        endpoint.server_close()


class Monitor:
    """The monitor with its file."""

    def __init__(self, program: Program) -> None:
        self.program = program
        program.name = "monitor"

    def configure(self, text: str) -> None:
        """Write the configuration in one step, as an editor does."""
        file: Path = self.program.config
        beside = file.with_suffix(".new")
        beside.write_text(text)
        beside.replace(file)

    def start(self, text: str) -> Started:
        """Run it by *text*."""
        self.configure(text)
        return self.program.start(None, "run", command=MODULE)

    def run(self, text: str) -> Started:
        return self.start(text).wait_running()

    def verb(self, *words: str) -> Any:
        return self.program.call(*MODULE, *words)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the history has."""
        with closing(sqlite3.connect(self.program.place("state") / "history.sqlite")) as database:
            return database.execute(query).fetchall()


@pytest.fixture
def monitor(program: Program) -> Monitor:
    return Monitor(program)


def endpoint(name: str, url: str, *lines: str, every: str = "50ms") -> str:
    """A table of the configuration."""
    return "\n".join([f"[endpoints.{name}]", f'url = "{url}"', f'every = "{every}"', *lines, ""])


def checks(run: Started, name: str) -> list[dict[str, Any]]:
    """The results of *name* so far."""
    return [record["fields"] for record in run.records("checked") if record["job"] == name]


def test_it_sees_an_endpoint_go_down_and_come_back(monitor, website) -> None:
    """Each result is in the log with its figures; a change takes several results, and has a line of its own."""
    site = website()
    run = monitor.run(endpoint("site", site.url, "fall = 3"))
    run.wait_log("site is up")
    site.status = 500
    down = run.wait_log("site is down")
    site.status = 200
    up = run.wait_log("site is up again")
    results = checks(run, "site")

    assert down["level"] == "ERROR"
    assert down["fields"]["why"] == "status 500, not 200 to 299"
    assert up["level"] == "NOTICE"
    assert up["fields"]["after_s"] > 0
    bad = [result for result in results if result["result"] == "down"]
    assert [result["state"] for result in bad[:3]] == ["up", "up", "down"]
    assert all(result["latency_ms"] > 0 and result["endpoint"] == "site" for result in results)
    assert run.stop() == 0


def test_a_slow_endpoint_disturbs_nobody(monitor, website, until) -> None:
    """While one does not answer, the others are checked at their own pace."""
    slow, quick = website(), website()
    slow.door.clear()
    run = monitor.run(endpoint("slow", slow.url) + endpoint("quick", quick.url))
    until(lambda: len(checks(run, "quick")) >= 10, "ten checks of the quick one")

    assert checks(run, "slow") == []
    assert run.stop() == 0


def test_it_stops_at_once_while_endpoints_keep_it_waiting(monitor, website, until) -> None:
    """A check under way is cut off, and does not count: the last state is the true one."""
    site = website()
    run = monitor.run(endpoint("site", site.url, 'timeout = "30s"'))
    run.wait_log("site is up")
    site.door.clear()
    began = len(checks(run, "site"))
    until(lambda: "running" in monitor.verb("dump", "--json").out, "a dump")
    code = run.stop()

    assert code == 0
    assert all(result["result"] == "up" for result in checks(run, "site")[began:])
    assert monitor.rows("SELECT state FROM states") == [("up",)]


def test_endpoints_are_added_changed_and_removed_while_it_runs(monitor, website, until) -> None:
    """A new one is checked, a removed one no more, a changed one by its new rules; the rest keep their rhythm."""
    one, two, three = website(), website(), website()
    stays = endpoint("stays", one.url)
    run = monitor.run(stays + endpoint("goes", two.url) + endpoint("turns", three.url, every="1h"))
    run.wait_log("goes is up")
    run.wait_log("turns is up")
    monitor.configure(stays + endpoint("comes", two.url) + endpoint("turns", three.url, "status = [404]", "fall = 1"))
    run.wait_log("comes is up")
    run.wait_log("turns is down")
    gone = len(checks(run, "goes"))
    before = len(checks(run, "stays"))
    until(lambda: len(checks(run, "stays")) > before + 3, "more checks of the one that stays")

    assert len(checks(run, "goes")) == gone
    assert run.records("configuration applied")
    assert [record for record in run.records("runs missed") if record["job"] == "stays"] == []
    assert run.stop() == 0


def test_a_changed_option_does_not_change_the_rhythm(monitor, website) -> None:
    """Only another interval begins a job anew: with the same one, the next check is due when it was due."""
    site = website()
    run = monitor.run(endpoint("site", site.url, every="1h"))
    run.wait_log("site is up")
    monitor.configure(endpoint("site", site.url, "status = [404]", every="1h"))
    run.wait_log("configuration applied")

    assert len(checks(run, "site")) == 1
    assert run.stop() == 0


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (endpoint("site", "gopher://host/"), "url must begin with"),
        (endpoint("site", "tcp://host:1", "contians = 'x'"), "contains"),
        (endpoint("site", "https://host/", "ca_file = '/no/such/file'"), "/no/such/file"),
        ("[alerts]\ncommand = ['no-such-command']\n", "no-such-command"),
    ],
)
def test_a_bad_configuration_is_refused(monitor, website, bad, why) -> None:
    """At the start with exit code 78; while running the old one goes on. Each time one line says what is wrong."""
    start = monitor.start(bad)
    assert start.wait() == 78
    assert why in start.err
    site = website()
    run = monitor.run(endpoint("good", site.url))
    monitor.configure(bad)
    told = run.wait_log("configuration not applied")
    seen = len(checks(run, "good"))
    run.wait_log("checked", seen + 3)

    assert why in told["fields"]["why"]
    assert "Traceback" not in run.err
    assert run.stop() == 0


def test_the_last_state_is_known_after_a_restart(monitor, website, until) -> None:
    """It goes on from how things stood: no second "is down", and a recovery is one."""
    site = website()
    site.status = 500
    text = endpoint("site", site.url)
    run = monitor.run(text)
    run.wait_log("site is down")
    assert run.stop() == 0
    again = monitor.run(text)
    until(lambda: len(checks(again, "site")) >= 3, "checks after the restart")
    assert checks(again, "site")[0]["state"] == "down"
    assert again.records("site is down") == []
    site.status = 200
    back = again.wait_log("site is up again")

    assert back["fields"]["before"] == "down"
    assert again.stop(signal.SIGINT) == 0
    assert monitor.rows("SELECT count(*) FROM results")[0][0] >= 5
    assert monitor.rows("SELECT endpoint, state FROM states") == [("site", "up")]


def test_it_watches_on_without_its_history(monitor, website, until) -> None:
    """While the database is held by somebody, checks go on, and the service says that it is not well."""
    site = website()
    run = monitor.run(endpoint("site", site.url) + '[stayon]\nprobes.listen = "127.0.0.1:0"\n')
    run.wait_log("site is up")
    with closing(sqlite3.connect(monitor.program.place("state") / "history.sqlite", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        run.wait_log("the history cannot be written")
        seen = len(checks(run, "site"))
        until(lambda: len(checks(run, "site")) > seen + 3, "checks without a history")
        holder.execute("ROLLBACK")
    lost = run.wait_log("the history is written again")

    assert lost["fields"]["results_lost"] >= 1
    assert run.stop() == 0


def test_alerts_reach_a_webhook_once_and_tell_the_recovery(monitor, website, program, until) -> None:
    """Down is told once, with a secret that no log shows, and so is the recovery; what flaps after that is not."""
    site, hook = website(), website()
    program.environment["HOOK_TOKEN"] = "s3cret-t0ken"
    alerts = f'[alerts]\nwebhook = "{hook.url}"\ntoken = {{ env = "HOOK_TOKEN" }}\nat_most_every = "1h"\n'
    run = monitor.run(endpoint("site", site.url) + alerts)
    run.wait_log("site is up")
    for count in (1, 2):
        site.status = 500
        run.wait_log("site is down", count)
        until(lambda: hook.posted, "the alert")
        site.status = 200
        run.wait_log("site is up again", count)
        until(lambda: len(hook.posted) >= 2, "the recovery")
    seen = len(checks(run, "site"))
    until(lambda: len(checks(run, "site")) > seen + 3, "checks after that")

    assert [(alert["state"], alert["before"]) for alert in hook.posted] == [("down", "up"), ("up", "down")]
    assert hook.posted[0]["text"] == "site is down: status 500, not 200 to 299"
    assert (hook.posted[0]["endpoint"], hook.posted[0]["url"], hook.posted[0]["service"]) == (
        "site",
        site.url,
        "monitor",
    )
    assert set(hook.tokens) == {"Bearer s3cret-t0ken"}
    assert "s3cret-t0ken" not in run.err + monitor.verb("status", "--json").out
    assert run.stop() == 0


def test_an_alert_that_does_not_arrive_is_tried_again_and_never_blocks(monitor, website, until, short_tmp) -> None:
    """A command that fails is asked again with later checks; the checks do not wait; and ``/readyz`` says it."""
    site = website()
    site.status = 500
    flag = short_tmp / "flag"
    code = f"import os, sys; sys.exit(0 if os.path.exists({str(flag)!r}) else 'nobody home')"
    alerts = f"[alerts]\ncommand = {json.dumps([sys.executable, '-c', code])}\n"
    run = monitor.run(endpoint("site", site.url) + alerts + '[stayon]\nprobes.listen = "127.0.0.1:0"\n')
    told = run.wait_log("an alert did not arrive", 2)
    assert "nobody home" in told["fields"]["why"]
    flag.touch()
    run.wait_log("alert sent")

    assert len(run.records("alert sent")) == 1
    assert run.stop() == 0


def test_stopping_waits_for_the_alert_under_way(monitor, website, short_tmp, until) -> None:
    """Half an alert is none: the command may finish within its timeout, and then it is over."""
    site, begun, done = website(), short_tmp / "begun", short_tmp / "done"
    site.status = 500
    code = f"import time; open({str(begun)!r}, 'w'); time.sleep(0.5); open({str(done)!r}, 'w')"
    run = monitor.run(endpoint("site", site.url) + f"[alerts]\ncommand = {json.dumps([sys.executable, '-c', code])}\n")
    until(begun.exists, "the command")

    assert run.stop() == 0
    assert done.exists()


def test_metrics_come_and_go_with_the_endpoint(monitor, website, free_port, until) -> None:
    """Each endpoint has its figures under its name; one that is removed has none."""
    site = website()
    port = free_port()
    probes = f'[stayon]\nprobes.listen = "127.0.0.1:{port}"\n'

    def metrics() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text: str = answer.read().decode()
            return text

    closed = f"tcp://127.0.0.1:{free_port()}"
    run = monitor.run(endpoint("site", site.url) + endpoint("closed", closed) + probes)
    run.wait_log("site is up")
    run.wait_log("closed is down")
    text = metrics()
    assert 'monitor_up{endpoint="site"} 1' in text
    assert 'monitor_up{endpoint="closed"} 0' in text
    assert 'monitor_checks_total{endpoint="closed",result="down"}' in text
    assert 'monitor_latency_seconds_count{endpoint="site"}' in text
    monitor.configure(endpoint("site", site.url) + probes)
    run.wait_log("configuration applied")
    text = metrics()

    assert 'endpoint="site"' in text
    assert 'endpoint="closed"' not in text
    assert run.stop() == 0


def test_status_says_how_many_are_well(monitor, website, free_port, until) -> None:
    """The line beside the state, and a row for each endpoint's job."""
    site = website()
    run = monitor.run(endpoint("site", site.url) + endpoint("closed", f"tcp://127.0.0.1:{free_port()}"))
    run.wait_log("site is up")
    run.wait_log("closed is down")
    status = until(lambda: "1 up, 1 down" in (found := monitor.verb("status")).out and found, "the status")

    assert "site" in status.out
    assert status.code == 0
    assert monitor.verb("stop").code == 0
    assert run.wait() == 0


def test_it_runs_without_a_configuration(monitor, program) -> None:
    """It watches nothing, says so, and waits for a file to come."""
    run = program.start(None, "run", command=MODULE).wait_running()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program.config  # noqa: B018  # asking for it makes its directory
        monitor.configure(endpoint("late", f"tcp://127.0.0.1:{listener.getsockname()[1]}"))
        assert monitor.verb("reload").code == 0
        run.wait_log("late is up")

    assert run.stop() == 0


def test_stayon_finds_it_by_its_module(monitor, program) -> None:
    """``stayon status stayon.services.monitor:service`` is the same service."""
    found = program.stayon("status", "stayon.services.monitor:service")

    assert found.out.startswith("monitor:")
    stayon = [sys.executable, "-m", "stayon"]
    run = program.start(None, "run", "stayon.services.monitor:service", command=stayon).wait_running()
    assert run.stop() == 0
