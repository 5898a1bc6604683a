"""What passes between the host and whoever started it."""

from __future__ import annotations

from stayon.core.record import Record

# What a descriptor is watched for; the numbers are epoll's and poll's.
READABLE = 1
WRITABLE = 4


class Report(Record):
    """What the host tells whoever started it."""

    state: str
    status: str = ""
    checkpoint: int = 0
    wait_hint_s: float = 0.0
    exit_code: int = 0
    why: str = ""


class Request(Record):
    """Something asked for from outside: *event* is one of ``core.states.REQUESTS``, or ``"dump"``, ``"suspend"``."""

    event: str
    source: str = ""
    detail: str = ""
    exit_code: int = 0
