"""Records as text for a person, and which of the stored ones are wanted."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core import levels
from stayon.core.entry import Entry
from stayon.runtime.logs.encode import JsonEncoder
from stayon.runtime.logs.filters import decode, matches
from stayon.runtime.logs.pipeline import Pipeline
from stayon.runtime.logs.sinks import stderr_sink
from stayon.runtime.logs.text import TextRenderer, printable, wants_color

NOW = 1763908560.123
PLAIN = TextRenderer(color=False)
COLORED = TextRenderer(color=True)


def entry(message: object = "hello", **given_fields) -> Entry:
    """A record of a job."""
    return Entry(NOW, levels.WARNING, "price", "collect", message, 0, given_fields, None)


def test_a_line_says_when_how_grave_who_and_what():
    """Fields at the end; a value that could be mistaken is quoted."""
    text = PLAIN.entry(
        entry("fetched", prices=3, source="exchange a", user="bob", none=None, nested={"a": [1]})
    ).decode()
    assert text == (
        "2025-11-23T14:36:00.123Z WARNING  price: fetched job=collect prices=3 "
        'source="exchange a" user=bob none=null nested={"a":[1]}\n'
    )


def test_a_stack_goes_below_and_indented():
    """So that none of its lines can pass for a record."""
    try:
        raise ValueError("bad\n2025-11-23T14:36:00.123Z INFO forged")
    except ValueError as caught:
        record = Entry(NOW, levels.ERROR, "price", "", "failed", 0, {}, caught)
    first, *others = PLAIN.entry(record).decode().splitlines()
    assert first == "2025-11-23T14:36:00.123Z ERROR    price: failed"
    assert others[0] == "    | Traceback (most recent call last):"
    assert others[-1] == "    | 2025-11-23T14:36:00.123Z INFO forged"
    assert all(line.startswith("    | ") for line in others)


@pytest.mark.parametrize(
    "text", ["a\nb", "a\x1b[31mb", "a\u2028b", "a\x85b", "a\x9bb", "a\u202eb", "a\udcffb", "a\x7fb"]
)
def test_nothing_but_printable_characters_gets_out(text):
    """In the message, the names and the values; escapes say what was there."""
    record = Entry(NOW, levels.INFO, text, text, text, 0, {text: text, "in": [text]}, None)
    shown = PLAIN.entry(record).decode()
    assert shown.endswith("\n")
    assert shown[:-1].isprintable()
    assert printable(text) == "a" + text[1:-1].encode("unicode_escape").decode() + "b"


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_one_printable_line(text):
    """And printable text stays as it is."""
    shown = printable(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()


def test_colors_only_where_they_are_wanted():
    """The same text either way."""
    plain, colored = PLAIN.entry(entry(a=1)), COLORED.entry(entry(a=1))
    assert b"\x1b" not in plain
    assert b"\x1b[33mWARNING" in colored
    for code in (b"\x1b[0m", b"\x1b[2m", b"\x1b[33m"):
        colored = colored.replace(code, b"")
    assert colored == plain


def test_a_pipe_gets_no_colors_and_no_color_is_honoured():
    """NO_COLOR counts when it isn't empty; a dumb terminal has none."""
    terminal, inside = os.openpty() if hasattr(os, "openpty") else pytest.skip("no terminals to make here")
    reader, writer = os.pipe()
    try:
        assert wants_color(inside, {"TERM": "xterm", "NO_COLOR": ""})
        assert not wants_color(inside, {"TERM": "xterm", "NO_COLOR": "1"})
        assert not wants_color(inside, {"TERM": "dumb"})
        assert not wants_color(writer, {"TERM": "xterm"})
    finally:
        for fd in (terminal, inside, reader, writer):
            os.close(fd)


def test_standard_error_gets_text_in_a_terminal_and_json_in_a_pipe():
    """Whoever reads it."""
    terminal, inside = os.openpty() if hasattr(os, "openpty") else pytest.skip("no terminals to make here")
    reader, writer = os.pipe()
    pipeline = Pipeline("price", now=lambda: NOW)
    try:
        for sink in (
            stderr_sink({"TERM": "xterm"}, inside),
            stderr_sink({"NO_COLOR": "1"}, inside),
            stderr_sink({"TERM": "xterm"}, writer),
        ):
            pipeline.use([sink])
            pipeline.logger().info("hello")
        shown = os.read(terminal, 65536)
        piped = os.read(reader, 65536)
    finally:
        for fd in (terminal, inside, reader, writer):
            os.close(fd)
    first, second = shown.splitlines()
    assert b"\x1b[32mINFO" in first
    assert second == b"2025-11-23T14:36:00.123Z INFO     price: hello"
    assert json.loads(piped)["message"] == "hello"


def test_what_the_terminal_lacks_is_escaped():
    """An ASCII terminal shows escapes instead of failing."""
    assert b"caf\\xe9" in TextRenderer(color=False, encoding="ascii").entry(entry("caf\xe9"))
    assert "caf\xe9".encode() in PLAIN.entry(entry("caf\xe9"))


def test_a_stored_line_looks_like_the_live_record():
    """Also with an exception."""
    try:
        raise ValueError("bad")
    except ValueError as caught:
        record = Entry(NOW, levels.ERROR, "price", "collect", "failed", 7, {"a": "b c", "n": 1}, caught)
    stored = JsonEncoder("price").line(record).decode()
    assert COLORED.stored(stored) == COLORED.entry(record)


@pytest.mark.parametrize("line", ["no json", "[1]", '{"a": 1}', '{"message": "cut', "\x1b[2J", "[" * 100_000])
def test_a_foreign_line_is_shown_but_made_printable(line):
    """It may be anything, as others may write to the file."""
    assert decode(line) is None
    assert PLAIN.stored(line).decode() == printable(line) + "\n"


def test_a_record_with_strange_keys_is_shown_somehow():
    """Somebody may have edited it."""
    assert PLAIN.stored('{"message": [1], "level": 5, "fields": 3, "exception": "x", "time": null}').endswith(b"[1]\n")


RECORD = {"time": "2025-11-23T14:36:00.123Z", "level": "WARNING", "job": "collect", "message": "x"}


@pytest.mark.parametrize(
    ("wish", "fulfilled"),
    [
        ({}, True),
        ({"level": levels.WARNING}, True),
        ({"level": levels.ERROR}, False),
        ({"job": "collect"}, True),
        ({"job": "other"}, False),
        ({"since": NOW}, True),
        ({"since": NOW + 0.001}, False),
        ({"level": levels.INFO, "job": "collect", "since": 0.0}, True),
        ({"level": levels.INFO, "job": "other", "since": 0.0}, False),
    ],
)
def test_records_are_chosen_by_level_job_and_time(wish, fulfilled):
    """All wishes have to be fulfilled; what is no record fulfils none."""
    assert matches(RECORD, **wish) is fulfilled
    assert matches(None, **wish) is (not wish)
    assert matches({"message": "x"}, **wish) is (not wish)
