"""Memory, threads, files and start of an idle service: stayon from its wheel, beside Go and plain Python.

The service has one job every five seconds, logs in JSON, a configuration file that is watched, probes and metrics.

``python bench/footprint.py [--json]``: Python 3.13 and 3.11, where they are found.
``python bench/footprint.py --modules``: instead, what each module that the idle service has loaded cost to import.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _competitors import Competitor, go_peers, go_version, ours, python_peers
from _figures import Figures, conditions, progress, show
from _modules import show_modules
from _plain_venv import build_wheel, plain_venv
from _process import Running, memory_in, memory_mb, open_files, probe, threads

VERSIONS = ("3.13", "3.11")
STARTS = 20
ROUNDS = 5
# Until the job has run again: what only the start needed has gone, and some of it has come back.
SETTLE_S = 6.5
FLOOR = "python -I -S -c pass"
# What Python itself takes, with nothing of ours: read by the process itself, just before it ends.
FLOOR_CODE = "print(open('/proc/self/smaps_rollup').read())"


def running_ms(running: Running) -> float:
    """When it was RUNNING by its own log, counted from just before it was started."""
    for line in (running.folder / "collector" / "logs" / "collector.log").read_text().splitlines():
        record = json.loads(line)
        if record["message"].endswith("-> RUNNING"):
            return (datetime.datetime.fromisoformat(record["time"]).timestamp() - running.started_at) * 1000
    raise RuntimeError("the log does not say RUNNING")


def measure_starts(figures: Figures, who: str, competitor: Competitor) -> None:
    """One start: until ``/readyz`` says 200, and for ours what the log says."""
    with competitor.start() as running:
        figures.add(who, ready_ms=running.ready_ms)
        if who.startswith("stayon"):
            figures.add(who, running_by_log_ms=running_ms(running))
        running.stop()


def measure_memory(figures: Figures, who: str, competitor: Competitor) -> None:
    """One idle process: before and after somebody has read its metrics."""
    with competitor.start() as running:
        time.sleep(SETTLE_S)
        figures.add(who, **memory_mb(running.pid), threads=threads(running.pid), files=open_files(running.pid))
        status, _ = probe(running.port, "/metrics")
        if status != 200:
            raise RuntimeError(f"/metrics of {who} said {status}")
        after = memory_mb(running.pid)
        figures.add(who, rss_scraped_mb=after["rss_mb"], private_scraped_mb=after["private_mb"])


def measure_floor(figures: Figures, who: str, python: str) -> None:
    """Bare Python: its memory, and the time from start to end."""
    code = [python, "-I", "-S", "-c"]
    began = time.perf_counter()
    subprocess.run([*code, "pass"], check=True)
    took_ms = (time.perf_counter() - began) * 1000
    text = subprocess.run([*code, FLOOR_CODE], check=True, capture_output=True, text=True).stdout
    figures.add(who, **memory_in(text), ready_ms=took_ms)


def measure(pythons: dict[str, str]) -> Figures:
    """All of them, in turn, so that a slow moment hits all."""
    figures = Figures(compared=("rss_mb", "private_mb", "ready_ms"), spread=("rss_mb", "ready_ms"))
    competitors: dict[str, Competitor] = {}
    for version, python in pythons.items():
        for one in (ours(python), *python_peers(python)):
            competitors[f"{one.name}, {version}"] = one
    competitors |= {one.name: one for one in go_peers()}
    for number in range(ROUNDS):
        progress(f"memory, round {number + 1} of {ROUNDS}")
        for who, competitor in competitors.items():
            measure_memory(figures, who, competitor)
    for number in range(STARTS):
        progress(f"start, round {number + 1} of {STARTS}")
        for who, competitor in competitors.items():
            measure_starts(figures, who, competitor)
        for version, python in pythons.items():
            measure_floor(figures, f"{FLOOR}, {version}", python)
    return figures


def main() -> None:
    """Measure and print."""
    given = conditions(go=go_version(), rounds=ROUNDS, starts=STARTS)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        wheel = build_wheel(folder)
        pythons = {version: plain_venv(version, wheel, folder) for version in VERSIONS}
        pythons = {version: python for version, python in pythons.items() if python}
        if "--modules" in sys.argv[1:]:
            for version, python in pythons.items():
                show_modules(version, python)
            return
        show("An idle service: memory in MB, and ms from the start until /readyz says 200", given, measure(pythons))


if __name__ == "__main__":
    main()
