"""Values as YAML, which every parser of YAML 1.1 and 1.2 reads back as what they were."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Value = None | bool | int | str | Sequence["Value"] | Mapping[str, "Value"]

# What is written as it is: it begins with a letter or a slash, so that it is no number, no date and no sign of YAML's.
_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz/")
_FURTHER = _FIRST | frozenset("0123456789._-")

# Words that some parser takes for something else (YAML 1.1's bool and null types).
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def documents(values: Iterable[Value]) -> str:
    """Several documents, with the line between them that YAML has for it."""
    return "---\n".join(document(value) for value in values)


def document(value: Value) -> str:
    """One document. Raises ``TypeError`` for what is neither a mapping, a list, a text, an int, a bool nor None."""
    return "\n".join([*_lines(value, 0), ""])


def scalar(value: bool | int | str | None) -> str:
    """A single value, in quotes where it would be read as something else without."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return value if _is_plain(value) else '"' + "".join(_escaped(letter) for letter in value) + '"'


def _is_plain(text: str) -> bool:
    return text[:1] in _FIRST and text != "" and _FURTHER.issuperset(text) and text.lower() not in _WORDS


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if " " <= letter <= "~":
        return letter
    number = ord(letter)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _lines(value: Value, depth: int) -> list[str]:
    indent = "  " * depth
    if isinstance(value, dict) and value:
        lines = []
        for key, content in value.items():
            lines += _after(f"{indent}{scalar(key)}:", content, depth + 1)
        return lines
    if isinstance(value, (list, tuple)) and value:
        return [line for content in value for line in _item(content, depth)]
    return [indent + _inline(value)]


def _item(content: Value, depth: int) -> list[str]:
    """One of a list: its first line has the dash."""
    lines = _lines(content, depth + 1)
    indent = "  " * depth
    return [f"{indent}- {lines[0].removeprefix(indent + '  ')}", *lines[1:]]


def _after(head: str, content: Value, depth: int) -> list[str]:
    """What stands behind *head*: on its line if it is one value, else below it."""
    if isinstance(content, (dict, list, tuple)) and content:
        return [head, *_lines(content, depth)]
    return [f"{head} {_inline(content)}"]


def _inline(value: Value) -> str:
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    if value is not None and not isinstance(value, (bool, int, str)):
        raise TypeError(f"{type(value).__name__} has no form in YAML here")
    return scalar(value)
