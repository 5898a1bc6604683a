"""The SystemLog port: handed over is handed over, losses are told to whoever writes, and nobody waits for long."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stayon.core import levels
from stayon.core.entry import Entry
from stayon.platforms.journald import Journal
from stayon.platforms.windows.eventlog import EventLog
from stayon.testing.system_log import FakeSystemLog

if TYPE_CHECKING:
    from tests.systemd.lab import Lab

LOGS = [
    "fake",
    "event log",
    pytest.param("journal", marks=pytest.mark.linux),
    pytest.param("real event log", marks=pytest.mark.windows),
]


class Calls:
    """The service EventLog, which may be down. ``texts`` has what it got."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.is_down = False

    def open(self, source: str) -> tuple[int, str]:
        return (0, "The RPC server is unavailable") if self.is_down else (1, "")

    def report(self, handle: int, kind: int, number: int, text: str) -> str:
        if self.is_down:
            return "The RPC server is unavailable"
        self.texts.append(text)
        return ""

    def close(self, handle: int) -> None:
        pass


class Daemon:
    """A socket as the journal has it, which may be gone. ``texts`` has the lines of JSON that it got."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listen()
        self._texts: list[str] = []

    def _listen(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)

    @property
    def texts(self) -> list[str]:
        while True:
            try:
                data, files, _, _ = socket.recv_fds(self.socket, 1 << 20, 1)
            except BlockingIOError:
                return self._texts
            for fd in files:
                data = os.pread(fd, 1 << 22, 0)
                os.close(fd)
            self._texts.append(data.partition(b"\nSTAYON_RECORD=")[2].partition(b"\n")[0].decode())

    def take_down(self, *, is_down: bool) -> None:
        if is_down:
            assert self.texts
            self.socket.close()
            self.path.unlink()
        else:
            self._listen()


class Rig:
    """A log of one kind, the texts that arrived in it, and a way to take it down."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.calls = Calls()
        self.daemon = Daemon(directory / "socket") if kind == "journal" else None
        self.log: Any = {
            "fake": lambda: FakeSystemLog("s", "s.log"),
            "event log": lambda: EventLog("s", "s.log", self.calls),
            "journal": lambda: Journal("s", str(directory / "socket")),
            "real event log": lambda: EventLog("stayon-tests", "s.log"),
        }[kind]()

    @property
    def texts(self) -> list[str]:
        if self.daemon is not None:
            return self.daemon.texts
        return self.log.texts if isinstance(self.log, FakeSystemLog) else self.calls.texts

    def take_down(self, *, is_down: bool) -> None:
        if self.daemon is not None:
            self.daemon.take_down(is_down=is_down)
            return
        target = self.log if isinstance(self.log, FakeSystemLog) else self.calls
        target.is_down = is_down

    def write(self, level: int, text: str) -> None:
        self.log.write(Entry(0.0, level, "s", "", "m", 7, {}, None), text)

    def close(self) -> None:
        self.log.close()
        if self.daemon is not None:
            self.daemon.socket.close()


@pytest.fixture
def rig(kind: str, short_tmp: Path) -> Iterator[Rig]:
    made = Rig(kind, short_tmp)
    yield made
    made.close()


@pytest.mark.parametrize("kind", LOGS)
def test_every_level_is_taken(rig: Rig) -> None:
    """Whatever its level, number or text, a record is handed over, and closing twice is harmless."""
    for level in levels.NAMES:
        rig.write(level, "text\nof two lines")
    rig.write(levels.ERROR, "%1 \0 \ud800" + "x" * 100_000)
    rig.log.close()
    rig.log.close()


@pytest.mark.parametrize("kind", LOGS[:3])
def test_records_arrive_in_their_order_and_errors_at_once(rig: Rig) -> None:
    """When an error's call returns it is there, and so is all that came before it."""
    for text in ("a", "b", "c"):
        rig.write(levels.INFO, text)
    rig.write(levels.ERROR, "d")
    assert rig.texts == ["a", "b", "c", "d"]


@pytest.mark.parametrize("kind", LOGS[:3])
def test_a_loss_is_raised_and_does_not_last(rig: Rig) -> None:
    """What can't be written raises ``OSError`` with the reason; when the log is there again, so are its records."""
    rig.write(levels.ERROR, "before")
    rig.take_down(is_down=True)
    with pytest.raises(OSError, match=r".+") as caught:
        rig.write(levels.ERROR, "lost")
    assert caught.value.strerror
    rig.take_down(is_down=False)
    rig.write(levels.ERROR, "after")
    assert rig.texts == ["before", "after"]


# What the service below says, and how a journal that is really there shows it.
SPEAKER = """
    service = Service("{name}")

    @service.run
    def main(ctx):
        for level in ("debug", "info", "notice", "warning", "error", "critical"):
            getattr(ctx.log, level)(level, event_id=7, text="x" * {size}, lines="a\\nb")
        ctx.ready()
        ctx.stopping.wait()
    """
SIZE = 400_000


@pytest.mark.linux
@pytest.mark.slow
def test_a_real_journal_has_every_record_with_its_fields(systemd: Lab) -> None:
    """Of each level, in order, with the whole of what is large, and with what may not pass for another field."""
    service = systemd.service(SPEAKER.replace("{size}", str(SIZE)))
    service.install()
    service.wait_journal("critical")
    found = [entry for entry in service.journal() if entry.get("STAYON_EVENT") == "7"]
    assert [entry["PRIORITY"] for entry in found] == ["6", "5", "4", "3", "2"]
    assert [json.loads(entry["STAYON_RECORD"])["message"] for entry in found] == [
        *("info", "notice", "warning", "error", "critical")
    ]
    assert {(len(entry["TEXT"]), entry["LINES"]) for entry in found} == {(SIZE, "a\nb")}
