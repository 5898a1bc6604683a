"""Any value as JSON text: nested, cyclic, huge, secret or broken, it comes out bounded. Loaded when one is logged."""

from __future__ import annotations

from itertools import islice

from stayon.runtime.logs.values import INTEGER_LIMIT, MASK, STRING_LIMIT, is_secret, quote, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ITEM_LIMIT = 200
DEPTH_LIMIT = 8
_LONGEST_INTEGER_BITS = 4096
_CONTAINERS = (dict, list, tuple, set, frozenset)


def encode(value: object, room: int = STRING_LIMIT) -> str:
    """*value* as JSON text of about *room* characters at most. Never raises."""
    return _Walk(room).encode(value, 0)


def encode_fields(fields: Mapping[str, Any], room: int) -> str:
    """A JSON object of all *fields* that find room. Never raises."""
    return _Walk(room).mapping(fields, 0)


class _Walk:
    """One walk over a value, with the characters that are still to be had and the containers it is inside of."""

    __slots__ = ("parents", "room")

    def __init__(self, room: int) -> None:
        self.room = room
        self.parents: set[int] = set()

    def encode(self, value: object, depth: int) -> str:
        # Of the type, not isinstance(): that one also asks value.__class__, which a broken proxy answers by raising.
        if issubclass(type(value), _CONTAINERS) and not is_secret(value):
            return self._container(value, depth)
        try:
            text = self._scalar(value)
        except Exception as error:  # noqa: BLE001  # as in text_of
            text = quote(f"<{type(value).__name__}: cannot be shown, {type(error).__name__}>", 200)
        self.room -= len(text)
        return text

    def _scalar(self, value: Any) -> str:
        if value is None:
            return "null"
        if value is True or value is False:
            return "true" if value else "false"
        if is_secret(value):
            return f'"{MASK}"'
        if issubclass(type(value), int):
            return _integer(value)
        if issubclass(type(value), float):
            return _number(value)
        return quote(_words(value), max(16, min(STRING_LIMIT, self.room)))

    def _container(self, value: Any, depth: int) -> str:
        if id(value) in self.parents:
            return '"<cycle>"'
        if depth >= DEPTH_LIMIT:
            return '"<nested too deep>"'
        self.parents.add(id(value))
        try:
            return self.mapping(value, depth) if issubclass(type(value), dict) else self._sequence(value, depth)
        except Exception as error:  # noqa: BLE001  # changed by another thread while we walk, or a class with its own __iter__
            return quote(f"<{type(value).__name__}: cannot be shown, {type(error).__name__}>", 200)
        finally:
            self.parents.discard(id(value))

    def mapping(self, value: Mapping[Any, Any], depth: int) -> str:
        parts = []
        for key, item in islice(value.items(), ITEM_LIMIT):
            if self.room <= 0:
                break
            name = quote(text_of(key), 256)
            self.room -= len(name) + 2
            parts.append(f"{name}:{self.encode(item, depth + 1)}")
        left_out = len(value) - len(parts)
        if left_out:
            parts.append(f'"...":"{left_out} more"')
        return f"{{{','.join(parts)}}}"

    def _sequence(self, value: Any, depth: int) -> str:
        parts = []
        for item in islice(value, ITEM_LIMIT):
            if self.room <= 0:
                break
            self.room -= 2
            parts.append(self.encode(item, depth + 1))
        left_out = len(value) - len(parts)
        if left_out:
            parts.append(f'"... {left_out} more"')
        return f"[{','.join(parts)}]"


def _integer(value: int) -> str:
    if -INTEGER_LIMIT <= value < INTEGER_LIMIT:
        return int.__repr__(value)
    bits = value.bit_length()
    return f'"{int.__repr__(value)}"' if bits <= _LONGEST_INTEGER_BITS else f'"<a number of {bits} bits>"'


def _number(value: float) -> str:
    if value - value == 0.0:
        return float.__repr__(value)
    return '"NaN"' if value != value else '"Infinity"' if value > 0.0 else '"-Infinity"'  # noqa: PLR0124  # NaN isn't itself


def _words(value: Any) -> str:
    if issubclass(type(value), (bytes, bytearray, memoryview)):
        shown = bytes(value[:STRING_LIMIT]).decode("utf-8", "backslashreplace")
        return shown if len(value) <= STRING_LIMIT else f"{shown}... (+{len(value) - STRING_LIMIT} bytes)"
    if issubclass(type(value), BaseException):
        return f"{type(value).__name__}: {text_of(value)}"
    return text_of(value)
