"""What an idle service has loaded: the list is held, as each module is memory that every service pays for, for good."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.platform.conftest import Program

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
