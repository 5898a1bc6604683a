"""The service that is measured: a job every five seconds, logs in JSON, a live configuration file, probes and metrics.

Its peers in this folder do the same. BENCH_PORT, BENCH_CONFIG and BENCH_STUCK say how to run. A line on stdout says
which configuration holds now.
"""

from __future__ import annotations

import os

from stayon import Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from stayon import Context

service = Service("collector", config_file=os.environ["BENCH_CONFIG"], probes=os.environ["BENCH_PORT"])


@service.every("5s")
def collect(ctx: Context) -> None:
    """Say what was collected."""
    ctx.log.info("collected", prices=ctx.config["prices"])


@service.on_reload
def tell(_ctx: Context, new: dict[str, int], _old: dict[str, int]) -> Iterator[None]:
    """Say which configuration holds, once it does."""
    yield
    os.write(1, b"%d\n" % new["prices"])


WAY = os.environ.get("BENCH_STUCK", "")
if WAY:

    @service.task
    def work(_ctx: Context) -> None:
        """Be stuck for good, as ``BENCH_STUCK`` says."""
        if WAY == "lock":
            from _thread import allocate_lock

            lock = allocate_lock()
            lock.acquire()
            lock.acquire()
        elif WAY == "system call":
            os.read(os.pipe()[0], 1)
        while True:
            pass


if __name__ == "__main__":
    service.main()
