"""What a shorter switch interval would cost and bring: ``sys.setswitchinterval``, Python's 5 ms beside a tenth of it.

Threads that compute without end count loops; more switches mean fewer loops. Beside them, a thread wakes every 10 ms,
as the host's does when a probe comes, and notes how long it took to get the interpreter lock.

``python bench/switching.py [--json]``
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

from _figures import Figures, conditions, progress, quantile, show

INTERVALS_S = (0.005, 0.0005)
THREADS = (1, 2, 4)
ROUNDS = 5
SECONDS = 2.0
WAKE_EVERY_S = 0.01


def count(interval_s: float, number: int, *, waking: bool) -> dict[str, float]:
    """Loops of *number* threads in a second of processor time and, if *waking*, how late the sleeper was, in ms."""
    sys.setswitchinterval(interval_s)
    counts = [0] * number
    going = True

    def spin(index: int) -> None:
        loops = 0
        while going:
            for _ in range(1000):
                pass
            loops += 1000
        counts[index] = loops

    threads = [threading.Thread(target=spin, args=(index,)) for index in range(number)]
    late: list[float] = []
    began, cpu_began = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    while time.perf_counter() - began < SECONDS:
        if not waking:
            time.sleep(SECONDS)
            continue
        due = time.perf_counter() + WAKE_EVERY_S
        time.sleep(WAKE_EVERY_S)
        late.append((time.perf_counter() - due) * 1000)
    going = False
    for thread in threads:
        thread.join()
    # Of processor time, so that what else this computer does is left out.
    loops_per_cpu_s = sum(counts) / (time.process_time() - cpu_began)
    if not waking:
        return {"million_loops_per_cpu_s": loops_per_cpu_s / 1e6}
    return {
        "million_loops_per_cpu_s_waking": loops_per_cpu_s / 1e6,
        "late_p50_ms": quantile(late, 0.5),
        "late_p99_ms": quantile(late, 0.99),
    }


def elsewhere(*arguments: object) -> dict[str, float]:
    """``count`` in a process of its own."""
    command = [sys.executable, __file__, "count", *map(str, arguments)]
    figures: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return figures


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["count"]:
        print(json.dumps(count(float(sys.argv[2]), int(sys.argv[3]), waking=sys.argv[4] == "True")))
        return
    given = conditions(rounds=ROUNDS, seconds=SECONDS)
    measured = ("million_loops_per_cpu_s", "million_loops_per_cpu_s_waking")
    figures = Figures(spread=measured)
    for number in range(ROUNDS):
        progress(f"switching, round {number + 1} of {ROUNDS}")
        for threads in THREADS:
            for interval_s in INTERVALS_S:
                for waking in (False, True):
                    who = f"{threads} computing, {interval_s * 1000:g} ms"
                    figures.add(who, **elsewhere(interval_s, threads, waking))
    show("Computing threads by switch interval", given, figures)


if __name__ == "__main__":
    main()
