"""Single values: what a file may say for each plain type, and how text from outside is read for it."""

from __future__ import annotations

import sys

from stayon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Reader = Callable[[Any], Any]


class Text(str):
    """A value that came as text, from the environment or the command line, so its type is for the reader to find."""

    __slots__ = ()


class MismatchError(Exception):
    """A value that doesn't fit; *expected* says what would, *hint* what to do. Never shows the value."""

    def __init__(self, expected: str, hint: str = "") -> None:
        super().__init__(expected)
        self.expected, self.hint = expected, hint


_KINDS = {
    "NoneType": "nothing",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number with a fraction",
    "str": "text",
    "Text": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "a table",
    "datetime": "a date with a time",
    "date": "a date",
    "time": "a time of day",
}

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def kind_of(value: object) -> str:
    """What *value* is, in words."""
    if isinstance(value, str) and not value.strip():
        return "empty text"
    return _KINDS.get(type(value).__name__, "something else")


def literal(text: str) -> Any:
    """What text means where no type says it: true, false, a whole number, a number with a fraction; else itself.

    As in TOML, ``007`` is text; and quotes around a text are taken away, so that ``"80"`` can be said.
    """
    if text in ("true", "false"):
        return text == "true"
    digits = text[1:] if text[:1] in ("+", "-") else text
    if digits.isascii() and digits.isdecimal():
        return int(text) if digits == "0" or digits[0] != "0" else text
    if digits[:1].isdecimal() and digits.isascii() and digits[-1:].isdecimal() and "_" not in digits:
        try:
            return float(text)
        except ValueError:
            return text
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text


def read_str(value: Any) -> str:
    """Text."""
    if isinstance(value, str):
        return str(value)
    raise MismatchError("text", "Put it in quotes." if isinstance(value, (int, float)) else "")


def read_bool(value: Any) -> bool:
    """true or false; as text also yes, no, on, off, 1, 0."""
    if isinstance(value, Text):
        word = value.strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
    elif isinstance(value, bool):
        return value
    raise MismatchError("true or false", "Take the quotes away." if value in ("true", "false") else "")


def read_int(value: Any) -> int:
    """A whole number; true is none."""
    if isinstance(value, Text):
        try:
            return int(value)
        except ValueError:
            pass
    elif isinstance(value, int) and not isinstance(value, bool):
        return value
    raise MismatchError("a whole number", _unquote(value))


def read_float(value: Any) -> float:
    """A number; a whole one will do."""
    if isinstance(value, Text):
        try:
            return float(value)
        except ValueError:
            pass
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise MismatchError("a number", _unquote(value))


def _unquote(value: object) -> str:
    numeric = isinstance(value, str) and not isinstance(value, Text) and not isinstance(literal(value), (str, bool))
    return "Take the quotes away." if numeric else ""


def read_none(value: Any) -> None:
    """Nothing; as text: empty, ``none`` or ``null``."""
    if value is None or (isinstance(value, Text) and value.strip().lower() in ("", "none", "null")):
        return
    raise MismatchError("nothing")


def read_seconds(value: Any, *, allow_zero: bool = False) -> float:
    """A duration as text with units, in seconds. A bare number is refused: it doesn't say of what."""
    from stayon.core.duration import seconds

    try:
        if not isinstance(value, str):
            raise MismatchError("a duration", 'Write it with its unit, for example "5s" or "1m30s".')
        return seconds(str(value), allow_zero=allow_zero)
    except UsageError:
        raise MismatchError('a duration, for example "5s", "250ms" or "1m30s"') from None


def _read_timedelta(value: Any) -> Any:
    from datetime import timedelta

    return value if isinstance(value, timedelta) else timedelta(seconds=read_seconds(value, allow_zero=True))


def _iso_reader(kind: type, expected: str) -> Reader:
    """For dates and times: native in TOML, ISO 8601 text elsewhere."""

    def read(value: Any) -> Any:
        if type(value) is kind:
            return value
        try:
            return kind.fromisoformat(value)  # type: ignore[attr-defined]  # date, time and datetime have it
        except (TypeError, ValueError):
            raise MismatchError(expected) from None

    return read


def _path_reader(kind: type) -> Reader:
    def read(value: Any) -> Any:
        if isinstance(value, str) and value and "\0" not in value:
            return kind(str(value))
        raise MismatchError("a path")

    return read


def _enum_reader(kind: Any) -> Reader:
    """By the member's value, else by its name."""

    def read(value: Any) -> Any:
        for member in kind:
            same_text = isinstance(value, Text) and str(member.value) == value
            if same_text or (type(member.value) is type(value) and member.value == value):
                return member
        for member in kind:
            if isinstance(value, str) and member.name == value:
                return member
        raise MismatchError(f"one of {', '.join(str(member.value) for member in kind)}")

    return read


def choice_reader(choices: tuple[Any, ...]) -> Reader:
    """For one of *choices*, of the same type."""

    def read(value: Any) -> Any:
        for choice in choices:
            same_text = isinstance(value, Text) and (
                str(choice) == value or (isinstance(choice, bool) and str(choice).lower() == value)
            )
            if same_text or (type(choice) is type(value) and choice == value):
                return choice
        raise MismatchError(f"one of {', '.join(str(choice) for choice in choices)}")

    return read


_READERS: dict[Any, Reader] = {
    str: read_str,
    bool: read_bool,
    int: read_int,
    float: read_float,
    type(None): read_none,
    None: read_none,
}


def is_loaded_type(kind: object, module: str, name: str) -> bool:
    """Whether *kind* is, or derives from, ``module.name``; a module that isn't loaded can't have given its types."""
    known = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(known, type) and issubclass(kind, known)


def reader_for(kind: Any) -> Reader | None:
    """The function that reads a value of the plain type *kind*, raising ``MismatchError``; None if it isn't a plain
    type.
    """
    if kind in _READERS:
        return _READERS[kind]
    if is_loaded_type(kind, "enum", "Enum"):
        return _enum_reader(kind)
    if is_loaded_type(kind, "pathlib", "PurePath"):
        return _path_reader(kind)
    if is_loaded_type(kind, "datetime", "timedelta"):
        return _read_timedelta
    if is_loaded_type(kind, "datetime", "datetime"):
        return _iso_reader(kind, "a date with a time, for example 2024-05-01T12:00:00Z")
    if is_loaded_type(kind, "datetime", "date"):
        return _iso_reader(kind, "a date, for example 2024-05-01")
    if is_loaded_type(kind, "datetime", "time"):
        return _iso_reader(kind, "a time of day, for example 12:30:00")
    return None
