"""Reads what a file says in the table ``[stayon]``; a service whose file says nothing there does not load it."""

from __future__ import annotations

from stayon.errors import UsageError
from stayon.runtime.config.host_settings import RESERVED, ROWS
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
    from collections.abc import Callable
    from typing import Any

    from stayon.runtime.config.host_settings import Row
    from stayon.runtime.config.key_paths import KeyPath

_SIZES = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}


def values(tree: object, jobs: tuple[str, ...], place_of: Callable[[KeyPath], str]) -> dict[tuple[str, ...], Any]:
    """What *tree* says, by path; *jobs* are the names that ``jobs`` may have. Raises ``InvalidConfigError`` with every
    problem.
    """
    reading = _Reading(place_of, jobs)
    reading.table(tree, (), ROWS)
    if reading.problems:
        raise InvalidConfigError(reading.problems)
    return reading.values


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
