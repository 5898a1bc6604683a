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
    shown = message if type(message) is str else text_of(message)
    if len(shown) > ROOM:
        shown = _cut(shown, ROOM)
    fields: dict[str, str] = {}
    below = ""
    items, room = entry.fields.items(), ROOM
    for given, value in items if len(items) <= FIELD_LIMIT else islice(items, FIELD_LIMIT):
        name = given if type(given) is str else text_of(given)
        kind = type(value)
        text = pair = repr(value) if kind is int or kind is float else _words(value)
        if len(text) > _LONG:
            text = pair = _cut(text, room)
            room = max(0, room - len(text))
        if kind is str and not _is_word(text):
            pair = escape(text) if len(text) <= _SHORT else text
        fields[name] = text
        if len(pair) <= _SHORT:
            shown = f"{shown} {name}={pair}"
        elif "\n" in text:
            below += f"\n{name}:{_INDENT}{text.replace(chr(10), _INDENT)}"
    if not shown.isprintable():
        shown = _printable_lines(shown)
    if entry.exception is not None:
        from stayon.runtime.logs.encode import stack_text

        shown = f"{shown}\n{_printable_lines(_cut(stack_text(entry.exception), ROOM))}"
    if below:
        shown += _printable_lines(below)
    return Entry(entry.time, entry.level, entry.logger, entry.job, shown, entry.event_id, fields, None)


def _is_word(text: str) -> bool:
    """Whether one sees where it ends."""
    return text.isprintable() and text != "" and " " not in text and '"' not in text and "=" not in text


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
