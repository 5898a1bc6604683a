"""What a program says that it needs: where that is read, in which order, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stayon.build.dependencies import Wanted, inline, wanted
from stayon.errors import ConfigError
from tests.build.freezing import project

BLOCK = """\
#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "requests>=2",
#
#   "stayon",
#   "PyYAML; sys_platform == 'win32'",
# ]
# ///
import requests
"""
PROJECT = '[project]\nname = "shop"\ndependencies = ["httpx", "Stayon>=0.1"]\n'


def of(top: Path, requirements: str = "") -> Wanted:
    return wanted(str(top / "shop.py"), str(top), requirements)


def test_inline_metadata(tmp_path: Path) -> None:
    """The block in the program goes before everything beside it; stayon is left out, markers are kept."""
    project(tmp_path, {"shop.py": BLOCK, "pyproject.toml": PROJECT, "requirements.txt": "numpy\n"})
    assert of(tmp_path) == Wanted(("requests>=2", "PyYAML; sys_platform == 'win32'"), str(tmp_path / "shop.py"))


def test_the_project(tmp_path: Path) -> None:
    """Else it is the nearest pyproject.toml with a project, here or above, and it goes before requirements.txt."""
    project(tmp_path, {"pyproject.toml": PROJECT, "src/shop.py": "", "src/pyproject.toml": "[tool.x]\n"})
    assert of(tmp_path / "src") == Wanted(("httpx",), str(tmp_path / "pyproject.toml"))


def test_not_the_project_of_others(tmp_path: Path) -> None:
    """Above the top of a repository nobody looks."""
    project(tmp_path, {"pyproject.toml": PROJECT, "own/shop.py": "", "own/.git/HEAD": ""})
    assert of(tmp_path / "own") == Wanted()


def test_a_list(tmp_path: Path) -> None:
    """Else requirements.txt beside it: continued lines, comments, hashes, and further files."""
    project(tmp_path, {
        "shop.py": "",
        "requirements.txt": "numpy \\\n  --hash=sha256:00  # fast\n\n# no\n-r more/other.txt\n-c limits.txt\n",
        "more/other.txt": "yarl\n",
    })  # fmt: skip
    lines = ("numpy    --hash=sha256:00", "yarl", f"-c {tmp_path / 'limits.txt'}")
    assert of(tmp_path) == Wanted(lines, str(tmp_path / "requirements.txt"))


def test_a_named_list(tmp_path: Path) -> None:
    """--requirements goes before all of that."""
    project(tmp_path, {"shop.py": BLOCK, "other.txt": "numpy\n"})
    assert of(tmp_path, str(tmp_path / "other.txt")).requirements == ("numpy",)


def test_extras_of_stayon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """stayon[yaml] needs PyYAML, whichever stayon it is."""
    needs = "Requires-Dist: PyYAML>=6 ; extra == 'yaml'\nRequires-Dist: x; extra == 'y'\n"
    project(tmp_path, {
        "shop.py": "", "requirements.txt": "stayon[yaml] >= 0.1\n",
        "p/stayon-1.dist-info/METADATA": f"Metadata-Version: 2.1\nName: stayon\nVersion: 1\n{needs}",
    })  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path / "p"))
    assert of(tmp_path).requirements == ("PyYAML>=6",)


@pytest.mark.parametrize("block", ["", "# /// other\n# a = 1\n# ///\n", "#/// script\n", '"""\n/// script\n"""\n'])
def test_no_block(block: str) -> None:
    """A program without such a block has none, whatever looks like one."""
    assert inline(block) is None


@pytest.mark.parametrize(
    "files",
    [
        {"shop.py": "# /// script\n# a = 1\nx = 1\n"},
        {"shop.py": "# /// script\n# a = 1\n"},
        {"shop.py": "# /// script\n# ///\n# /// script\n# ///\n"},
        {"shop.py": "# /// script\n# a = = 1\n# ///\n"},
        {"shop.py": '# /// script\n# dependencies = "requests"\n# ///\n'},
        {"shop.py": "", "pyproject.toml": '[project]\ndynamic = ["dependencies"]\n'},
        {"shop.py": "", "pyproject.toml": "[project\n"},
        {"shop.py": "", "requirements.txt": "-r missing.txt\n"},
    ],
)
def test_what_is_wrong(tmp_path: Path, files: dict[str, str]) -> None:
    """A block without an end, twice, or no TOML; dependencies that only a build knows; a list that isn't there."""
    with pytest.raises(ConfigError) as error:
        of(project(tmp_path, files))
    assert error.value.code == "build.dependencies"
