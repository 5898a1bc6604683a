"""What the contract suites share: children that are really processes, and patience that ends."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import stayon

SOURCE = str(Path(stayon.__file__).parents[1])

Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def run_python() -> Iterator[Run]:
    """Call it with a program's text to have it run by a Python of its own; those left are killed at the end."""
    children = []

    def run(program: str, *arguments: str, **options) -> subprocess.Popen[str]:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
        environment = {**os.environ, "PYTHONPATH": SOURCE}
        child = subprocess.Popen([sys.executable, "-c", program, *arguments], text=True, env=environment, **options)
        children.append(child)
        return child

    yield run
    for child in children:
        if child.poll() is None:
            child.kill()
        with child:
            pass


@pytest.fixture
def is_ready() -> Callable[[int, float], bool]:
    """Call it with a descriptor and a number of seconds to wait until there is something to read."""

    def wait(fd: int, limit_s: float = 5.0) -> bool:
        return bool(select.select([fd], [], [], limit_s)[0])

    return wait


@pytest.fixture
def open_files() -> Callable[[], int]:
    """Call it for how many descriptors this process has open."""
    return lambda: len(os.listdir("/dev/fd"))
