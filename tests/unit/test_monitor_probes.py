"""The monitor's checks by HTTP and TCP, against servers that behave in every bad way a server can."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest

from stayon.services.monitor import http_exchange, net
from stayon.services.monitor.net import Deadline, Net, Place, StoppedError
from stayon.services.monitor.probes import Finding, Seen, judge, probe_of
from stayon.services.monitor.settings import Endpoint
from stayon.services.monitor.states import DEGRADED, DOWN, UP

PATIENCE_S = 10.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

Behaviour = Callable[[socket.socket, threading.Event], object]


class Server:
    """Accepts connections on a loopback address; each is given to *behaviour*, with an event that says it is over."""

    def __init__(self, behaviour: Behaviour, family: socket.AddressFamily = socket.AF_INET) -> None:
        self._listener = socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family)
        self._behaviour = behaviour
        self._over = threading.Event()
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.settimeout(PATIENCE_S)
                self.requests.append(connection.recv(65536))
                self._behaviour(connection, self._over)
            except OSError:
                pass  # the client has left, which is its right

    def close(self) -> None:
        self._over.set()
        with suppress(OSError):  # Linux wakes who accepts by it; Windows does so when it is closed
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """``serve(behaviour)`` starts a server; bytes are an answer to send at once."""
    servers: list[Server] = []

    def begin(behaviour: Behaviour | bytes, **options) -> Server:
        answer = behaviour
        server = Server((lambda c, _: c.sendall(answer)) if isinstance(answer, bytes) else answer, **options)
        servers.append(server)
        return server

    yield begin
    for server in servers:
        server.close()


def check(url: str, **options) -> Finding:
    """One check, with a timeout that no good answer needs."""
    return probe_of(Endpoint(url, **{"timeout": timedelta(seconds=PATIENCE_S), **options}))(Net())


def drip(first: bytes) -> Behaviour:
    """Send *first*, then a byte at a time, each soon enough for a timeout that begins anew with every byte."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(first)
        while not over.wait(0.02):
            connection.sendall(b"x")

    return behave


def silent(_connection: socket.socket, over: threading.Event) -> None:
    """Say nothing."""
    over.wait()


def test_a_good_answer_is_up(serve) -> None:
    """200 with the wanted text: up, with its status and the time it took."""
    found = check(f"http://127.0.0.1:{serve(OK).port}/path?query=1", contains="hell")

    assert (found.state, found.status, found.why) == (UP, 200, "")
    assert 0 < found.latency_s < PATIENCE_S


def test_the_request_is_a_plain_one(serve) -> None:
    """The path with its query, the host with its port, one connection for one request."""
    server = serve(OK)
    check(f"http://127.0.0.1:{server.port}/path?query=1#fragment")
    lines = server.requests[0].split(b"\r\n")

    assert lines[0] == b"GET /path?query=1 HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}".encode() in lines
    assert b"Connection: close" in lines


def test_proxies_of_the_environment_are_not_asked(serve, monkeypatch) -> None:
    """The endpoint itself is watched, not the way through somebody's proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    assert check(f"http://127.0.0.1:{serve(OK).port}/").state == UP


def test_an_unwanted_status_is_down(serve) -> None:
    """By default 200 to 299 are good; a list of one's own replaces that."""
    port = serve(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n").port

    assert check(f"http://127.0.0.1:{port}/").why == "status 503, not 200 to 299"
    assert check(f"http://127.0.0.1:{port}/", status=(503,)).state == UP
    assert check(f"http://127.0.0.1:{port}/", status=(200, 204)).why == "status 503, not 200 or 204"


def test_a_missing_text_is_down(serve) -> None:
    """The reason names what was looked for."""
    found = check(f"http://127.0.0.1:{serve(OK).port}/", contains="goodbye")

    assert (found.state, found.why) == (DOWN, "the answer does not contain 'goodbye'")


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "no-such-charset", "idna", "hex"])
def test_text_is_found_in_its_charset(serve, charset) -> None:
    """The answer is read as it says it is written; an unknown charset counts as UTF-8."""
    body = "größer".encode("iso-8859-1" if charset == "iso-8859-1" else "utf-8")
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset={charset}\r\n\r\n".encode()

    assert check(f"http://127.0.0.1:{serve(head + body).port}/", contains="größer").state == UP


def test_a_chunked_answer_is_read(serve) -> None:
    """The text may be spread over chunks."""
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"

    assert check(f"http://127.0.0.1:{serve(answer).port}/", contains="hello").state == UP


def test_a_slow_answer_is_degraded(serve) -> None:
    """Good, but later than ``slow``."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        over.wait(0.05)
        connection.sendall(OK)

    found = check(f"http://127.0.0.1:{serve(behave).port}/", slow=timedelta(milliseconds=20))

    assert found.state == DEGRADED
    assert found.why.startswith("slow: it took 0.0")


def test_a_redirect_is_what_it_is_unless_followed(serve) -> None:
    """Not followed by default, and the reason says how to have it followed."""
    goal = serve(OK)
    for location in (f"http://127.0.0.1:{goal.port}/", "/here"):
        port = serve(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()).port
        assert "follow = true" in check(f"http://127.0.0.1:{port}/").why
    moved = serve(f"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:{goal.port}/\r\n\r\n".encode())

    assert check(f"http://127.0.0.1:{moved.port}/", follow=True, contains="hello").state == UP


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("/again", "more than 5 redirects"),
        ("ftp://host/", "redirect must begin with http://"),
        ("http://[", "Invalid IPv6 URL"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_down(serve, location, why) -> None:
    """Round in circles, or to something that is no website."""
    server = serve(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
    found = check(f"http://127.0.0.1:{server.port}/", follow=True)

    assert found.state == DOWN
    assert why in found.why
    assert len(server.requests) <= 1 + http_exchange.REDIRECTS


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "RemoteDisconnected"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", "cut short: 95 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "headers"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", "LineTooLong"),
    ],
)
def test_an_answer_that_is_none_is_down(serve, answer, why) -> None:
    """Closed at once, another protocol, cut short, or without end: down, with the reason, and never an exception."""
    found = check(f"http://127.0.0.1:{serve(answer).port}/")

    assert found.state == DOWN
    assert why in found.why


@pytest.mark.parametrize(
    ("behave", "doing"),
    [
        (silent, "waiting for the answer"),
        (drip(b"HTTP/1.1 200 OK\r\nX: "), "waiting for the answer"),
        (drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"), "reading the answer"),
        (drip(b"HTTP/1.1 200 OK\r\n\r\n"), "reading the answer"),
    ],
    ids=["silent", "dripping headers", "dripping body", "endless body"],
)
def test_the_timeout_is_for_all_of_it(serve, behave, doing) -> None:
    """Bytes that trickle in do not buy time: the check ends when the timeout is over, and says where it stood."""
    began = time.monotonic()
    found = check(f"http://127.0.0.1:{serve(behave).port}/", timeout=timedelta(milliseconds=200))

    assert (found.state, found.why) == (DOWN, f"no end within 0.2 s, while {doing}")
    assert 0.2 <= time.monotonic() - began < 2.0


def test_a_body_without_end_is_read_up_to_the_limit(serve, monkeypatch) -> None:
    """More than the limit is left alone: what counts is in its beginning."""
    monkeypatch.setattr(http_exchange, "BODY_LIMIT", 100_000)

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nhello")
        while not over.is_set():
            connection.sendall(b"x" * 10_000)

    assert check(f"http://127.0.0.1:{serve(behave).port}/", contains="hello").state == UP


def test_a_connection_is_enough_for_tcp(serve) -> None:
    """Nothing has to be said on it."""
    assert check(f"tcp://127.0.0.1:{serve(silent).port}").state == UP


def test_nobody_listening_is_down(free_port) -> None:
    """A refused connection, by both kinds, in the system's words."""
    port = free_port()
    for scheme in ("tcp", "http"):
        found = check(f"{scheme}://127.0.0.1:{port}")
        assert (found.state, found.why) == (DOWN, "Connection refused")


def test_ipv6_is_watched_as_well(serve) -> None:
    """An address in brackets; the Host header has them, too."""
    server = serve(OK, family=socket.AF_INET6)

    assert check(f"http://[::1]:{server.port}/").state == UP
    assert f"Host: [::1]:{server.port}".encode() in server.requests[0]


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70 + ".invalid"])
def test_a_name_that_means_nothing_is_down(host) -> None:
    """Unknown or impossible, it cannot be looked up, and that is said."""
    found = check(f"http://{host}/")

    assert found.state == DOWN
    assert "cannot be looked up" in found.why


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch) -> None:
    """Nor asked again for the same name while it hangs."""
    asked, over = [], threading.Event()
    real = socket.getaddrinfo

    def hang(host, *arguments, **options):
        if options.get("flags"):
            return real(host, *arguments, **options)
        asked.append(host)
        over.wait(PATIENCE_S)
        raise OSError("over")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    probe = probe_of(Endpoint("tcp://slow.example:1", timeout=timedelta(milliseconds=50)))
    shared = Net()
    found = [probe(shared) for _ in range(3)]
    over.set()

    assert {each.why for each in found} == {"no end within 0.05 s, while looking up slow.example"}
    assert asked == ["slow.example"]


def test_the_next_address_is_tried(serve, free_port, monkeypatch) -> None:
    """A name may have several addresses, and the first may be dead."""
    dead, port = free_port(), serve(OK).port
    addresses = [(socket.AF_INET, ("127.0.0.1", dead)), (socket.AF_INET, ("127.0.0.1", port))]
    monkeypatch.setattr(net, "_looked_up", lambda *_: addresses)

    assert check("http://two.example/").state == UP


@pytest.mark.linux
@pytest.mark.macos
def test_stopping_ends_what_waits(serve) -> None:
    """A check that would take long ends at once when the monitor stops, and none begins any more."""
    server = serve(silent)
    shared = Net()
    probe = probe_of(Endpoint(f"http://127.0.0.1:{server.port}/", timeout=timedelta(seconds=PATIENCE_S)))
    ended = threading.Event()
    thread = threading.Thread(target=lambda: (probe(shared), ended.set()))
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while not server.requests and time.monotonic() < deadline:
        time.sleep(0.001)  # the server has no way to tell this thread that somebody has connected
    shared.close()

    assert ended.wait(PATIENCE_S / 2)
    thread.join()
    with pytest.raises(StoppedError), shared.connected(Place("127.0.0.1", server.port), Deadline(1.0)):
        pass


def test_stopping_ends_a_lookup_that_waits(monkeypatch) -> None:
    """Also one that the resolver keeps waiting."""
    asking, over = threading.Event(), threading.Event()

    def hang(*_: object) -> list[object]:
        if _[-1]:
            raise OSError("a name")
        asking.set()
        over.wait(PATIENCE_S)
        return []

    monkeypatch.setattr(net, "_looked_up", hang)
    shared = Net()
    ends: list[type] = []

    def look() -> None:
        try:
            probe_of(Endpoint("tcp://slow.example:1", timeout=timedelta(seconds=PATIENCE_S)))(shared)
        except StoppedError as error:
            ends.append(type(error))

    thread = threading.Thread(target=look)
    thread.start()
    assert asking.wait(PATIENCE_S)
    shared.close()
    thread.join(PATIENCE_S / 2)
    over.set()

    assert ends == [StoppedError]


@pytest.mark.parametrize(
    ("seen", "latency_s", "state", "why"),
    [
        (Seen(200, "hello"), 0.1, UP, ""),
        (Seen(200, "hello"), 0.6, DEGRADED, "slow"),
        (Seen(200, "bye"), 0.6, DOWN, "does not contain"),
        (Seen(404, "hello"), 0.1, DOWN, "status 404"),
        (Seen(200, "hello", 86_400.0 * 20), 0.1, UP, ""),
        (Seen(200, "hello", 86_400.0 * 13), 0.1, DEGRADED, "expires in 13.0 days"),
        (Seen(200, "hello", 86_400.0 * 13), 0.6, DEGRADED, "slow"),
        (Seen(200, "hello", -5.0), 0.1, DEGRADED, "expires in 0.0 days"),
    ],
)
def test_the_judgement_is_a_table(seen, latency_s, state, why) -> None:
    """What is wrong outweighs what is lacking."""
    endpoint = Endpoint("https://host/", contains="hello", slow=timedelta(milliseconds=500))
    found = judge(endpoint, seen, latency_s, now=0.0)

    assert found.state == state
    assert why in found.why
