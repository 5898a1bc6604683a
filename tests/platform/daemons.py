"""A daemon seen from outside: by its status page, its pid's entries in /proc, and the files it leaves."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.platform.conftest import Answer, Program, Started

# Waits for a file before it is ready, as one does who needs something else first.
READY_LATE = """
import os, time
service = Service("s", start_timeout="30s")

@service.run
def main(ctx):
    while not os.path.exists(GO) and not ctx.stopping.wait(0.01):
        pass
    ctx.ready()
    ctx.stopping.wait()
"""

PATIENT = """
service = Service("s")

@service.run
def main(ctx):
    ctx.ready()
    ctx.stopping.wait()
"""


class Daemons:
    """Starts the program as a daemon; ends all that it has started."""

    def __init__(self, program: Program, until: Callable[..., Any]) -> None:
        self.program, self.until = program, until
        self.go = program.folder / "go"

    def write(self, text: str = PATIENT) -> None:
        self.program.write(f"GO = {str(self.go)!r}\n{text}")

    def detach(self, text: str = PATIENT, *words: str, **options: Any) -> Answer:
        """``p.py run --detach WORDS``, until it returns, and both its pipes are at their end."""
        self.write(text)
        return self.program.verb("run", "--detach", *words, **options)

    def begin(self, text: str, *words: str, **options: Any) -> Started:
        """The same, without waiting."""
        self.write(text)
        return self.program.start(None, "run", "--detach", *words, **options)

    @property
    def lock(self) -> Path:
        return self.program.place("run") / "s.lock"

    @property
    def err(self) -> str:
        """What is in the file for its output."""
        return (self.program.place("logs") / "s.err").read_text()

    @property
    def pid(self) -> int:
        """Who holds the lock; 0: nobody."""
        return int(self.lock.read_text() or 0) if self.lock.exists() and is_locked(self.lock) else 0

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.program.verb("status", "--json").json
        return answer

    def page(self) -> dict[str, Any]:
        """The status page as it is, read without a process."""
        path = self.program.place("run") / "s.status"
        text = path.read_bytes() if path.exists() else b""
        start = text.find(b"{")
        try:
            return json.loads(text[start : text.rfind(b"}") + 1]) if start >= 0 else {}
        except ValueError:
            return {}

    def wait_state(self, state: str) -> dict[str, Any]:
        return self.until(lambda: self.page() if self.page().get("state") == state else None, state)

    def wait_gone(self, pid: int) -> None:
        self.until(lambda: not lives(pid), "its end")

    def close(self) -> None:
        pid = int(self.lock.read_text() or 0) if self.lock.exists() else 0
        if pid and lives(pid) and self._is_ours(pid):
            os.killpg(os.getpgid(pid), signal.SIGKILL)
            deadline = time.monotonic() + 10
            while lives(pid) and time.monotonic() < deadline:
                time.sleep(0.01)

    def _is_ours(self, pid: int) -> bool:
        """Whether our folder is in its words or, where these are relative, in its environment."""
        told = b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
        return str(self.program.folder).encode() in told


def lives(pid: int) -> bool:
    """Whether it is there, and no zombie."""
    try:
        return process(pid)["state"] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def process(pid: int) -> dict[str, Any]:
    """State, ppid, pgrp, session and terminal of proc_pid_stat(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    numbers = dict(zip(("ppid", "pgrp", "session", "tty"), map(int, fields[1:5]), strict=True))
    return {"state": fields[0], **numbers}


def facts(pid: int) -> dict[str, str]:
    """/proc/PID/status by name."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def descriptors(pid: int) -> dict[int, str]:
    """Where its descriptors lead."""
    folder = Path(f"/proc/{pid}/fd")
    return {int(entry.name): os.readlink(entry) for entry in folder.iterdir()}


def is_locked(path: Path) -> bool:
    """Whether somebody holds the flock of the file."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
