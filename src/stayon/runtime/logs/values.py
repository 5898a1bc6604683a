"""Text and secrets as JSON: bounded, in ASCII, on one line, whatever they are made of."""

from __future__ import annotations

from _json import encode_basestring_ascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# The C function quotes and escapes: quotes, backslashes, everything below U+0020, DEL, and all that is not ASCII.
escape: Callable[[str], str] = encode_basestring_ascii

STRING_LIMIT = 8192
"""Characters that one string of a field may have."""
# Beyond 64 bits other readers of JSON lose digits, so such numbers are written as strings.
INTEGER_LIMIT = 2**63

MASK = "***"


def is_secret(value: object) -> bool:
    """Whether the class of *value* says ``__secret__ = True``. What cannot be asked is taken for one."""
    try:
        return getattr(type(value), "__secret__", False) is True
    except Exception:  # noqa: BLE001  # a metaclass may raise anything
        return True


def text_of(value: object) -> str:
    """``str(value)`` that never raises and never tells a secret. Not bounded, not escaped."""
    try:
        if is_secret(value):
            return MASK
        return str.__str__(value if issubclass(type(value), str) else str(value))
    except BaseException as error:  # noqa: BLE001  # a user's __str__ may raise anything; its record must still be written
        return f"<{type(value).__name__}: no text, {type(error).__name__}>"


def quote(text: str, room: int = STRING_LIMIT) -> str:
    """*text* as a JSON string of at most *room* characters, and some 40 for the mark that says how much was cut."""
    kept = text if len(text) <= room else text[:room]
    quoted = _escape_strictly(kept)
    while len(quoted) > room + 2:
        kept = kept[: len(kept) * room // len(quoted)]
        quoted = _escape_strictly(kept)
    if len(kept) == len(text):
        return quoted
    return f'{quoted[:-1]}... (+{len(text) - len(kept)} characters)"'


def _escape_strictly(text: str) -> str:
    r"""Like ``escape``, but a lone surrogate, which many readers of JSON refuse, becomes the text ``\udc80``."""
    quoted = escape(text)
    if "\\ud" in quoted:
        quoted = escape(text.encode("utf-8", "backslashreplace").decode())
    return quoted
