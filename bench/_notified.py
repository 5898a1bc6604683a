"""A service under measure that tells READY as systemd hears it, and the tree of processes that it is."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from _process import memory_mb

LIMIT_S = 60.0
WATCHDOG = {"WATCHDOG_USEC": "35000000"}


class Notified:
    """Starts *command* at the begin of a ``with``, where ``ready_ms`` is then there, and stops it at its end."""

    def __init__(self, command: Sequence[str | Path], folder: Path, **environment: str) -> None:
        self._command, self._path = [str(word) for word in command], str(folder / "notify")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "STAYON"))}
        own = {"NOTIFY_SOCKET": self._path, "STAYON_HOME": str(folder / "home"), **WATCHDOG}
        self._environment = {**kept, **own, **environment}
        self.ready_ms = 0.0

    def __enter__(self) -> Self:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(self._path)
            manager.settimeout(LIMIT_S)
            try:
                began = time.perf_counter()
                self.process = subprocess.Popen(
                    self._command, env=self._environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
                while b"READY=1" not in manager.recv(65536):
                    pass
                self.ready_ms = (time.perf_counter() - began) * 1000
            finally:
                os.unlink(self._path)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(LIMIT_S)

    def figures(self) -> dict[str, float]:
        """Memory of all its processes together, and how many they are."""
        pids = list(tree(self.process.pid))
        each = [memory_mb(pid) for pid in pids]
        return {**{name: sum(one[name] for one in each) for name in each[0]}, "processes": len(pids)}


def tree(pid: int) -> Iterator[int]:
    """*pid* and all that has come of it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from tree(int(child))


def ran_ms(command: Sequence[str | Path], **environment: str) -> float:
    """How long a program takes from its start to its end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "STAYON"))}
    began = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], env={**kept, **environment}, stdin=subprocess.DEVNULL)
    ended = os.pidfd_open(process.pid)
    select.select([ended], [], [], LIMIT_S)
    took_ms = (time.perf_counter() - began) * 1000
    os.close(ended)
    if process.wait(1) != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return took_ms
