"""Records a second into the journal: stayon beside python-systemd's handler of ``logging``, and its syslog handler.

Each record has a message and three fields, and has been handed over when the call returns. What takes them is a
process that only reads, at the journal's own place in a namespace of its own, so that the writers are measured and not
the disk; with ``--journald`` it is the journal of this computer. The writers take turns in one process.

``python bench/journal.py [--json] [--journald]``. python-systemd is Debian's python3-systemd: where only the system's
Python has it, all are measured with that one.
"""

from __future__ import annotations

import importlib
import logging
import logging.handlers
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from _figures import OURS, Figures, conditions, progress, show

import stayon
from stayon.core.levels import INFO
from stayon.platforms.journald import SOCKET_PATH, Journal
from stayon.runtime.logs.journal_sink import JournalSink
from stayon.runtime.logs.pipeline import Pipeline

ROUNDS = 15
RECORDS = 3000
SYSTEMD_PYTHON = "logging + python-systemd"
SYSLOG = "logging + SysLogHandler"
SYSTEM_PYTHON = "/usr/bin/python3"
INSIDE = "--inside"
# As systemd sets it when it boots; the kernel's own 10 would make every writer wait for the reader.
WAITING_LIMIT = "512"


def with_stayon() -> Callable[[], None]:
    """A writer of ``RECORDS`` records with stayon."""
    pipeline = Pipeline("bench", level=INFO)
    pipeline.use([JournalSink(pipeline, Journal("bench"))])
    log = pipeline.logger()

    def write() -> None:
        for number in range(RECORDS):
            log.info("collected", prices=number, source="exchange-a", took_ms=12.5)
        if pipeline.diverted or pipeline.lost():
            raise RuntimeError("the journal did not take all")

    return write


def with_logging(handler: logging.Handler) -> Callable[[], None]:
    """A writer of ``RECORDS`` records with ``logging`` and *handler*; a logger of its own, with nothing else."""
    log = logging.Logger("bench", logging.INFO)
    log.addHandler(handler)

    def write() -> None:
        for number in range(RECORDS):
            log.info("collected", extra={"prices": number, "source": "exchange-a", "took_ms": 12.5})

    return write


def writers(syslog: str) -> dict[str, Callable[[], None]]:
    """The writer of each competitor, by its name; a missing one is named."""
    found = {OURS: with_stayon()}
    journal = python_systemd()
    if journal is None:
        progress(f"left out: {SYSTEMD_PYTHON} (on Debian: apt-get install python3-systemd)")
    else:
        found[SYSTEMD_PYTHON] = with_logging(journal.JournalHandler(SYSLOG_IDENTIFIER="bench"))
    handler = logging.handlers.SysLogHandler(syslog)
    # The one line has to have the fields, as there is no other place for them.
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s %(prices)d %(source)s %(took_ms)s"))
    found[SYSLOG] = with_logging(handler)
    return found


def python_systemd() -> object | None:
    """Its module ``systemd.journal``; None if it isn't installed. (A file of this folder is called systemd, too.)"""
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [place for place in sys.path if os.path.abspath(place or ".") != here]
    try:
        return importlib.import_module("systemd.journal")
    except ImportError:
        return None


def drain(path: str) -> int:
    """Start a process that reads what is sent to *path*; gives its pid."""
    reader = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    reader.bind(path)
    pid = os.fork()
    while not pid:
        reader.recv(1 << 20)
    reader.close()
    return pid


def measure(syslog: str) -> Figures:
    """Of each ``us_per_record``, and of these ``cpu_us_per_record``, which is the writer's own work."""
    figures = Figures(compared=["us_per_record", "cpu_us_per_record"], spread=["us_per_record", "cpu_us_per_record"])
    competitors = writers(syslog)
    for round_number in range(ROUNDS + 1):
        for name, write in competitors.items():
            begun, worked = time.perf_counter(), time.process_time()
            write()
            worked_s, took_s = time.process_time() - worked, time.perf_counter() - begun
            if round_number:  # the first one only warms up
                figures.add(
                    name,
                    cpu_us_per_record=worked_s / RECORDS * 1e6,
                    us_per_record=took_s / RECORDS * 1e6,
                    records_per_s=RECORDS / took_s,
                )
    return figures


def main() -> None:
    """Measure and print, in a namespace where the journal's place is ours, unless the real one is wanted."""
    real = "--journald" in sys.argv[1:]
    if not real and INSIDE not in sys.argv[1:]:
        sys.exit(enter())
    given = conditions(rounds=ROUNDS, records=RECORDS, reader="journald" if real else "a process that only reads")
    if real:
        show("Records a second into the journal", given, measure("/dev/log"))
        return
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    Path("/proc/sys/net/unix/max_dgram_qlen").write_text(WAITING_LIMIT)
    pids = [drain(path) for path in (SOCKET_PATH, "/run/syslog/log")]
    try:
        figures = measure("/run/syslog/log")
    finally:
        for pid in pids:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
    show("Records a second into the journal's socket", given, figures)


def enter() -> int:
    """Do it all again in namespaces of our own, with a Python that has python-systemd, if there is one."""
    unshare = shutil.which("unshare")
    if unshare is None:
        progress("left out: needs unshare(1), of util-linux")
        return 1
    python = sys.executable
    has_peer = "from systemd.journal import JournalHandler"
    for candidate in (sys.executable, SYSTEM_PYTHON):
        if not subprocess.run([candidate, "-c", has_peer], cwd="/", capture_output=True, check=False).returncode:
            python = candidate
            break
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    places = [str(Path(stayon.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    command = [unshare, *rights, "--mount", "--net", python, __file__, INSIDE, *sys.argv[1:]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    main()
