"""What each module that an idle service has loaded cost to import: Python's own allocations, and the time."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path

from _competitors import ours

# Imports in the order in which the service finished importing, so that a module is charged with itself alone, not with
# what it imports. tracemalloc counts what Python allocates: code, constants, classes, not the pages of a C library.
MEASURE = """
import sys, json, tracemalloc, gc
names = json.load(sys.stdin)
tracemalloc.start()
found = []
for name in names:
    if name in sys.modules:
        continue
    before = tracemalloc.get_traced_memory()[0]
    try:
        __import__(name)
    except ImportError:
        continue
    gc.collect()
    found.append([name, tracemalloc.get_traced_memory()[0] - before])
json.dump(found, sys.stdout)
"""
SETTLE_S = 2.0
SHOWN = 45


def imported(python: str) -> dict[str, int]:
    """What the service imports until it is idle, in the order in which that ended, with each one's own microseconds."""
    competitor = ours(python)
    competitor.command = [python, "-X", "importtime", *competitor.command[1:]]
    times: dict[str, int] = {}
    with competitor.start() as running:
        time.sleep(SETTLE_S)
        for line in (running.folder / "stderr").read_text().splitlines():
            if line.startswith("import time:") and "self [us]" not in line:
                own, _, name = line.removeprefix("import time:").split("|")
                times[name.strip()] = int(own)
    return times


def costs(python: str) -> list[tuple[str, int, int]]:
    """``(name, bytes, microseconds)`` of each module that plain Python hasn't loaded anyhow, the biggest first."""
    times = imported(python)
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-c", MEASURE]
        done = subprocess.run(
            command, input=json.dumps([*times]), capture_output=True, text=True, check=True, cwd=Path(folder)
        )
    sizes: list[tuple[str, int]] = json.loads(done.stdout)
    return sorted(((name, size, times[name]) for name, size in sizes), key=lambda row: -row[1])


def show_modules(version: str, python: str) -> None:
    """Print the table."""
    rows = costs(python)
    total_kb, total_ms = sum(row[1] for row in rows) / 1024, sum(row[2] for row in rows) / 1000
    print(f"Python {version}: {len(rows)} modules beyond plain Python's, {total_kb:,.0f} KB, {total_ms:.1f} ms")
    for name, size, micros in rows[:SHOWN]:
        print(f"  {name:42} {size / 1024:7.1f} KB  {micros / 1000:6.2f} ms")
    rest = rows[SHOWN:]
    print(f"  {f'and {len(rest)} smaller ones':42} {sum(row[1] for row in rest) / 1024:7.1f} KB\n")
