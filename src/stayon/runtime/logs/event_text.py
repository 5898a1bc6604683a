"""A record as a text of several lines, for logs that show one at a time: the message first, what is long last."""

from __future__ import annotations

from itertools import islice

from stayon.runtime.logs.encode import exception_name, stack_text
from stayon.runtime.logs.text import printable
from stayon.runtime.logs.values import STRING_LIMIT, text_of
from stayon.runtime.logs.walk import ITEM_LIMIT, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from stayon.core.entry import Entry

# Characters: of a message, and of all fields together.
_MESSAGE_ROOM = 16384
_FIELDS_ROOM = 65536
_INDENT = "    "


def event_text(entry: Entry, service: str) -> str:
    """*entry*, said by *service*: message and exception in a word, fields of one line, the stack, longer fields.

    That is the order in which they are worth keeping where the text has to be cut. Never raises for what is in it.
    """
    error = entry.exception
    short, long = _lines_of(text_of(entry.message), _MESSAGE_ROOM), []
    if error is not None:
        short += _lines_of(f"{exception_name(error)}: {text_of(error)}", STRING_LIMIT)
    room = _FIELDS_ROOM
    for name, value in _named(entry, service):
        if room <= 0:
            long += ["", "... and more fields"]
            break
        shown = _shown(value, room)
        room -= sum(map(len, shown)) + len(name)
        if len(shown) == 1:
            short.append(f"{name}: {shown[0]}")
        else:
            long += ["", f"{name}:", *(_INDENT + line for line in shown)]
    if error is not None:
        short += ["", *_lines_of(stack_text(error), _FIELDS_ROOM)]
    return "\n".join([*short, *long])


def _named(entry: Entry, service: str) -> Iterator[tuple[str, Any]]:
    if entry.job:
        yield "job", entry.job
    if entry.logger != service:
        yield "logger", entry.logger
    for name, value in islice(entry.fields.items(), ITEM_LIMIT):
        yield printable(text_of(name)), value


def _shown(value: Any, room: int) -> list[str]:
    """The lines of a field's value: text as it is, a list or table of texts a line each, all else as JSON."""
    kind = type(value)
    if kind is str:
        return _lines_of(value, room)
    if kind in (list, tuple) and value and all(type(item) is str for item in value):
        lines: list[str] = []
        for item in value[:ITEM_LIMIT]:
            lines += _lines_of(item, min(room, STRING_LIMIT))
            room -= len(item)
            if room <= 0:
                break
        return lines
    if kind is dict and value:
        return [f"{printable(text_of(name))}: {_on_one_line(item)}" for name, item in list(value.items())[:ITEM_LIMIT]]
    return [encode(value)]


def _on_one_line(value: Any) -> str:
    return printable(value) if type(value) is str and len(value) <= STRING_LIMIT else encode(value)


def _lines_of(text: str, room: int) -> list[str]:
    lines = [printable(line) for line in text[:room].split("\n")]
    if len(text) > room:
        lines[-1] += f"... (+{len(text) - room} characters)"
    return lines
