"""How long a probe takes while the service's own work is stuck: stayon beside ``http.server`` and Go.

The whole service is asked for ``/livez``, with a connection for each probe, while a worker of it is stuck:

- ``lock``: waiting for a lock that nobody opens;
- ``system call``: in a read that never returns;
- ``loop``: computing without end. In Python, each step of the answer then has to get the interpreter lock back, which
  takes up to ``sys.getswitchinterval()``, 5 ms by default (bench/switching.py tells what a shorter one costs).

A C extension that keeps the interpreter lock is not here: nothing written in Python can answer then, in any of the
Python services. It is what the watchdog is for, which needs no lock. ``python bench/probes.py [--json]``
"""

from __future__ import annotations

import time

from _competitors import HTTP_SERVER, go_peers, go_version, ours, python_peers
from _figures import Figures, conditions, progress, quantile, show
from _process import probe

PROBES = 500
WARM_UP = 50
SETTLE_S = 0.5
STUCK = ("lock", "system call", "loop")


def timed_probe(port: int) -> float:
    """One probe; the time it took in ms. Raises ``RuntimeError`` if the answer is not 200."""
    began = time.perf_counter()
    status, answer = probe(port, "/livez")
    if status != 200:
        raise RuntimeError(f"this is no answer: {answer!r}")
    return (time.perf_counter() - began) * 1000


def measure(figures: Figures, way: str) -> None:
    """Ask one after the other: two that compute without end would fight over the processors."""
    competitors = [ours(), *go_peers(), *(one for one in python_peers() if one.name == HTTP_SERVER)]
    for competitor in competitors:
        progress(f"probes, {competitor.name} stuck in a {way}")
        with competitor.start(BENCH_STUCK=way) as running:
            time.sleep(SETTLE_S)
            for _ in range(WARM_UP):
                timed_probe(running.port)
            taken = [timed_probe(running.port) for _ in range(PROBES)]
        figures.add(
            f"{competitor.name}, {way}",
            p50_ms=quantile(taken, 0.5),
            p99_ms=quantile(taken, 0.99),
            max_ms=max(taken),
        )


def main() -> None:
    """Measure and print."""
    given = conditions(go=go_version(), probes=PROBES)
    figures = Figures(compared=("p50_ms", "p99_ms"))
    for way in STUCK:
        measure(figures, way)
    show("A probe of a service whose worker is stuck", given, figures)


if __name__ == "__main__":
    main()
