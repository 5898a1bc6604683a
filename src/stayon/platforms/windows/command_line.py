"""A list of arguments as the one line that Windows passes on."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def command_line(command: Sequence[str]) -> str:
    """*command* as a line that CommandLineToArgvW, and every C run-time, takes apart into the same again
    (https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments). The program's own word has no
    escapes, so it must not have a quote.
    """
    return " ".join(quoted(word) for word in command)


def quoted(word: str) -> str:
    """*word* as one argument. Backslashes count only before a quote: there, and at the end of what is quoted, twice."""
    if word and not any(letter in word for letter in ' \t\n\v"'):
        return word
    parts, backslashes = ['"'], 0
    for letter in word:
        if letter == "\\":
            backslashes += 1
            continue
        if letter == '"':
            backslashes = 2 * backslashes + 1
        parts.append("\\" * backslashes + letter)
        backslashes = 0
    return "".join([*parts, "\\" * (2 * backslashes), '"'])
