"""What the system says about this process: figures for the metrics, facts for the report of a failure."""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# Where the fields of /proc/self/stat are, counted from the one after the program's name (proc_pid_stat(5)).
_THREADS, _START_TICKS, _VIRTUAL_BYTES, _RESIDENT_PAGES = 17, 19, 20, 21


class ProcessFigures:
    """Call it for processor seconds, memory, files, threads, and when it started. Takes less than 0.1 ms."""

    def __init__(self) -> None:
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._start_time = 0.0

    def __call__(self) -> Mapping[str, float]:
        """The figures as they are now. Where there is no /proc, those that need none."""
        figures = {"cpu_s": time.process_time(), "max_files": float(os.sysconf("SC_OPEN_MAX"))}
        try:
            fields = _stat_fields()
        except FileNotFoundError:
            return figures
        figures["threads"] = float(fields[_THREADS])
        figures["virtual_bytes"] = float(fields[_VIRTUAL_BYTES])
        figures["resident_bytes"] = float(fields[_RESIDENT_PAGES]) * self._page_bytes
        figures["open_files"] = float(_open_files())
        # Once: the wall clock may be set later on, but when we started stays the same.
        self._start_time = self._start_time or _boot_time() + int(fields[_START_TICKS]) / os.sysconf("SC_CLK_TCK")
        figures["start_time"] = self._start_time
        return figures


process_figures = ProcessFigures()


def facts() -> Mapping[str, Any]:
    """Who and where this process is, for the report of the first failure: text and numbers.

    Not the program's arguments, as one may be a secret.
    """
    system = os.uname()
    return {
        "parent_pid": os.getppid(),
        "account": _account_name(),
        "uid": os.geteuid(),
        "host": system.nodename,
        "system": _system_name() or system.sysname,
        "kernel": f"{system.sysname} {system.release} {system.machine}",
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "program": sys.argv[0] if sys.argv else "",
        "directory": _directory(),
    }


def _stat_fields() -> list[bytes]:
    fd = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        # The name stands in parentheses, and may have spaces and parentheses itself.
        return os.read(fd, 4096).rpartition(b")")[2].split()
    finally:
        os.close(fd)


def _open_files() -> int:
    # Since Linux 6.2 the directory's size is its count (proc_pid_fd(5)); before, it is 0 and has to be counted, and one
    # of those counted is the listing's own.
    return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd")) - 1


def _boot_time() -> float:
    """When this computer was started, in Unix time, as the wall clock has it now."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _account_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"  # a container's account is often a number without a name


def _system_name() -> str:
    """PRETTY_NAME of os-release(5), or nothing."""
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as file:
            lines = [line.partition("=") for line in file]
    except OSError:
        return ""
    return next((value.strip().strip("\"'") for name, _, value in lines if name == "PRETTY_NAME"), "")


def _directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "(it has been removed)"
