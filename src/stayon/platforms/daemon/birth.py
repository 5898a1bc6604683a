"""What a daemon is given at its birth, in its environment: the ends that its parents left open for it."""

from __future__ import annotations

from stayon.core.record import Record

# Never set by people, and taken out of the environment at once.
VARIABLE = "STAYON_DAEMON"


class Birth(Record):
    """*report_fd* is the pipe on which the daemon says how its start goes (-1: nobody asks any more), *pid_file_fd*
    holds the lock on *pid_file* (-1 and "": there is none). *pid* is who all this is for: exec(2) does not change it,
    and whatever the daemon starts has another.
    """

    pid: int
    report_fd: int = -1
    pid_file_fd: int = -1
    pid_file: str = ""

    def text(self) -> str:
        """All fields, for the environment."""
        return f"{self.pid} {self.report_fd} {self.pid_file_fd} {self.pid_file}"


def birth_of(text: str, pid: int) -> Birth | None:
    """What ``Birth.text`` said to the process *pid*; None if it wasn't said to this one."""
    try:
        meant, report_fd, pid_file_fd, pid_file = text.split(" ", 3)
        birth = Birth(int(meant), int(report_fd), int(pid_file_fd), pid_file)
    except ValueError:
        return None
    return birth if birth.pid == pid else None
