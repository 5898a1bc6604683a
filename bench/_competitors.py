"""Who is measured: the same small service with stayon, in Go, and in Python as people write it without stayon."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from _figures import OURS, progress
from _process import Running

PEERS = Path(__file__).resolve().parent / "peers"
GO = "Go"
GO_POLLING = "Go (polling)"
HTTP_SERVER = "http.server"
AIOHTTP = "aiohttp"


class Competitor:
    """One of them: its name, how to start it, the name of its configuration file, and its environment."""

    def __init__(self, name: str, command: list[str], config_name: str, **environment: str) -> None:
        self.name, self.command, self.config_name, self.environment = name, command, config_name, environment

    def start(self, **environment: str) -> Running:
        """A process of it, to be used in a ``with``."""
        return Running(self.command, self.config_name, **self.environment, **environment)


def ours(python: str = sys.executable) -> Competitor:
    """The service with stayon, run by *python*."""
    return Competitor(OURS, [python, str(PEERS / "with_stayon.py")], "collector.toml")


def python_peers(python: str = sys.executable) -> list[Competitor]:
    """The services in plain Python that *python* can run."""
    peers = [Competitor(HTTP_SERVER, [python, str(PEERS / "with_http_server.py")], "collector.toml")]
    if python != sys.executable or importlib.util.find_spec("aiohttp") is not None:
        peers.append(Competitor(AIOHTTP, [python, str(PEERS / "with_aiohttp.py")], "collector.toml"))
    else:
        progress("no aiohttp here: that peer is left out")
    return peers


def go_peers(*, polling: bool = False) -> list[Competitor]:
    """The service in Go, if there is a Go to build it; *polling* adds one that looks at its file each second."""
    program = _go_program()
    if not program:
        return []
    peers = [Competitor(GO, [program], "collector.json")]
    if polling:
        peers.append(Competitor(GO_POLLING, [program], "collector.json", BENCH_WATCH="poll"))
    return peers


def all_of_them() -> list[Competitor]:
    """Ours and every peer that can run here."""
    return [ours(), *go_peers(), *python_peers()]


def go_version() -> str:
    """What ``go version`` says, or the empty string."""
    go = shutil.which("go")
    if go is None:
        return ""
    return subprocess.run([go, "version"], capture_output=True, text=True, check=True).stdout.split()[2]


_built: list[str] = []


def _go_program() -> str:
    go = shutil.which("go")
    if go is None:
        progress("no go on PATH: that peer is left out")
        return ""
    if not _built:
        folder = tempfile.mkdtemp(prefix="bench-go-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        progress("building the Go peer")
        program = os.path.join(folder, "collector")
        command = [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "."]
        subprocess.run(command, cwd=PEERS / "go", env={**os.environ, "CGO_ENABLED": "0"}, check=True)
        _built.append(program)
    return _built[0]
