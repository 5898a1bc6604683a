"""A Windows service on a real Service Control Manager, Wine's: start, stop, memory, handles, threads, and a soak.

Ours from a plain CPython, installed by its own ``install``, beside the same service in Go (standard library alone) and
with pywin32. One prefix, made alone, in turn; the same foreign client times all of them.

``python bench/windows.py [--json]``
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _competitors import go_version
from _figures import OURS, Figures, conditions, progress, show
from _process import anonymous_mb, memory_mb, threads

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.windows import fetch  # noqa: E402  # the folder that has it was not on the path before
from tests.windows import lab as laboratory  # noqa: E402  # as above

ROUNDS = 15
# What a start has left to do once it is RUNNING is not the stop's.
REST_S = 0.5
SETTLE_S = 1.5
SOAK_CYCLES = 200
SOAK_CONTROLS = 10_000
SAMPLE = 20

PROGRAM = """
service = Service("{name}")

@service.every("5s")
def collect(ctx):
    ctx.log.info("collected", prices=3)
"""


class Client:
    """The process that drives and times them all, by the SCM's own functions."""

    def __init__(self, lab: laboratory.Lab) -> None:
        script = HERE / "_scm_controller.py"
        self._process = lab.popen(lab.python / "python.exe", "-I", "-u", script)
        self._in, self._out = self._process.stdin, self._process.stdout

    def ask(self, act: str, *arguments: object) -> Any:
        """What ``_scm_controller`` answers. Raises ``RuntimeError``."""
        if self._in is None or self._out is None:
            raise RuntimeError("its standard handles are no pipes")
        self._in.write(json.dumps([act, *arguments]) + "\n")
        self._in.flush()
        line = self._out.readline()
        answer = json.loads(line) if line else {"error": f"the client has ended: {self._process.communicate()[1]}"}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["answer"]

    def close(self) -> None:
        """Let it end."""
        self._process.communicate(timeout=30)


class Competitor:
    """A service in the SCM. *word* is in its command line, and in no other's."""

    def __init__(self, client: Client, title: str, name: str, word: str) -> None:
        self.title, self.name, self._word, self._client = title, name, word, client

    def start(self) -> dict[str, float]:
        """Start it; milliseconds, and its pid as Windows has it."""
        answer: dict[str, float] = self._client.ask("start", self.name)
        return answer

    def stop(self) -> float:
        """Stop it; milliseconds."""
        return float(self._client.ask("stop", self.name)["ms"])

    def host_pid(self) -> int:
        """Its pid as Linux has it."""
        for folder in Path("/proc").glob("[0-9]*"):
            if self.is_of(folder):
                return int(folder.name)
        raise RuntimeError(f"{self.title} does not run")

    def is_of(self, folder: Path) -> bool:
        """Whether *folder* of /proc is that of a process of its."""
        try:
            return self._word.encode() in (folder / "cmdline").read_bytes()
        except OSError:
            return False

    def figures(self, pid: float) -> dict[str, float]:
        """Memory, threads and handles as they are now."""
        host_pid = self.host_pid()
        return {
            "rss_mb": memory_mb(host_pid)["rss_mb"],
            "anonymous_mb": anonymous_mb(host_pid),
            "threads": threads(host_pid),
            "handles": self._client.ask("handles", pid),
        }


def ours(lab: laboratory.Lab, client: Client) -> Competitor:
    """Installed as a user does it."""
    service = lab.program(PROGRAM, "bench-stayon")
    done = service.verb("install")
    if done.code != 0:
        raise RuntimeError(f"install: {done.out}{done.err}")
    client.ask("attach", service.name)
    return Competitor(client, OURS, service.name, "bench-stayon\\program.py")


def in_go(lab: laboratory.Lab, client: Client) -> Competitor | None:
    """Built here, for Windows."""
    go = shutil.which("go")
    if go is None:
        progress("no go on PATH: that peer is left out")
        return None
    folder = lab.folder / "go"
    folder.mkdir()
    environment = {**os.environ, "GOOS": "windows", "GOARCH": "amd64", "CGO_ENABLED": "0"}
    source = HERE / "peers" / "go_windows"
    program = folder / "collector.exe"
    subprocess.run([go, "build", "-ldflags=-s -w", "-o", program, "."], cwd=source, env=environment, check=True)
    client.ask("create", "bench-go", f'"{lab.named(program)}" "{lab.named(folder / "collector.log")}"')
    return Competitor(client, "Go", "bench-go", "collector.exe")


def with_pywin32(lab: laboratory.Lab, client: Client) -> Competitor:
    """A normal installation of its own, with the package's post-install steps done by hand."""
    folder = lab.folder / "with pywin32"
    shutil.copytree(lab.python, folder)
    packages = folder / "Lib" / "site-packages"
    shutil.copytree(lab.pywin32, packages, dirs_exist_ok=True)
    for library in (packages / "pywin32_system32").glob("*.dll"):
        shutil.copy2(library, folder)
    script = shutil.copy2(HERE / "peers" / "with_pywin32.py", folder)
    words = (folder / "python.exe", Path(script), folder / "collector.log")
    client.ask("create", "bench-pywin32", " ".join(f'"{lab.named(word)}"' for word in words))
    return Competitor(client, "pywin32", "bench-pywin32", "with_pywin32.py")


def measure(figures: Figures, competitors: list[Competitor]) -> None:
    """In turn, so that a slow moment hits all. The first start of each has cold files, and does not count."""
    for round_number in range(ROUNDS + 1):
        progress(f"round {round_number} of {ROUNDS}")
        for one in competitors:
            started = one.start()
            if round_number:
                figures.add(one.title, start_ms=started["ms"])
            time.sleep(REST_S)
            if round_number % 5 == 0:
                time.sleep(SETTLE_S)
                figures.add(one.title, **one.figures(started["pid"]))
            stopped_ms = one.stop()
            if round_number:
                figures.add(one.title, stop_ms=stopped_ms)


def soak(figures: Figures, client: Client, one: Competitor) -> None:
    """Many controls to one process, and many processes: what is there before and after must be the same."""
    pid = one.start()["pid"]
    client.ask("controls", one.name, SOAK_CONTROLS // 10)
    before = one.figures(pid)
    progress(f"{SOAK_CONTROLS} controls")
    each = client.ask("controls", one.name, SOAK_CONTROLS)["us"]
    after = one.figures(pid)
    one.stop()
    row = f"{one.title}, {SOAK_CONTROLS:,} controls"
    figures.add(row, control_us=each)
    figures.add(row, **{f"{name}_more": after[name] - before[name] for name in ("anonymous_mb", "handles", "threads")})
    starts: list[float] = []
    last: dict[str, float] = {}
    first: dict[str, float] = {}
    for cycle in range(SOAK_CYCLES):
        if cycle % 50 == 0:
            progress(f"cycle {cycle} of {SOAK_CYCLES}")
        started = one.start()
        starts.append(started["ms"])
        if cycle in (0, SOAK_CYCLES - 1):
            time.sleep(SETTLE_S)
            first, last = first or one.figures(started["pid"]), one.figures(started["pid"])
        one.stop()
    row = f"{one.title}, {SOAK_CYCLES} cycles"
    for sample in starts[-SAMPLE:]:
        figures.add(row, start_ms=sample)
    figures.add(row, **{f"{name}_more": last[name] - first[name] for name in ("anonymous_mb", "handles", "threads")})


def main() -> None:
    """Measure, and show it."""
    figures = Figures(compared=("start_ms", "stop_ms", "rss_mb", "anonymous_mb"), spread=("start_ms", "stop_ms"))
    fetch.fetch()
    with laboratory.opened() as lab:
        client = Client(lab)
        makers: tuple[Callable[[laboratory.Lab, Client], Competitor | None], ...] = (ours, in_go, with_pywin32)
        competitors = [one for one in (make(lab, client) for make in makers) if one is not None]
        measure(figures, competitors)
        soak(figures, client, competitors[0])
        client.close()
    given = conditions(go=go_version(), rounds=ROUNDS, windows="CPython 3.13.2 under Wine")
    show("A Windows service on Wine's SCM", given, figures)


if __name__ == "__main__":
    main()
