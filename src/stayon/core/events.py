"""What passes between the host and whoever started it."""

from __future__ import annotations

from stayon.core.record import Record

# What a descriptor is watched for; the numbers are epoll's and poll's.
READABLE = 1
WRITABLE = 4

# The kind of an event by which a starter says that whoever started us does not take what it is told; *detail* and
# *code* are the system's error.
UNHEARD = "unheard"


class Report(Record):
    """What the host tells whoever started it. *checkpoint* and *wait_hint_s* are a pending state's pulse
    (``core.pulse``), 0 in the others. *reloading*: the configuration is being read again, the state stays as it is.
    *error_number* is the errno of what it failed with, if that has one.
    """

    state: str
    status: str = ""
    checkpoint: int = 0
    wait_hint_s: float = 0.0
    exit_code: int = 0
    why: str = ""
    reloading: bool = False
    error_number: int = 0


class Event(Record):
    """What a platform tells besides requests, for ``on_event``: ``continued`` after Ctrl-Z; power, session, custom
    codes.

    *detail* is the platform's own word for it, *code* its number (a custom code, a session, by how many milliseconds
    the clock was set), 0 for none.
    """

    kind: str
    detail: str = ""
    code: int = 0


class Request(Record):
    """Something asked for from outside: *event* is one of ``core.states.REQUESTS``, or ``"dump"``, ``"suspend"``."""

    event: str
    source: str = ""
    detail: str = ""
    exit_code: int = 0
