"""The lines in which a daemon's start is told: by the daemon, and by the witness who stays with it until then."""

from __future__ import annotations

from stayon.core.record import Record

WAIT, RUNNING, STOPPED, AGAIN = b"WAIT", b"RUNNING", b"STOPPED", b"AGAIN"
PID, LATE, EXIT = b"PID", b"LATE", b"EXIT"

# What fits into a pipe without being torn or waiting (pipe(7) has 4096).
_LINE_BYTES = 2048


class Outcome(Record):
    """How the start of the daemon *pid* went. *exit_code* is None unless its process has ended or its run has; it is
    negative for what a signal ended. *again_s* is the time until it tries again by itself (None: it doesn't), *is_late*
    says that it was ended because it took too long.
    """

    pid: int = 0
    is_running: bool = False
    exit_code: int | None = None
    why: str = ""
    again_s: float | None = None
    is_late: bool = False


def wait(hint_s: float) -> bytes:
    """It is at it, and says so again within *hint_s*."""
    return b"WAIT %.3f\n" % hint_s


def running() -> bytes:
    """It is RUNNING."""
    return RUNNING + b"\n"


def stopped(exit_code: int, why: str) -> bytes:
    """Its run has ended."""
    line = f"{STOPPED.decode()} {exit_code} {' '.join(why.split())}".encode("utf-8", "backslashreplace")
    return line[:_LINE_BYTES] + b"\n"


def again(in_s: float) -> bytes:
    """It tries again in *in_s*."""
    return b"AGAIN %.3f\n" % in_s


def outcome_of(told: bytes) -> Outcome:
    """What all the lines together say. Those that are torn or unknown say nothing."""
    outcome = Outcome()
    for line in told.split(b"\n"):
        word, _, rest = line.partition(b" ")
        try:
            outcome = _with(outcome, word, rest)
        except ValueError:
            continue
    return outcome


def _with(outcome: Outcome, word: bytes, rest: bytes) -> Outcome:
    if word == PID:
        return outcome.replace(pid=int(rest))
    if word == RUNNING:
        return outcome.replace(is_running=True)
    if word == LATE:
        return outcome.replace(is_late=True)
    if word == AGAIN:
        return outcome.replace(again_s=float(rest))
    if word == STOPPED:
        code, _, why = rest.partition(b" ")
        return outcome.replace(is_running=False, exit_code=int(code), why=why.decode("utf-8", "replace"))
    if word == EXIT:
        return outcome.replace(is_running=False, exit_code=int(rest))
    return outcome
