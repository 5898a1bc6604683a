"""What is asked for, and what a program says of itself: checked before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stayon.build import declaration, recipe, sizes, targets
from stayon.build.declaration import Declaration
from stayon.errors import StayonError


@pytest.mark.parametrize("name", ["collector", "a", "Collector-2.0_b+c", "x" * 100, "lpt", "console"])
def test_names_of_files_are_taken(name: str) -> None:
    """What is a file's name on each system is taken as it is."""
    assert recipe.checked_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "a:b", "-a", "a.", "a ", "é", "CON", "com1.exe", "Nul", "x" * 101]
)
def test_other_names_are_refused(name: str) -> None:
    """What is none on some system is refused: separators, devices, blanks and dots at the end, other letters."""
    with pytest.raises(StayonError) as caught:
        recipe.checked_name(name)
    assert (caught.value.code, caught.value.exit_code) == ("build.name", 64)


@pytest.mark.parametrize("version", ["1", "1.2", "1.2.3.4", "1.2.3rc1", "1.0+local.7", "2026.11.24", "65535.0"])
def test_versions_begin_with_numbers(version: str) -> None:
    """One to four numbers, and what marks a release, are a version."""
    assert recipe.checked_version(version) == version


@pytest.mark.parametrize("version", ["", "v1", "1.2.3.4.5", "1..2", "65536", "1.2 beta", "1.2.3\n"])
def test_other_versions_are_refused(version: str) -> None:
    """What Windows could not keep as four numbers is refused."""
    with pytest.raises(StayonError) as caught:
        recipe.checked_version(version)
    assert caught.value.code == "build.version"


@pytest.mark.parametrize("text", ["3.10", "3.14", "4.0", "3", "3.13.1", "python3.13", ""])
def test_only_versions_of_python_that_we_know(text: str) -> None:
    """A minor version that the launcher has no numbers for is refused."""
    with pytest.raises(StayonError) as caught:
        recipe.checked_python(text)
    assert caught.value.code == "build.python"


def test_an_unknown_target_names_those_there_are() -> None:
    """The line has all targets, and the one that was most likely meant."""
    with pytest.raises(StayonError) as caught:
        targets.target_of("windows-64")
    assert all(name in str(caught.value) for name in targets.TARGETS)
    assert 'Did you mean "windows-x64"?' in str(caught.value)


def test_data_has_places(tmp_path: Path) -> None:
    """A file stands by its name or where it is told to; of a directory all files, in order, by their paths."""
    folder = tmp_path / "prices"
    (folder / "old").mkdir(parents=True)
    for name in ("b.csv", "a.csv", "old/c.csv"):
        (folder / name).write_text("", "utf-8")
    found = recipe.checked_data((f"{folder / 'a.csv'}=x/y.csv", str(folder / "b.csv"), str(folder)))

    assert [place for _, place in found] == [
        "x/y.csv", "b.csv", "prices/a.csv", "prices/b.csv", "prices/old/c.csv"
    ]  # fmt: skip


@pytest.mark.parametrize("place", ["/etc/x", "../x", "a/../../x", "C:x", "..\\x"])
def test_data_stays_inside(place: str, tmp_path: Path) -> None:
    """A place that leads outside of the program's directory is refused."""
    (tmp_path / "a").write_text("", "utf-8")
    with pytest.raises(StayonError) as caught:
        recipe.checked_data((f"{tmp_path / 'a'}={place}",))
    assert caught.value.code == "build.data"


def test_a_program_is_read_and_not_imported(tmp_path: Path) -> None:
    """Name, description and version come from plain words; the program is not run."""
    script = tmp_path / "collector.py"
    script.write_text(
        "import stayon\n__version__ = '1.2'\nraise SystemExit('imported')\n"
        "other = stayon.Service('other', description='no')\n"
        "service = stayon.Service(name='price-collector', description='Collects')\n",
        "utf-8",
    )

    assert declaration.of(str(script), "service") == Declaration("price-collector", "Collects", "1.2")
    assert declaration.of(str(script), "") == Declaration("other", "no", "1.2")


def test_the_version_of_the_project_is_that_of_the_program(tmp_path: Path) -> None:
    """Where the program says none, the nearest pyproject.toml does; one that is computed is none."""
    inner = tmp_path / "src"
    inner.mkdir()
    script = inner / "collector.py"
    script.write_text("service = Service(NAME)\n", "utf-8")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "4.5"\n', "utf-8")
    assert declaration.of(str(script), "") == Declaration("", "", "4.5")

    (inner / "pyproject.toml").write_text('[project]\ndynamic = ["version"]\n', "utf-8")
    assert declaration.of(str(script), "").version == ""


@pytest.mark.parametrize(("text", "where"), [("x = (", ":1"), ("def f():\nreturn", ":2"), ("x = '\0'", "")])
def test_what_is_no_python_is_one_line_with_its_place(text: str, where: str, tmp_path: Path) -> None:
    """A syntax error is told with file and line, and ends as a wrong configuration does."""
    script = tmp_path / "broken.py"
    script.write_text(text, "utf-8")
    with pytest.raises(StayonError) as caught:
        declaration.of(str(script), "")
    assert (caught.value.code, caught.value.exit_code) == ("build.program", 78)
    assert f"broken.py{where}" in str(caught.value)
    assert "\n" not in str(caught.value)


PARTS = some.dictionaries(some.text("abc", min_size=1, max_size=4), some.integers(0, 10**8), max_size=8)


@given(PARTS, some.booleans())
def test_the_chart_has_all_that_matters(parts: dict[str, int], is_plain: bool) -> None:
    """Each part of a hundredth or more has a line, the biggest first; no bar is longer than the room for it."""
    lines = sizes.chart(parts, is_plain=is_plain).splitlines()
    total = sum(parts.values())
    big = [name for name, size in parts.items() if size >= total / 100]

    assert {line.split()[0] for line in lines} >= set(big)
    assert all(len(line.split()[-1]) <= sizes.BAR_WIDTH for line in lines)
    assert not is_plain or "\n".join(lines).isascii()


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KB"), (862208, "842 KB"), (1024000, "1.0 MB"), (3250586, "3.1 MB")],
)
def test_sizes_are_for_people(size: int, text: str) -> None:
    """Three digits and a unit say how big something is."""
    assert sizes.text(size) == text
