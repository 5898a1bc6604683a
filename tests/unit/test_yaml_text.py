"""The YAML that is written: every parser reads back what was meant."""

from __future__ import annotations

import math
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as some

from stayon.platforms.manifests import yaml_text

TEXTS = some.text(some.characters(exclude_categories=["Cs"])) | some.sampled_from(
    ["yes", "No", "on", "NULL", "~", "1", "1e3", "0x1f", "1_000", "2001-01-01", "12:30", ".inf", ".", "=", "<<", "- a",
     "a: b", "a #b", " a", "a ", "&a", "*a", "!a", "%a", "@a", "|", ">", "{", "[", "?", "", "\n", "\x85", "\u2028", "'"]
)  # fmt: skip
SCALARS = TEXTS | some.integers() | some.booleans() | some.none()
VALUES = some.recursive(
    SCALARS, lambda inner: some.lists(inner, max_size=4) | some.dictionaries(TEXTS, inner, max_size=4), max_leaves=20
)


@pytest.fixture(scope="module")
def yaml():
    return pytest.importorskip("yaml", reason="what is written can't be read back without PyYAML")


@hypothesis.given(VALUES)
def test_it_is_read_back_as_it_was(yaml, value: Any) -> None:
    """Whatever the texts look like, and however deep it goes; a value of its type stays of that type."""
    found = yaml.safe_load(yaml_text.document(value))
    assert repr(found) == repr(value)


@hypothesis.given(some.lists(VALUES, min_size=1, max_size=4))
def test_several_documents_stay_several(yaml, values: list[Any]) -> None:
    """Each is read back by itself."""
    assert repr(list(yaml.safe_load_all(yaml_text.documents(values)))) == repr(values)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("run", "run"),
        ("/config/x.toml", "/config/x.toml"),
        ("512Mi", '"512Mi"'),
        ("yes", '"yes"'),
        ('a"b\\', '"a\\"b\\\\"'),
    ],
)
def test_quotes_are_where_they_are_needed(text: str, written: str) -> None:
    """Words and paths stand as they are; what begins with a digit or a sign, and YAML's own words, in quotes."""
    assert yaml_text.scalar(text) == written


def test_what_has_no_form_is_refused() -> None:
    """Rather than written as something that nobody meant."""
    number: Any = math.pi
    with pytest.raises(TypeError, match="float"):
        yaml_text.document({"a": number})
