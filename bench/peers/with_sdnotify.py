"""The peer of the systemd figures in Python as it is written today: asyncio, logging, the package sdnotify."""

import asyncio
import json
import logging
import os
import signal
import sys

import sdnotify

log = logging.getLogger("collector")


class JsonFormatter(logging.Formatter):
    """A line of JSON for each record."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record), "level": record.levelname.lower(), "service": "collector",
            "pid": os.getpid(), "message": record.getMessage(), "fields": getattr(record, "fields", {}),
        }  # fmt: skip
        return json.dumps(line)


async def collect() -> None:
    """The job."""
    while True:
        log.info("collected", extra={"fields": {"prices": 3}})
        await asyncio.sleep(5)


async def feed(notifier: sdnotify.SystemdNotifier) -> None:
    """The watchdog."""
    interval_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6 / 3
    while interval_s:
        notifier.notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)


async def main() -> None:
    """Run until SIGTERM."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    notifier = sdnotify.SystemdNotifier()
    tasks = [asyncio.create_task(collect()), asyncio.create_task(feed(notifier))]
    notifier.notify("READY=1")
    await stopping.wait()
    notifier.notify("STOPPING=1")
    for task in tasks:
        task.cancel()
    log.info("stopped")


if __name__ == "__main__":
    asyncio.run(main())
