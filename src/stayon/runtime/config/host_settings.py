"""The reserved table ``[stayon]``: what an operator can say to the host. A row of ``ROWS`` is a key with its
reference.
"""

from __future__ import annotations

from stayon.core.record import Record
from stayon.runtime.config.key_paths import ANY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from stayon.runtime.config.key_paths import KeyPath

RESERVED = "stayon"


class Row(Record):
    """One key: its dotted *name* under ``[stayon]`` (``*`` is any job), what it takes, its default, what it means.

    *restart*: a running service can't take a change of it. *choices* are for the kind ``choice``.
    """

    name: str
    kind: str
    default: Any
    doc: str
    choices: tuple[str, ...] = ()
    restart: bool = False

    @property
    def path(self) -> tuple[str, ...]:
        """The keys of its name."""
        return tuple(self.name.split("."))


_FACILITIES = (
    *("user", "mail", "daemon", "auth", "news", "uucp", "cron", "authpriv", "ftp"),
    *("local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
)
_LEVELS = ("trace", "debug", "info", "notice", "warning", "error", "critical")

ROWS = (
    Row("log.level", "choice", "info", "The least level that is logged.", _LEVELS),
    Row(
        "log.file",
        "auto | bool",
        "auto",
        "Whether a log file is written; auto is yes, unless systemd has started the service: the journal has it all.",
    ),
    Row("log.max_size", "size", 10 * 1024**2, "The log file is rotated when it is this big."),
    Row("log.max_age", "duration", 86_400.0, "The log file is rotated when it is this old."),
    Row("log.keep", "count", 7, "How many rotated log files are kept."),
    Row("log.total_size", "size", 100 * 1024**2, "How big all log files together may be."),
    Row("log.gzip", "bool", True, "Whether rotated log files are compressed."),
    Row(
        "log.stderr",
        "choice",
        "auto",
        "What is written to stderr; auto is text on a terminal, nothing in a Windows service and where it would be in "
        "the journal twice, else json.",
        ("auto", "json", "text", "off"),
    ),
    Row(
        "log.system",
        "choice",
        "auto",
        "The least level that goes to the computer's own log (Windows: the Event Log; Linux: the journal); auto is, "
        "where a service manager has started it, notice on Windows and all with systemd, else off.",
        ("auto", "off", *_LEVELS),
    ),
    Row(
        "log.syslog",
        "syslog",
        "",
        'A syslog server that gets it all: "local", "udp://HOST:514", "tcp://HOST:601" or "tls://HOST:6514"; empty: '
        "none.",
    ),
    Row("log.syslog_facility", "choice", "daemon", "The facility of what goes to syslog.", _FACILITIES),
    Row(
        "log.syslog_ca",
        "text",
        "",
        "The file with the authorities, one of which a tls server's certificate must be from; empty: the system's.",
    ),
    Row(
        "probes.listen",
        "address",
        "",
        "Where /livez, /readyz, /startupz and /metrics answer; empty: nowhere.",
        restart=True,
    ),
    Row("start_timeout", "duration", 60.0, "How long starting may take."),
    Row("stop_timeout", "duration", 20.0, "How long stopping may take."),
    Row("hook_timeout", "duration", 10.0, "How long each hook may take."),
    Row("hang_timeout", "duration", 30.0, "After this long without a sign of life the process ends itself."),
    Row(
        "reload",
        "choice",
        "auto",
        "Whether a changed file is applied by itself, or only when asked to.",
        ("auto", "manual"),
    ),
    Row("keep_last_good", "bool", False, "Whether the last good file is kept, for a start that finds a bad one."),
    Row("jobs.*.enabled", "bool", True, "Whether the job runs at all."),
    Row("jobs.*.every", "duration", None, "The job's interval, instead of the program's."),
    Row("jobs.*.cron", "text", None, "The job's calendar expression, instead of the program's."),
    Row("jobs.*.timeout", "duration", None, "How long a run of the job may take."),
    Row("jobs.*.jitter", "duration", None, "By how much, at most, each run is put off at random."),
    Row("jobs.*.hang_timeout", "duration", None, "After this long without a heartbeat a run counts as hung."),
)


class HostSettings:
    """The values of all rows: ``settings["log.level"]``. Immutable. Durations are seconds, sizes bytes.

    A name that is no row raises ``KeyError``. For a job, ``job(name)`` has what is said of it.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[tuple[str, ...], Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[tuple(name.split("."))]

    def job(self, name: str) -> dict[str, Any]:
        """What is said of the job called *name*: ``enabled``, ``every`` ... under their last name; often nothing."""
        return {path[2]: value for path, value in self._values.items() if path[:2] == ("jobs", name)}

    def as_tree(self) -> dict[str, Any]:
        """Every value, in tables as in the file, to be compared and shown."""
        tree: dict[str, Any] = {}
        for (*above, last), value in self._values.items():
            table = tree
            for key in above:
                table = table.setdefault(key, {})
            table[last] = value
        return tree


def reference_rows() -> Iterator[tuple[str, str, str, str]]:
    """``(name, type, default, what it means)`` of each key, for the reference documentation."""
    for row in ROWS:
        kind = " | ".join(row.choices) if row.choices else row.kind
        restart = " A change needs a restart." if row.restart else ""
        yield f"{RESERVED}.{row.name}", kind, _default_text(row), row.doc + restart


def _default_text(row: Row) -> str:
    if row.default is None:
        return ""
    if row.kind == "duration":
        from stayon.core.duration import text

        return text(row.default)
    if row.kind == "size":
        return f"{row.default // 1024**2} MiB"
    return str(row.default).lower() if row.kind == "bool" else str(row.default)


def settable_paths(jobs: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """The path of every key, with the names of *jobs* put in; for environment variables."""
    for row in ROWS:
        names = jobs if ANY in row.path else ("",)
        for name in names:
            yield (RESERVED, *(name if part == ANY else part for part in row.path))


def restart_patterns() -> tuple[KeyPath, ...]:
    """The paths of the keys whose change needs a restart."""
    return tuple((RESERVED, *row.path) for row in ROWS if row.restart)


def read_host_settings(
    tree: object, defaults: Mapping[str, Any], jobs: Iterable[str], place_of: Callable[[KeyPath], str]
) -> HostSettings:
    """The table ``[stayon]`` over *defaults* (by dotted name: what the program says) over the rows' own.

    *jobs* are the names that ``jobs`` may have. Raises ``InvalidConfigError`` with every problem.
    """
    read: Mapping[tuple[str, ...], Any] = {}
    if tree != {}:
        from stayon.runtime.config.host_reading import values

        read = values(tree, tuple(jobs), place_of)
    own = {row.path: row.default for row in ROWS if ANY not in row.path}
    said = {tuple(name.split(".")): value for name, value in defaults.items()}
    return HostSettings({**own, **said, **read})
