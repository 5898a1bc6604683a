"""Which processes there are, and whose: /proc on Linux, ps(1) elsewhere."""

from __future__ import annotations

import os
import sys

from stayon.core.record import Record
from stayon.platforms.run_mark import PAGE_NAME, VARIABLE, is_marked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HAS_PROC = sys.platform == "linux"

# Where fields of /proc/PID/stat are, counted from the one after the program's name (proc_pid_stat(5)).
_STATE, _PARENT, _GROUP, _STARTED = 0, 1, 2, 19

# Python's own helpers of ``multiprocessing``: they clean up after the process whose end they see, and then they end.
_HELPERS = (b"from multiprocessing.resource_tracker import main", b"from multiprocessing.forkserver import main")

# BSD's ps: all processes, with their environments behind their words, however long that is.
PS = ("/bin/ps", "-A", "-E", "-ww", "-o", "pid=,ppid=,pgid=,stat=,command=")


class Process(Record):
    """A process as it was seen. *started* is in clock ticks since some moment, the same for all.

    *is_marked*: it has the mark that was asked for. *ends_by_itself*: when what started it has ended. *is_over*: only
    its exit code is left.
    """

    pid: int
    parent: int
    group: int
    started: int
    name: str
    is_marked: bool = False
    ends_by_itself: bool = False
    is_over: bool = False

    @property
    def identity(self) -> tuple[int, int]:
        """What no other process has or had."""
        return self.pid, self.started


def processes(mark: str, since: int = 0) -> list[Process]:
    """All that can be seen here; *mark* is looked for in those that began at *since* or later. Raises ``OSError``."""
    if not HAS_PROC:
        # (ps sees itself, as our child.)
        seen_by_ps = from_ps(printed(PS), mark)
        return [process for process in seen_by_ps if (process.parent, process.name) != (os.getpid(), "ps")]
    seen = (_seen(int(name), mark, since) for name in os.listdir("/proc") if name.isdecimal())
    return [process for process in seen if process is not None]


def look_at(pid: int) -> Process | None:
    """The process *pid*, without a look at its marks; None if there is none. Linux only."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return from_stat(pid, file.read())
    except (FileNotFoundError, ProcessLookupError):
        return None


def from_stat(pid: int, line: bytes) -> Process:
    """What a line of /proc/PID/stat says. The name may have blanks and parentheses in it."""
    head, _, rest = line.rpartition(b")")
    fields = rest.split()
    return Process(
        pid,
        int(fields[_PARENT]),
        int(fields[_GROUP]),
        int(fields[_STARTED]),
        head.partition(b"(")[2].decode("utf-8", "backslashreplace"),
        is_over=fields[_STATE] in (b"Z", b"X"),
    )


def _seen(pid: int, mark: str, since: int) -> Process | None:
    process = look_at(pid)
    if process is None or process.is_over or process.started < since:
        return process
    marked = _has_mark(pid, mark)
    return process.replace(is_marked=True, ends_by_itself=_is_helper(pid)) if marked else process


def _has_mark(pid: int, mark: str) -> bool:
    """By its environment, or by the page that a forked process has; one that we may not look at has none."""
    if not mark:
        return False
    start = f"\0{VARIABLE}=".encode()
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            found = (b"\0" + file.read()).partition(start)[2].partition(b"\0")[0]
        if found and is_marked(found.decode("ascii", "replace"), mark):
            return True
        if os.readlink(f"/proc/{pid}/exe") != os.readlink("/proc/self/exe"):
            return False  # a forked process is still the same program
        with open(f"/proc/{pid}/maps", "rb") as file:
            return f"/memfd:{PAGE_NAME}{mark} ".encode() in file.read()
    except OSError:
        return False


def _is_helper(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return _helps(file.read())
    except OSError:
        return False


def _helps(command: bytes) -> bool:
    return any(helper in command for helper in _HELPERS)


def printed(command: Sequence[str]) -> list[str]:
    """The lines that *command*, begun with a path, prints. Blocks until it has ended. Raises ``OSError``."""
    read_fd, write_fd = os.pipe()
    try:
        duplicate = [(os.POSIX_SPAWN_DUP2, write_fd, 1)]
        pid = os.posix_spawn(command[0], list(command), {"LC_ALL": "C"}, file_actions=duplicate)
    except OSError:
        os.close(read_fd)
        raise
    finally:
        os.close(write_fd)
    with open(read_fd, encoding="utf-8", errors="backslashreplace") as file:
        lines = file.read().splitlines()
    os.waitpid(pid, 0)
    return lines


def from_ps(lines: Iterable[str], mark: str) -> list[Process]:
    """What the lines of ``PS`` say; a line that can't be read is left out."""
    found = []
    for line in lines:
        fields = line.split(maxsplit=4)
        if len(fields) == 5 and all(field.isdecimal() for field in fields[:3]):
            found.append(_from_ps(fields, mark))
    return found


def _from_ps(fields: Sequence[str], mark: str) -> Process:
    pid, parent, group = (int(field) for field in fields[:3])
    words = fields[4].split(" ")
    variable = f"{VARIABLE}="
    marks = [word.removeprefix(variable) for word in words if word.startswith(variable)]
    return Process(
        pid,
        parent,
        group,
        0,
        os.path.basename(words[0]),
        is_marked=any(is_marked(value, mark) for value in marks),
        ends_by_itself=_helps(fields[4].encode()),
        is_over=fields[3].startswith("Z"),
    )
