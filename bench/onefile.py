"""One file: a service as a single executable, beside the same service in Go, and packed by PyInstaller and Nuitka.

On Linux from the start to READY, as systemd hears it; on Wine's SCM from StartService to RUNNING. Memory is that of all
processes that one has.

``python bench/onefile.py [--json] [--build] [--linux | --wine]``: *--build* builds the peers anew, and tells how long
it took.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import _one_file
from _competitors import go_version
from _figures import OURS, Figures, conditions, progress, show
from _notified import Notified, ran_ms
from _packers import PEERS, Packed, go, nuitka, pyinstaller

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

ROUNDS = 20
FIRST_RUNS = 5
# Until the job has run again: what only the start needed has gone, and some of it has come back.
SETTLE_S = 6.5
MEMORY_ROUNDS = 3
SYSTEM = ", Linux"


class Competitor(NamedTuple):
    """One that can be started."""

    title: str
    command: tuple[str | Path, ...]


def of_ours(packed: Packed) -> Competitor:
    """As its unit runs it."""
    return Competitor(OURS + SYSTEM, (packed.program, "--service", "collector"))


def peers(figures: Figures) -> list[Competitor]:
    """Those that can be had here, and what they weigh; and the packers' program without any packing."""
    packed = [go("Go", "go_systemd", "collector"), pyinstaller(one_file=True), pyinstaller(one_file=False), nuitka()]
    found = [Competitor(one.title + SYSTEM, (one.program,)) for one in packed if one is not None]
    for one in filter(None, packed):
        figures.add(one.title + SYSTEM, size_mb=one.size_mb)
        if one.build_s is not None:
            figures.add(one.title + SYSTEM, build_s=one.build_s)
    return [*found, Competitor("asyncio" + SYSTEM, (sys.executable, PEERS / "with_sdnotify.py"))]


def measure(figures: Figures, folder: Path) -> None:
    """All of them, in turn, so that a slow moment hits all."""
    packed, builds = _one_file.built("linux-x64", folder / "linux")
    for seconds in builds:
        figures.add(OURS + SYSTEM, build_s=seconds)
    figures.add(OURS + SYSTEM, size_mb=packed.size_mb)
    competitors = [of_ours(packed), *peers(figures)]
    places = {"STAYON_RUNTIME": str(folder / "runtime")}
    for number in range(ROUNDS + 1):
        progress(f"Linux, start, round {number} of {ROUNDS}")
        for one in competitors:
            with Notified(one.command, folder, **places) as running:
                pass
            # The first has cold files.
            if number:
                figures.add(one.title, start_ms=running.ready_ms)
    for number in range(MEMORY_ROUNDS):
        progress(f"Linux, memory, round {number + 1} of {MEMORY_ROUNDS}")
        for one in competitors:
            with Notified(one.command, folder, **places) as running:
                time.sleep(SETTLE_S)
                figures.add(one.title, **running.figures())
    for number in range(FIRST_RUNS):
        with Notified(competitors[0].command, folder, STAYON_RUNTIME=str(folder / f"first-{number}")) as running:
            pass
        figures.add(OURS + SYSTEM, first_ms=running.ready_ms)
    bare_starts(figures, folder)


def bare_starts(figures: Figures, folder: Path) -> None:
    """Programs that do nothing, from the start to the end."""
    runtime = {"STAYON_RUNTIME": str(folder / "runtime-bare")}
    programs: dict[str, tuple[str | Path, ...]] = {
        OURS: (_one_file.bare("linux-x64", folder / "bare"),),
        "python -I -S": (sys.executable, "-I", "-S", "-c", "pass"),
    }
    in_go = go("Go bare", "go_bare", "bare")
    if in_go is not None:
        programs["Go"] = (in_go.program,)
    for number in range(ROUNDS + 1):
        for title, command in programs.items():
            took = ran_ms(command, **runtime)
            if number:
                figures.add(title + SYSTEM, bare_ms=took)


def main() -> None:
    """Measure, and show it."""
    figures = Figures(
        compared=("start_ms", "bare_ms", "rss_mb", "private_mb", "size_mb", "build_s"), spread=("start_ms", "bare_ms")
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        if "--wine" not in sys.argv[1:]:
            measure(figures, Path(scratch))
        if "--linux" not in sys.argv[1:]:
            # It is not needed for Linux, and wants Wine.
            import _one_file_windows

            _one_file_windows.measure(figures, Path(scratch))
    show("One file", conditions(go=go_version(), rounds=ROUNDS), figures)


if __name__ == "__main__":
    main()
