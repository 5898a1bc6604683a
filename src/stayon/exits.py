"""Exit codes: a contract with whoever started the process. 64 to 78 are those of BSD's sysexits(3)."""

from __future__ import annotations

DONE = 0
USAGE = 64
UNAVAILABLE = 69
FAILED = 70
TEMPORARY = 75
NOT_PERMITTED = 77
BAD_CONFIG = 78
HANG = 86
INTERRUPTED = 130
TERMINATED = 143

MEANINGS = {
    DONE: "done",
    USAGE: "used wrongly",
    UNAVAILABLE: "a needed thing is unavailable",
    FAILED: "failed",
    TEMPORARY: "temporary failure",
    NOT_PERMITTED: "not permitted",
    BAD_CONFIG: "bad configuration",
    HANG: "hang",
    INTERRUPTED: "interrupted before ready, or forced",
    TERMINATED: "terminated before ready, or forced",
}

# Starting again cannot help: managers are told not to (systemd's RestartPreventExitStatus).
FINAL = (USAGE, NOT_PERMITTED, BAD_CONFIG)


def meaning(code: int) -> str:
    """What *code* says to a person; a negative code is a signal's number, as ``subprocess`` has it."""
    if code < 0:
        return f"killed by signal {-code}"
    return MEANINGS.get(code, "ended with a code of its own")
