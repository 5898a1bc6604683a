"""How often an idle service wakes a processor: stayon beside its peers, all at once, for half a minute.

Every wake-up is a context switch of one of its threads, voluntary (it went to sleep again) or not; the kernel counts
them in ``/proc/PID/task/*/status``. The job every five seconds is part of it. ``python bench/idle.py [--json]``
"""

from __future__ import annotations

import contextlib
import time

from _competitors import all_of_them, go_version
from _figures import Figures, conditions, progress, show
from _process import Running, context_switches, cpu_ns, threads

SECONDS = 30.0
SETTLE_S = 3.0


def switches_since(running: Running, before: dict[int, int]) -> int:
    """How often its threads were switched since *before*. (A thread that has ended meanwhile is not counted.)"""
    return sum(count - before.get(thread, 0) for thread, count in context_switches(running.pid).items())


def main() -> None:
    """Measure and print."""
    given = conditions(go=go_version(), seconds=SECONDS)
    figures = Figures(compared=("wakeups_per_s", "cpu_us_per_s"))
    with contextlib.ExitStack() as stack:
        all_running = {one.name: stack.enter_context(one.start()) for one in all_of_them()}
        time.sleep(SETTLE_S)
        progress(f"watching for {SECONDS:g} s")
        before = {
            who: (context_switches(one.pid), cpu_ns(one.pid), time.perf_counter()) for who, one in all_running.items()
        }
        time.sleep(SECONDS)
        for who, running in all_running.items():
            switches, cpu, began = before[who]
            passed_s = time.perf_counter() - began
            figures.add(
                who,
                wakeups_per_s=switches_since(running, switches) / passed_s,
                cpu_us_per_s=(cpu_ns(running.pid) - cpu) / 1000 / passed_s,
                threads=threads(running.pid),
            )
    show("Wake-ups and processor time of an idle service", given, figures)


if __name__ == "__main__":
    main()
