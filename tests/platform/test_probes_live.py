"""Probes of a whole service: they answer while the user's code is stuck, and say what is so."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.platform.conftest import Program


def get(port: int, path: str) -> tuple[int, str]:
    """The status and text of one request."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_probes_answer_while_the_worker_is_stuck(
    program: Program, note: Callable[[object], object], free_port: Callable[[], int]
) -> None:
    """The main thread computes without end; ``/livez`` and ``/readyz`` answer all the same; the times are printed."""
    port = free_port()
    started = program.run(f"""
        service = Service("s", probes={port}, stop_timeout="300ms")

        @service.run
        def main(ctx):
            ctx.ready()
            while True:
                sum(range(1000))
        """)
    times = []
    for _ in range(50):
        begun = time.perf_counter()
        assert get(port, "/livez")[0] == 200
        times.append(time.perf_counter() - begun)
    times.sort()
    note(f"livez under a stuck worker: median {times[25] * 1000:.1f} ms, worst {times[-1] * 1000:.1f} ms")
    assert get(port, "/readyz")[0] == 200
    assert times[25] < 0.1
    assert started.stop() == 70


def test_readyz_tells_the_state_and_the_checks(
    program: Program, free_port: Callable[[], int], until: Callable[..., object]
) -> None:
    """``/startupz`` turns when it has started, ``/readyz`` with pauses and checks; ``/livez`` stays well throughout."""
    port = free_port()
    started = program.start(f"""
        import os
        service = Service("s", probes={port}, stop_timeout="1s")

        @service.check(every="20ms", fall=1)
        def disk(ctx):
            if os.path.exists("bad"):
                raise OSError("no room")

        @service.run
        def main(ctx):
            while not os.path.exists("go"):
                ctx.stopping.wait(0.01)
            ctx.ready()
            ctx.stopping.wait()
        """)
    started.wait_log("START_PENDING")
    assert (get(port, "/startupz")[0], get(port, "/readyz")[0], get(port, "/livez")[0]) == (503, 503, 200)
    (program.folder / "go").touch()
    started.wait_running()
    until(lambda: get(port, "/readyz")[0] == 200, "readiness")
    assert get(port, "/startupz")[0] == 200
    (program.folder / "bad").touch()
    started.wait_log("health check", 2)
    code, text = get(port, "/readyz?verbose")
    assert code == 503
    assert "OSError: no room" in text
    assert json.loads(text[text.index("{") :])["checks"]["disk"]["status"] == "failing"
    (program.folder / "bad").unlink()
    started.wait_log("health check", 3)
    assert get(port, "/readyz")[0] == 200
    assert program.verb("pause").code == 0
    assert (get(port, "/readyz")[0], get(port, "/livez")[0], get(port, "/startupz")[0]) == (503, 200, 200)
    assert program.verb("resume").code == 0
    assert get(port, "/readyz")[0] == 200
    assert started.stop() == 0


@pytest.mark.needs_promtool
def test_metrics_please_promtool(program: Program, free_port: Callable[[], int]) -> None:
    """The whole page of a service with jobs, checks and metrics of the user's: promtool has no complaints."""
    port = free_port()
    started = program.run(f"""
        service = Service("s", version="1.2", probes={port})

        @service.every("20ms")
        def work(ctx):
            ctx.metrics.counter("orders_total", "Orders taken.", labels=("kind",)).labels(kind='a "b"').inc()
            ctx.metrics.gauge("queue_length", "Orders that wait.").set(3)
            ctx.metrics.histogram("order_seconds", "How long an order takes.").observe(0.2)
            ctx.log.info("worked")

        @service.every("20ms")
        def bad(ctx):
            raise ValueError("boom")

        @service.check
        def disk(ctx):
            return True
        """)
    started.wait_log("worked", 5)
    code, text = get(port, "/metrics")
    assert code == 200
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, ""), text
    for line in (
        'stayon_job_runs_total{job="work",result="success"}',
        'orders_total{kind="a \\"b\\""}',
        "queue_length 3",
    ):
        assert line in text
    assert started.stop() == 0


def test_asyncio_from_end_to_end(program: Program) -> None:
    """``async def`` run, tasks and jobs share one loop; on stop they see ``ctx.stopping``, or are cancelled in time."""
    started = program.run("""
        import asyncio, threading
        service = Service("s", stop_timeout="1s")

        @service.run
        async def main(ctx):
            ctx.log.info("main", on_main=threading.current_thread() is threading.main_thread())
            ctx.ready()
            await ctx.stopping.wait_async()
            ctx.log.info("main saw it")

        @service.task
        async def stubborn(ctx):
            try:
                await asyncio.sleep(60)
            finally:
                ctx.log.info("cancelled in time")

        @service.every("20ms")
        async def work(ctx):
            await asyncio.sleep(0.001)
            ctx.log.info("worked", loop=id(asyncio.get_running_loop()))

        @service.every("20ms")
        def plain(ctx):
            ctx.log.info("plain", on_main=threading.current_thread() is threading.main_thread())
        """)
    started.wait_log("worked", 3)
    started.wait_log("plain", 3)
    assert started.stop() == 0
    assert started.records("main saw it")
    assert started.records("cancelled in time")
    assert len({record["fields"]["loop"] for record in started.records("worked")}) == 1
    assert started.records("main")[0]["fields"] == {"on_main": True}
    assert {record["fields"]["on_main"] for record in started.records("plain")} == {False}


def test_an_async_run_beside_a_plain_one(program: Program) -> None:
    """With a plain ``run`` on the main thread, ``async def`` jobs have their loop on another, and both end on stop."""
    started = program.run("""
        import asyncio, threading
        service = Service("s", stop_timeout="1s")

        @service.run
        def main(ctx):
            ctx.ready()
            ctx.stopping.wait()

        @service.every("20ms", timeout="50ms")
        async def slow(ctx):
            ctx.log.info("begun", on_main=threading.current_thread() is threading.main_thread())
            await asyncio.sleep(60)
        """)
    failed = started.wait_log("job failed")
    assert failed["fields"]["result"] == "timeout"
    started.wait_log("begun", 2)
    assert started.stop() == 0
    assert {record["fields"]["on_main"] for record in started.records("begun")} == {False}
