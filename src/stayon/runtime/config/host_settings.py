"""The reserved table ``[stayon]``: what an operator can say to the host. A row of ``ROWS`` is a key with its
reference.
"""

from __future__ import annotations

from stayon.core.record import Record
from stayon.errors import UsageError
from stayon.runtime.config.key_paths import ANY
from stayon.runtime.config.problems import UNKNOWN_KEY, WRONG_TYPE, InvalidConfigError, Problem
from stayon.runtime.config.values import (
    MismatchError,
    choice_reader,
    kind_of,
    read_bool,
    read_int,
    read_seconds,
    read_str,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from stayon.runtime.config.key_paths import KeyPath

RESERVED = "stayon"

_SIZES = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}


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
    reading = _Reading(place_of, tuple(jobs))
    reading.table(tree, (), ROWS)
    if reading.problems:
        raise InvalidConfigError(reading.problems)
    own = {row.path: row.default for row in ROWS if ANY not in row.path}
    said = {tuple(name.split(".")): value for name, value in defaults.items()}
    return HostSettings({**own, **said, **reading.values})


class _Reading:
    """One walk through the table."""

    def __init__(self, place_of: Callable[[KeyPath], str], jobs: tuple[str, ...]) -> None:
        self._place_of, self._jobs = place_of, jobs
        self.problems: list[Problem] = []
        self.values: dict[tuple[str, ...], Any] = {}

    def table(self, tree: object, path: tuple[str, ...], rows: tuple[Row, ...]) -> None:
        """Read what stands at *path*, of which *rows* are possible."""
        depth = len(path)
        if not isinstance(tree, dict):
            self._report(path, f"expected a table, found {kind_of(tree)}", "", WRONG_TYPE)
            return
        for key, value in tree.items():
            known = self._jobs if path == ("jobs",) else [row.path[depth] for row in rows]
            if key not in known:
                from stayon.core.nearest import did_you_mean

                self._report((*path, key), "this key is not known", did_you_mean(key, set(known)), UNKNOWN_KEY)
                continue
            inner = tuple(row for row in rows if row.path[depth] in (key, ANY))
            if len(inner[0].path) == depth + 1:
                self._value(value, (*path, key), inner[0])
            else:
                self.table(value, (*path, key), inner)

    def _value(self, value: Any, path: tuple[str, ...], row: Row) -> None:
        read = choice_reader(row.choices) if row.choices else _READERS[row.kind]
        try:
            self.values[path] = read(value)
        except MismatchError as error:
            self._report(path, f"expected {error.expected}, found {kind_of(value)}", error.hint, WRONG_TYPE)

    def _report(self, path: tuple[str, ...], what: str, hint: str, code: str) -> None:
        full = (RESERVED, *path)
        self.problems.append(Problem(full, what, hint, code, self._place_of(full)))


def _read_count(value: Any) -> int:
    count = read_int(value)
    if count < 1:
        raise MismatchError("a whole number from 1 on")
    return count


def _read_size(value: Any) -> int:
    """A number of bytes, or text with a unit: ``"10 MiB"``."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str):
        number = value.strip().rstrip("KMGBkmgiIb ")
        unit = value.strip()[len(number) :].strip().upper() or "B"
        if number.isdecimal() and unit in _SIZES and int(number) > 0:
            return int(number) * _SIZES[unit]
    raise MismatchError('a size, for example "10 MiB"')


def _read_auto_bool(value: Any) -> str | bool:
    """The word auto, or a bool."""
    return "auto" if value == "auto" else read_bool(value)


def _read_syslog(value: Any) -> str:
    """Where a syslog server is, as text; the empty text is nowhere."""
    from stayon.core.syslog import parse_target

    try:
        text = read_str(value)
        if text:
            parse_target(text)
    except UsageError as error:
        raise MismatchError("a syslog server", error.hint) from None
    return text


def _read_address(value: Any) -> str:
    """A port or an address, as text; the empty text is none."""
    from stayon.runtime.probe_address import parse_address

    try:
        if value == "" or not isinstance(value, (str, int)) or isinstance(value, bool):
            return read_str(value)
        return str(parse_address(value))
    except UsageError:
        raise MismatchError('an address, for example "127.0.0.1:9100", or a port') from None


_READERS: dict[str, Callable[[Any], Any]] = {
    "auto | bool": _read_auto_bool,
    "syslog": _read_syslog,
    "bool": read_bool,
    "count": _read_count,
    "size": _read_size,
    "duration": read_seconds,
    "address": _read_address,
    "text": read_str,
}
