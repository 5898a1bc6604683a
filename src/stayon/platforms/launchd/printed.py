"""What ``launchctl print`` says of a job, read. Its form is no promise of Apple's, so what is missing is unknown, and
never an error.
"""

from __future__ import annotations

from stayon.core.record import Record

NOT_RUNNING = "not running"


class Job(Record):
    """A job that launchd has loaded. *exit_code* is that of its last end (negative: the signal that ended it), None if
    there was none; *runs* how often it was started; *digest* what its environment says of its definition.
    """

    state: str = NOT_RUNNING
    pid: int = 0
    runs: int = 0
    exit_code: int | None = None
    path: str = ""
    program: str = ""
    digest: str = ""


def parsed(printed: str, digest_variable: str) -> Job:
    """The job of which ``launchctl print DOMAIN/LABEL`` printed this.

    Only the outermost level is the job's own; of what is deeper, its environment is of interest.
    """
    found: dict[str, str] = {}
    environment: dict[str, str] = {}
    above: list[str] = []
    for line in printed.splitlines():
        words = line.strip()
        if words.endswith("{"):
            above.append(words.removesuffix("{").rstrip().removesuffix("=").rstrip())
        elif words == "}":
            del above[-1:]
        elif len(above) == 1:
            key, equals, value = words.partition(" = ")
            if equals:
                found.setdefault(key, value)
        elif len(above) == 2 and above[-1] == "environment":
            key, _, value = words.partition(" => ")
            environment[key] = value
    return Job(
        state=found.get("state", NOT_RUNNING),
        pid=_number(found.get("pid", "")) or 0,
        runs=_number(found.get("runs", "")) or 0,
        exit_code=_exit_code(found),
        path=found.get("path", ""),
        program=found.get("program", ""),
        digest=environment.get(digest_variable, ""),
    )


def _exit_code(found: dict[str, str]) -> int | None:
    """Newer ones tell a signal apart ("Killed: 9"), older ones give a code only ("(never exited)": none)."""
    signal = _number(found.get("last terminating signal", "").rpartition(":")[2])
    if signal:
        return -signal
    return _number(found.get("last exit code", "").partition(":")[0])


def _number(text: str) -> int | None:
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdigit() else None
