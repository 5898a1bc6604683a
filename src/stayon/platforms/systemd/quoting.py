"""Words and values as a unit file has them: systemd.syntax(7), systemd.service(5) "COMMAND LINES"."""

from __future__ import annotations

from stayon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Stands for the instance of a template while its unit is rendered, and becomes systemd's specifier for it.
INSTANCE = "\ue000"

_BARE = frozenset(INSTANCE + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@%$")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def command_line(words: Sequence[str]) -> str:
    """*words* as the value of ExecStart=, which systemd takes apart again.

    A dollar sign would name a variable, also in the program's path, where it can't be escaped: so the line says that
    it has none (":", systemd 244). Raises ``UsageError`` "systemd.text".
    """
    line = " ".join(word(each) for each in words)
    return f":{line}" if any("$" in each for each in words) else line


def word(text: str) -> str:
    """*text* as one word of a list. Raises ``UsageError`` "systemd.text" for what no unit file can have."""
    text = specifiers_escaped(_checked(text))
    if text and _BARE.issuperset(text):
        return text
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def line(text: str) -> str:
    """*text* as a value that isn't taken apart, such as Description=: on one line, and one that ends there."""
    return specifiers_escaped(" ".join(_checked(text).split()).rstrip("\\ "))


def specifiers_escaped(text: str) -> str:
    """*text*, in which a percent sign is one."""
    return text.replace("%", "%%")


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    return f"\\x{ord(letter):02x}" if letter < " " or letter == "\x7f" else letter


def _checked(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        why = "it is not UTF-8"
    else:
        why = "it has a zero character in it" if "\0" in text else ""
    if why:
        raise UsageError(
            "systemd can't be told this", where=repr(text), why=why, hint="Rename it.", code="systemd.text"
        )
    return text
