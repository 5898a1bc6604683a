"""How long it takes from writing the configuration until the service works by it: stayon beside its peers.

Each writes a line when a new configuration holds, and this process waits for it. *renamed*: a new file is moved over
the old one, as editors and configuration management do; *written*: the file is overwritten in place. stayon waits until
nothing has changed for 150 ms before it reads, so as not to read half a file; then it parses, validates and prepares.
Go (told by the kernel) reads at once, whole or half; the others look once a second.

``python bench/reload.py [--json]``
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import time

from _competitors import go_peers, go_version, ours, python_peers
from _figures import Figures, conditions, progress, show
from _process import Running

ROUNDS = 20
LIMIT_S = 10.0
# Peers that look once a second shall not be met at the same moment of theirs each time.
PAUSE_S = (0.0, 1.0)


def write(running: Running, prices: int, *, renamed: bool) -> None:
    """Change the configuration in one of the two ways."""
    if not renamed:
        running.write_config(prices)
        return
    beside = running.config.with_name("new")
    beside.write_text(running.config_text(prices))
    beside.replace(running.config)


def applied(running: Running, prices: int) -> None:
    """Wait until it says that *prices* hold."""
    fd, heard = running.stdout_fd, b""
    while f"{prices}\n".encode() not in heard:
        if not select.select([fd], [], [], LIMIT_S)[0]:
            raise RuntimeError(f"not applied within {LIMIT_S:g} s:\n{(running.folder / 'stderr').read_text()}")
        part = os.read(fd, 4096)
        if not part:
            raise RuntimeError(f"it has ended:\n{(running.folder / 'stderr').read_text()}")
        heard += part


def main() -> None:
    """Measure and print."""
    given = conditions(go=go_version(), rounds=ROUNDS)
    measured = ("renamed_ms", "written_ms")
    figures = Figures(compared=measured, spread=measured)
    chance = random.Random(1)  # noqa: S311  # no secret
    with contextlib.ExitStack() as stack:
        competitors = [ours(), *go_peers(polling=True), *python_peers()]
        all_running = {one.name: stack.enter_context(one.start()) for one in competitors}
        for number in range(2, 2 * ROUNDS + 2):
            progress(f"reload, {number - 1} of {2 * ROUNDS}")
            for who, running in all_running.items():
                time.sleep(chance.uniform(*PAUSE_S))
                figures.add(who, **measure(running, number, renamed=number % 2 == 0))
    show("From writing the configuration until it holds", given, figures)


def measure(running: Running, prices: int, *, renamed: bool) -> dict[str, float]:
    """Change it once."""
    began = time.perf_counter()
    write(running, prices, renamed=renamed)
    applied(running, prices)
    return {"renamed_ms" if renamed else "written_ms": (time.perf_counter() - began) * 1000}


if __name__ == "__main__":
    main()
