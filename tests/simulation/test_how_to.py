"""The page on testing keeps its word: its tests pass, and it names every mode that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stayon.testing import naughty

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "test-a-service.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.findall(r"def (test_\w+)", block)[0])
def test_the_tests_of_the_page_pass(block: str) -> None:
    """Each block is a file of tests, which pass as they stand there."""
    namespace: dict = {"__name__": "a_page"}
    exec(compile(block, str(PAGE), "exec", dont_inherit=True), namespace)  # noqa: S102  # our own page
    tests = [value for name, value in namespace.items() if name.startswith("test_")]
    for test in tests:
        test()

    assert tests


def test_the_page_names_every_mode_of_the_naughty_child() -> None:
    """The list of modes is the list of modes."""
    listed = PAGE.read_text("utf-8").partition("The modes:")[2].partition("With a verb")[0]

    assert re.findall(r"`([a-z-]+)`", listed) == sorted(re.findall(r"`([a-z-]+)`", listed), key=listed.index)
    assert set(re.findall(r"`([a-z-]+)`", listed)) == set(naughty.MODES)
