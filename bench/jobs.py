"""How punctual jobs are, and what an empty one costs: stayon beside APScheduler and threads that sleep.

- ``100 jobs``: a hundred, at intervals from 0.2 to 2 seconds. All are due together when it starts (``first_max_ms``);
  the percentiles are of what follows.
- ``1,000 a second``: a hundred each tenth of a second, all at once each time, so that a run waits for up to 99 others.
- ``1,000 spread``: the same, but a millisecond apart. Each wakes a processor, none waits for another.
- ``10,000 a second``: nearly what Python has time for. What is due while the last run is still under way is skipped.

*late*: from the moment it was due until the first line of the job. *cpu*: the process's processor time for each run,
all threads; the runs themselves are as good as empty. Threads that sleep are no scheduler: no timeouts, no overlap
rules, no metrics, and a thread for every job; they show what Python itself needs. ``python bench/jobs.py [--json]``
"""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from _figures import Figures, conditions, progress, quantile, show

ROUNDS = 3
STAYON, APSCHEDULER, SLEEPING = "stayon", "APScheduler", "sleeping threads"
# By name: the intervals, how far apart the jobs begin, and for how long to measure; in seconds.
LOADS: dict[str, tuple[list[float], float, float]] = {
    "100 jobs": ([0.2 + 0.018 * index for index in range(100)], 0.0, 8.0),
    "1,000 a second": ([0.1] * 100, 0.0, 10.0),
    "1,000 spread": ([0.1] * 100, 0.001, 10.0),
    "10,000 a second": ([0.01] * 100, 0.0, 4.0),
}


class Record:
    """What the runs of all jobs note."""

    def __init__(self) -> None:
        self.late_s: list[float] = []
        self.first_late_s: list[float] = []
        self.began, self.cpu_began = time.monotonic(), time.process_time()

    def note(self, late_s: float, *, is_first: bool) -> None:
        """One run began so late. From any thread."""
        (self.first_late_s if is_first else self.late_s).append(late_s)

    def figures(self) -> dict[str, float]:
        """What came of it."""
        runs = len(self.late_s) + len(self.first_late_s)
        passed_s, cpu_s = time.monotonic() - self.began, time.process_time() - self.cpu_began
        return {
            "late_p50_ms": quantile(self.late_s, 0.5) * 1000,
            "late_p99_ms": quantile(self.late_s, 0.99) * 1000,
            "late_max_ms": max(self.late_s) * 1000,
            "first_max_ms": max(self.first_late_s) * 1000,
            "runs_per_s": runs / passed_s,
            "cpu_us_per_run": cpu_s / runs * 1e6,
        }


def with_stayon(intervals: Sequence[float], apart_s: float, seconds: float) -> None:
    """Run the jobs as a service does. Never returns."""
    from stayon import Service

    service = Service("jobs")
    records: list[Record] = []

    def job(interval_s: float) -> Callable[[Any], None]:
        is_first = True

        def run(ctx: Any) -> None:
            nonlocal is_first
            # By now the job's next moment is set; the one of this run was an interval earlier.
            due = ctx._host.jobs[ctx.job].due.at - interval_s  # noqa: SLF001  # not public: nothing else needs to know
            records[0].note(time.monotonic() - due, is_first=is_first)
            is_first = False

        return run

    for index, interval_s in enumerate(intervals):
        service.every(interval_s, name=f"job{index}", delay=index * apart_s)(job(interval_s))

    @service.run
    def main(ctx: Any) -> None:
        records.append(Record())
        ctx.ready()
        ctx.stopping.wait(seconds)
        print(json.dumps(records[0].figures()), flush=True)

    service.main(["run"])


def with_apscheduler(intervals: Sequence[float], apart_s: float, seconds: float) -> None:
    """The same with APScheduler's scheduler for plain programs, as it comes."""
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.interval import IntervalTrigger

    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # it warns of each run that is skipped
    scheduler = BackgroundScheduler(timezone=datetime.UTC)
    start = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=0.5)
    start_s = start.timestamp()

    def job(interval_s: float, due_s: float) -> Callable[[], None]:
        is_first = True

        def run() -> None:
            nonlocal is_first
            record.note((time.time() - due_s) % interval_s, is_first=is_first)
            is_first = False

        return run

    for index, interval_s in enumerate(intervals):
        begin = start + datetime.timedelta(seconds=index * apart_s)
        trigger = IntervalTrigger(seconds=interval_s, start_date=begin)
        scheduler.add_job(job(interval_s, begin.timestamp()), trigger)
    time.sleep(max(0.0, start_s - time.time() - 0.05))
    record = Record()
    scheduler.start()
    time.sleep(seconds)
    print(json.dumps(record.figures()), flush=True)
    os._exit(0)


def with_sleeping_threads(intervals: Sequence[float], apart_s: float, seconds: float) -> None:
    """A thread for each job, which sleeps until the next moment."""
    start = time.monotonic() + 0.5

    def follow(interval_s: float, due: float) -> None:
        is_first = True
        while True:
            time.sleep(max(0.0, due - time.monotonic()))
            late_s = time.monotonic() - due
            record.note(late_s, is_first=is_first)
            is_first = False
            due += interval_s * (1 + late_s // interval_s)

    for index, interval_s in enumerate(intervals):
        threading.Thread(target=follow, args=(interval_s, start + index * apart_s), daemon=True).start()
    time.sleep(max(0.0, start - time.monotonic() - 0.05))
    record = Record()
    time.sleep(seconds)
    print(json.dumps(record.figures()), flush=True)
    os._exit(0)


WITH = {STAYON: with_stayon, APSCHEDULER: with_apscheduler, SLEEPING: with_sleeping_threads}


def measure(who: str, load: str) -> dict[str, float]:
    """The figures of one run in a process of its own."""
    seconds = LOADS[load][2]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        command = [sys.executable, __file__, "run", who, load]
        environment = {**os.environ, "STAYON_HOME": folder}
        done = subprocess.run(  # ourselves
            command, env=environment, capture_output=True, text=True, check=False, timeout=seconds + 30
        )
    if done.returncode != 0:
        raise RuntimeError(f"{who} ended with {done.returncode}:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["run"]:
        WITH[sys.argv[2]](*LOADS[sys.argv[3]])
    competitors = [STAYON, SLEEPING]
    versions = {}
    if importlib.util.find_spec("apscheduler") is not None:
        competitors.insert(1, APSCHEDULER)
        versions["apscheduler"] = importlib.metadata.version("apscheduler")
    else:
        progress("no APScheduler here: that peer is left out")
    given = conditions(**versions, rounds=ROUNDS)
    figures = Figures(compared=("cpu_us_per_run", "late_p99_ms"), spread=("late_p99_ms",))
    for number in range(ROUNDS):
        for load in LOADS:
            progress(f"jobs, {load}, round {number + 1} of {ROUNDS}")
            for who in competitors:
                figures.add(f"{who}, {load}", **measure(who, load))
    show("Jobs: lateness, rate, cost", given, figures)


if __name__ == "__main__":
    main()
