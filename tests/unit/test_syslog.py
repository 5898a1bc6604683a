"""The syslog sink: RFC 5424 to real servers on this computer, by UDP, TCP, TLS and its own socket."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core import levels
from stayon.core.entry import Entry
from stayon.core.syslog import FACILITIES, LIMIT, Speaker, Target, framed, message, parse_target, traditional
from stayon.errors import UsageError
from stayon.runtime.config.host_settings import ROWS, read_host_settings
from stayon.runtime.config.problems import InvalidConfigError
from stayon.runtime.log_setup import LogSetup
from stayon.runtime.logs import syslog_link, syslog_sink
from stayon.runtime.logs.pipeline import Pipeline
from stayon.runtime.logs.syslog_link import DatagramLink, StreamLink, link_to
from stayon.runtime.logs.syslog_sink import SyslogSink
from stayon.testing.machine import FakeMachine

AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBdzCCAR6gAwIBAgIUMa3QDs36+EhhvSnLnM4dfAShhvcwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOc3RheW9uIHRlc3QgQ0EwIBcNMjAwMTAxMDAwMDAwWhgPMjEy
MDAxMDEwMDAwMDBaMBkxFzAVBgNVBAMMDnN0YXlvbiB0ZXN0IENBMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEUmmycFRhsspeGYt0c+OgRSyVarVTiKHyjjJK55+z
S4vBKTsY27w5SUNczhSVi9ZqgPz9FgVt7NhwuN9yMzfh16NCMEAwDwYDVR0TAQH/
BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFKkC/2bDrXDzUlwL3NlR
uoYY5u31MAoGCCqGSM49BAMCA0cAMEQCIAmwAM7CGVt4ljdfmcpThv+Gp0j+g4QA
uMQYQskfY3vyAiBp88tGDw7QQzU951Ek1uxFGbbxqXu5jrFOl7UpmMoy4Q==
-----END CERTIFICATE-----
"""

# For localhost and 127.0.0.1, until 2119; its key is no secret.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIB0DCCAXagAwIBAgIURgzEQay9/VHe8zRoWNsQU4jhnPEwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOc3RheW9uIHRlc3QgQ0EwIBcNMjAwMTAxMDAwMDAwWhgPMjEx
OTAxMDEwMDAwMDBaMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDBZMBMGByqGSM49AgEG
CCqGSM49AwEHA0IABMzNWVxDbd+xLm7kvTZ5dPc24WkQo3M7ilhHjc6Br765HVPD
qnz+FAs9CrjJ+9FegflQIUfbze4CopQrcZx60eajgZ4wgZswLAYDVR0RBCUwI4cE
fwAAAYcQAAAAAAAAAAAAAAAAAAAAAYIJbG9jYWxob3N0MAkGA1UdEwQCMAAwCwYD
VR0PBAQDAgeAMBMGA1UdJQQMMAoGCCsGAQUFBwMBMB0GA1UdDgQWBBTErE5lZeEE
UIphfpHRLTsQMPBnFjAfBgNVHSMEGDAWgBSpAv9mw61w81JcC9zZUbqGGObt9TAK
BggqhkjOPQQDAgNIADBFAiAFuZrVtKeRUKVVrxtaOCObEywGVOPVA7S26n9M7v2d
cwIhAJM+L6yvivuJaolnGlXSaOSCXIceQJJSiihVhcSxOgl3
-----END CERTIFICATE-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIHeirxdaN8NF+Vm1vUI+NePICW0Mgs/zXThTTFaBPrFqoAoGCCqGSM49
AwEHoUQDQgAEzM1ZXENt37EubuS9Nnl09zbhaRCjczuKWEeNzoGvvrkdU8OqfP4U
Cz0KuMn70V6B+VAhR9vN7gKilCtxnHrR5g==
-----END EC PRIVATE KEY-----
"""

SPEAKER = Speaker(FACILITIES["daemon"], "host.example", "price", "east", 42)
STAMP = "2026-01-31T08:00:05.123Z"
# RFC 5424, section 6, as a pattern.
MESSAGE = re.compile(
    rb"<(?P<priority>\d{1,3})>1 (?P<time>\S+) (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<pid>[!-~]{1,128}) "
    rb"(?P<id>[!-~]{1,32}) (?P<data>-|(?:\[[^ =\]\"]{1,32}(?: [!#-<>-\\^-~]{1,32}=\"(?:\\[\"\\\]]|[^\"\\\]])*\")*\])+)"
    rb"(?: (?P<text>.*))?",
    re.DOTALL,
)


def entry_with(text: str = "collected", *, job: str = "", event_id: int = 0, **fields: str) -> Entry:
    return Entry(0.0, levels.WARNING, "price", job, text, event_id, fields, None)


def text_of(data: bytes) -> bytes:
    """The text of a message, which has to be one."""
    found = MESSAGE.fullmatch(data)
    assert found, data
    return found["text"]


def test_a_message_is_as_the_rfc_has_it() -> None:
    """Priority, time, who, the event's number, structured data with what we know and what was given, and the text."""
    made = message(entry_with(job="collect", event_id=22, prices="3", odd='"]\\'), STAMP, SPEAKER)
    assert made == (
        b"<28>1 2026-01-31T08:00:05.123Z host.example price 42 22 "
        b'[stayon@32473 instance="east" logger="price" job="collect"]'
        b'[fields@32473 prices="3" odd="\\"\\]\\\\"] collected'
    )


def test_text_that_is_not_ascii_is_marked_as_utf_8() -> None:
    """As the RFC wants it; plain ASCII has no mark that a simple reader would show."""
    assert message(entry_with("größer"), STAMP, SPEAKER).endswith(b"] \xef\xbb\xbfgr\xc3\xb6\xc3\x9fer")
    assert message(entry_with("bigger"), STAMP, SPEAKER).endswith(b"] bigger")


anything = st.text() | st.text('"]\\=\n\0é\ud800 ', max_size=20)


@given(anything, st.dictionaries(anything, anything), anything, anything)
def test_any_message_is_well_formed(text: str, fields: dict[str, str], service: str, job: str) -> None:
    """Whatever is in it, a strict reader finds each part where it belongs, and no more of them."""
    entry = Entry(0.0, levels.INFO, "price", job, text, 0, fields, None)
    found = MESSAGE.fullmatch(message(entry, STAMP, SPEAKER.replace(service=service)))
    assert found
    assert found["data"].count(b"@32473") == 1 + bool(fields)
    assert found["text"].removeprefix(b"\xef\xbb\xbf") == text.encode("utf-8", "backslashreplace")


def test_what_is_too_long_is_cut() -> None:
    """A message has a size that servers take; a character is never cut in two."""
    fields = {f"n{number}": "x" * 900 for number in range(20)}
    made = message(Entry(0.0, levels.INFO, "price", "", "ü" * LIMIT, 0, fields, None), STAMP, SPEAKER)
    assert len(made) <= LIMIT
    assert made.endswith(f"... ({LIMIT} characters in all)".encode())
    assert MESSAGE.fullmatch(made)
    made.decode("utf-8")


def test_this_computers_own_syslog_gets_what_syslog_sends() -> None:
    """The form of syslog(3), which daemons expect on that socket."""
    made = traditional(entry_with("m", event_id=3), (2026, 1, 3, 8, 0, 5), SPEAKER)
    assert made == b"<28>Jan  3 08:00:05 price@east[42]: m"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("local", Target("local")),
        ("udp://logs.example", Target("udp", "logs.example", 514)),
        ("tcp://10.0.0.1:1601", Target("tcp", "10.0.0.1", 1601)),
        ("tcp://logs.example", Target("tcp", "logs.example", 601)),
        ("tls://[::1]:7000", Target("tls", "::1", 7000)),
        ("tls://[::1]", Target("tls", "::1", 6514)),
    ],
)
def test_an_address_is_read(text: str, target: Target) -> None:
    """Transport, host and port, with the port that belongs to the transport."""
    assert parse_target(text) == target
    assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "logs",
        "udp://",
        "udp://:514",
        "udp://h:",
        "udp://h:0",
        "tcp://h:x",
        "http://h",
        "tcp://h:70000",
        "tcp://a/b",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """With the forms that are."""
    with pytest.raises(UsageError, match="tls://HOST:6514") as caught:
        parse_target(text)
    assert caught.value.code == "config.syslog"


def test_settings_are_checked() -> None:
    """A wrong address is an error of the configuration; the facilities are those there are."""
    with pytest.raises(InvalidConfigError, match="expected a syslog server"):
        read_host_settings({"log": {"syslog": "nowhere"}}, {}, (), lambda path: "f.toml")
    (row,) = (row for row in ROWS if row.name == "log.syslog_facility")
    assert set(row.choices) == set(FACILITIES)


# ------------------------------------------------------------------------------------------------------- real servers


class Server:
    """A syslog server on this computer; ``got`` has its messages. ``target`` is where it is."""

    def __init__(self, transport: str, *, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self.got: Queue[bytes] = Queue()
        self._context = context
        self._socket = socket.socket(socket.AF_INET, kind)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.port = self._socket.getsockname()[1]
        self.target = f"{transport}://localhost:{self.port}" if context else f"{transport}://127.0.0.1:{self.port}"
        self._visitors: list[socket.socket] = []
        if kind == socket.SOCK_STREAM:
            self._socket.listen()
        serve = self._datagrams if kind == socket.SOCK_DGRAM else self._accept
        self._threads = [threading.Thread(target=serve, daemon=True)]
        self._threads[0].start()

    def _datagrams(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._socket.recv(65536):
                self.got.put(data)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                visitor = self._socket.accept()[0]
                self._visitors.append(visitor)
                self._threads.append(threading.Thread(target=self._read, args=(visitor,), daemon=True))
                self._threads[-1].start()

    def _read(self, visitor: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._context is not None:
                visitor = self._context.wrap_socket(visitor, server_side=True)
                self._visitors.append(visitor)
            with visitor, visitor.makefile("rb") as stream:
                while length := b"".join(iter(lambda: stream.read(1).strip(), b"")):
                    self.got.put(stream.read(int(length)))

    def close(self) -> None:
        """Hang up on everybody."""
        for one in (self._socket, *self._visitors):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "server.pem"
    path.write_text(CERTIFICATE)
    return path


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    path.write_text(AUTHORITY)
    return path


@pytest.fixture
def serve(certificate: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers that are closed afterwards."""
    made: list[Server] = []

    def new(transport: str, port: int = 0) -> Server:
        context = None
        if transport == "tls":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
        made.append(Server(transport, context=context, port=port))
        return made[-1]

    yield new
    for server in made:
        server.close()


@pytest.fixture
def logging_to(tmp_path: Path, authority: Path) -> Iterator[Callable[..., Pipeline]]:
    """A pipeline as the settings make it, with a syslog server and nothing else."""
    made: list[Pipeline] = []

    def new(address: str, **said: Any) -> Pipeline:
        pipeline = Pipeline("price", "east")
        made.append(pipeline)
        ca = str(authority) if address.startswith("tls:") else ""
        log = {"stderr": "off", "file": False, "system": "off", "syslog": address, "syslog_ca": ca, **said}
        settings = read_host_settings({"log": log}, {}, (), lambda path: "f.toml")
        with FakeMachine() as machine:
            setup = LogSetup(pipeline, str(tmp_path), machine.ports())
            setup.apply(settings)
            setup.apply(settings)  # a reload that changes nothing, changes nothing
        return pipeline

    yield new
    for pipeline in made:
        pipeline.close()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_server_gets_each_record(serve, logging_to, transport: str) -> None:
    """In order, whole, with its fields, and with the facility that is set; even a large one, with line breaks."""
    server = serve(transport)
    pipeline = logging_to(server.target, syslog_facility="local3")
    pipeline.logger(job="collect").warning("collected", prices=3)
    for number in range(20):
        pipeline.logger().info(f"{number}\n{'x' * 3000}")
    first = MESSAGE.fullmatch(server.got.get(timeout=10))
    assert first
    assert (first["priority"], first["app"], first["text"]) == (b"156", b"price", b"collected prices=3")
    assert b'job="collect"' in first["data"]
    assert b'[fields@32473 prices="3"]' in first["data"]
    texts = [text_of(server.got.get(timeout=10)) for _ in range(20)]
    assert [text.partition(b"\n")[0] for text in texts] == [str(number).encode() for number in range(20)]
    assert pipeline.lost() == 0


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_server_that_is_restarted_gets_the_rest(serve, logging_to, transport: str) -> None:
    """What is logged meanwhile waits; when the server is there again it gets that, and a word about it."""
    server = serve(transport)
    pipeline = logging_to(server.target)
    pipeline.logger().info("before")
    assert server.got.get(timeout=10).endswith(b" before")
    server.close()
    pipeline.logger().info("between")
    _wait(lambda: any("takes no records" in line for line in pipeline.recent()))
    again = serve(transport, server.port)
    texts = [text_of(again.got.get(timeout=20)) for _ in range(3)]
    assert texts[0] == b"between"
    assert texts[1].startswith(b"the syslog server takes no records; they wait for it server=")
    assert texts[2].startswith(b"the syslog server takes records again")


def test_a_server_with_a_certificate_of_others_gets_nothing(serve, logging_to) -> None:
    """No record goes to whoever cannot prove that he is the one; why, is told."""
    server = serve("tls")
    pipeline = logging_to(server.target, syslog_ca="")
    pipeline.logger().info("secret")
    _wait(lambda: any("CERTIFICATE_VERIFY_FAILED" in line for line in pipeline.recent()))
    assert server.got.empty()


def test_nobody_waits_for_a_server_that_is_away(logging_to, free_port) -> None:
    """Logging takes no longer; what is too much is lost, and counted; closing takes two seconds at most."""
    pipeline = logging_to(f"tcp://127.0.0.1:{free_port()}")
    begun = time.monotonic()
    for number in range(syslog_sink.WAITING_LIMIT + 100):
        pipeline.logger().info(f"{number}")
    assert time.monotonic() - begun < 2
    assert 90 <= pipeline.lost() <= 110
    begun = time.monotonic()
    pipeline.close()
    assert time.monotonic() - begun < syslog_sink.CLOSE_PATIENCE_S + 1


def test_closing_sends_what_is_waiting(serve, logging_to) -> None:
    """The last word of a service gets out."""
    server = serve("tcp")
    pipeline = logging_to(server.target)
    for number in range(200):
        pipeline.logger().info(f"{number}")
    pipeline.close()
    _wait(lambda: server.got.qsize() == 200)
    assert pipeline.lost() == 0


class Stuck:
    """A link on which nothing moves until it is let go."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.gate.wait(30)
        self.sent.append(data)

    def close(self) -> None:
        self.gate.set()


def test_losses_are_told_where_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server sees how many are missing, before the first that comes again."""
    monkeypatch.setattr(syslog_sink, "WAITING_LIMIT", 10)
    link, pipeline = Stuck(), Pipeline("price")
    sink = SyslogSink(link, lambda entry: str(entry.message).encode(), pipeline.logger(), "tcp://h:1")
    pipeline.use([sink])
    for number in range(15):
        pipeline.logger().info(f"{number}")
    link.gate.set()
    _wait(lambda: len(link.sent) == 10)
    pipeline.logger().info("again")
    pipeline.close()
    assert link.sent[10:] == [b"5 log lines were lost (tcp://h:1 takes nothing)", b"again"]


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
@pytest.mark.linux
@pytest.mark.macos
def test_this_computers_own_syslog(short_tmp: Path, monkeypatch: pytest.MonkeyPatch, logging_to, kind: int) -> None:
    """Through its socket, be it of datagrams or a stream; the first of the places that is there."""
    path = short_tmp / "log"
    with socket.socket(socket.AF_UNIX, kind) as daemon:
        daemon.bind(str(path))
        daemon.settimeout(10)
        if kind == socket.SOCK_STREAM:
            daemon.listen()
        monkeypatch.setattr(syslog_sink, "link_to", lambda target, ca: link_to(target, ca, ("/no/such", str(path))))
        pipeline = logging_to("local", syslog_facility="user")
        pipeline.logger().error("é", why="this")
        visitor = daemon.accept()[0] if kind == socket.SOCK_STREAM else daemon
        got = visitor.recv(4096)
        if visitor is not daemon:
            visitor.close()
    ending = b"\0" if kind == socket.SOCK_STREAM else b""
    assert re.fullmatch(rb"<11>\w{3} [ \d]\d \d\d:\d\d:\d\d price@east\[\d+\]: \xc3\xa9 why=this" + ending, got)


def test_a_computer_without_syslog_says_so() -> None:
    """And the sink goes on asking, as for any server that is away."""
    with pytest.raises(OSError, match="no syslog socket"):
        link_to(Target("local"), "", ("/no/such",)).send(b"")


def test_links_are_by_transport() -> None:
    """Datagrams for UDP and this computer, a stream with lengths for the others."""
    kinds = {text: type(link_to(parse_target(text), "")) for text in ("local", "udp://h", "tcp://h", "tls://h")}
    assert kinds == {"local": DatagramLink, "udp://h": DatagramLink, "tcp://h": StreamLink, "tls://h": StreamLink}
    assert framed(b"abc") == b"3 abc"
    assert syslog_link.PATIENCE_S <= 5


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
