"""Levels: one ladder, and its rungs as other systems call them."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core import levels
from stayon.errors import ConfigError


def test_the_numbers_are_those_of_logging():
    """A record of ``logging`` needs no translation."""
    for name in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        assert getattr(levels, name) == getattr(logging, name)


def test_every_level_has_a_place_in_syslog_and_windows():
    """The tables are complete, and never rank a graver level below a lighter one."""
    ladder = sorted(levels.NAMES)
    assert set(levels.SYSLOG_SEVERITIES) == set(levels.WINDOWS_EVENT_TYPES) == set(ladder)
    severities = [levels.syslog_severity(level) for level in ladder]
    assert severities == [7, 7, 6, 5, 4, 3, 2]
    assert [levels.windows_event_type(level) for level in ladder] == [4, 4, 4, 4, 2, 1, 1]


@given(st.integers(-1000, 1000))
def test_a_number_in_between_counts_as_the_named_level_below(number):
    """35 is a WARNING, 0 a TRACE."""
    named = levels.band(number)
    assert named in levels.NAMES
    assert named <= max(number, levels.TRACE)
    assert not any(named < other <= number for other in levels.NAMES)
    assert levels.name_of(number) == levels.NAMES[named]


@pytest.mark.parametrize("text", ["warning", "WARN", " Warning "])
def test_a_name_is_read_in_any_case(text):
    """And by the short names that ``logging`` has."""
    assert levels.parse(text) == levels.WARNING
    assert levels.parse("fatal") == levels.CRITICAL


def test_an_unknown_name_is_told_the_nearest_one():
    """With the place that asked for it, and a stable code."""
    with pytest.raises(ConfigError) as caught:
        levels.parse("inof", where="price.toml, stayon.log.level")
    assert caught.value.code == "config.log-level"
    assert str(caught.value).startswith('price.toml, stayon.log.level: no log level is called "inof"')
    assert '"INFO"' in str(caught.value)
