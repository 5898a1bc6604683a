"""Which process a pid means: pids are used again, so a process is its pid, its start time and the boot it belongs
to.
"""

from __future__ import annotations

import os

# Where the start time is in /proc/PID/stat, counted from the field after the program's name (proc_pid_stat(5)).
_STATE, _START_TICKS = 0, 19


def process_identity(pid: int) -> str:
    """What tells the process *pid* from any other that had or will have this pid; the empty string if it does not live.

    Where there is no /proc, only whether it lives can be told.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except FileNotFoundError:
        return "" if os.path.exists("/proc/self/stat") else _by_signal(pid)
    except ProcessLookupError:
        return ""
    # A zombie has ended; only its parent has not asked yet.
    return "" if fields[_STATE] in (b"Z", b"X") else f"{_boot_id()}/{fields[_START_TICKS].decode()}"


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            return file.read(8)
    except OSError:
        return "boot"


def _by_signal(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"
