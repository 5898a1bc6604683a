"""The probes: right answers to right questions, and a host that no visitor can hold up."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stayon.errors import StayonError, UnavailableError
from stayon.platforms.clock import SystemClock
from stayon.runtime.loop import Loop
from stayon.runtime.metrics import Metrics
from stayon.runtime.probes import Answer, Answers, Limits, ProbeServer

pytestmark = pytest.mark.skipif(not hasattr(select, "poll"), reason="the real poller here is that of Unix")

WAIT_S = 20.0


def counting_poller() -> Any:
    """The real poller of Unix, which tells what is registered with it."""
    from stayon.platforms.poller import PollPoller

    class CountingPoller(PollPoller):
        def __init__(self) -> None:
            super().__init__()
            self.registered: set[int] = set()

        def register(self, fd: int, events: int) -> None:
            self.registered.add(fd)
            super().register(fd, events)

        def unregister(self, fd: int) -> None:
            self.registered.discard(fd)
            super().unregister(fd)

    return CountingPoller()


class Host:
    """A loop on a thread of its own, with a probe server on it. What it answers can be set."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.poller = counting_poller()
        self.loop = Loop(SystemClock(), self.poller, self.errors.append)
        self.server: Any = None
        self.answer: Callable[[], Answer] = lambda: Answer(200, "ok", {})
        self.metrics: Callable[[], tuple[str, Callable[[], str] | None]] = lambda: ("x 1\n", None)
        self.thread = threading.Thread(target=self.loop.run)
        self.thread.start()

    def call(self, function: Callable[[], Any]) -> Any:
        """What *function* gives on the loop's thread."""
        result: list[Any] = []
        done = threading.Event()

        def run() -> None:
            try:
                result.append(function())
            except StayonError as error:
                result.append(error)
            done.set()

        self.loop.post(run)
        assert done.wait(WAIT_S)
        if isinstance(result[0], StayonError):
            raise result[0]
        return result[0]

    def open(self, listen: str | int = "127.0.0.1:0", **limits: Any) -> int:
        """Open the server; the port it has."""

        def ask() -> Answer:
            return self.answer()

        answers = Answers(ask, ask, ask, self.scrape)
        server = self.server = ProbeServer(self.loop, listen, answers, Limits(**limits))
        self.call(server.open)
        return server.address.port

    def scrape(self) -> tuple[str, Callable[[], str] | None]:
        return self.metrics()

    def close(self) -> None:
        if self.server is not None:
            self.call(self.server.close)
        self.loop.post(self.loop.end)
        self.thread.join(WAIT_S)
        self.poller.close()


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), WAIT_S)


def read_all(connection: socket.socket) -> bytes:
    """Everything up to the end of the connection; a reset counts as one."""
    parts: list[bytes] = []
    with connection:
        while True:
            try:
                part = connection.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return b"".join(parts)
            parts.append(part)


def say(port: int, request: bytes) -> bytes:
    connection = connect(port)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before all was said; the answer tells
        connection.sendall(request)
    return read_all(connection)


def ask(port: int, target: str, method: str = "GET") -> tuple[int, str, dict[str, str]]:
    """An answer as the standard library's client reads it: code, body, header fields."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    try:
        connection.request(method, target)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {name.lower(): text for name, text in answer.getheaders()}
    finally:
        connection.close()


def code_of(answer: bytes) -> int:
    return int(answer.split(b" ")[1]) if answer else 0


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz"])
def test_a_probe_says_yes_or_no(host: Host, path: str) -> None:
    """Each probe gives the code and the short text of its answer."""
    port = host.open()
    assert ask(port, path)[:2] == (200, "ok\n")
    host.answer = lambda: Answer(503, "database: down", {"database": "down"})

    code, text, fields = ask(port, path)
    assert (code, text) == (503, "database: down\n")
    assert fields["content-type"] == "text/plain; charset=utf-8"
    assert fields["cache-control"] == "no-store"


def test_each_probe_has_its_own_answer(host: Host) -> None:
    """/livez, /readyz and /startupz are not mixed up."""
    answers = Answers(
        live=lambda: Answer(200, "live", {}),
        ready=lambda: Answer(200, "ready", {}),
        started=lambda: Answer(200, "started", {}),
        metrics=host.scrape,
    )
    server = ProbeServer(host.loop, "127.0.0.1:0", answers)
    host.call(server.open)
    try:
        texts = [ask(server.address.port, path)[1] for path in ("/livez", "/readyz", "/startupz")]
    finally:
        host.call(server.close)

    assert texts == ["live\n", "ready\n", "started\n"]


def test_verbose_gives_the_verdicts_as_json(host: Host) -> None:
    """With ?verbose a machine reads why."""
    host.answer = lambda: Answer(503, "not ready", {"checks": {"database": "down"}})
    code, text, fields = ask(host.open(), "/readyz?a=b&verbose=1")

    assert code == 503
    assert fields["content-type"] == "application/json"
    assert json.loads(text) == {"verdict": "not ready", "checks": {"database": "down"}}


def test_head_is_get_without_the_body(host: Host) -> None:
    """HEAD gives the same header fields, length included, and nothing after them."""
    port = host.open()
    for path in ("/", "/livez", "/livez?verbose", "/metrics", "/nowhere"):
        head, body, fields = say(port, f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).partition(b"\r\n\r\n")
        assert (fields, body) == (b"", b"\r\n\r\n")
        _, text, _ = ask(port, path)
        assert f"Content-Length: {len(text)}".encode() in head


def test_metrics_come_in_prometheus_format(host: Host) -> None:
    """/metrics has the registry's text and the content type of format 0.0.4."""
    metrics = Metrics(host.errors.append)
    metrics.gauge("depth", "Größe").set(3)
    host.metrics = lambda: (metrics.text(), None)
    code, text, fields = ask(host.open(), "/metrics")

    assert (code, text) == (200, metrics.text())
    assert fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_the_root_lists_what_there_is(host: Host) -> None:
    """Whoever looks with a browser finds the way."""
    assert ask(host.open(), "/")[:2] == (200, "/livez\n/readyz\n/startupz\n/metrics\n")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"GET /nowhere HTTP/1.1\r\n\r\n", 404),
        (b"GET /livez/ HTTP/1.1\r\n\r\n", 404),
        (b"POST /livez HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"DELETE /metrics HTTP/1.1\r\n\r\n", 405),
        (b"GET /livez\r\n\r\n", 400),
        (b"GET /livez HTTP/2.0\r\n\r\n", 400),
        (b"GET  /livez HTTP/1.1\r\n\r\n", 400),
        (b"get /livez HTTP/1.1\r\n\r\n", 400),
        (b"G\xffT /livez HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"\r\n\r\n", 400),
        (b"\x00" * 100_000, 400),
        (b"GET /livez HTTP/1.1\r\nX: " + b"a" * 100_000, 431),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /livez HTTP/1.0\r\n\r\n", 200),
        (b"GET /livez HTTP/1.1\n\n", 200),
        (b"GET http://host:9/livez HTTP/1.1\r\nHost: host:9\r\n\r\n", 200),
    ],
)
def test_a_request_gets_the_code_it_deserves(host: Host, request_: bytes, code: int) -> None:
    """What can't be understood, is too big or isn't there is said so at once, and the next visitor is served."""
    port = host.open(header_timeout_s=WAIT_S)

    assert code_of(say(port, request_)) == code
    assert ask(port, "/livez")[0] == 200
    assert host.errors == []


def test_405_says_what_is_allowed(host: Host) -> None:
    """RFC 9110 wants the methods named."""
    assert ask(host.open(), "/livez", "PUT")[2]["allow"] == "GET, HEAD"


def test_of_several_requests_in_one_go_the_first_is_answered(host: Host) -> None:
    """Pipelining isn't done: one answer, which says that the connection ends, and it arrives whole."""
    answer = say(host.open(), b"GET /livez HTTP/1.1\r\n\r\n" * 100)

    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert b"Connection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nok\n")


def test_a_request_may_come_in_pieces(host: Host) -> None:
    """Byte after byte is as good as all at once."""
    connection = connect(host.open())
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n":
        connection.sendall(bytes([byte]))

    assert code_of(read_all(connection)) == 200


def test_who_says_nothing_is_told_and_let_go(host: Host) -> None:
    """A connection without a whole header is ended with 408 when its time is over."""
    port = host.open(header_timeout_s=0.05, linger_s=0.05)

    assert code_of(read_all(connect(port))) == 408
    assert code_of(say(port, b"GET /livez HTTP/1.1\r\nX: ")) == 408


def test_slow_visitors_cannot_lock_a_probe_out(host: Host) -> None:
    """With every connection held by someone who sends a byte now and then, a probe is answered at once."""
    port = host.open(connections=8, header_timeout_s=WAIT_S, evict_after_s=0.0)
    slow = [connect(port) for _ in range(30)]
    for connection in slow:
        try:
            connection.sendall(b"GET /livez HTTP/1.1\r\nX")
        except (BrokenPipeError, ConnectionResetError):
            continue  # this one has made room already
    assert [ask(port, "/livez")[0] for _ in range(5)] == [200] * 5
    assert host.server.refused > 20
    for connection in slow:
        connection.close()


def test_beyond_the_limit_a_visitor_is_turned_away(host: Host) -> None:
    """While all connections are taken by others who have just come, one more gets 503 at once."""
    port = host.open(connections=4, header_timeout_s=WAIT_S, evict_after_s=WAIT_S)
    holders = [connect(port) for _ in range(4)]

    assert code_of(read_all(connect(port))) == 503
    holders.pop().close()
    poll(lambda: ask(port, "/livez")[0] == 200)
    for holder in holders:
        holder.close()


def test_a_thousand_quick_connections_are_all_answered(host: Host) -> None:
    """A burst leaves no connection behind, neither here nor in the poller."""
    port = host.open()
    assert [code_of(say(port, b"GET /livez HTTP/1.1\r\n\r\n")) for _ in range(1000)] == [200] * 1000
    silent = [connect(port) for _ in range(50)]
    for connection in silent:
        connection.close()
    server = host.server
    poll(lambda: server.visits == 0)

    assert len(host.poller.registered) == 1
    assert host.errors == []


def test_a_reader_who_does_not_read_holds_nobody_up(host: Host) -> None:
    """A big answer waits for its slow reader while others are served, and is given up when its time is over."""
    big = "# " + "x" * 8_000_000 + "\n"
    host.metrics = lambda: (big, None)
    port = host.open(write_timeout_s=0.3)
    stuck = connect(port)
    stuck.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert stuck.recv(10) == b"HTTP/1.1 2"
    began = time.monotonic()
    assert ask(port, "/livez")[0] == 200
    assert time.monotonic() - began < 0.3
    server = host.server
    poll(lambda: server.visits == 0)

    assert len(read_all(stuck)) < len(big)
    assert ask(port, "/metrics")[1] == big


def test_an_answer_that_fails_is_500_and_is_reported(host: Host) -> None:
    """A mistake in an answer reaches the prober as 500 and the host as what it was."""
    mistake = RuntimeError("no")

    def answer() -> Answer:
        raise mistake

    host.answer = answer
    assert ask(host.open(), "/livez")[0] == 500
    poll(lambda: host.errors == [mistake])


def test_what_may_block_is_asked_on_its_own_thread_once(host: Host) -> None:
    """While a user's collector takes its time probes are answered; scrapes that come meanwhile share its answer."""
    asked: list[str] = []
    go = threading.Event()

    def append() -> str:
        asked.append(threading.current_thread().name)
        go.wait(WAIT_S)
        return "theirs 2\n"

    scraped: list[str] = []

    def metrics() -> tuple[str, Callable[[], str]]:
        scraped.append("ours 1\n")
        return scraped[-1], append

    host.metrics = metrics
    port = host.open(append_timeout_s=WAIT_S)
    scrapes = [connect(port) for _ in range(3)]
    for scrape in scrapes:
        scrape.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    poll(lambda: len(scraped) == 3)
    assert ask(port, "/livez")[0] == 200
    go.set()

    assert all(read_all(scrape).endswith(b"\r\n\r\nours 1\ntheirs 2\n") for scrape in scrapes)
    assert asked == ["metrics"]


def test_a_collector_that_takes_too_long_is_left_out(host: Host) -> None:
    """Our own metrics are given when the others don't come in time; what comes later harms nobody."""
    go = threading.Event()

    def append() -> str:
        go.wait(WAIT_S)
        return "theirs 2\n"

    host.metrics = lambda: ("ours 1\n", append)
    port = host.open(append_timeout_s=0.05)
    code, text, _ = ask(port, "/metrics")
    assert (code, text.splitlines()[0]) == (200, "ours 1")
    assert "theirs 2" not in text
    go.set()
    poll(lambda: "theirs 2" in ask(port, "/metrics")[1])

    assert host.errors == []


def test_probes_are_quick_while_the_worker_is_stuck(host: Host) -> None:
    """With a thread stuck in a lock, 99 of 100 probes take less than 5 ms (in one of five rounds); on a computer that
    is busy with others, no longer than twice what they take without it.
    """
    port = host.open()

    def slowest_but_two() -> float:
        taken = []
        for _ in range(200):
            began = time.perf_counter()
            assert code_of(say(port, b"GET /livez HTTP/1.1\r\n\r\n")) == 200
            taken.append(time.perf_counter() - began)
        return sorted(taken)[-3]

    stuck = threading.Event()
    worker = threading.Thread(target=stuck.wait)
    limit_s = max(0.005, 2 * slowest_but_two())
    worker.start()
    try:
        assert any(slowest_but_two() < limit_s for _ in range(5))
    finally:
        stuck.set()
        worker.join()


def test_a_port_in_use_is_one_line_with_the_cure(host: Host) -> None:
    """The second to listen is told which port, who may hold it, and where to choose another; nothing is half-done."""
    port = host.open()
    second = ProbeServer(host.loop, port, Answers(host.answer, host.answer, host.answer, host.scrape))
    with pytest.raises(UnavailableError, match=rf"127\.0\.0\.1:{port}: .*in use.*stayon\.probes\.listen") as caught:
        host.call(second.open)

    assert caught.value.code == "probes.port-in-use"
    assert len(host.poller.registered) == 1


def test_it_listens_on_ipv6_too(host: Host) -> None:
    """[::1] works, and is shown with its brackets."""
    if not socket.has_ipv6:
        pytest.skip("this Python has no IPv6")
    try:
        port = host.open("[::1]:0")
    except UnavailableError:
        pytest.skip("this computer has no IPv6")
    with socket.create_connection(("::1", port), WAIT_S) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
    assert str(host.server.address) == f"[::1]:{port}"


def test_after_closing_nobody_is_there(host: Host) -> None:
    """close ends the listener and every conversation, and may be called again."""
    port = host.open()
    visitor = connect(port)
    visitor.sendall(b"GET ")
    server = host.server
    poll(lambda: server.visits == 1)
    host.call(server.close)
    host.call(server.close)

    assert read_all(visitor) == b""
    assert host.poller.registered == set()
    with pytest.raises(ConnectionRefusedError):
        connect(port)


def test_without_file_descriptors_it_looks_away_and_comes_back(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of descriptors the listener is left alone for a moment instead of spinning, then visitors are served."""
    import resource

    from stayon.runtime import probes

    monkeypatch.setattr(probes, "_PAUSE_S", 0.05)
    port = host.open()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = socket.socket()
    waiting.settimeout(WAIT_S)
    turns = host.loop.turns
    filling: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (waiting.fileno() + 1, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                filling.append(os.dup(waiting.fileno()))
        waiting.connect(("127.0.0.1", port))
        waiting.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
        poll(lambda: len(host.poller.registered) == 0)
        assert host.loop.turns - turns < 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in filling:
            os.close(fd)

    assert code_of(read_all(waiting)) == 200


def poll(condition: Callable[[], bool]) -> None:
    """Wait for what no signal tells of, for at most ``WAIT_S``."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
