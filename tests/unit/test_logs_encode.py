"""A record as a line of JSON: any value, always one line, bounded, and never a secret."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core import levels
from stayon.core.entry import Entry
from stayon.runtime.logs.encode import LINE_LIMIT, JsonEncoder
from stayon.runtime.logs.stamps import moment_of, text_of
from stayon.runtime.logs.walk import encode

NOW = 1763908560.123

BREAKS = [
    "\n",
    "\r\n",
    "\v",
    "\f",
    "\x1b[2J",
    "\x00",
    "\x7f",
    "\x85",
    "\x9b",
    "\u2028",
    "\u2029",
    "\u202e",
    '"}\n{"level":"X"',
]


class Token:
    """A secret, as the configuration makes them."""

    __secret__ = True

    def __repr__(self) -> str:
        return "hunter2"


class StrToken(str):
    """A secret that is a string as well."""

    __slots__ = ()
    __secret__ = True


class Raising:
    """Nothing about it works."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    @property  # type: ignore[misc]  # being wrong is its purpose
    def __class__(self):
        raise RuntimeError("no class")


class RaisingType(type):
    """A class that can't even be asked whether it is secret."""

    def __getattr__(cls, name):
        raise RuntimeError(name)


class Unaskable(metaclass=RaisingType):
    """An instance of such a class."""


def entry(message: object = "hello", **given_fields) -> Entry:
    """A plain record with *given_fields*."""
    return Entry(NOW, levels.INFO, "price", "", message, 0, given_fields, None)


def line_of(record: Entry) -> bytes:
    """*record* as the service "price" writes it."""
    return JsonEncoder("price").line(record)


def decoded(record: Entry) -> dict:
    """*record* as a strict reader of JSON sees it, having checked what holds for every line."""
    line = line_of(record)
    assert line.endswith(b"\n")
    assert len(line) <= LINE_LIMIT
    assert all(32 <= byte < 127 for byte in line[:-1]), line

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    result = json.loads(line, parse_constant=refuse)
    json.dumps(result, ensure_ascii=False).encode("utf-8")  # no lone surrogate, which other readers refuse
    return result


def raised(error: BaseException) -> BaseException:
    """*error* with a traceback."""
    try:
        raise error
    except type(error) as caught:
        return caught


def test_a_line_has_its_keys_in_order():
    """Time in UTC with milliseconds, who, and what; empty things are left out."""
    record = Entry(NOW, levels.NOTICE, "price.http", "collect", "fetched", 1001, {"prices": 3, "slow": False}, None)
    line = JsonEncoder("price", "eu-1").line(record).decode()
    assert line == (
        '{"time":"2025-11-23T14:36:00.123Z","level":"NOTICE","logger":"price.http","service":"price","instance":"eu-1",'
        f'"pid":{os.getpid()},"message":"fetched","event":1001,"job":"collect","fields":{{"prices":3,"slow":false}}}}\n'
    )
    assert list(decoded(entry())) == ["time", "level", "logger", "service", "pid", "message"]


@pytest.mark.parametrize("text", BREAKS)
def test_no_text_can_forge_a_record_or_reach_a_terminal_raw(text):
    """Wherever it stands: message, logger, job, field name, field value, exception."""
    record = Entry(NOW, 20, text, text, text, 0, {text: text, "in": [text, {text: text}]}, raised(ValueError(text)))
    found = decoded(record)
    assert found["message"] == found["logger"] == found["job"] == text
    assert found["fields"] == {text: text, "in": [text, {text: text}]}
    assert found["exception"]["message"] == text


# By name: some of these values can't be made text, which pytest would do for a name.
VALUES = {
    "nan": (math.nan, "NaN"),
    "inf": (math.inf, "Infinity"),
    "-inf": (-math.inf, "-Infinity"),
    "none": (None, None),
    "true": (True, True),
    "float": (1.5, 1.5),
    "int64": (2**63 - 1, 2**63 - 1),
    "big": (2**64, str(2**64)),
    "huge": (10**5000, "<a number of 16610 bits>"),
    "bytes": (b"ab\xff\n", "ab\\xff\n"),
    "bytearray": (bytearray(b"x"), "x"),
    "memoryview": (memoryview(b"x"), "x"),
    "nested": ((1, [2, {"a": (3,)}]), [1, [2, {"a": [3]}]]),
    "keys": ({1: "a", None: "b"}, {"1": "a", "None": "b"}),
    "set": (frozenset({7}), [7]),
    "decimal": (decimal.Decimal("1.10"), "1.10"),
    "date": (datetime.date(2025, 1, 2), "2025-01-02"),
    "exception": (ValueError("bad"), "ValueError: bad"),
    "surrogates": ("\udcff\ud83d\ude00", "\\udcff\\ud83d\\ude00"),
    "astral": ("\U0001f600", "\U0001f600"),
    "broken": (Raising(), "<Raising: no text, RuntimeError>"),
}


@pytest.mark.parametrize("case", VALUES)
def test_any_value_has_a_form(case):
    """As JSON's own where it has one, else as text."""
    value, shown = VALUES[case]
    assert decoded(entry(it=value))["fields"]["it"] == shown


def test_a_message_may_be_any_object():
    """It is made text; one whose text fails doesn't fail the caller."""
    assert decoded(entry(12))["message"] == "12"
    assert decoded(entry(Raising()))["message"] == "<Raising: no text, RuntimeError>"


def test_a_cycle_ends():
    """In a list, a table, and between the two; the same thing twice is no cycle."""
    table: dict = {}
    table["self"] = [table]
    assert decoded(entry(it=table))["fields"]["it"] == {"self": ["<cycle>"]}
    twice = [1]
    assert decoded(entry(it=[twice, twice]))["fields"]["it"] == [[1], [1]]


def test_deep_nesting_ends():
    """Long before Python's own limit."""
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    try:
        assert "nested too deep" in line_of(entry(it=deep)).decode()
    finally:
        while deep:  # taking it apart in one go would overflow the C stack
            deep = deep.pop()


def test_huge_values_are_cut_with_a_mark():
    """How much is missing is said."""
    assert decoded(entry("x" * 1_000_000))["message"] == "x" * 16384 + "... (+983616 characters)"
    assert decoded(entry(it="x" * 8200))["fields"]["it"] == "x" * 8192 + "... (+8 characters)"
    assert decoded(entry(it=list(range(1000))))["fields"]["it"][-1] == "... 800 more"
    many = decoded(entry(**{f"f{n}": "y" * 1000 for n in range(500)}))["fields"]
    assert list(many)[-1] == "..."
    assert many["..."] == f"{500 - (len(many) - 1)} more"


def test_the_longest_line_is_bounded():
    """Everything too long at once, in characters that take twelve times their room."""
    big = "\U0001f600\n" * 100_000
    fields = {f"{n}{big[:300]}": [big] for n in range(300)}
    record = Entry(NOW, 20, big, big, big, 10**4000, fields, raised(ValueError(big)))
    line = JsonEncoder(big, big).line(record)
    assert len(line) <= LINE_LIMIT
    assert json.loads(line)["message"].startswith("\U0001f600\n")


@pytest.mark.parametrize("kind", [Token, StrToken, Unaskable])
def test_a_secret_is_masked_everywhere(kind):
    """As message, field, item, key, bound deep inside, however it is typed."""
    secret = kind("hunter2") if kind is StrToken else kind()
    record = entry(secret, it=secret, deep=[{"a": (secret,)}], key={secret: 1})
    text = line_of(record).decode()
    assert "hunter2" not in text
    found = decoded(record)
    assert found["message"] == "***"
    assert found["fields"] == {"it": "***", "deep": [{"a": ["***"]}], "key": {"***": 1}}


def test_an_exception_has_type_message_and_stack():
    """Its cause as well; a full name where it isn't a built-in one."""
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise json.JSONDecodeError("outer", "", 0) from inner
    except json.JSONDecodeError as caught:
        record = Entry(NOW, 40, "price", "", "failed", 0, {}, caught)
    found = decoded(record)["exception"]
    assert found["type"] == "json.decoder.JSONDecodeError"
    assert found["message"] == "outer: line 1 column 1 (char 0)"
    assert found["stack"].startswith("Traceback (most recent call last):\n")
    assert "KeyError: 'inner'" in found["stack"]


def test_a_time_that_is_none_is_1970():
    """A broken clock costs the time, not the record."""
    for moment in (math.nan, math.inf, -5.0, 1e300):
        record = entry()
        record.time = moment
        assert decoded(record)["time"] == "1970-01-01T00:00:00.000Z"


def test_the_time_follows_the_clock_in_both_directions():
    """What is remembered of the last line never shows in the next."""
    encoder = JsonEncoder("price")
    for moment in (NOW, NOW + 0.001, NOW + 0.9, NOW - 3600, NOW, NOW + 86400.5, 0.0):
        record = entry()
        record.time = moment
        assert json.loads(encoder.line(record))["time"] == text_of(moment)


@given(st.floats(0, 4102444800))
def test_times_are_read_back(moment):
    """To the millisecond, and as the calendar of the C library has them."""
    text = text_of(moment)
    assert text[:19] == time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
    back = moment_of(text)
    assert back is not None
    assert moment - 0.001001 <= back <= moment + 1e-6


@pytest.mark.parametrize("text", ["", "yesterday", "2025-11-23", "2025-11-23T14:36:00.123", "2025/11/23T14:36:00.123Z"])
def test_what_is_no_time_is_none(text):
    """Only the form we write is read."""
    assert moment_of(text) is None


TEXT = st.text(st.characters(codec=None))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.binary() | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(TEXT, st.dictionaries(TEXT, ANYTHING))
def test_every_record_is_one_strict_line(message, fields):
    """Whatever there is in it."""
    found = decoded(Entry(NOW, levels.INFO, "price", "", message, 0, fields, None))
    assert found["message"] == message.encode("utf-8", "backslashreplace").decode()


@given(ANYTHING, st.integers(1, 2000))
def test_a_value_keeps_to_its_room(value, room):
    """But for the marks that say what is missing."""
    text = encode([value] * 50, room)
    json.loads(text)
    assert len(text) <= room + 1000
