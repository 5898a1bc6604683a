"""Reading the journal back, as lines of our log: by journalctl(1), whose JSON is its stable interface.

Only verbs load this, never a service.
"""

from __future__ import annotations

import os
import time

from stayon.core.levels import CRITICAL, NAMES, SYSLOG_SEVERITIES
from stayon.errors import NotPermittedError, StayonError, UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from typing import Any

# Where the journal is, for good and until the next boot (systemd-journald.service(8)).
DIRECTORIES = ("/var/log/journal", "/run/log/journal")
GROUP = "systemd-journal"

# Who speaks, where it isn't the service by its log: what it prints, and who started it.
STDERR = "stderr"
SYSTEMD = "systemd"
_SYSTEMD_PID = "1"

_FIELDS = "STAYON_RECORD,MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_PID,_TRANSPORT"
_LEVELS = {severity: NAMES[level] for level, severity in SYSLOG_SEVERITIES.items()}
_BEGINS_RECORD = '{"time":"'
_LONGEST_END_S = 10.0


class JournalReader:
    """The port ``LogReader``: what the journal has of a service, of this *user*'s or the system's.

    *command* is how journalctl is called; *directories* are where the journal is.
    """

    def __init__(
        self, *, user: bool = False, command: Sequence[str] = ("journalctl",), directories: Sequence[str] = DIRECTORIES
    ) -> None:
        self._user, self._command, self._directories = user, tuple(command), directories

    def last(self, name: str, count: int, wanted: Callable[[str], bool], since: float | None = None) -> list[str]:
        """As the port has it. Reads backwards from the end, as far as it has to."""
        return self._last(name, count, wanted, since)[0]

    def follow(
        self, name: str, count: int, wanted: Callable[[str], bool], since: float | None = None
    ) -> Generator[str, None, None]:
        """As the port has it; across restarts of the service."""
        began = time.time()
        kept, cursor = self._last(name, count, wanted, since)
        yield from kept
        place = f"--after-cursor={cursor}" if cursor else f"--since=@{began:.6f}"
        entries = self._entries(name, "--follow", "--no-tail", place)
        try:
            yield from filter(wanted, (line_of(name, entry) for entry in entries))
        finally:
            entries.close()

    def _last(self, name: str, count: int, wanted: Callable[[str], bool], since: float | None) -> tuple[list[str], str]:
        """The lines, and the place in the journal behind which new ones come ("": it has none yet)."""
        kept: list[str] = []
        cursor = ""
        entries = self._entries(name, "--reverse", *(() if since is None else (f"--since=@{since:.6f}",)))
        try:
            for entry in entries:
                cursor = cursor or _text(entry.get("__CURSOR"))
                if len(kept) >= count:
                    break
                line = line_of(name, entry)
                if wanted(line):
                    kept.append(line)
        finally:
            entries.close()
        return kept[::-1], cursor

    def _entries(self, name: str, *options: str) -> Generator[dict[str, Any], None, None]:
        """The entries, as journalctl prints them. Closing it ends that."""
        if not self._user and not may_read(self._directories):
            raise NotPermittedError(
                f"the log of {name} is in the journal, which this account may not read",
                hint=f"Ask as root, or join the group that may, and log in again: sudo usermod -aG {GROUP} USER",
                code="logs.not-permitted",
            )
        unit = f"--user-unit={name}.service" if self._user else f"--unit={name}.service"
        command = [*self._command, unit, "--output=json", f"--output-fields={_FIELDS}", "--all", "--no-pager", *options]
        import json
        import subprocess

        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise _unreadable(command[0], error.strerror or str(error)) from error
        with process:
            try:
                yield from map(json.loads, process.stdout or ())
                said = process.stderr.read().decode("utf-8", "replace") if process.stderr else ""
                if process.wait(_LONGEST_END_S):
                    raise _unreadable(command[0], said.strip().rpartition("\n")[2] or f"exit code {process.returncode}")
            finally:
                process.kill()


def may_read(directories: Sequence[str]) -> bool:
    """Whether this account may read the journal of the system, as far as one can see: a file of it; or there is
    none.
    """
    found = False
    for directory in directories:
        try:
            machines = os.listdir(directory)
        except OSError:
            continue
        for machine in machines:
            path = os.path.join(directory, machine, "system.journal")
            if os.access(path, os.R_OK):
                return True
            found = found or os.path.exists(path)
    return not found


def line_of(name: str, entry: Mapping[str, Any]) -> str:
    """The line of JSON for an *entry* of the service *name*: the record that it has from us, or one made of it.

    What the service printed is from the logger "stderr", what systemd says of it from "systemd". Pure.
    """
    record = _text(entry.get("STAYON_RECORD"))
    if record:
        return record
    message = _text(entry.get("MESSAGE"))
    if message.startswith(_BEGINS_RECORD):
        return message  # what was logged to a standard error that is the journal
    import json

    service, _, instance = name.partition("@")
    pid, priority = _text(entry.get("_PID")), _text(entry.get("PRIORITY"))
    made: dict[str, Any] = {
        "time": _stamp(_text(entry.get("__REALTIME_TIMESTAMP"))),
        "level": _LEVELS.get(int(priority), NAMES[CRITICAL]) if priority.isdecimal() else "INFO",
        "logger": _logger(entry, pid),
        "service": service,
        **({"instance": instance} if instance else {}),
        "pid": int(pid) if pid.isdecimal() else 0,
        "message": message,
    }
    return json.dumps(made, separators=(",", ":"))


def _logger(entry: Mapping[str, Any], pid: str) -> str:
    if _text(entry.get("_TRANSPORT")) == "stdout":
        return STDERR
    return SYSTEMD if pid == _SYSTEMD_PID else _text(entry.get("SYSLOG_IDENTIFIER")) or "journal"


def _stamp(microseconds: str) -> str:
    second, rest = divmod(int(microseconds) if microseconds.isdecimal() else 0, 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{rest // 1000:03d}Z"


def _text(value: Any) -> str:
    """A field as text. In journalctl's JSON one that isn't is a list of bytes; of several of one name, the first
    counts.
    """
    if isinstance(value, list):
        if value and not isinstance(value[0], int):
            return _text(value[0])
        return bytes(value).decode("utf-8", "backslashreplace")
    return value if isinstance(value, str) else ""


def _unreadable(command: str, why: str) -> StayonError:
    return UnavailableError("the journal cannot be read", where=command, why=why, code="logs.unreadable")
