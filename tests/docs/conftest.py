"""Running the programs that stand in the pages, as their reader would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import stayon

SOURCE = str(Path(stayon.__file__).parents[1])

# How long a program may take to get going, and then to end. It takes a tenth of a second.
PATIENCE_S = 20.0


class Ran(NamedTuple):
    """What came of a program: its exit code, and the messages that it logged."""

    code: int
    messages: list[str]


class Shell:
    """Starts Python in an empty directory, below which a service keeps all that is its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        own = {"STAYON_HOME": str(directory / "home"), "QUOTES_DSN": "a secret", "NO_COLOR": "1"}
        self._environment = {**os.environ, **own, "PYTHONPATH": SOURCE}

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *words: str, until: str, then: Callable[[], object] = lambda: None) -> Ran:
        """Run a service until it has logged a message that ends with *until*, call *then*, and press Ctrl-C."""
        messages: list[str] = []
        process = subprocess.Popen(
            [sys.executable, *words], cwd=self.directory, env=self._environment, stderr=subprocess.PIPE, text=True
        )
        limit = threading.Timer(PATIENCE_S, process.kill)
        limit.start()
        with process:
            for line in process.stderr or ():
                messages.append(json.loads(line)["message"] if line.startswith("{") else line)
                if until and messages[-1].endswith(until):
                    until = ""
                    then()
                    process.send_signal(signal.SIGINT)
        limit.cancel()
        return Ran(process.returncode, messages)


@pytest.fixture
def shell(short_tmp: Path) -> Shell:
    """A shell in an empty directory."""
    return Shell(short_tmp)
