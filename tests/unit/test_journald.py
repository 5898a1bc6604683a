"""The journal's native protocol: whatever a record holds comes out as it went in, and nothing passes for a field."""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core import levels
from stayon.core.entry import Entry
from stayon.platforms import journald
from stayon.platforms.journald import NAME_LIMIT, Encoder, Journal, field_name, message_id
from stayon.runtime.logs.encode import JsonEncoder
from stayon.runtime.logs.plain import plain

if TYPE_CHECKING or sys.platform == "linux":
    import fcntl

pytestmark = pytest.mark.linux

OURS = {"PRIORITY", "SYSLOG_IDENTIFIER", "MESSAGE", "MESSAGE_ID"} | {
    f"STAYON_{name}" for name in ("SERVICE", "INSTANCE", "LOGGER", "JOB", "EVENT", "RECORD")
}


def parsed(data: bytes) -> list[tuple[str, bytes]]:
    """The fields of a datagram, as the journal reads them."""
    fields = []
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", rest[:8])
            value, end = rest[8 : 8 + size], rest[8 + size : 9 + size]
            assert end == b"\n"
            rest = rest[9 + size :]
        fields.append((name.decode("ascii"), value))
        data = rest
    return fields


def entry_with(
    message: object = "m", *, logger: str = "s", job: str = "", event_id: int = 0, **fields: object
) -> Entry:
    return Entry(1.5, levels.INFO, logger, job, message, event_id, fields, None)


def datagram(entry: Entry, source: str = "s") -> bytes:
    service, _, instance = source.partition("@")
    line = JsonEncoder(service, instance).line(entry)
    return Encoder(source).datagram(plain(entry), line[:-1].decode("ascii"))


def fields_of(entry: Entry, source: str = "s") -> dict[str, str]:
    return {name: value.decode() for name, value in parsed(datagram(entry, source))}


def test_a_record_has_its_fields() -> None:
    """Message, priority, who speaks, the event's id, the user's fields, and the line of JSON that we would store."""
    entry = entry_with("collected", job="collect", event_id=22, prices=3, source="a b", table={"k": [1]}, on=True)
    fields = fields_of(entry, "price@east")
    record = json.loads(fields.pop("STAYON_RECORD"))

    assert fields == {
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "price@east",
        "MESSAGE": 'collected prices=3 source="a b" table={"k":[1]} on=true',
        "MESSAGE_ID": message_id(22),
        "STAYON_SERVICE": "price",
        "STAYON_INSTANCE": "east",
        "STAYON_LOGGER": "s",
        "STAYON_JOB": "collect",
        "STAYON_EVENT": "22",
        "PRICES": "3",
        "SOURCE": "a b",
        "TABLE": '{"k":[1]}',
        "ON": "true",
    }
    assert (record["message"], record["fields"]["prices"]) == ("collected", 3)


def test_what_is_long_is_only_in_its_field() -> None:
    """The message stays one that can be read; an exception's stack is below it, on lines of its own."""
    try:
        raise ValueError("no price")
    except ValueError as error:
        entry = Entry(1.5, levels.ERROR, "s", "", "job failed", 23, {"lines": "x" * 1000}, error)
    fields = fields_of(entry)
    first, begin, *_, last = fields["MESSAGE"].split("\n")
    assert (first, begin, last) == ("job failed", "Traceback (most recent call last):", "ValueError: no price")
    assert fields["LINES"] == "x" * 1000


def test_texts_of_several_lines_are_below_the_message() -> None:
    """As the stacks of a hang are: whoever reads the journal sees them at once."""
    stacks = "Thread 1:\n" + '  File "a.py", line 1, in main\n' * 5
    fields = fields_of(entry_with("hung:", job="collect", stacks=stacks, note="a\nb"))
    assert fields["MESSAGE"].startswith(
        'hung: note="a\\nb"\nstacks:\n    Thread 1:\n      File "a.py", line 1, in main\n'
    )
    assert fields["STACKS"] == stacks


def test_a_message_moves_no_cursor_and_tells_no_secret() -> None:
    """Line breaks stay, what else can't be printed is escaped; a secret is neither in the message nor in a field."""

    class Secret(str):
        __slots__ = ()
        __secret__ = True

    fields = fields_of(entry_with("a\x1b[2J\nb", password=Secret("hunter2"), words=["ok", Secret("hunter2")]))
    assert fields["MESSAGE"].startswith("a\\x1b[2J\nb password=*** ")
    assert "hunter2" not in str(fields)


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("prices", "PRICES"),
        ("took-ms", "TOOK_MS"),
        ("message", "MESSAGE_"),
        ("Priority", "PRIORITY_"),
        ("stayon_record", "STAYON_RECORD_"),
        ("_private", "FIELD__PRIVATE"),
        ("2nd", "FIELD_2ND"),
        ("", "FIELD_"),
        ("größe", "GR_SSE"),
        ("x" * 100, "X" * NAME_LIMIT),
    ],
)
def test_a_name_is_one_that_may_be(given_name: str, name: str) -> None:
    """Upper case, only letters, digits and underscores, none of the journal's own or ours."""
    assert field_name(given_name) == name


@given(st.text())
def test_any_name_is_valid(raw: str) -> None:
    """Whatever a field is called, the journal takes its name, and it is nobody else's."""
    name = field_name(raw)
    assert 1 <= len(name) <= NAME_LIMIT
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
    assert name[0].isalpha()
    assert name not in OURS


hostile = st.text() | st.text("=\n\0é\ud800A1", max_size=12) | st.just("\nPRIORITY=0\nMESSAGE=forged")


@given(message=hostile, logger=hostile, job=hostile, fields=st.dictionaries(hostile, hostile | st.integers()))
def test_all_comes_back_and_nothing_is_forged(message: str, logger: str, job: str, fields: dict) -> None:
    """The journal reads exactly the fields that there are, each with its value, line breaks and all."""
    entry = Entry(1.5, levels.WARNING, logger, job, message, 0, fields, None)
    as_text = plain(entry)
    found = parsed(Encoder("s").datagram(as_text, "{}"))

    def data(text: object) -> bytes:
        return str(text).encode("utf-8", "backslashreplace")

    wanted = [("PRIORITY", b"4"), ("SYSLOG_IDENTIFIER", b"s"), ("STAYON_SERVICE", b"s"), ("STAYON_RECORD", b"{}")]
    wanted += [("MESSAGE", data(as_text.message)), ("STAYON_LOGGER", data(logger)), ("STAYON_JOB", data(job))]
    wanted = [(name, value) for name, value in wanted if value or name == "MESSAGE"]
    wanted += [(field_name(name), data(value)) for name, value in fields.items()]
    assert sorted(found) == sorted(wanted)


def test_ids_of_events_stay() -> None:
    """The host's events have an id each that never changes; those of a service mean something else in each service."""
    assert message_id(10) == "6c8574a6a5ea16ee098183da0000000a"
    assert len({message_id(number) for number in range(10, 100)}) == 90
    assert (message_id(0), message_id(100)) == ("", "")


class Daemon:
    """A socket that a journal would listen at, and what it got."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(10)
        self.seals = 0

    def receive(self) -> tuple[list[tuple[str, bytes]], int]:
        """The next record's fields, and by how many files it came."""
        data, fds, _, _ = socket.recv_fds(self.socket, 1 << 20, 1)
        for fd in fds:
            data += os.pread(fd, 1 << 26, 0)
            self.seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
            os.close(fd)
        return parsed(data), len(fds)


@pytest.fixture
def path(short_tmp: Path) -> Path:
    return short_tmp / "socket"


@pytest.fixture
def daemon(path: Path):
    made = Daemon(path)
    yield made
    made.socket.close()


@pytest.fixture
def log(path: Path):
    made = Journal("s", str(path))
    yield made
    made.close()


def test_what_is_too_large_for_a_datagram_comes_as_a_sealed_file(daemon: Daemon, log: Journal) -> None:
    """A megabyte arrives whole, in a file that can't be changed behind the reader's back; then, small ones as ever."""
    log.write(plain(entry_with("big", text="x" * 1_000_000)), "{}")
    fields, files = daemon.receive()
    assert (dict(fields)["TEXT"], files) == (b"x" * 1_000_000, 1)
    assert daemon.seals == 0xF
    log.write(entry_with("small"), "{}")
    assert daemon.receive()[1] == 0


def test_a_journal_that_is_restarted_with_a_new_socket_is_found(daemon: Daemon, log: Journal, path: Path) -> None:
    """The first record after that is there; while there is none, each is refused at once."""
    log.write(entry_with("one"), "{}")
    daemon.socket.close()
    path.unlink()
    for _ in range(2):
        with pytest.raises(OSError, match=r".") as caught:
            log.write(entry_with("lost"), "{}")
        assert caught.value.errno in (errno.ENOENT, errno.ECONNREFUSED)
    successor = Daemon(path)
    log.write(entry_with("two"), "{}")
    assert dict(successor.receive()[0])["MESSAGE"] == b"two"
    successor.socket.close()


def test_a_full_journal_is_waited_for_once(daemon: Daemon, log: Journal) -> None:
    """One that reads nothing costs a second, and the records after that none; when it reads, it gets them again."""
    refused, begun = 0, time.monotonic()
    for _ in range(5000):
        try:
            log.write(entry_with("m"), "{}")
        except OSError as error:
            assert error.errno == errno.EAGAIN  # noqa: PT017  # most of them don't raise
            refused += 1
    assert refused > 100
    assert 0.9 < time.monotonic() - begun < 5
    daemon.receive()
    log.write(entry_with("m"), "{}")


def test_a_default_timeout_of_the_program_is_not_ours(daemon: Daemon, path: Path) -> None:
    """``socket.setdefaulttimeout`` is for the program's own sockets."""
    socket.setdefaulttimeout(0.001)
    try:
        log = Journal("s", str(path))
        log.write(entry_with("m"), "{}")
    finally:
        socket.setdefaulttimeout(None)
        log.close()
    assert dict(daemon.receive()[0])["MESSAGE"] == b"m"


def test_a_computer_without_a_journal_has_none(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Where nothing listens there is no such log, rather than one that refuses everything."""
    monkeypatch.setattr(journald, "SOCKET_PATH", str(path))
    assert journald.journal("s", "s.log") is None
    path.touch()
    assert journald.journal("s", "s.log") is not None
