"""A service as its user has it: a file that Python runs, real signals, files and sockets; nothing outlives a test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import stayon

SOURCE = str(Path(stayon.__file__).parents[1])

# How long anything may take before it counts as not happening. Far more than it does, as machines are busy at times.
PATIENCE_S = 15.0
LOOK_S = 0.01
NOBODY = 65534

EIGHT_LINES = """
service = Service("s", description="Collects prices every five seconds")

@service.every("5s")
def collect(ctx):
    ctx.log.info("collected", prices=3)
"""

Record = dict[str, Any]


class Answer(NamedTuple):
    """What a verb gave: the exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its answer, where ``--json`` was said."""
        return json.loads(self.out)


def wait_until(is_so: Callable[[], Any], what: str = "it", limit_s: float = PATIENCE_S) -> Any:
    """Look again and again until *is_so* gives something, where the system has no way to tell; gives that."""
    deadline = time.monotonic() + limit_s
    while True:
        found = is_so()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not happen within {limit_s:g} s"
        time.sleep(LOOK_S)


def records_in(text: str) -> list[Record]:
    """The log records among the lines of *text*."""
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"time"')]


class Started:
    """One start of the program: its process, and what it has written on standard error so far."""

    def __init__(self, command: list[str], environment: Mapping[str, str], **options: Any) -> None:
        self._told = threading.Condition()
        self._lines: list[str] = []
        self._ended = False
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="backslashreplace", start_new_session=True, **options,
        )  # fmt: skip
        self._readers = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_out, daemon=True),
        ]
        self.out = ""
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._told:
                self._lines.append(line)
                self._told.notify_all()
        with self._told:
            self._ended = True
            self._told.notify_all()

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.out += line

    @property
    def err(self) -> str:
        """All of standard error so far."""
        with self._told:
            return "".join(self._lines)

    def log(self) -> list[Record]:
        """The log records so far."""
        return records_in(self.err)

    def records(self, message: str) -> list[Record]:
        """Those with *message* in their message."""
        return [record for record in self.log() if message in record["message"]]

    def wait_log(self, message: str, count: int = 1, limit_s: float = PATIENCE_S) -> Record:
        """Wait for the *count*-th record with *message* in its message, and give it."""
        with self._told:
            if not self._told.wait_for(lambda: len(self.records(message)) >= count or self._ended, limit_s):
                pytest.fail(f"no {message!r} x {count} within {limit_s:g} s in:\n{self.err}")
        found = self.records(message)
        assert len(found) >= count, f"it ended ({self.process.poll()}) without {message!r} x {count}:\n{self.err}"
        return found[count - 1]

    def wait_running(self, count: int = 1) -> Started:
        """Wait until it has become RUNNING (*count* times)."""
        self.wait_log("-> RUNNING", count)
        return self

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, limit_s: float = PATIENCE_S) -> int:
        """Wait for its end; gives the exit code."""
        try:
            code = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"it is still there after {limit_s:g} s:\n{self.err}")
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, and give the exit code."""
        self.send(number)
        return self.wait()

    def kill(self) -> None:
        """End it whatever it does; twice is harmless."""
        if self.process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)  # a group of its own, so its children's as well
        self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(PATIENCE_S)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


class Program:
    """A user's file in a folder of its own, with STAYON_HOME beside it."""

    name = "s"
    eight_lines = EIGHT_LINES

    def __init__(self, folder: Path, compiled: Path) -> None:
        self.folder = folder
        self.home = folder / "h"
        self.file = folder / "p.py"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("STAYON", "PYTHON", "S_"))},
            "PYTHONPATH": SOURCE,
            "PYTHONPYCACHEPREFIX": str(compiled),
            "STAYON_HOME": str(self.home),
        }
        self.started: list[Started] = []

    # -- where its things are

    def place(self, kind: str, instance: str = "") -> Path:
        """The directory ``config``, ``logs``, ``state`` or ``run``."""
        return self.home / (f"{self.name}@{instance}" if instance else self.name) / kind

    @property
    def config(self) -> Path:
        """Where its configuration file is; the directory is made."""
        self.place("config").mkdir(parents=True, exist_ok=True)
        return self.place("config") / f"{self.name}.toml"

    @property
    def log_file(self) -> Path:
        return self.place("logs") / f"{self.name}.log"

    def stored_log(self) -> list[Record]:
        """The records in the log file."""
        return records_in(self.log_file.read_text()) if self.log_file.exists() else []

    # -- doing things with it

    def write(self, text: str = EIGHT_LINES, file: str = "p.py") -> Path:
        """Write the user's file: the import, *text*, and the last two lines."""
        path = self.folder / file
        path.write_text(
            f"from stayon import Service\n{textwrap.dedent(text)}\nif __name__ == '__main__':\n    service.main()\n"
        )
        return path

    def start(self, text: str | None = None, *words: str, command: list[str] | None = None, **options: Any) -> Started:
        """Write *text* unless it is None, and start the file with *words*."""
        if text is not None:
            self.write(text)
        environment = {**self.environment, **options.pop("environment", {})}
        whole = [*options.pop("prefix", ()), *(command or [sys.executable, str(self.file)]), *words]
        started = Started(whole, environment, cwd=self.folder, **options)
        self.started.append(started)
        return started

    def run(self, text: str | None = None, *words: str, **options: Any) -> Started:
        """As ``start``, and wait until it is RUNNING."""
        return self.start(text, *words, **options).wait_running()

    def call(self, *command: str, limit_s: float = PATIENCE_S, **options: Any) -> Answer:
        """Run a command of the user's to its end, in the folder of the file."""
        started = self.start(None, command=list(command), **options)
        try:
            code = started.wait(limit_s)
        finally:
            started.kill()
            self.started.remove(started)
        return Answer(code, started.out, started.err)

    def verb(self, *words: str, **options: Any) -> Answer:
        """``python p.py WORDS``."""
        return self.call(sys.executable, str(self.file), *words, **options)

    def stayon(self, *words: str, **options: Any) -> Answer:
        """``python -m stayon WORDS``."""
        return self.call(sys.executable, "-m", "stayon", *words, **options)

    def close(self) -> None:
        """End what is left, by pid."""
        for started in self.started:
            started.kill()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all programs of a run keep what they have compiled: not beside the sources, and not a hundred times."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
def program(short_tmp: Path, compiled: Path) -> Iterator[Program]:
    """The user's program; all that it started is gone after the test."""
    made = Program(short_tmp, compiled)
    yield made
    made.close()


@pytest.fixture
def note() -> Callable[[object], object]:
    """Say a figure or a seed: pytest shows it when the test fails, and with ``-s``."""
    return lambda said: sys.stdout.write(f"{said}\n")


@pytest.fixture
def until() -> Callable[..., Any]:
    """``until(is_so, "what")``: look until it is so, and fail if that takes too long."""
    return wait_until


@pytest.fixture
def as_nobody(short_tmp: Path) -> list[str]:
    """What to put before a command to have an account run it that may read everything, and write nothing.

    (Reading, as the Python that runs the tests may be in a home directory that is closed to others.)
    """
    short_tmp.chmod(0o755)
    return [
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=-all,+dac_read_search", "--bounding-set=-all,+dac_read_search",
    ]  # fmt: skip
