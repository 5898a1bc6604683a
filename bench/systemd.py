"""A service under a real systemd: start to READY, stop, memory; by systemd's own clock and from the same kind of unit.

Ours as its own ``install`` makes it, beside the same service in Go with sd_notify and in asyncio with the package
sdnotify, each in our unit with another ExecStart. One systemd, booted for this alone, in turn.

``python bench/systemd.py [--json]``, as root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from _competitors import go_version
from _figures import OURS, Figures, conditions, progress, show
from _process import memory_in

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.systemd import lab as laboratory  # noqa: E402  # the folder that has it was not on the path before

ROUNDS = 15
# What a start has left to do once it is ready is not the stop's.
REST_S = 0.5
# Memory is looked at when the job has run again: what only the start needed has gone, and some of it has come back.
SETTLE_S = 6.5

# What our unit says of us alone.
OWN_LINES = ("ExecStart=", "ExecReload=", "SyslogIdentifier=", "Description=")


class Competitor:
    """A unit, by its name."""

    def __init__(self, lab: laboratory.Lab, title: str, unit: str) -> None:
        self.title, self._unit, self._lab = title, unit, lab

    def start(self) -> float:
        """Start it; ms from the job's begin to READY, as systemd has them."""
        self._systemctl("start")
        return self._between("InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")

    def stop(self) -> float:
        """Stop it; ms from the begin of the stop until nothing is left of it."""
        self._systemctl("stop")
        return self._between("ActiveExitTimestampMonotonic", "InactiveEnterTimestampMonotonic")

    def figures(self) -> dict[str, float]:
        """Memory and threads as they are now."""
        process = Path("/proc", self._property("MainPID"))
        found = memory_in(self._lab.check("cat", f"{process}/smaps_rollup"))
        return {**found, "threads": len(self._lab.check("ls", f"{process}/task").split())}

    def _systemctl(self, verb: str) -> None:
        done = self._lab.run("systemctl", verb, self._unit)
        if done.code != 0:
            said = self._lab.check("journalctl", "--no-pager", "-u", self._unit)
            raise RuntimeError(f"systemctl {verb} {self._unit}: {done.err}{said}")

    def _between(self, begin: str, end: str) -> float:
        return (float(self._property(end)) - float(self._property(begin))) / 1000

    def _property(self, name: str) -> str:
        return self._lab.check("systemctl", "show", "--value", "-p", name, self._unit).strip()


def ours(lab: laboratory.Lab) -> tuple[Competitor, str]:
    """Installed as a user does it; with its unit's text."""
    service = lab.service(name="bench-stayon")
    done = service.verb("install")
    if done.code != 0:
        raise RuntimeError(f"install: {done.out}{done.err}")
    return Competitor(lab, OURS, service.unit), lab.check("systemctl", "cat", service.unit)


def peer(lab: laboratory.Lab, title: str, like: str, command: str) -> Competitor:
    """*command* in a unit like ours."""
    name = f"bench-{title.lower()}"
    lines = [line.replace("bench-stayon", name) for line in like.partition("[X-Stayon]")[0].splitlines()]
    kept = [line for line in lines if not line.startswith((*OWN_LINES, "#"))]
    kept.insert(kept.index("[Service]") + 1, f"ExecStart={command}")
    lab.write(f"/etc/systemd/system/{name}.service", "\n".join([*kept, ""]))
    lab.check("systemctl", "daemon-reload")
    # As ours is. (And systemd forgets at once, with its times, a unit that nothing refers to.)
    lab.check("systemctl", "enable", f"{name}.service")
    return Competitor(lab, title, f"{name}.service")


def in_go(lab: laboratory.Lab, like: str) -> Competitor | None:
    """Built here."""
    go = shutil.which("go")
    if go is None:
        progress("no go on PATH: that peer is left out")
        return None
    inside = "/opt/collector-go"
    environment = {**os.environ, "CGO_ENABLED": "0"}
    command = [go, "build", "-trimpath", "-ldflags=-s -w", "-o", str(lab.path(inside)), "."]
    subprocess.run(command, cwd=HERE / "peers" / "go_systemd", env=environment, check=True)
    return peer(lab, "Go", like, inside)


def with_sdnotify(lab: laboratory.Lab, like: str) -> Competitor:
    """By the same interpreter as ours."""
    import sdnotify

    sources = {"sdnotify.py": Path(sdnotify.__file__), "collector.py": HERE / "peers" / "with_sdnotify.py"}
    for name, source in sources.items():
        lab.write(f"/opt/with-sdnotify/{name}", source.read_text("utf-8"))
    return peer(lab, "asyncio", like, f"{lab.python} /opt/with-sdnotify/collector.py")


def measure(figures: Figures, competitors: list[Competitor]) -> None:
    """In turn, so that a slow moment hits all. The first start of each has cold files, and does not count."""
    for round_number in range(ROUNDS + 1):
        progress(f"round {round_number} of {ROUNDS}")
        for one in competitors:
            ready_ms = one.start()
            time.sleep(REST_S)
            if round_number % 5 == 0:
                time.sleep(SETTLE_S)
                figures.add(one.title, **one.figures())
            stopped_ms = one.stop()
            if round_number:
                figures.add(one.title, ready_ms=ready_ms, stop_ms=stopped_ms)


def main() -> None:
    """Measure, and show it."""
    figures = Figures(compared=("ready_ms", "stop_ms", "rss_mb", "pss_mb"), spread=("ready_ms", "stop_ms"))
    with laboratory.opened() as lab:
        mine, like = ours(lab)
        competitors = [one for one in (mine, in_go(lab, like), with_sdnotify(lab, like)) if one is not None]
        measure(figures, competitors)
        systemd = lab.check("systemctl", "--version").split()[1]
    show("A service under systemd", conditions(go=go_version(), rounds=ROUNDS, systemd=systemd), figures)


if __name__ == "__main__":
    main()
