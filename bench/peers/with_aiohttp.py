"""The peer with logging, asyncio and aiohttp."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from _plain import POLL_S, PORT, Live, get_stuck, log, set_up_logging
from aiohttp import web

INTERVAL_S = 5.0


async def repeat(function: Callable[[], None], interval_s: float) -> None:
    """Call *function* at a fixed rate, for ever."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        function()
        due += interval_s
        await asyncio.sleep(max(0.0, due - loop.time()))


async def run() -> None:
    """Run until SIGTERM."""
    live = Live()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)

    async def well(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(text=live.metrics())

    application = web.Application()
    application.add_routes([web.get(path, well) for path in ("/livez", "/readyz", "/startupz")])
    application.add_routes([web.get("/metrics", metrics)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT).start()
    tasks = [asyncio.create_task(repeat(live.collect, INTERVAL_S)), asyncio.create_task(repeat(live.look, POLL_S))]
    get_stuck()
    log.info("running")
    await stopping.wait()
    for task in tasks:
        task.cancel()
    await runner.cleanup()
    log.info("stopped")


if __name__ == "__main__":
    set_up_logging()
    asyncio.run(run())
