"""Command lines of Windows: what is put together is taken apart into the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.platforms.windows.command_line import command_line, quoted


def taken_apart(line: str) -> list[str]:
    """By the rules of the C run-time: a run of 2n backslashes before a quote is n of them, and the quote begins or ends
    a quoted part; 2n+1 are n and a quote; any others are themselves.
    """
    words: list[str] = []
    word: str | None = None
    in_quotes, at = False, 0
    while at < len(line):
        backslashes = len(line[at:]) - len(line[at:].lstrip("\\"))
        at += backslashes
        letter = line[at : at + 1]
        if letter == '"':
            word = (word or "") + "\\" * (backslashes // 2)
            if backslashes % 2:
                word += '"'
            else:
                in_quotes = not in_quotes
        else:
            if backslashes:
                word = (word or "") + "\\" * backslashes
            if letter and letter in " \t" and not in_quotes:
                words += [] if word is None else [word]
                word = None
            elif letter:
                word = (word or "") + letter
        at += 1
    return words if word is None else [*words, word]


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("plain", "plain"),
        ("C:\\Program Files\\x", '"C:\\Program Files\\x"'),
        ("C:\\My Data\\", '"C:\\My Data\\\\"'),
        ("C:\\Data\\", "C:\\Data\\"),
        ("", '""'),
        ('say "hi"', '"say \\"hi\\""'),
        ('\\"', '"\\\\\\""'),
    ],
)
def test_what_a_word_looks_like(word: str, written: str) -> None:
    """Quotes only where they are needed; a backslash is doubled only before one."""
    assert quoted(word) == written


WORDS = st.text(st.sampled_from('ab \\"\t%^&'), max_size=12)


@given(st.lists(WORDS, min_size=1, max_size=6))
def test_no_word_gets_lost_or_changed(words: list[str]) -> None:
    """Whatever backslashes, quotes and blanks are in them."""
    assert taken_apart(command_line(words)) == words
