"""One process that is measured, with what Linux' ``/proc`` says of it."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

START_LIMIT_S = 30.0
STOP_LIMIT_S = 30.0
# Asking without a pause would take the second core from the one who starts.
BETWEEN_PROBES_S = 0.0005


def free_port() -> int:
    """A port of loopback that nobody listened on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def probe(port: int, path: str = "/readyz", timeout_s: float = 30.0) -> tuple[int, bytes]:
    """Ask as a kubelet does, with a connection of its own; gives status and the whole answer. Raises ``OSError``."""
    with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer[9:12] or b"0"), answer


class Running:
    """A service under measure, in a directory of its own; killed at the end of the ``with`` if it is still there.

    ``ready_ms``: from just before it was started until ``/readyz`` first said 200.
    """

    def __init__(self, command: Sequence[str], config_name: str, **environment: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.folder = Path(self._folder.name)
        self.port = free_port()
        # A folder of its own: watching it must not mean watching the log.
        self.config = self.folder / "configuration" / config_name
        self.config.parent.mkdir()
        self.write_config(1)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self._environment = {
            **kept,
            "STAYON_HOME": self._folder.name,
            "BENCH_CONFIG": str(self.config),
            "BENCH_PORT": str(self.port),
            **environment,
        }
        self._command = [*command]
        self.ready_ms = 0.0
        self.started_at = 0.0

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def _start(self) -> None:
        with (self.folder / "stderr").open("wb") as stderr:
            self.started_at, began = time.time(), time.perf_counter()
            self.process = subprocess.Popen(  # our own command
                self._command, env=self._environment, stdout=subprocess.PIPE, stderr=stderr, cwd=self._folder.name
            )
        try:
            while not self._is_ready():
                if self.process.poll() is not None or time.perf_counter() - began > START_LIMIT_S:
                    raise RuntimeError(f"{self._command} did not get ready:\n{(self.folder / 'stderr').read_text()}")
                time.sleep(BETWEEN_PROBES_S)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.ready_ms = (time.perf_counter() - began) * 1000

    def _is_ready(self) -> bool:
        try:
            return probe(self.port)[0] == 200
        except OSError:
            return False

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def stdout_fd(self) -> int:
        """What it says on stdout can be read here."""
        if self.process.stdout is None:
            raise RuntimeError("its stdout is not ours")
        return self.process.stdout.fileno()

    def write_config(self, prices: int) -> None:
        """Write the configuration file in place."""
        self.config.write_text(self.config_text(prices))

    def config_text(self, prices: int) -> str:
        """A configuration that says *prices*."""
        return json.dumps({"prices": prices}) if self.config.suffix == ".json" else f"prices = {prices}\n"

    def stop(self) -> float:
        """Send SIGTERM; the time until it has ended, in ms. Raises ``RuntimeError`` unless it ended by itself, well."""
        ended = os.pidfd_open(self.pid)  # Popen.wait with a limit looks every few ms only
        try:
            began = time.perf_counter()
            self.process.send_signal(signal.SIGTERM)
            select.select([ended], [], [], STOP_LIMIT_S)
            took_ms = (time.perf_counter() - began) * 1000
        finally:
            os.close(ended)
        self.process.wait(1)
        if self.process.returncode != 0:
            raise RuntimeError(f"{self._command} ended with {self.process.returncode}")
        return took_ms


def memory_mb(pid: int) -> dict[str, float]:
    """Resident, proportional and private memory, in MB (of 1,048,576 bytes)."""
    return memory_in(Path(f"/proc/{pid}/smaps_rollup").read_text())


def memory_in(smaps: str) -> dict[str, float]:
    """What the text of ``smaps_rollup`` says. *Private* is what it has written to: pages of a program or library that
    nobody else happens to have loaded would be private as well, and Pss counts them in full.
    """
    found = _megabytes(smaps)
    return {"rss_mb": found["Rss"], "pss_mb": found["Pss"], "private_mb": found["Private_Dirty"]}


def anonymous_mb(pid: int) -> float:
    """Memory that is no part of a file: under Wine, whose libraries are loaded by writing to them, the better measure
    of what a process has taken.
    """
    return _megabytes(Path(f"/proc/{pid}/smaps_rollup").read_text())["Anonymous"]


def _megabytes(smaps: str) -> dict[str, float]:
    lines = (line.partition(":") for line in smaps.strip().splitlines()[1:])
    return {name: int(rest.split()[0]) / 1024 for name, _, rest in lines}


def threads(pid: int) -> int:
    """How many threads it has."""
    return len(os.listdir(f"/proc/{pid}/task"))


def open_files(pid: int) -> int:
    """How many descriptors it has."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def context_switches(pid: int) -> dict[int, tuple[int, int]]:
    """How often each thread has gone to sleep, and how often another took its processor, since it began."""
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            text = Path(f"/proc/{pid}/task/{task}/status").read_text()
        except FileNotFoundError:  # it has just ended
            continue
        slept, preempted = re.findall(r"voluntary_ctxt_switches:\s+(\d+)", text)
        found[int(task)] = (int(slept), int(preempted))
    return found


def cpu_ns(pid: int) -> int:
    """The time it has spent on a processor, all threads, those that have ended excepted."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            total += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
        except FileNotFoundError:
            continue
    return total
