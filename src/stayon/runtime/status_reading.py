"""The reader's side of the status page: what it says, and what to make of that when the process says nothing more."""

from __future__ import annotations

import os
import time

from stayon import exits
from stayon.core.record import Record
from stayon.errors import NotPermittedError
from stayon.runtime.status import PAGE_BYTES, Status, page_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

NEVER_RUN = "never-run"
STARTING = "starting"
RUNNING = "running"
NOT_RESPONDING = "not-responding"
ENDED = "ended"
DIED = "died"

# A page that is being written is whole again within microseconds; one that stays torn is not worth waiting for.
_ATTEMPTS = 50
_PAUSE_S = 0.002
_MISSED_BEATS = 3
_BEAT_GRACE_S = 1.0

_TEXTS = (
    "service", "instance", "process", "state", "since", "started_at", "status", "health", "why", "probes", "logs",
    "log_level",
)  # fmt: skip


class Reading(Record):
    """What is known about a service. *verdict* is one of the names above; *text* says it to a person.

    *status* is the page (None if there is none that can be read), *silent_s* the time since its last heartbeat.
    """

    verdict: str
    text: str
    status: Status | None = None
    silent_s: float = 0.0


class Facts(Record):
    """What the reader found out besides the page: the monotonic clock, and whether process and lock are there."""

    now_s: float
    pid_alive: bool
    lock_held: bool


def read_status(path: str, now_s: float, pid_alive: Callable[[int, str], bool], *, lock_held: bool) -> Reading:
    """The page at *path*, judged.

    *now_s* is ``Clock.monotonic()``; ``pid_alive(pid, process)`` says whether that very process lives; *lock_held*
    whether somebody holds the service's lock. Blocks for 0.1 s at most, if the page is torn. Raises
    ``NotPermittedError``.
    """
    status = read_page(path)
    alive = status is not None and pid_alive(status.pid, status.process)
    return judge(status, Facts(now_s, alive, lock_held))


def read_page(path: str) -> Status | None:
    """What the page at *path* says; None without one, or if it stays unreadable. Raises ``NotPermittedError``."""
    for attempt in range(_ATTEMPTS):
        try:
            page = _bytes_of(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise NotPermittedError(
                "the status page may not be read",
                where=path,
                why=error.strerror or "",
                hint="Ask as the account that runs the service, or as an administrator.",
                code="status.not-permitted",
            ) from error
        except OSError:
            return None  # something else than a page
        text = page_fields(page)
        if text is not None:
            return _status(text)
        if attempt:
            time.sleep(_PAUSE_S)
    return None


def _bytes_of(path: str) -> bytes:
    # Its directory is the service's, which may have been taken over: what it has put there instead of its page may be a
    # pipe that never ends, or lead to a device on which merely opening does something.
    fd = os.open(path, os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK")))
    try:
        return os.read(fd, 2 * PAGE_BYTES)
    finally:
        os.close(fd)


def _status(text: str) -> Status | None:
    """The fields this version knows; None if one that has no default is missing, or is of another kind: another version
    wrote the page, or somebody else.
    """
    import json

    try:
        found: Mapping[str, Any] = json.loads(text)
        known = {name: found[name] for name in Status.__fields__ if name in found}
        known["jobs"] = tuple(known.get("jobs", ()))
        status = Status(**known)
    except (TypeError, ValueError, RecursionError):
        return None
    return status if _is_sound(status) else None


def _is_sound(status: Status) -> bool:
    """Whether every field is of its kind, and the process one that there can be: 0 and less are whole groups."""
    counts = (status.pid, status.generation, status.restarts, status.jobs_left_out, status.exit_code or 0)
    times = (status.beat_s, status.beat_every_s)
    return (
        all(type(getattr(status, name)) is str for name in _TEXTS)
        and all(type(count) is int for count in counts)
        and all(type(time_s) in (int, float) and time_s - time_s == 0 for time_s in times)
        and all(type(job) is dict for job in status.jobs)
        and status.pid > 0
        and status.process != ""
    )


def judge(status: Status | None, facts: Facts) -> Reading:
    """What to make of a page and the facts beside it. Pure; every case is a line of the table in the tests."""
    if facts.lock_held and facts.pid_alive and status is not None and status.exit_code is not None:
        # A process that starts itself again keeps its pid, and its lock while it waits.
        return Reading(STARTING, f"waiting to be started again; it {_end_text(status)}", status)
    if facts.lock_held and (status is None or status.exit_code is not None or not facts.pid_alive):
        return Reading(STARTING, "starting: it has not said anything yet")
    if status is None:
        return Reading(NEVER_RUN, "it has not been run on this computer, or left no trace")
    if status.exit_code is not None:
        return Reading(ENDED, _end_text(status), status)
    silent_s = max(0.0, facts.now_s - status.beat_s)
    if not facts.pid_alive:
        text = f"died without a word: process {status.pid} is gone, its last word was {status.state}"
        return Reading(DIED, text, status, silent_s)
    if silent_s > _MISSED_BEATS * status.beat_every_s + _BEAT_GRACE_S:
        text = f"not responding for {silent_s:.0f} s, process {status.pid}, its last word was {status.state}"
        return Reading(NOT_RESPONDING, text, status, silent_s)
    return Reading(RUNNING, f"{status.state}, process {status.pid}, since {status.since}", status, silent_s)


def _end_text(status: Status) -> str:
    code = status.exit_code if status.exit_code is not None else exits.DONE
    text = f"ended {status.since} with exit code {code} ({exits.meaning(code)})"
    return f"{text}: {status.why}" if status.why else text
