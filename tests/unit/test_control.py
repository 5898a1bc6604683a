"""The control socket: verbs, progress, answers and errors arrive as they were; nobody can hold the host up."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon import errors, exits
from stayon.core.record import Record
from stayon.ports import ControlSocket
from stayon.runtime.control import ControlServer, Limits
from stayon.runtime.control_client import ControlClient
from stayon.runtime.control_errors import error_fields, error_from
from stayon.runtime.control_visit import Reply, message, parse_request
from stayon.runtime.loop import Loop

if sys.platform == "win32":
    from stayon.platforms.windows.clock import WindowsClock as SystemClock
    from stayon.platforms.windows.pipe import PipeDoor as Door
    from stayon.platforms.windows.poller import WindowsPoller as Poller
else:
    from stayon.platforms.clock import SystemClock
    from stayon.platforms.door import UnixDoor as Door
    from stayon.platforms.poller import PollPoller as Poller

WAIT_S = 20.0


class Host:
    """A loop on a thread of its own with a control server that answers as ``answer`` does."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.errors: list[BaseException] = []
        self.poller = Poller()
        self.door: Any = Door()
        self.loop = Loop(SystemClock(), self.poller, self.errors.append)
        self.answer: Callable[[str, dict[str, Any], Reply], object] = lambda verb, args, reply: reply.done(
            verb=verb, args=args
        )
        self.server: ControlServer | None = None
        self.thread = threading.Thread(target=self.loop.run)
        self.thread.start()

    def open(self, **limits: Any) -> ControlClient:
        self.server = ControlServer(self.loop, self.door, self.path, self.answered, Limits(**limits))
        self.call(self.server.open)
        return ControlClient(self.door, self.path)

    def answered(self, verb: str, args: dict[str, Any], reply: Reply) -> None:
        self.answer(verb, args, reply)

    def call(self, function: Callable[[], Any]) -> Any:
        """What *function* gives on the loop's thread."""
        result: list[Any] = []
        done = threading.Event()

        def run() -> None:
            result.append(function())
            done.set()

        self.loop.post(run)
        assert done.wait(WAIT_S)
        return result[0]

    def visitors(self) -> int:
        server = self.server
        assert server is not None
        return self.call(lambda: server.visitors)

    def connect(self) -> ControlSocket:
        return self.door.connect(self.path, WAIT_S)

    def say(self, data: bytes) -> list[dict[str, Any]]:
        """Everything the server answers to *data*."""
        connection = self.connect()
        with contextlib.suppress(BrokenPipeError):  # refused before all was said; the answer tells
            send_all(connection, data)
        return read_all(connection)

    def close(self) -> None:
        if self.server is not None:
            self.call(self.server.close)
        self.loop.post(self.loop.end)
        self.thread.join(WAIT_S)
        self.poller.close()


def send_all(connection: ControlSocket, data: bytes) -> None:
    while data:
        data = data[connection.send(data) :]


def read_all(connection: ControlSocket) -> list[dict[str, Any]]:
    data = b""
    with contextlib.closing(connection):
        while True:
            try:
                part = connection.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return [json.loads(line) for line in data.splitlines()]
            data += part


@pytest.fixture
def host(short_tmp: Path) -> Iterator[Host]:
    host = Host(str(short_tmp / "c"))
    yield host
    host.close()


def poll(condition: Callable[[], bool]) -> None:
    """Wait for what no signal tells of, for at most ``WAIT_S``."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_verb_and_its_arguments_arrive_and_its_answer_comes_back(host: Host) -> None:
    """What is asked is what is heard, and what is answered is what is read."""
    client = host.open()

    assert client.ask("reload", {"why": "ü\n", "n": 1}) == {"verb": "reload", "args": {"why": "ü\n", "n": 1}}
    assert client.ask("status") == {"verb": "status", "args": {}}


def test_an_answer_may_come_later_with_progress_before_it(host: Host) -> None:
    """A pause that takes its time tells so line by line, and ends when it is done; others are served meanwhile."""
    replies: list[Reply] = []
    host.answer = lambda verb, _args, reply: replies.append(reply) if verb == "pause" else reply.done()
    client = host.open()
    told: list[str] = []

    def progress(text: str) -> None:
        told.append(text)
        if text == "2 jobs are running":
            host.loop.post(replies[0].progress, "1 job is running")
            host.loop.post(lambda: replies[0].done(state="PAUSED"))

    def go_on() -> None:
        poll(lambda: len(replies) == 1)
        assert client.ask("status") == {}
        host.loop.post(replies[0].progress, "2 jobs are running")

    other = threading.Thread(target=go_on)
    other.start()
    assert client.ask("pause", on_progress=progress, timeout_s=WAIT_S) == {"state": "PAUSED"}
    other.join()

    assert told == ["2 jobs are running", "1 job is running"]


@pytest.mark.parametrize(
    "kind",
    [
        errors.UsageError,
        errors.UnavailableError,
        errors.FailedError,
        errors.TemporaryError,
        errors.NotPermittedError,
        errors.ConfigError,
    ],
)
def test_an_error_is_raised_again_as_what_it_was(host: Host, kind: type[errors.StayonError]) -> None:
    """Class, texts, code and exit code survive the way; raising and reply.fail are the same."""
    error = kind("it can't be", where="a.toml:3", why="ünknown", hint="Do this.", code="some.code")

    def refuse(verb: str, _args: dict[str, Any], reply: Reply) -> None:
        if verb == "raise":
            raise error
        reply.fail(error)

    host.answer = refuse
    client = host.open()
    for verb in ("raise", "fail"):
        with pytest.raises(kind) as caught:
            client.ask(verb)
        assert type(caught.value) is kind
        assert str(caught.value) == str(error)
        assert caught.value.exit_code == error.exit_code
    assert host.errors == []


def test_a_mistake_of_ours_is_answered_and_reported(host: Host) -> None:
    """An exception that nobody meant ends the visitor's wait with exit code 70, and reaches the host."""
    mistake = ZeroDivisionError("oh")

    def fail(_verb: str, _args: dict[str, Any], _reply: Reply) -> None:
        raise mistake

    host.answer = fail
    with pytest.raises(errors.FailedError, match="ZeroDivisionError: oh") as caught:
        host.open().ask("x")

    assert caught.value.exit_code == exits.FAILED
    poll(lambda: host.errors == [mistake])


def test_an_exit_code_of_its_own_survives() -> None:
    """A hang is no class of errors, but its exit code is kept."""
    error = errors.StayonError("it hangs", code="service.hang")
    error.exit_code = exits.HANG

    assert error_from(error_fields(error)).exit_code == exits.HANG
    assert error_fields(SystemExit(3))["exit_code"] == 3
    assert str(error_from({})) == " [stayon.failed]"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"\n", "control.request"),
        (b"stop\n", "control.request"),
        (b"[1]\n", "control.request"),
        (b"{}\n", "control.request"),
        (b'{"verb": 3}\n', "control.request"),
        (b'{"verb": "stop", "args": [1]}\n', "control.request"),
        (b"\xff\xfe\n", "control.request"),
        (b"[" * 60_000 + b"\n", "control.request"),
        (b"x" * 70_000, "control.too-long"),
        (b"x" * 3_000_000 + b"\n", "control.too-long"),
    ],
)
def test_what_is_no_request_is_refused(host: Host, line: bytes, code: str) -> None:
    """Garbage gets one line that says how a request looks, and the next visitor is served."""
    client = host.open()
    (answer,) = host.say(line)

    assert answer["ok"] is False
    assert answer["error"]["code"] == code
    assert answer["error"]["exit_code"] == exits.USAGE
    assert client.ask("status")["verb"] == "status"
    assert host.errors == []


def test_a_request_may_come_in_pieces(host: Host) -> None:
    """Byte after byte is as good as all at once; what follows the line is not looked at."""
    host.open()
    connection = host.connect()
    for byte in b'{"verb": "stop"}\n':
        send_all(connection, bytes([byte]))

    assert read_all(connection) == [{"verb": "stop", "args": {}, "ok": True}]


def test_who_asks_nothing_is_told_and_let_go(host: Host) -> None:
    """A silent visitor is sent away when its time is over."""
    host.open(request_timeout_s=0.05)
    (answer,) = read_all(host.connect())

    assert answer["error"]["code"] == "control.timeout"
    poll(lambda: host.visitors() == 0)


def test_a_verb_that_is_never_answered_ends(host: Host) -> None:
    """A reply that was forgotten doesn't keep the visitor for ever, and comes too late without harm."""
    replies: list[Reply] = []
    host.answer = lambda *request: replies.append(request[2])
    with pytest.raises(errors.TemporaryError, match="pause was not answered within"):
        host.open(answer_timeout_s=0.05).ask("pause")
    host.call(replies[0].done)
    host.call(lambda: replies[0].progress("late"))

    assert host.errors == []


def test_a_visitor_who_left_is_not_missed(host: Host) -> None:
    """The reply to somebody who is gone is dropped."""
    replies: list[Reply] = []
    host.answer = lambda *request: replies.append(request[2])
    host.open()
    connection = host.connect()
    send_all(connection, b'{"verb": "pause"}\n')
    poll(lambda: len(replies) == 1)
    connection.close()
    host.call(lambda: replies[0].progress("still there?"))
    host.call(replies[0].done)

    assert host.visitors() == 0
    assert host.errors == []


def test_only_the_first_answer_counts(host: Host) -> None:
    """A verb that is answered twice was answered by the first."""

    def twice(_verb: str, _args: dict[str, Any], reply: Reply) -> None:
        reply.done(n=1)
        reply.fail(ValueError("too late"))

    host.answer = twice
    assert host.open().ask("x") == {"n": 1}


def test_beyond_the_limit_a_visitor_is_told_to_come_back(host: Host) -> None:
    """The seventeenth hears at once that others are talking; when one has left there is room again."""
    client = host.open(visitors=3)
    holders = [host.connect() for _ in range(3)]
    poll(lambda: host.visitors() == 3)
    with pytest.raises(errors.TemporaryError) as caught:
        client.ask("status")
    assert caught.value.code == "control.busy"
    holders.pop().close()
    poll(lambda: host.visitors() == 2)
    assert client.ask("status")["verb"] == "status"
    for holder in holders:
        holder.close()


def test_many_who_ask_at_once_are_all_answered(host: Host) -> None:
    """More than the door has places for: each waits for its turn, and gets its own answer."""
    client = host.open(visitors=100)
    answers: list[int] = []

    def ask(number: int) -> None:
        answers.append(client.ask("echo", {"number": number}, WAIT_S)["args"]["number"])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert sorted(answers) == list(range(40))


def test_a_big_answer_arrives_whole(host: Host) -> None:
    """A dump of many stacks is more than a socket's buffer holds."""
    text = "x" * 3_000_000
    host.answer = lambda _verb, _args, reply: reply.done(text=text)

    assert host.open().ask("dump")["text"] == text


def test_who_does_not_read_is_let_go(host: Host) -> None:
    """An answer that nobody takes is given up when its time is over; progress doesn't pile up for such a one."""
    replies: list[Reply] = []
    host.answer = lambda *request: replies.append(request[2])
    host.open(send_timeout_s=0.1)
    connection = host.connect()
    send_all(connection, b'{"verb": "x"}\n')
    poll(lambda: len(replies) == 1)

    def talk() -> None:
        for _ in range(5000):
            replies[0].progress("x" * 1000)
        replies[0].done(text="x" * 1_000_000)

    host.call(talk)
    poll(lambda: host.visitors() == 0)
    unread = 0
    with contextlib.closing(connection):
        while part := connection.recv(65536):
            unread += len(part)
    assert unread < 1_000_000


def test_nobody_there_is_said(host: Host) -> None:
    """Asking where no service runs is an error of its own, with exit code 69."""
    with pytest.raises(errors.UnavailableError) as caught:
        ControlClient(host.door, host.path).ask("status")

    assert caught.value.exit_code == exits.UNAVAILABLE


def test_a_service_that_ends_in_the_middle_is_said(host: Host) -> None:
    """The connection breaks off without an answer: that is what the caller hears."""
    client = host.open()
    server = host.server
    assert server is not None
    host.answer = lambda _verb, _args, _reply: server.close()
    with pytest.raises(errors.UnavailableError, match="went away") as caught:
        client.ask("stop")

    assert caught.value.code == "control.gone"


class Stranger(Record):
    """A door behind which somebody else speaks."""

    says: bytes

    def connect(self, path: str, timeout_s: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(self.says)
        ours.settimeout(timeout_s)
        return ours


@pytest.mark.parametrize("says", [b"SSH-2.0\n", b"3\n", b"[[]]\n", b"\xff\n"])
def test_a_stranger_behind_the_door_is_noticed(says: bytes) -> None:
    """Whatever it says, the caller gets an error in words."""
    door: Any = Stranger(says)
    with pytest.raises(errors.StayonError):
        ControlClient(door, "p").ask("status")


def test_a_hung_service_does_not_hold_the_caller(host: Host) -> None:
    """Nobody answers: after the time given the caller hears that."""
    host.answer = lambda _verb, _args, _reply: None
    with pytest.raises(errors.TemporaryError) as caught:
        host.open().ask("pause", timeout_s=0.05)

    assert caught.value.code == "control.no-answer"


def test_closing_ends_everything(host: Host) -> None:
    """The name is gone, visitors are let go, and closing again is harmless."""
    client = host.open()
    visitor = host.connect()
    poll(lambda: host.visitors() == 1)
    server = host.server
    assert server is not None
    host.call(server.close)
    host.call(server.close)

    assert read_all(visitor) == []
    with pytest.raises(errors.UnavailableError):
        client.ask("status")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(verb=st.text(min_size=1, max_size=20), args=st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_any_request_is_one_line_and_is_understood(verb: str, args: dict[str, Any]) -> None:
    """No text, however odd, breaks the framing."""
    line = message({"verb": verb, "args": args})

    assert line.count(b"\n") == 1
    assert parse_request(line[:-1]) == (verb, args)
