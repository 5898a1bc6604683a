"""How often an idle service wakes a processor: stayon beside its peers, all at once, for half a minute.

A thread that was woken goes to sleep again: the kernel counts these voluntary context switches, and those where another
took the processor (which tells more of the computer than of the service), in ``/proc/PID/task/*/status``. The job every
five seconds is part of it. ``python bench/idle.py [--json]``
"""

from __future__ import annotations

import contextlib
import time

from _competitors import all_of_them, go_version
from _figures import Figures, conditions, progress, show
from _process import Running, context_switches, cpu_ns, threads

SECONDS = 30.0
SETTLE_S = 3.0


def switches_since(running: Running, before: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """How often its threads went to sleep and were preempted since *before*; what has ended meanwhile is left out."""
    slept = preempted = 0
    for thread, (now_slept, now_preempted) in context_switches(running.pid).items():
        then_slept, then_preempted = before.get(thread, (0, 0))
        slept, preempted = slept + now_slept - then_slept, preempted + now_preempted - then_preempted
    return slept, preempted


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
            slept, preempted = switches_since(running, switches)
            figures.add(
                who,
                wakeups_per_s=slept / passed_s,
                preempted_per_s=preempted / passed_s,
                cpu_us_per_s=(cpu_ns(running.pid) - cpu) / 1000 / passed_s,
                threads=threads(running.pid),
            )
    show("Wake-ups and processor time of an idle service", given, figures)


if __name__ == "__main__":
    main()
