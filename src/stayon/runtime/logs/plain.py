"""A record with nothing but text in it, for logs that store or send text: the message as one would read it, and each
field's value.
"""

from __future__ import annotations

from itertools import islice

from stayon.core.entry import Entry
from stayon.runtime.logs.values import escape, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FIELD_LIMIT = 200
ROOM = 1024 * 1024
"""Characters of the message, of its stack, and of all long fields together."""
# What is longer stands only in its field.
_SHORT = 128
_LONG = 8192
_INDENT = "\n    "


def plain(entry: Entry) -> Entry:
    """*entry* with its values as text: a ``str`` as it is, all else as JSON; and with a message that has the short
    ones as ``name=value``, and below that the stack of its exception, and texts of several lines. Never raises for
    what is in it.
    """
    message = entry.message
    shown = _cut(message if type(message) is str else text_of(message), ROOM)
    fields: dict[str, str] = {}
    below = ""
    items, room = entry.fields.items(), ROOM
    for given, value in items if len(items) <= FIELD_LIMIT else islice(items, FIELD_LIMIT):
        name = given if type(given) is str else text_of(given)
        kind = type(value)
        if kind is int or kind is float:
            fields[name] = text = repr(value)
        elif kind is str and len(value) <= _SHORT:
            fields[name] = value
            plainly = value.isprintable() and " " not in value and '"' not in value and "=" not in value and value
            text = value if plainly else escape(value)
        else:
            text = _words(value)
            if len(text) > _LONG:
                text = _cut(text, room)
                room = max(0, room - len(text))
            fields[name] = text
            if "\n" in text:
                below += f"\n{name}:{_INDENT}{text.replace(chr(10), _INDENT)}"
                continue
        if len(text) <= _SHORT:
            shown = f"{shown} {name}={text}"
    if not shown.isprintable():
        shown = _printable_lines(shown)
    if entry.exception is not None:
        from stayon.runtime.logs.encode import stack_text

        shown = f"{shown}\n{_printable_lines(_cut(stack_text(entry.exception), ROOM))}"
    if below:
        shown += _printable_lines(below)
    return Entry(entry.time, entry.level, entry.logger, entry.job, shown, entry.event_id, fields, None)


def _words(value: Any) -> str:
    if issubclass(type(value), str):
        return text_of(value)
    from stayon.runtime.logs.walk import encode

    return encode(value, 8 * _LONG)


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[:room]}... (+{len(text) - room} characters)"


def _printable_lines(text: str) -> str:
    """*text* with its line breaks, and nothing else that moves a cursor: journalctl(1) shows nothing of a message that
    has some.
    """
    from stayon.runtime.logs.text import printable

    return "\n".join(printable(line) for line in text.split("\n"))
