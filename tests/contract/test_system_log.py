"""The SystemLog port: handed over is handed over, losses are told to whoever writes, and nobody waits for long."""

from __future__ import annotations

from typing import Any

import pytest

from stayon.core import levels
from stayon.core.entry import Entry
from stayon.platforms.windows.eventlog import EventLog
from stayon.testing.system_log import FakeSystemLog

LOGS = ["fake", "event log", pytest.param("real event log", marks=pytest.mark.windows)]


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


class Rig:
    """A log of one kind, the texts that arrived in it, and a way to take it down."""

    def __init__(self, kind: str) -> None:
        self.calls = Calls()
        self.log: Any = {
            "fake": lambda: FakeSystemLog("s", "s.log"),
            "event log": lambda: EventLog("s", "s.log", self.calls),
            "real event log": lambda: EventLog("stayon-tests", "s.log"),
        }[kind]()

    @property
    def texts(self) -> list[str]:
        return self.log.texts if isinstance(self.log, FakeSystemLog) else self.calls.texts

    def take_down(self, *, is_down: bool) -> None:
        target = self.log if isinstance(self.log, FakeSystemLog) else self.calls
        target.is_down = is_down

    def write(self, level: int, text: str) -> None:
        self.log.write(Entry(0.0, level, "s", "", "m", 7, {}, None), text)


@pytest.mark.parametrize("kind", LOGS)
def test_every_level_is_taken(kind: str) -> None:
    """Whatever its level, number or text, a record is handed over, and closing twice is harmless."""
    rig = Rig(kind)
    for level in levels.NAMES:
        rig.write(level, "text\nof two lines")
    rig.write(levels.ERROR, "%1 \0 \ud800" + "x" * 100_000)
    rig.log.close()
    rig.log.close()


@pytest.mark.parametrize("kind", LOGS[:2])
def test_records_arrive_in_their_order_and_errors_at_once(kind: str) -> None:
    """When an error's call returns it is there, and so is all that came before it."""
    rig = Rig(kind)
    for text in ("a", "b", "c"):
        rig.write(levels.INFO, text)
    rig.write(levels.ERROR, "d")
    assert rig.texts == ["a", "b", "c", "d"]


@pytest.mark.parametrize("kind", LOGS[:2])
def test_a_loss_is_raised_and_does_not_last(kind: str) -> None:
    """What can't be written raises ``OSError`` with the reason; when the log is there again, so are its records."""
    rig = Rig(kind)
    rig.write(levels.ERROR, "before")
    rig.take_down(is_down=True)
    with pytest.raises(OSError, match=r".+") as caught:
        rig.write(levels.ERROR, "lost")
    assert caught.value.strerror
    rig.take_down(is_down=False)
    rig.write(levels.ERROR, "after")
    assert rig.texts == ["before", "after"]
