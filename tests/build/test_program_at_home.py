"""A program that is one file in an account's own hands: in the background, updated, with worker processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stayon import exits
from tests.build.program_desk import SOURCE, Answer, built, run, wait_until

pytestmark = [pytest.mark.linux, pytest.mark.slow]

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

WORKERS = """
import multiprocessing
import os

from stayon import Service

service = Service("collector")

def square(number):
    return number * number, os.getpid()

@service.run
def work(ctx):
    for method in ("spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            answers = pool.map(square, range(8))
        ctx.log.info(method, squares=[answer for answer, _ in answers], apart=os.getpid() not in dict(answers).values())
"""

CONFIGURED = """
import sys

from stayon import Service

service = Service("collector")

@service.every("1s")
def collect(ctx):
    ctx.log.info("configured", price=ctx.config["price"], has_parser="tomllib" in sys.modules)
"""


class Home:
    """A program in a directory of its own, with all that it makes."""

    def __init__(self, top: Path, program: Path) -> None:
        self.top, self.program = top, top / "bin" / "collector"
        self.program.parent.mkdir(parents=True)
        self.put(program)
        self.environment = {"STAYON_HOME": str(top / "home"), "STAYON_RUNTIME": str(top / "runtime"), "HOME": str(top)}

    def put(self, program: Path) -> None:
        """Have *program* in its place."""
        self.program.unlink(missing_ok=True)
        shutil.copy(program, self.program)

    def verb(self, *words: str | Path) -> Answer:
        """``collector WORDS``."""
        return run(self.program, *words, env=self.environment, limit_s=60.0)

    def done(self, *words: str | Path) -> Answer:
        """As ``verb``, for what has to succeed."""
        answer = self.verb(*words)
        assert answer.code == exits.DONE, answer
        return answer

    def records(self, message: str) -> list[dict[str, object]]:
        """What it has logged with this message: the fields."""
        lines = [json.loads(line) for line in self.verb("logs", "--json").out.splitlines()]
        return [line.get("fields", {}) for line in lines if line["message"] == message]

    def names(self) -> list[str]:
        """What is in the program's directory."""
        return sorted(os.listdir(self.program.parent))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """The plain program; what runs of it is stopped at the end."""
    made = Home(tmp_path, built())
    yield made
    made.verb("stop")


def test_a_daemon_goes_on_as_the_new_program(home: Home) -> None:
    """The process becomes the new one, as with ``restart``; the files of the old interpreter set go."""
    home.done("run", "--detach")
    before = home.done("status", "--json").json["pid"]
    told = home.done("update", built(version="2.0"), "--settle", "0.3s", "--json").json
    assert told == {"name": "collector", "version": "2.0", "restarted": ["collector"]}
    page = home.done("status", "--json").json
    assert (page["pid"], page["restarts"]) == (before, 1)
    assert os.path.samefile(f"/proc/{before}/exe", home.program)
    assert home.done("info", "--json").json["version"] == "2.0"
    assert home.names() == ["collector"]


def test_a_daemon_whose_new_program_fails_is_begun_again(home: Home) -> None:
    """Its process has become the new program, and has ended: the old one is started as it was, with its options."""
    home.done("run", "--detach", "--set", "stayon.log.level=warning")
    failed = home.verb("update", built(FAILS, "2.0"), "--settle", "0.3s")
    assert failed.code == exits.FAILED
    assert "[update.rolled-back]" in failed.err
    assert "collector runs again as it was" in failed.err
    page = home.done("status", "--json").json
    assert page["state"] == "RUNNING"
    assert b"stayon.log.level=warning" in Path(f"/proc/{page['pid']}/cmdline").read_bytes()
    assert home.done("info", "--json").json["version"] == "1.0"
    assert home.names() == ["collector"]


def test_an_update_that_is_killed_leaves_a_program(home: Home, tmp_path: Path) -> None:
    """At any moment there is a whole program at the place, and the next verb removes what was left."""
    new = tmp_path / "new"
    shutil.copy(built(version="2.0"), new)
    for after_s in (0.0, 0.02, 0.05, 0.1, 0.2, 0.4):
        with subprocess.Popen(
            [home.program, "update", new], env={**os.environ, **home.environment}, stdout=subprocess.PIPE
        ) as updating:
            try:
                updating.wait(after_s)
            except subprocess.TimeoutExpired:
                updating.send_signal(signal.SIGKILL)
        assert home.done("info", "--json").json["version"] in ("1.0", "2.0")
        assert home.names() == ["collector"]


def test_the_file_beside_it_is_replaced_too(tmp_path: Path) -> None:
    """In the layout "pair" the launcher is the same for all, and the file beside it is the program."""
    first, second = (built(SOURCE, version, "collector", "--layout", "pair") for version in ("1.0", "2.0"))
    home = Home(tmp_path, first)
    shutil.copy(f"{first}.pkg", f"{home.program}.pkg")
    assert home.done("info", "--json").json["layout"] == "pair"
    home.done("update", second)
    assert home.done("info", "--json").json["version"] == "2.0"
    assert home.names() == ["collector", "collector.pkg"]


def test_it_has_worker_processes(tmp_path: Path) -> None:
    """``multiprocessing`` starts its workers, its tracker and its server from the same file."""
    home = Home(tmp_path, built(WORKERS))
    home.done("run")
    for method in ("spawn", "forkserver"):
        assert home.records(method) == [{"squares": [number * number for number in range(8)], "apart": True}]


def test_its_configuration_is_read_by_a_child(tmp_path: Path) -> None:
    """The parser's memory goes with the child, which is the same program by another word."""
    home = Home(tmp_path, built(CONFIGURED))
    config = tmp_path / "collector.toml"
    config.write_text("price = 7\n")
    home.done("run", "--detach", "--config", config)
    wait_until(lambda: home.records("configured"), "a record")
    home.done("stop")
    assert home.records("configured")[0] == {"price": 7, "has_parser": False}


def test_a_broken_program_says_where(tmp_path: Path) -> None:
    """There is no interpreter to ask again, so the whole traceback is told at once."""
    home = Home(tmp_path, built("import json\njson.loads('?')\n" + SOURCE))
    told = home.verb("run")
    assert told.code == exits.FAILED
    assert 'collector.py", line 2' in told.err
    assert "JSONDecodeError" in told.err
    assert "[usage.import]" in told.err
    assert "Traceback (most recent call last)" in told.err
