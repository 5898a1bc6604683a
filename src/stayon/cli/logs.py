"""``logs``: the last lines, and those that come."""

from __future__ import annotations

import os
import sys
import time

from stayon import exits
from stayon.cli.ask import peer
from stayon.cli.words import level_of
from stayon.core.duration import seconds
from stayon.core.events import READABLE
from stayon.errors import UnavailableError, UsageError
from stayon.runtime.logs import filters
from stayon.runtime.logs.follow import follow, read_last
from stayon.runtime.logs.stamps import moment_of
from stayon.runtime.logs.text import TextRenderer, wants_color

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stayon.cli.command import Call
    from stayon.machine import Machine

STDOUT = 1


def logs(call: Call) -> int:
    """Print the log: text for people, or with ``--json`` the lines as they are stored."""
    given, machine = call.given, call.here()
    machine.prepare()  # a console of Windows has to be told to show colours
    paths = peer(call).paths
    directory, count = paths.places.logs, _count(given.get("lines", "50"))
    wanted = _wanted(given)
    show = _shown_as_stored if "json" in given else _text()
    if "follow" not in given:
        lines = _read(directory, paths.log_name, count, wanted, machine.open_shared)
        for line in lines:
            show(line)
        return exits.DONE
    for line in follow(directory, paths.log_name, _waiter(machine, directory), count, wanted, machine.open_shared):
        show(line)
    return exits.DONE


def _read(
    directory: str, name: str, count: int, wanted: Callable[[str], bool], opener: Callable[[str], int]
) -> list[str]:
    try:
        lines = read_last(directory, name, count, wanted, opener)
    except OSError as error:
        raise UnavailableError(
            "the log cannot be read",
            where=error.filename or directory,
            why=error.strerror or "",
            code="logs.unreadable",
        ) from error
    if not lines and not os.path.isdir(directory):
        raise UnavailableError(
            "there is no log", where=directory, hint="Has it been run on this account?", code="logs.none"
        )
    return lines


def _waiter(machine: Machine, directory: str) -> Callable[[float], object]:
    """Call it to wait until something happens in *directory*, or so many seconds are over."""
    watch, poller = machine.directory_watch(), machine.poller()
    watch.watch([directory], writes=True)
    fd = watch.fileno()
    if fd >= 0:
        poller.register(fd, READABLE)

    def wait(timeout_s: float) -> None:
        if poller.wait(timeout_s):
            watch.drain()

    return wait


def _wanted(given: Mapping[str, str]) -> Callable[[str], bool]:
    level = level_of(given["level"]) if "level" in given else 0
    job, since = given.get("job", ""), _since(given.get("since", ""))
    return lambda line: filters.matches(filters.decode(line), level=level, job=job, since=since)


def _since(text: str) -> float | None:
    if not text:
        return None
    moment = moment_of(text)
    return moment if moment is not None else time.time() - seconds(text, where="--since")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"--lines {text!r} is not a number", hint="Try --lines 100.", code="usage.option")
    return int(text)


def _shown_as_stored(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _text() -> Callable[[str], None]:
    renderer = TextRenderer(color=wants_color(STDOUT, os.environ), encoding=sys.stdout.encoding or "utf-8")

    def show(line: str) -> None:
        sys.stdout.buffer.write(renderer.stored(line))
        sys.stdout.buffer.flush()

    return show
