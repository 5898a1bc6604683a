"""What the Python peers share: the log formatter that people write by hand, the configuration, the ways to be stuck."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
import tomllib
from typing import Any

CONFIG = os.environ.get("BENCH_CONFIG", "")
PORT = int(os.environ.get("BENCH_PORT", "0"))
POLL_S = 1.0

log = logging.getLogger("collector")


class JsonFormatter(logging.Formatter):
    """One line of JSON for a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
            "fields": getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up_logging() -> None:
    """JSON on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    log.addHandler(handler)
    log.setLevel(logging.INFO)


class Live:
    """The configuration, and what has been counted."""

    def __init__(self) -> None:
        self.seen = 0
        self.config: dict[str, Any] = {}
        self.runs = self.reloads = 0
        self.read()

    def read(self) -> None:
        """Read the file."""
        self.seen = os.stat(CONFIG).st_mtime_ns
        with open(CONFIG, "rb") as file:
            self.config = tomllib.load(file)

    def look(self) -> None:
        """Read the file again if it has changed, and say so on stdout. A bad one is told, and the old one holds."""
        try:
            if os.stat(CONFIG).st_mtime_ns == self.seen:
                return
            self.read()
        except (OSError, tomllib.TOMLDecodeError):
            log.exception("configuration not applied")
            return
        self.reloads += 1
        print(self.config["prices"], flush=True)

    def collect(self) -> None:
        """The job."""
        self.runs += 1
        log.info("collected", extra={"fields": {"prices": self.config["prices"]}})

    def metrics(self) -> str:
        """The figures in Prometheus' text format."""
        return (
            f"# TYPE collector_runs_total counter\ncollector_runs_total {self.runs}\n"
            f"# TYPE collector_reloads_total counter\ncollector_reloads_total {self.reloads}\n"
        )


def get_stuck() -> None:
    """Start a thread that is stuck as BENCH_STUCK says, if it does."""
    way = os.environ.get("BENCH_STUCK", "")
    if way:
        threading.Thread(target=_be_stuck, args=(way,), daemon=True).start()


def _be_stuck(way: str) -> None:
    if way == "lock":
        threading.Event().wait()
    elif way == "system call":
        os.read(os.pipe()[0], 1)
    while True:
        pass
