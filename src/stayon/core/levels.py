"""Log levels: their numbers (those of ``logging``, plus TRACE and NOTICE), names, and what other systems call them."""

from __future__ import annotations

from stayon.core.nearest import did_you_mean
from stayon.errors import ConfigError

TRACE = 5
DEBUG = 10
INFO = 20
NOTICE = 25
WARNING = 30
ERROR = 40
CRITICAL = 50

NAMES = {
    TRACE: "TRACE",
    DEBUG: "DEBUG",
    INFO: "INFO",
    NOTICE: "NOTICE",
    WARNING: "WARNING",
    ERROR: "ERROR",
    CRITICAL: "CRITICAL",
}
LEVELS = {name: level for level, name in NAMES.items()}

# The other names that ``logging`` has for two of them.
_ALSO = {"WARN": WARNING, "FATAL": CRITICAL}

# RFC 5424, section 6.2.1, table 2 (the numbers journald's PRIORITY has too).
SYSLOG_SEVERITIES = {TRACE: 7, DEBUG: 7, INFO: 6, NOTICE: 5, WARNING: 4, ERROR: 3, CRITICAL: 2}

# EVENTLOG_ERROR_TYPE 1, EVENTLOG_WARNING_TYPE 2, EVENTLOG_INFORMATION_TYPE 4
# (https://learn.microsoft.com/windows/win32/eventlog/event-types).
WINDOWS_EVENT_TYPES = {TRACE: 4, DEBUG: 4, INFO: 4, NOTICE: 4, WARNING: 2, ERROR: 1, CRITICAL: 1}


def band(level: int) -> int:
    """The named level that *level* counts as: the highest one not above it, and TRACE for all that is lower."""
    return max((named for named in NAMES if named <= level), default=TRACE)


def name_of(level: int) -> str:
    """The name of *level*, or of the one it counts as: 35 is a WARNING."""
    return NAMES[band(level)]


def syslog_severity(level: int) -> int:
    """0 (emergency) to 7 (debug); we never go above 2, critical: the machine outlives a service."""
    return SYSLOG_SEVERITIES[band(level)]


def windows_event_type(level: int) -> int:
    """The ``wType`` that ReportEvent wants."""
    return WINDOWS_EVENT_TYPES[band(level)]


def parse(name: str, *, where: str = "") -> int:
    """The level called *name*, in any case. Raises ``ConfigError`` "config.log-level"; *where* says who wants it."""
    wanted = name.strip().upper()
    level = LEVELS.get(wanted) or _ALSO.get(wanted)
    if level is None:
        raise ConfigError(
            f'no log level is called "{name}"', where=where, hint=did_you_mean(wanted, LEVELS), code="config.log-level"
        )
    return level
