"""Log lines a second and MB a second to a file: stayon beside the standard library's ``logging`` with JSON formatters.

Every round writes the same records with each of them in turn, in one process, so that a slow moment hits all of them;
the figures are medians over the rounds. ``python bench/logs.py [--json]``; python-json-logger joins if it is installed.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import statistics
import sys
import tempfile
import time

from stayon.core.levels import INFO
from stayon.runtime.logs.file_sink import FileSink
from stayon.runtime.logs.pipeline import Pipeline
from stayon.runtime.logs.rotate import Rotation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 9
LINES = 8000
OURS = "stayon"
STDLIB = "logging + JSON formatter"
PYTHON_JSON_LOGGER = "logging + python-json-logger"


class JsonFormatter(logging.Formatter):
    """What people write by hand: the same keys as ours, from the same record."""

    ordinary = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "service": "bench",
            "pid": record.process,
            "message": record.getMessage(),
            "fields": {name: value for name, value in vars(record).items() if name not in self.ordinary},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def with_stayon(directory: str) -> Callable[[], None]:
    """A writer of ``LINES`` lines with stayon."""
    pipeline = Pipeline("bench", level=INFO)
    pipeline.use([FileSink(directory, OURS, Rotation(max_bytes=2**40, keep_bytes=2**41))])
    log = pipeline.logger()

    def write() -> None:
        for number in range(LINES):
            log.info("collected", prices=number, source="exchange-a", took_ms=12.5)

    return write


def with_logging(path: str, formatter: logging.Formatter) -> Callable[[], None]:
    """A writer of ``LINES`` lines with ``logging`` and *formatter*; a logger of its own, with nothing else attached."""
    log = logging.Logger("bench", logging.INFO)
    handler = logging.FileHandler(path)
    handler.setFormatter(formatter)
    log.addHandler(handler)

    def write() -> None:
        for number in range(LINES):
            log.info("collected", extra={"prices": number, "source": "exchange-a", "took_ms": 12.5})

    return write


def writers(directory: str) -> dict[str, tuple[str, Callable[[], None]]]:
    """The file and the writer of each competitor, by its name."""
    found = {OURS: (os.path.join(directory, f"{OURS}.log"), with_stayon(directory))}
    path = os.path.join(directory, "stdlib.log")
    found[STDLIB] = path, with_logging(path, JsonFormatter())
    try:
        from pythonjsonlogger.json import JsonFormatter as PeerFormatter
    except ImportError:
        return found
    path = os.path.join(directory, "peer.log")
    formatter = PeerFormatter("%(asctime)s %(levelname)s %(name)s %(process)d %(message)s")
    found[PYTHON_JSON_LOGGER] = path, with_logging(path, formatter)
    return found


def measure() -> dict[str, dict[str, float]]:
    """By competitor: ``lines_per_s``, ``megabytes_per_s`` and ``us_per_line``, medians of ``ROUNDS``."""
    took: dict[str, list[float]] = {}
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as directory:
        competitors = writers(directory)
        for round_number in range(ROUNDS + 1):
            for name, (path, write) in competitors.items():
                begun = time.perf_counter()
                write()
                if round_number:  # the first one only warms up
                    took.setdefault(name, []).append(time.perf_counter() - begun)
                sizes[name] = os.path.getsize(path) // (round_number + 1)
    figures = {}
    for name, rounds in took.items():
        seconds = statistics.median(rounds)
        figures[name] = {
            "lines_per_s": LINES / seconds,
            "megabytes_per_s": sizes[name] / seconds / 1e6,
            "us_per_line": seconds / LINES * 1e6,
        }
    return figures


def main() -> None:
    """Measure and print."""
    figures = measure()
    ours = figures[OURS]["lines_per_s"]
    if "--json" in sys.argv[1:]:
        print(json.dumps({"python": platform.python_version(), "lines": LINES, "rounds": ROUNDS, "figures": figures}))
        return
    print(f"{ROUNDS} rounds of {LINES} lines to a file, Python {platform.python_version()}")
    for name, figure in figures.items():
        print(
            f"{name:30} {figure['lines_per_s']:9,.0f} lines/s  {figure['megabytes_per_s']:6.1f} MB/s"
            f"  {figure['us_per_line']:6.1f} us/line  stayon is {ours / figure['lines_per_s']:.1f}x as fast"
        )


if __name__ == "__main__":
    main()
