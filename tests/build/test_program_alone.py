"""A program that is one file on a computer that has glibc and nothing besides: verbs, signals, and one process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from stayon import exits
from tests.build.program_desk import Computer, EmptyRoot, built, wait_until

pytestmark = [pytest.mark.linux, pytest.mark.needs_root, pytest.mark.slow]

RUNS = """\
import os
import time

from stayon import Service

service = Service("collector")

@service.run
def work(ctx):
    # An orphan, which whoever is process 1 has to take in.
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(0.1)
        os._exit(0)
    os.wait()
    ctx.ready()
    ctx.stopping.wait()
    raise SystemExit(7)
"""


@pytest.fixture
def root(tmp_path: Path) -> EmptyRoot:
    """A computer with the plain program."""
    return EmptyRoot(tmp_path / "root", built())


def service_of(computer: Computer) -> int:
    """The pid of the service in *computer*, when it is RUNNING."""
    wait_until(lambda: "RUNNING" in computer.run("status").out, "RUNNING")
    return next(pid for pid in computer.pids() if pid != computer.first)


def test_it_runs_without_python(root: EmptyRoot) -> None:
    """In a console: it logs, tells its status, reloads, and ends with 0 at SIGTERM; no other process is started."""
    with root.computer(STAYON_INIT="off") as computer:
        wait_until(lambda: "RUNNING" in computer.run("status").out, "RUNNING")
        wait_until(lambda: '"prices":3' in computer.run("logs", "--json").out.replace(" ", ""), "a log line")
        assert computer.pids() == [computer.first]
        assert computer.run("reload").code == exits.DONE
        os.kill(computer.first, signal.SIGTERM)
        code, out = computer.end()
    assert code == exits.DONE, out
    assert "RUNNING -> STOP_PENDING" in out


def test_the_second_start_writes_nothing_but_the_services_own(root: EmptyRoot) -> None:
    """The first start puts the interpreter's files on disk; later ones leave all of that, and the file, as it is."""
    assert root.run("info").code == exits.DONE
    before = root.files()
    for _ in range(2):
        with root.computer(STAYON_INIT="off") as computer:
            wait_until(lambda: "RUNNING" in computer.run("status").out, "RUNNING")
            os.kill(computer.first, signal.SIGTERM)
            assert computer.end()[0] == exits.DONE
    after = {path: about for path, about in root.files().items() if "collector" not in Path(path).parts[1:3]}
    program = {path: about for path, about in before.items() if "collector" not in Path(path).parts[1:3]}
    assert after == program
    assert before["opt/collector/collector"] == root.files()["opt/collector/collector"]


def test_it_is_process_1_of_a_container(tmp_path: Path) -> None:
    """As the first process it takes orphans in, passes signals on, and ends as the service does."""
    root = EmptyRoot(tmp_path / "root", built(RUNS))
    with root.computer() as computer:
        service = service_of(computer)
        wait_until(lambda: computer.pids() == [computer.first, service], "the orphan's end")
        assert "\0--init\0" in Path(f"/proc/{computer.first}/cmdline").read_text("utf-8")
        os.kill(computer.first, signal.SIGTERM)
        code, out = computer.end()
    assert code == 7, out


def test_it_goes_into_the_background(root: EmptyRoot) -> None:
    """``run --detach`` returns when it is RUNNING; ``restart`` keeps the daemon, ``stop`` ends it."""
    with root.computer("run", STAYON_INIT="off") as computer:
        wait_until(lambda: "RUNNING" in computer.run("status").out, "RUNNING")
        done = computer.run("run", "--instance", "second", "--detach")
        assert done.code == exits.DONE, done
        assert "is RUNNING, process" in done.out
        before = computer.run("status", "--instance", "second", "--json").json["pid"]
        assert computer.run("restart", "--instance", "second").code == exits.DONE
        assert computer.run("status", "--instance", "second", "--json").json["pid"] == before
        assert computer.run("stop", "--instance", "second").code == exits.DONE


def test_what_it_says_of_itself_needs_no_service(root: EmptyRoot) -> None:
    """``info`` names its service, its Python, and where it has put what can't stay inside."""
    told = root.run("info", "--json").json
    assert told["service"] == "collector"
    assert told["version"] == "1.0"
    assert told["executable"] == root.program
    assert all((root.top / each["path"].lstrip("/")).is_dir() for each in told["sets"])
    assert root.run("build").code == exits.USAGE  # it has no Python to make another with
