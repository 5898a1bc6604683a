"""What an idle service has loaded: the list is held, as each module is memory that every service pays for, for good."""

from __future__ import annotations

import socket
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stayon.machine import Program as Wanted
from stayon.platforms.unix_command import service_command
from tests.platform.conftest import wait_until

if TYPE_CHECKING:
    from tests.platform.conftest import Program, Started

# One job, JSON logs, live configuration, probes and metrics. The modules are told as late as can be.
IDLE = """
import sys
service = Service("s", probes={port})

@service.every("5s")
def collect(ctx):
    ctx.log.info("collected", prices=3)

@service.on_stop
def tell(ctx):
    print(*sorted(sys.modules))
"""

# Threads are the host's way of working; what ``threading`` loads comes with them, and differs from version to version.
OF_THREADING = {"_collections", "_weakrefset", "itertools", "threading", "types"} | (
    {"warnings"}
    if sys.version_info >= (3, 13)
    else {"_functools", "_operator", "collections", "functools", "keyword", "operator", "reprlib"}
)

# Beside what Python has loaded by itself. Whoever adds to it says in the same change what it costs, and what for.
ALLOWED = OF_THREADING | {
    *("ctypes", "_ctypes", "ctypes._endian", "_struct", "struct"),  # timers of the watchdog, inotify, glibc's allocator
    *("errno", "faulthandler", "fcntl", "select"),  # locks, stacks, the poller: each built in, or of some kilobytes
    *("_contextvars", "_heapq", "_json", "_operator", "_socket"),  # C halves, without the Python around them
    *("__future__", "encodings.ascii"),
}

# What costs others their megabytes, and must not come by way of something else.
FORBIDDEN = {
    "argparse", "asyncio", "collections", "contextlib", "dataclasses", "datetime", "enum", "functools",
    "hashlib", "http", "inspect", "json", "logging", "pathlib", "queue", "random", "re", "selectors", "shutil",
    "signal", "socket", "ssl", "string", "subprocess", "tempfile", "tokenize", "tomllib", "traceback", "typing",
    "urllib", "uuid", "warnings",
}  # fmt: skip


@pytest.fixture
def loaded(program: Program, free_port: Callable[[], int]) -> tuple[set[str], set[str]]:
    """The modules of an idle service that aren't ours, and those of a Python that does nothing at all."""
    port = free_port()
    program.config.write_text('[stayon.log]\nlevel = "info"\n')
    bare = program.call(sys.executable, "-c", "import sys; print(*sys.modules)").out.split()
    started = program.run(IDLE.format(port=port))
    started.wait_log("collected")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert b"stayon_job_runs_total" in answer.read()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
        assert answer.status == 200
    assert program.verb("status").code == 0
    assert started.stop() == 0
    modules = {name for name in started.out.split() if name.split(".")[0] != "stayon"}
    return modules, set(bare)


def test_an_idle_service_has_loaded_nothing_new(loaded: tuple[set[str], set[str]]) -> None:
    """Everything that is loaded is on the list; a newcomer is named."""
    modules, bare = loaded
    newcomers = sorted(modules - bare - ALLOWED)
    assert not newcomers, f"loaded and not on the list: {', '.join(newcomers)}"


def test_nothing_heavy_is_loaded(loaded: tuple[set[str], set[str]]) -> None:
    """None of the modules that cost megabytes is there, unless Python itself loads it at its start."""
    modules, bare = loaded
    assert sorted({name.split(".")[0] for name in modules - bare} & FORBIDDEN - OF_THREADING) == []


# What systemd starts and keeps: the eight lines, told to ``unix_entry`` as its unit does it. The same modules, but none
# for the probes and none of the command line.
KEPT = """
import sys
service = Service("s")

@service.every("5s")
def collect(ctx):
    ctx.log.info("collected", prices=3)

@service.on_stop
def tell(ctx):
    print(*sorted(sys.modules))
"""

# Of ours, what an idle service must not have: the grammar of the verbs, what only they need, and other platforms.
NOT_OURS = (
    "stayon.cli.command", "stayon.cli.words", "stayon.cli.managed", "stayon.platforms.console",
    "stayon.platforms.daemon", "stayon.platforms.launchd", "stayon.platforms.presses", "stayon.platforms.tree",
    "stayon.platforms.windows", "stayon.runtime.control_client", "stayon.runtime.probes", "stayon.runtime.logs.text",
)  # fmt: skip
OF_SYSTEMD = {"stayon.platforms.systemd"} | {
    f"stayon.platforms.systemd.{name}" for name in ("notify", "sockets", "starter")
}

MEMORY_LIMIT_KB = 12 * 1024


@pytest.fixture
def kept(program: Program, tmp_path: Path) -> Started:
    """An idle service that has told its manager READY."""
    program.write(KEPT)
    command = list(service_command(Wanted(program.name, str(program.file))))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(15)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "35000000"}
        program.start(None, command=command, environment=environment).stop()  # its files are compiled then
        started = program.start(None, command=command, environment=environment)
        started.wait_log("collected")
    return started


@pytest.mark.linux
def test_a_kept_service_has_loaded_nothing_new(kept: Started, program: Program) -> None:
    """Under systemd as in a console; and of ours only what serves."""
    bare = program.call(sys.executable, "-c", "import sys; print(*sys.modules)").out.split()
    assert kept.stop() == 0
    loaded = kept.out.split()
    newcomers = {name for name in loaded if name.split(".")[0] != "stayon"} - set(bare) - ALLOWED - {"gc", "p"}
    assert not newcomers, f"loaded and not on the list: {', '.join(sorted(newcomers))}"
    assert [name for name in loaded if name.startswith(NOT_OURS)] == []
    assert {name for name in loaded if name.startswith("stayon.platforms.systemd")} == OF_SYSTEMD


@pytest.mark.linux
@pytest.mark.skipif(sys.version_info < (3, 13), reason="before 3.13, threading must be imported on the main thread")
def test_a_kept_service_does_without_threading(kept: Started) -> None:
    """Its threads are begun without it, as long as its program doesn't import it."""
    assert kept.stop() == 0
    assert not {"threading", "warnings", "_weakrefset"} & set(kept.out.split())


@pytest.mark.linux
def test_a_kept_service_is_small(kept: Started) -> None:
    """RSS of at most 12 MB, soon after it is RUNNING."""

    def resident_kb() -> int:
        lines = Path(f"/proc/{kept.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    wait_until(lambda: resident_kb() <= MEMORY_LIMIT_KB, f"{resident_kb()} kB at the first look; {MEMORY_LIMIT_KB} kB")
    assert kept.stop() == 0
