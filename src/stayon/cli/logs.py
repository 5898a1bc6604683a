"""``logs``: the last lines, and those that come."""

from __future__ import annotations

import os
import sys
import time

from stayon import exits
from stayon.cli.log_source import Query, follow, read, source_of
from stayon.cli.words import level_of
from stayon.core.duration import seconds
from stayon.errors import UsageError
from stayon.runtime.logs import filters
from stayon.runtime.logs.stamps import moment_of
from stayon.runtime.logs.text import TextRenderer, wants_color

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stayon.cli.command import Call

STDOUT = 1


def logs(call: Call) -> int:
    """Print the log: text for people, or with ``--json`` the lines as they are stored."""
    given = call.given
    call.here().prepare()  # a console of Windows has to be told to show colours
    query = _query(given)
    show = _shown_as_stored if "json" in given else _text()
    source = source_of(call)
    if "follow" in given:
        follow(source, query, show)
    else:
        for line in read(source, query):
            show(line)
    return exits.DONE


def _query(given: Mapping[str, str]) -> Query:
    level = level_of(given["level"]) if "level" in given else 0
    job, since = given.get("job", ""), _since(given.get("since", ""))
    return Query(
        _count(given.get("lines", "50")),
        lambda line: filters.matches(filters.decode(line), level=level, job=job, since=since),
        since,
    )


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
