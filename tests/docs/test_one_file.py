"""What the pages on programs of one file say in numbers and names is what the source has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from stayon import exits
from stayon.build import embeddable, payload, recipe, targets
from stayon.cli import update

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "onefile.md").read_text("utf-8")
HOW_TO = (ROOT / "docs" / "how-to" / "build-one-file.md").read_text("utf-8")


def _launcher(file: str, name: str) -> int:
    """The number that *name* has in a file of the launcher."""
    text = (ROOT / "launcher" / file).read_text("utf-8")
    found = re.search(rf"\b{name}(?: =)? ([0-9]+)\b", text)
    assert found, name
    return int(found[1])


def _section(heading: str) -> str:
    return PAGE.partition(f"# {heading}\n")[2].partition("\n#")[0]


def test_flags_of_modules_are_those_of_the_payload() -> None:
    """All of them, with their numbers; format and length of a set's name, too."""
    rows = dict(re.findall(r"^\| `([A-Z]+)` \| ([0-9]+) \|", PAGE, re.MULTILINE))
    names = ("PACKAGE", "FROZEN", "NATIVE", "NAMESPACE", "BESIDE", "LIBRARY", "PACKED")

    assert rows == {name: str(getattr(payload, name)) for name in names}
    assert f"format ({payload.FORMAT})" in PAGE
    assert f"first {len(payload.set_name(()))} digits" in PAGE


def test_what_a_program_knows_of_itself_is_what_is_noted() -> None:
    """Every key that the builder writes has a row, and no other."""
    tree = ast.parse((ROOT / "src" / "stayon" / "build" / "assemble.py").read_text("utf-8"))
    noted = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "_about")
    keys = {
        key.value
        for node in ast.walk(noted)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if isinstance(key, ast.Constant)
    }
    rows = re.findall(r"^\| (`[^|]+) \|", _section("What it knows about itself"), re.MULTILINE)

    assert {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)} == keys


def test_times_are_those_of_the_launcher() -> None:
    """How long it waits for another start, how often it gives a sign of life, and for how long it does."""
    errors = (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8")
    period_ms = _launcher("service.c", "PERIOD_MS")

    assert f"for {_launcher('register.c', 'LOCK_WAIT_S')} s at most" in PAGE
    assert f"reports START_PENDING each {period_ms // 1000} s" in PAGE
    assert f"more than {_launcher('service.c', 'LOAD_PERIODS') * period_ms // 60000} minutes to load" in errors
    assert f"event {_launcher('event_log.c', 'START_FAILED')})" in PAGE


def test_what_can_be_built_is_all_told() -> None:
    """Targets, versions of Python that are had by themselves, layouts; and how long an update watches."""
    for name in targets.TARGETS:
        assert f"\n| `{name}` |" in HOW_TO
    *others, last = (known.version for known in embeddable.KNOWN.values())
    assert f"{', '.join(others)} or {last}" in HOW_TO
    for name in recipe.LAYOUTS:
        assert f"\n| `{name}` |" in HOW_TO
    assert f"{update.SETTLE_S:g} s (`--settle`)" in HOW_TO
    assert f"`update` ends with {exits.FAILED}" in HOW_TO
