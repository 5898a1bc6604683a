"""A record as one line of JSON. The common case is a handful of plain values, and runs on one C function."""

from __future__ import annotations

import os

from stayon.core.levels import NAMES, name_of
from stayon.runtime.logs.stamps import END_OF_TIME, second_text
from stayon.runtime.logs.values import INTEGER_LIMIT, STRING_LIMIT, escape, is_secret, quote, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from stayon.core.entry import Entry

LINE_LIMIT = 65536
"""Bytes of a line, its newline included."""

# How a line that is too long is shared out, in characters of JSON text.
_NAME_ROOM = 256
_MESSAGE_ROOM = 16384
_FIELDS_ROOM = 16384
_STACK_ROOM = 24576

_MIDDLES_KEPT = 256
_UP_TO_SECONDS = len('{"time":"2025-11-23T14:36:00.')

# Asking the system for it costs as much as encoding the message.
_pid = str(os.getpid())


def _see_fork() -> None:
    global _pid  # noqa: PLW0603  # a fact of the process, and there is one process
    _pid = str(os.getpid())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_see_fork)

_LEVEL_PARTS = {level: f'","level":"{name}","logger":' for level, name in NAMES.items()}


class JsonEncoder:
    """Makes the lines of one service. Any thread may call it; it never raises, whatever a record holds."""

    def __init__(self, service: str, instance: str = "") -> None:
        self._constants = f',"service":{quote(service, _NAME_ROOM)}'
        if instance:
            self._constants += f',"instance":{quote(instance, _NAME_ROOM)}'
        self._constants += ',"pid":'
        self._middles: dict[str, str] = {}
        # The last time written. One tuple, so that a thread never sees one moment's number with another's text.
        self._last = (-1, "")

    def line(self, entry: Entry) -> bytes:
        """The line of *entry*, newline included: ASCII, at most ``LINE_LIMIT`` bytes."""
        message = entry.message
        if type(message) is not str:
            message = text_of(message)
        if len(message) <= _MESSAGE_ROOM:
            line = self._assemble(entry, escape(message), plain_fields(entry.fields) if entry.fields else "")
            # "\ud" may be half a surrogate pair, which only the slow way looks into.
            if len(line) <= LINE_LIMIT and "\\ud" not in line:
                return line.encode("ascii")
        fields = _bounded_fields(entry.fields) if entry.fields else ""
        return self._assemble(entry, quote(message, _MESSAGE_ROOM), fields).encode("ascii")

    def _assemble(self, entry: Entry, message: str, fields: str) -> str:
        moment = entry.time
        if not 0.0 <= moment < END_OF_TIME:
            moment = 0.0
        millisecond = int(moment * 1000.0)
        known, time_text = self._last
        if known != millisecond:
            time_text = self._make_time(known, time_text, millisecond)
        level = _LEVEL_PARTS.get(entry.level) or f'","level":"{name_of(entry.level)}","logger":'
        middle = self._middles.get(entry.logger) or self._make_middle(entry.logger)
        event_id = entry.event_id
        if event_id:
            plain = type(event_id) is int and event_id <= INTEGER_LIMIT
            message += f',"event":{event_id if plain else _any_value(event_id)}'
        if entry.job:
            message += f',"job":{quote(entry.job, _NAME_ROOM)}'
        if fields:
            message += f',"fields":{fields}'
        if entry.exception is not None:
            message += f',"exception":{exception_json(entry.exception)}'
        return f'{time_text}{level}{middle}{_pid},"message":{message}}}\n'

    def _make_time(self, known: int, text: str, millisecond: int) -> str:
        """The beginning of a line; only its last digits are new where the second is still that of *text*."""
        second, milliseconds = divmod(millisecond, 1000)
        beginning = text[:_UP_TO_SECONDS] if known // 1000 == second else f'{{"time":"{second_text(second)}.'
        text = f"{beginning}{milliseconds:03d}Z"
        self._last = (millisecond, text)
        return text

    def _make_middle(self, logger: str) -> str:
        """What the lines of one logger have between their level and their pid."""
        middle = f"{quote(logger, _NAME_ROOM)}{self._constants}"
        if len(self._middles) < _MIDDLES_KEPT:
            self._middles[logger] = middle
        return middle


def plain_fields(fields: Mapping[str, Any]) -> str:
    """The JSON object of *fields*, each value bounded, all of them together not."""
    parts = []
    for name, value in fields.items():
        kind = type(value)
        if kind is str and len(value) <= STRING_LIMIT:
            text = escape(value)
        elif kind is int and -INTEGER_LIMIT <= value < INTEGER_LIMIT:
            text = repr(value)
        elif kind is float and value - value == 0.0:
            text = repr(value)
        elif value is None:
            text = "null"
        elif kind is bool:
            text = "true" if value else "false"
        else:
            text = _any_value(value)
        parts.append(f"{escape(name)}:{text}")
    return f"{{{','.join(parts)}}}"


def _any_value(value: object) -> str:
    from stayon.runtime.logs.walk import encode

    return encode(value)


def _bounded_fields(fields: Mapping[str, Any]) -> str:
    from stayon.runtime.logs.walk import encode_fields

    return encode_fields(fields, _FIELDS_ROOM)


def exception_json(error: BaseException) -> str:
    """The object with ``type`` (its full name), ``message`` and ``stack`` (the text a traceback would print)."""
    message = quote(text_of(error), _MESSAGE_ROOM // 4)
    return f'{{"type":{quote(exception_name(error), _NAME_ROOM)},"message":{message},"stack":{_stack_json(error)}}}'


def exception_name(error: BaseException) -> str:
    """``ValueError``, or ``package.module.Error``."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def stack_text(error: BaseException) -> str:
    """What a traceback prints of *error*, its causes and its notes included; says why where that fails."""
    import traceback  # 1 MB with what it loads, so only for a service that has failures to show

    if is_secret(error):
        return f"{type(error).__name__}: {text_of(error)}"
    try:
        return "".join(traceback.format_exception(error)).rstrip("\n")
    except Exception as failure:  # noqa: BLE001  # it reads sources and calls the user's __str__ and __notes__
        return f"<no stack: {type(failure).__name__}>"


def _stack_json(error: BaseException) -> str:
    text = stack_text(error)
    if len(text) > _STACK_ROOM:
        # Where it was called from is above, what went wrong is below; what is in between is worth least.
        half = _STACK_ROOM // 4
        text = f"{text[:half]}\n... ({len(text) - 2 * half} characters)\n{text[-half:]}"
    return quote(text, _STACK_ROOM)
