"""A program that is one file on a Windows without Python: its verbs through the SCM, and its update."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stayon import exits
from tests.build.program_desk import SOURCE, built
from tests.windows.lab import Answer, Lab

pytestmark = pytest.mark.slow

FAILS = """
from stayon import Service

service = Service("collector")

@service.on_start
def connect(ctx):
    raise ConnectionError("no such database")

@service.every("1s")
def collect(ctx):
    pass
"""

TARGET = ("collector", "--target", "windows-x64")


class Installed:
    """The program in a folder of its own."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.folder = lab, lab.drive / "Program Files" / "Collector"
        self.program = self.folder / "collector.exe"
        self.folder.mkdir()

    def verb(self, *words: str | Path) -> Answer:
        """``collector.exe WORDS``."""
        return self.lab.exe(self.program, *words, limit_s=60.0)

    def done(self, *words: str | Path) -> Answer:
        """As ``verb``, for what has to succeed."""
        answer = self.verb(*words)
        assert answer.code == exits.DONE, answer
        return answer

    def names(self) -> list[str]:
        """What is in its folder."""
        return sorted(each.name for each in self.folder.iterdir())


@pytest.fixture
def installed(lab: Lab) -> Iterator[Installed]:
    """The plain program, not installed."""
    made = Installed(lab)
    shutil.copy(built(SOURCE, "1.0", *TARGET), made.program)
    yield made
    made.verb("uninstall", "--purge", "--yes")
    shutil.rmtree(made.folder)


def test_its_life_in_the_scm(installed: Installed) -> None:
    """Installed by itself, it is started, asked, stopped, and taken away; hints name the file, not a Python."""
    told = installed.done("install", "--now")
    assert "collector.exe" in installed.done("status", "--help").out
    status = installed.done("status", "--json").json
    assert status["state"] == "RUNNING", (told, status)
    command = next(one["command"] for one in installed.done("list", "--json").json if one["name"] == "collector")
    assert command == '"C:\\Program Files\\Collector\\collector.exe" --service collector --start-timeout 60'
    installed.done("restart")
    installed.done("stop")
    sets = [each["path"] for each in installed.done("info", "--json").json["sets"]]
    told = installed.done("uninstall", "--purge", "--yes", "--json").json
    assert set(sets) <= set(told["removed"])
    assert "held" not in told
    assert not any((installed.lab.drive / path[3:].replace("\\", "/")).exists() for path in sets)
    assert installed.names() == ["collector.exe"]


def test_what_is_inside(installed: Installed) -> None:
    """``info`` says it, also where it has put the interpreter."""
    told = installed.done("info", "--json").json
    assert (told["service"], told["version"], told["target"]) == ("collector", "1.0", "windows-x64")
    assert all(each["path"].startswith("C:\\") and each["size"] > 0 for each in told["sets"])


def test_update_replaces_the_running_program(installed: Installed) -> None:
    """The running file gets another name, the new one its own; the old one goes as soon as nobody runs it."""
    installed.done("install", "--now")
    before = installed.done("status", "--json").json["pid"]
    told = installed.done("update", built(SOURCE, "2.0", *TARGET), "--settle", "0.3s", "--json").json
    assert told == {"name": "collector", "version": "2.0", "restarted": ["collector"]}
    after = installed.done("status", "--json").json
    assert after["state"] == "RUNNING"
    assert after["pid"] != before
    assert installed.done("info", "--json").json["version"] == "2.0"
    assert installed.names() == ["collector.exe"]


def test_update_takes_back_what_does_not_start(installed: Installed) -> None:
    """The old file is in its place again, and runs."""
    installed.done("install", "--now")
    failed = installed.verb("update", built(FAILS, "2.0", *TARGET), "--settle", "0.3s")
    assert failed.code == exits.FAILED
    assert "[update.rolled-back]" in failed.err
    assert "collector runs again as it was" in failed.err
    assert installed.done("status", "--json").json["state"] == "RUNNING"
    assert installed.done("info", "--json").json["version"] == "1.0"
    assert installed.names() == ["collector.exe"]
