"""The life of a service: the SCM's seven states, the events that move it, and the one table that says how.

The table is total: every event has a cell in every state, so nothing can happen that was not thought of.
"""

from __future__ import annotations

from stayon.core.record import Record

STOPPED = "STOPPED"
START_PENDING = "START_PENDING"
RUNNING = "RUNNING"
PAUSE_PENDING = "PAUSE_PENDING"
PAUSED = "PAUSED"
CONTINUE_PENDING = "CONTINUE_PENDING"
STOP_PENDING = "STOP_PENDING"

STATES = (STOPPED, START_PENDING, RUNNING, PAUSE_PENDING, PAUSED, CONTINUE_PENDING, STOP_PENDING)
PENDING = frozenset({START_PENDING, PAUSE_PENDING, CONTINUE_PENDING, STOP_PENDING})

# The number each state has in SERVICE_STATUS.dwCurrentState
# (https://learn.microsoft.com/windows/win32/api/winsvc/ns-winsvc-service_status).
SCM_NUMBERS = {
    STOPPED: 1,
    START_PENDING: 2,
    STOP_PENDING: 3,
    RUNNING: 4,
    CONTINUE_PENDING: 5,
    PAUSE_PENDING: 6,
    PAUSED: 7,
}

# What asks for something (from outside) ...
START = "start"
STOP = "stop"
PAUSE = "pause"
RESUME = "resume"
RELOAD = "reload"
INTERROGATE = "interrogate"
FORCE = "force"
# ... and what tells that something happened (from inside).
READY = "ready"
PAUSE_DONE = "pause-done"
RESUME_DONE = "resume-done"
HOOK_FAILED = "hook-failed"
FINISHED = "finished"
FAILED = "failed"
TIMED_OUT = "timed-out"
ALL_ENDED = "all-ended"

REQUESTS = (START, STOP, PAUSE, RESUME, RELOAD, INTERROGATE, FORCE)
REPORTS = (READY, PAUSE_DONE, RESUME_DONE, HOOK_FAILED, FINISHED, FAILED, TIMED_OUT, ALL_ENDED)
EVENTS = REQUESTS + REPORTS

# What the host does. Each is a method of the host called ``do_<name>``.
NOTHING = "nothing"
REFUSE = "refuse"
ANSWER = "answer"
BEGIN_START = "begin_start"
BEGIN_RUN = "begin_run"
BEGIN_PAUSE = "begin_pause"
BEGIN_RESUME = "begin_resume"
BEGIN_RELOAD = "begin_reload"
BEGIN_STOP = "begin_stop"
KEEP_FAILURE = "keep_failure"
FORCE_STOP = "force_stop"
END = "end"

ACTIONS = (
    NOTHING,
    REFUSE,
    ANSWER,
    BEGIN_START,
    BEGIN_RUN,
    BEGIN_PAUSE,
    BEGIN_RESUME,
    BEGIN_RELOAD,
    BEGIN_STOP,
    KEEP_FAILURE,
    FORCE_STOP,
    END,
)


class Cell(Record):
    """What to do, the state afterwards, and, for a refusal, the reason in words."""

    action: str
    next: str
    why: str = ""


def _stay(state: str, action: str, why: str = "") -> Cell:
    return Cell(action, state, why)


def _row(state: str, special: dict[str, Cell]) -> dict[str, Cell]:
    """A state's row: what is special about it, over what holds in every living state."""
    usual = {
        START: _stay(state, REFUSE, "it has been started already"),
        STOP: Cell(BEGIN_STOP, STOP_PENDING),
        PAUSE: _stay(state, REFUSE, f"it is {state}"),
        RESUME: _stay(state, REFUSE, f"it is {state}"),
        RELOAD: _stay(state, BEGIN_RELOAD),
        INTERROGATE: _stay(state, ANSWER),
        FORCE: Cell(FORCE_STOP, STOP_PENDING),
        READY: _stay(state, NOTHING),
        PAUSE_DONE: _stay(state, NOTHING),
        RESUME_DONE: _stay(state, NOTHING),
        HOOK_FAILED: Cell(BEGIN_STOP, STOP_PENDING),
        FINISHED: Cell(BEGIN_STOP, STOP_PENDING),
        FAILED: Cell(BEGIN_STOP, STOP_PENDING),
        TIMED_OUT: Cell(BEGIN_STOP, STOP_PENDING),
        ALL_ENDED: _stay(state, NOTHING),
    }
    return {**usual, **special}


_WAIT_FOR_READY = "it is still starting; ask again when it is RUNNING"

TABLE: dict[str, dict[str, Cell]] = {
    STOPPED: {
        **{event: _stay(STOPPED, REFUSE, "it is not running") for event in REQUESTS},
        **{event: _stay(STOPPED, NOTHING) for event in REPORTS},
        START: Cell(BEGIN_START, START_PENDING),
        INTERROGATE: _stay(STOPPED, ANSWER),
    },
    START_PENDING: _row(
        START_PENDING,
        {
            READY: Cell(BEGIN_RUN, RUNNING),
            PAUSE: _stay(START_PENDING, REFUSE, _WAIT_FOR_READY),
            RELOAD: _stay(START_PENDING, REFUSE, _WAIT_FOR_READY),
        },
    ),
    RUNNING: _row(
        RUNNING,
        {
            PAUSE: Cell(BEGIN_PAUSE, PAUSE_PENDING),
            RESUME: _stay(RUNNING, ANSWER),
            HOOK_FAILED: _stay(RUNNING, ANSWER),
        },
    ),
    # A pause hook that fails leaves the service as it was: running. It asked for less work, and losing all of it is
    # worse.
    PAUSE_PENDING: _row(
        PAUSE_PENDING,
        {
            PAUSE: _stay(PAUSE_PENDING, NOTHING),
            PAUSE_DONE: Cell(ANSWER, PAUSED),
            HOOK_FAILED: Cell(BEGIN_RUN, RUNNING),
            TIMED_OUT: Cell(BEGIN_RUN, RUNNING),
        },
    ),
    PAUSED: _row(
        PAUSED,
        {
            PAUSE: _stay(PAUSED, ANSWER),
            RESUME: Cell(BEGIN_RESUME, CONTINUE_PENDING),
            HOOK_FAILED: _stay(PAUSED, ANSWER),
        },
    ),
    # Likewise, a resume hook that fails leaves it paused, where the operator can look and try again.
    CONTINUE_PENDING: _row(
        CONTINUE_PENDING,
        {
            RESUME: _stay(CONTINUE_PENDING, NOTHING),
            RESUME_DONE: Cell(BEGIN_RUN, RUNNING),
            HOOK_FAILED: Cell(ANSWER, PAUSED),
            TIMED_OUT: Cell(ANSWER, PAUSED),
        },
    ),
    # While stopping, a later failure is kept only if it is the first: what stopped us is never masked by how it went.
    STOP_PENDING: _row(
        STOP_PENDING,
        {
            START: _stay(STOP_PENDING, REFUSE, "it is stopping"),
            STOP: _stay(STOP_PENDING, NOTHING),
            PAUSE: _stay(STOP_PENDING, REFUSE, "it is stopping"),
            RESUME: _stay(STOP_PENDING, REFUSE, "it is stopping"),
            RELOAD: _stay(STOP_PENDING, REFUSE, "it is stopping"),
            HOOK_FAILED: _stay(STOP_PENDING, KEEP_FAILURE),
            FINISHED: _stay(STOP_PENDING, NOTHING),
            FAILED: _stay(STOP_PENDING, KEEP_FAILURE),
            TIMED_OUT: Cell(FORCE_STOP, STOP_PENDING),
            ALL_ENDED: Cell(END, STOPPED),
        },
    ),
}


def decide(state: str, event: str) -> Cell:
    """The cell for *event* in *state*. Raises ``KeyError`` for a name that is not in ``STATES`` or ``EVENTS``."""
    return TABLE[state][event]
