"""The log on the disk: what is in it, how it is shown and followed, and what happens when there is no room."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.platform.conftest import Program

CHATTY = """
service = Service("s", stop_timeout="2s")

@service.every("60s")
def work(ctx):
    ctx.log.info("a line", n=1)
    ctx.log.warning("beware", n=2)
    ctx.log.debug("details", n=3)

@service.every("60s")
def other(ctx):
    ctx.log.info("another job's")
"""


def test_the_file_has_what_standard_error_has(program: Program) -> None:
    """Each record is one line of JSON, the same in both places, with all its keys."""
    started = program.run(CHATTY)
    started.wait_log("beware")
    started.wait_log("another job's")
    assert started.stop() == 0
    assert program.log_file.read_text() == started.err
    record = started.records("a line")[0]
    assert {key: record[key] for key in ("level", "logger", "service", "pid", "job", "message", "fields")} == {
        "level": "INFO", "logger": "s", "service": "s", "pid": started.pid, "job": "work", "message": "a line",
        "fields": {"n": 1},
    }  # fmt: skip
    assert len(record["time"]) == len("2026-01-31T08:00:00.000Z")
    assert oct(program.log_file.stat().st_mode & 0o777) == "0o640"


def test_logs_shows_the_last_lines(program: Program) -> None:
    """``logs`` prints text, filtered by level, job, age and number; ``--json`` the lines as they are stored."""
    started = program.run(CHATTY)
    started.wait_log("beware")
    started.wait_log("another job's")
    assert started.stop() == 0
    assert "WARNING  s: beware job=work n=2" in program.verb("logs").out
    assert program.verb("logs", "--level", "warning").out.count("\n") == 1
    assert program.verb("logs", "--job", "other").out.count("\n") == 1
    assert program.verb("logs", "-n", "2").out.count("\n") == 2
    assert program.verb("logs", "--since", "1h", "--job", "work").out.count("\n") == 2
    assert program.verb("logs", "--since", "2036-01-31T08:00Z").out == ""
    stored = program.log_file.read_text().splitlines()
    assert program.verb("logs", "--json", "-n", "3").out.splitlines() == stored[-3:]


def test_logs_of_what_never_ran(program: Program) -> None:
    """No log is one line that says where it was looked for: 69."""
    program.write(CHATTY)
    for words in (("logs",), ("logs", "--json")):
        answer = program.verb(*words)
        assert (answer.code, answer.out, answer.err.count("\n")) == (69, "", 1)
        assert str(program.place("logs")) in answer.err


def test_logs_follows_across_rotation(program: Program, until: Callable[..., object]) -> None:
    """``logs -f`` shows every line once and in order while the file is rotated, compressed and removed under it."""
    program.config.write_text("[stayon.log]\nmax_size = 20000\nkeep = 100\n")
    started = program.start("""
        service = Service("s")

        @service.run
        def main(ctx):
            ctx.ready()
            for n in range(2000):
                ctx.log.info("line", n=n)
                if n % 100 == 0:
                    ctx.stopping.wait(0.01)
            ctx.log.info("done")
            ctx.stopping.wait()
        """)
    started.wait_running()
    following = program.start(None, "logs", "-f", "--json", "-n", "100000")
    started.wait_log("done")
    until(lambda: '"message":"done"' in following.out, "the end of the log")
    following.send(signal.SIGINT)
    assert following.wait() == 130
    lines = following.out.splitlines()
    numbers = [json.loads(line)["fields"]["n"] for line in lines if '"message":"line"' in line]
    assert numbers == list(range(2000))
    rotated = [name for name in os.listdir(program.place("logs")) if name != "s.log"]
    assert len(rotated) > 5
    assert started.stop() == 0


def test_a_log_that_is_moved_away_is_begun_anew(program: Program) -> None:
    """After logrotate's rename and SIGHUP, the next line is in a new file of the old name, and none is lost."""
    started = program.run("""
        service = Service("s")

        @service.every("10ms")
        def tick(ctx):
            ctx.log.info("tick")
        """)
    started.wait_log("tick", 3)
    moved = program.log_file.with_name("moved.log")
    program.log_file.rename(moved)
    started.send(signal.SIGHUP)
    count = len(started.records("tick"))
    started.wait_log("tick", count + 5)
    assert started.stop() == 0
    assert moved.read_text() + program.log_file.read_text() == started.err
    assert program.log_file.stat().st_size > 0


def test_nobody_forges_a_record(program: Program) -> None:
    """Newlines and control characters in messages, fields and exceptions stay inside their record, also as text."""
    started = program.run(r"""
        service = Service("s")
        EVIL = 'x\n{"time":"2026-01-01T00:00:00.000Z","level":"INFO","message":"forged"}\r\x1b[2J\u2028\x00'

        @service.every("60s")
        def work(ctx):
            ctx.log.info(EVIL, **{EVIL: EVIL})
            raise ValueError(EVIL)
        """)
    started.wait_log("job failed")
    assert started.stop() == 0
    assert not [record for record in started.log() if record["message"] == "forged"]
    assert all(json.loads(line) for line in started.err.splitlines())
    shown = program.verb("logs").out
    assert not [line for line in shown.splitlines() if line.startswith("{")]
    assert "\x1b" not in shown
    assert "\x00" not in shown


@pytest.fixture
def tiny_disk(program: Program) -> Iterator[Callable[[Path, int], Path]]:
    """Call it with a directory to have a file system of so many KiB mounted there; it is unmounted after the test."""
    mounted = []

    def mount(path: Path, size_kib: int) -> Path:
        path.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kib}k,mode=750", "tmpfs", path], check=True)
        mounted.append(path)
        return path

    yield mount
    program.close()
    for path in mounted:
        subprocess.run(["umount", path], check=True)


@pytest.mark.linux
@pytest.mark.needs_root
def test_a_full_disk_costs_lines_and_they_are_counted(program: Program, tiny_disk: Callable[..., Path]) -> None:
    """When the disk of the log is full the service goes on; when there is room, the log says how many are lost."""
    logs = tiny_disk(program.place("logs"), 512)
    started = program.run("""
        service = Service("s")

        @service.every("2ms")
        def tick(ctx):
            ctx.log.info("tick", text="x" * 500)
        """)
    fill(logs / "ballast")
    started.wait_log("tick", 100)
    full = program.verb("status")
    (logs / "ballast").unlink()
    started.wait_log("tick", len(started.records("tick")) + 20)
    assert started.stop() == 0
    assert full.code == 0
    stored = program.stored_log()
    lost = [record for record in stored if record["logger"] == "stayon.log"]
    # More than one, as a short line (this very one) finds room where a long one does not.
    assert {record["level"] for record in lost} == {"WARNING"}
    assert all("lost (disk full)" in record["message"] for record in lost)
    count = sum(record["fields"]["lost"] for record in lost)
    assert count > 50
    assert len(stored) - len(lost) + count == len(started.log())
    assert all(json.loads(line) for line in program.log_file.read_text().splitlines()), "a line was cut"


def fill(path: Path) -> None:
    """Write to *path* until its disk is full."""
    with path.open("wb", buffering=0) as ballast:
        for size in (4096, 1):
            try:
                while True:
                    ballast.write(b"x" * size)
            except OSError:
                continue


@pytest.mark.linux
@pytest.mark.needs_root
@pytest.mark.parametrize("kind", ["run", "state"])
def test_a_full_disk_elsewhere_stops_nothing(program: Program, tiny_disk: Callable[..., Path], kind: str) -> None:
    """Without room for status page, the lock's pid or crash file, the service starts, works, and stops cleanly."""
    disk = tiny_disk(program.place(kind), 16)
    fill(disk / "ballast")
    started = program.run(CHATTY)
    started.wait_log("beware")
    assert program.verb("pause").code == 0
    (disk / "ballast").unlink()
    assert program.verb("resume").code == 0
    assert program.verb("status", "--json").json["state"] == "RUNNING"
    assert started.stop() == 0


def test_standard_error_is_closed(program: Program) -> None:
    """A service whose standard error nobody reads, or that has none at all, works and has its log file."""
    program.write(CHATTY)
    wait = f"until grep -q beware {program.log_file} 2>/dev/null; do sleep 0.02; done"
    command = f"{sys.executable} {program.file} 2>&- >&- & pid=$!; {wait}; kill $pid; wait $pid; echo $?"
    answer = program.call("bash", "-c", command)
    assert answer.out == "0\n"
    assert [record["message"] for record in program.stored_log()][-1] == "stopped"
