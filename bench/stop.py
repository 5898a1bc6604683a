"""How long a service takes from SIGTERM until its process has ended, when nothing resists: stayon beside its peers.

Each is started, left alone until a moment after it is ready, and asked to stop, in turn.

``python bench/stop.py [--json]``
"""

from __future__ import annotations

import time

from _competitors import all_of_them, go_version
from _figures import Figures, conditions, progress, show

ROUNDS = 20
SETTLE_S = 0.5


def main() -> None:
    """Measure and print."""
    given = conditions(go=go_version(), rounds=ROUNDS)
    figures = Figures(compared=("stop_ms",), spread=("stop_ms",))
    competitors = all_of_them()
    for number in range(ROUNDS):
        progress(f"stop, round {number + 1} of {ROUNDS}")
        for competitor in competitors:
            with competitor.start() as running:
                time.sleep(SETTLE_S)
                figures.add(competitor.name, stop_ms=running.stop())
    show("SIGTERM to the end of the process", given, figures)


if __name__ == "__main__":
    main()
