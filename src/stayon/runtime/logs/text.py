"""Records as text for a person: one line each (a stack goes below, indented), with colours where they are wanted.

Nothing but printable characters gets out: no message can move the cursor, ring, recolour, reorder or pass for another.
"""

from __future__ import annotations

import os
from itertools import islice

from stayon.core.levels import NAMES, name_of
from stayon.runtime.logs.encode import exception_name, stack_text
from stayon.runtime.logs.filters import decode
from stayon.runtime.logs.stamps import text_of as time_text
from stayon.runtime.logs.values import STRING_LIMIT, text_of
from stayon.runtime.logs.walk import ITEM_LIMIT, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from stayon.core.entry import Entry

_PLAIN = ""
_DIM = "\033[2m"
_COLORS = {
    "TRACE": "\033[2m",
    "DEBUG": "\033[36m",
    "INFO": "\033[32m",
    "NOTICE": "\033[1;34m",
    "WARNING": "\033[33m",
    "ERROR": "\033[31m",
    "CRITICAL": "\033[1;37;41m",
}
_RESET = "\033[0m"
_LEVEL_WIDTH = max(map(len, NAMES.values()))
_STACK_INDENT = "    | "
_MESSAGE_LIMIT = 16384
_STACK_LINES = 200


def wants_color(fd: int, environ: Mapping[str, str]) -> bool:
    """Whether *fd* is a terminal that shows colours, and NO_COLOR (https://no-color.org) isn't set."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb" and os.isatty(fd)


def printable(text: str) -> str:
    r"""*text* on one line, with an escape such as ``\n`` or ``\x1b`` for each character that isn't printable."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


class TextRenderer:
    """Makes text of live entries and of stored lines alike. *encoding* is the terminal's; what it lacks is escaped."""

    def __init__(self, *, color: bool, encoding: str = "utf-8") -> None:
        self._color = color
        self._encoding = encoding

    def entry(self, entry: Entry, _line: bytes = b"") -> bytes:
        """The text of *entry*: what a terminal's sink has for its ``render``."""
        error = entry.exception
        view: dict[str, Any] = {
            "time": time_text(entry.time),
            "level": name_of(entry.level),
            "logger": entry.logger,
            "job": entry.job,
            "event": entry.event_id,
            "message": entry.message,
            "fields": entry.fields,
        }
        if error is not None:
            view["exception"] = {"type": exception_name(error), "message": text_of(error), "stack": stack_text(error)}
        return self.record(view)

    def stored(self, line: str) -> bytes:
        """The text of a *line* from a log file; one that isn't a record is shown as it is, made printable."""
        record = decode(line)
        if record is None:
            return self._bytes(printable(line))
        return self.record(record)

    def record(self, record: Mapping[str, Any]) -> bytes:
        """The text of a record with the keys of a JSON line; every one of them may be missing."""
        level = printable(text_of(record.get("level", "")))
        parts = [
            self._paint(printable(text_of(record.get("time", ""))), _DIM),
            self._paint(f"{level:<{_LEVEL_WIDTH}}", _COLORS.get(level, _PLAIN)),
        ]
        logger = text_of(record.get("logger", ""))
        if logger:
            parts.append(self._paint(f"{printable(logger)}:", _DIM))
        message = text_of(record.get("message", ""))
        if len(message) > _MESSAGE_LIMIT:
            message = f"{message[:_MESSAGE_LIMIT]}... (+{len(message) - _MESSAGE_LIMIT} characters)"
        parts.append(printable(message))
        parts.extend(self._pairs(record))
        return self._bytes(" ".join(parts) + self._stack(record.get("exception")))

    def _pairs(self, record: Mapping[str, Any]) -> list[str]:
        pairs = [(name, record[name]) for name in ("job", "event") if record.get(name)]
        fields = record.get("fields")
        if isinstance(fields, dict):
            pairs.extend(islice(fields.items(), ITEM_LIMIT))
        return [f"{self._paint(f'{printable(text_of(name))}=', _DIM)}{_shown(value)}" for name, value in pairs]

    def _stack(self, exception: object) -> str:
        if not isinstance(exception, dict):
            return ""
        lines = text_of(exception.get("stack", "")).split("\n")
        if len(lines) > _STACK_LINES:
            half = _STACK_LINES // 2
            lines = [*lines[:half], f"... ({len(lines) - 2 * half} lines)", *lines[-half:]]
        return "".join(f"\n{self._paint(_STACK_INDENT + printable(line[:STRING_LIMIT]), _DIM)}" for line in lines)

    def _paint(self, text: str, color: str) -> str:
        return f"{color}{text}{_RESET}" if self._color and color else text

    def _bytes(self, text: str) -> bytes:
        return f"{text}\n".encode(self._encoding, "backslashreplace")


def _shown(value: object) -> str:
    """A field's value: a word as it is, all else as JSON, so that one can see where it ends."""
    if type(value) is str and 0 < len(value) <= STRING_LIMIT:
        shown = printable(value)
        if not any(character in ' "=' for character in shown):
            return shown
    return encode(value)
