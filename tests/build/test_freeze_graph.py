"""Which modules go into a program: all that it needs, little else, and why each of them."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import pytest

import stayon
from stayon.build import library as tables
from stayon.build import payload
from stayon.errors import ConfigError
from tests.build.freezing import SERVICE, frozen, library, modules, project

pytestmark = [pytest.mark.slow, pytest.mark.linux]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A cache that the tests of this file share."""
    return str(tmp_path_factory.mktemp("cache"))


def test_a_plain_service(tmp_path: Path, cache: str) -> None:
    """It has stayon, and of Python's library nothing large that nobody imports; it says what it left out."""
    found = frozen(project(tmp_path, {"shop.py": SERVICE}), cache=cache)
    names = modules(found).keys()
    assert {
        "shop",
        "stayon.app",
        "stayon.cli.install",
        "stayon.platforms.onefile.finder",
        "os",
        "encodings.utf_8",
    } <= names
    large = {
        "asyncio",
        "ssl",
        "sqlite3",
        "ctypes",
        "_ctypes",
        "email",
        "http",
        "unittest",
        "logging",
        "inspect",
        "_hashlib",
    }
    assert names.isdisjoint(large)
    assert not {name for name in names if name.startswith(("stayon.build", "stayon.testing", "stayon.services"))}
    assert found.program == "shop"
    assert "neither the program nor its distributions" in found.left_out["ssl"]


def test_what_the_program_imports_is_there(tmp_path: Path, cache: str) -> None:
    """At its start, in functions, softly, by a text; its own modules with relative imports; and what goes with it."""
    files = {
        "shop.py": SERVICE + """
import prices
from tools import made

def f():
    import sqlite3
    __import__("csv")
    "x".encode("cp1251")
try:
    import unittest.mock
except ImportError:
    pass
import http.client
""",
        "prices.py": "async def f(): pass\n",
        "tools/__init__.py": "from . import made\n",
        "tools/made.py": "",
        "tools/by_name.py": "import colorsys\n",
        "tools/tests/test_made.py": "import turtle\n",
        "not_imported.py": "import turtle\n",
    }  # fmt: skip
    names = modules(frozen(project(tmp_path, files), cache=cache)).keys()
    assert {"prices", "tools", "tools.made", "sqlite3", "csv", "unittest.mock", "encodings.cp1251"} <= names
    assert "asyncio" in names, "a service with an async def needs it"
    assert {"ssl", "encodings.idna"} <= names, "who imports http.client means https as well"
    assert {"tools.by_name", "colorsys"} <= names, "a package is there as a whole"
    assert names.isdisjoint({"not_imported", "turtle", "tools.tests.test_made"})


def test_flags_and_origins(tmp_path: Path, cache: str) -> None:
    """Each module says whose it is, where its file would be, and whether it is a package; its code says the same."""
    files = {"shop.py": SERVICE + "import tools.made, space.inner\n", "tools/__init__.py": "", "tools/made.py": "",
             "space/inner.py": ""}  # fmt: skip
    found = modules(frozen(project(tmp_path, files), cache=cache))
    assert (found["shop"].flags, found["shop"].origin) == (payload.BESIDE, "shop.py")
    assert (found["tools"].flags, found["tools"].origin) == (payload.BESIDE | payload.PACKAGE, "tools/__init__.py")
    assert found["space"].flags == payload.BESIDE | payload.PACKAGE | payload.NAMESPACE
    assert (found["os"].flags, found["json"].flags) == (payload.FROZEN, payload.FROZEN | payload.PACKAGE)
    assert found["stayon.app"].flags == payload.FROZEN
    if "_socket" in library().extensions:
        assert found["_socket"].flags == payload.NATIVE | payload.LIBRARY
    assert zlib.decompress(found["shop"].source).decode() == (tmp_path / "shop.py").read_text("utf-8")
    assert b"shop.py" in found["shop"].code
    kept = [module for module in found.values() if module.source]
    assert {module.name for module in kept} == {"shop", "tools", "tools.made", "space.inner"}, (
        "nobody looks at stayon's or Python's lines"
    )


def test_nothing_tells_where_it_was_built(tmp_path: Path, cache: str) -> None:
    """No code of the program or of stayon has a path of this computer in it."""
    found = frozen(project(tmp_path, {"shop.py": SERVICE}), cache=cache)
    places = {str(tmp_path).encode(), str(Path(stayon.__file__).parent.parent).encode(), sys.prefix.encode()}
    guilty = [module.name for module in found.modules if any(place in module.code for place in places)]
    assert guilty == []


def test_the_same_twice(tmp_path: Path, cache: str) -> None:
    """Frozen again elsewhere, once from the cache and once without one, every byte is the same."""
    first = frozen(project(tmp_path / "a", {"shop.py": SERVICE}), cache=cache)
    again = frozen(project(tmp_path / "b", {"shop.py": SERVICE}), cache=cache)
    anew = frozen(project(tmp_path / "c", {"shop.py": SERVICE}), cache=str(tmp_path / "empty"))
    assert first.modules == again.modules == anew.modules


def test_a_missing_dependency(tmp_path: Path, cache: str) -> None:
    """What the program imports at its start and nobody has is refused with its line; in a try it is not."""
    project(tmp_path, {"shop.py": SERVICE + "import os\nimport nowhere\n"})
    with pytest.raises(ConfigError) as error:
        frozen(tmp_path, cache=cache)
    assert (error.value.code, error.value.where) == ("build.missing-module", "shop.py:4")
    assert "nowhere" in error.value.what
    frozen(tmp_path, cache=cache, exclude=("nowhere",))
    project(tmp_path, {"shop.py": SERVICE + "try:\n    import nowhere\nexcept ImportError:\n    pass\n"})
    frozen(tmp_path, cache=cache)


def test_a_wrong_program(tmp_path: Path, cache: str) -> None:
    """A program that doesn't compile, or isn't there, is told where."""
    project(tmp_path, {"shop.py": "service = = 1\n"})
    with pytest.raises(ConfigError) as error:
        frozen(tmp_path, cache=cache)
    assert (error.value.code, error.value.where) == ("build.source", "shop.py:1")
    with pytest.raises(ConfigError) as error:
        frozen(tmp_path, "nothing.here", cache=cache)
    assert error.value.code == "build.program"


def test_include_and_exclude(tmp_path: Path, cache: str) -> None:
    """--include brings what nobody imports, --exclude leaves out what somebody does; an unknown name is refused."""
    project(tmp_path, {"shop.py": SERVICE + "import csv\n"})
    found = modules(frozen(tmp_path, cache=cache, include=("sqlite3",), exclude=("csv",)))
    assert "sqlite3.dbapi2" in found
    assert "csv" not in found
    with pytest.raises(ConfigError) as error:
        frozen(tmp_path, cache=cache, include=("nowhere",))
    assert error.value.code == "build.include"


def test_explain(tmp_path: Path, cache: str) -> None:
    """The shortest chain of imports with files and lines; why something was left out; a near name for a wrong one."""
    files = {"shop.py": SERVICE + "import first\nimport other\n", "first.py": "import second\n",
             "second.py": "import colorsys\n", "other.py": "\nimport colorsys\n"}  # fmt: skip
    found = frozen(project(tmp_path, files), cache=cache)
    assert found.explain("colorsys").splitlines() == [
        "shop: is the program", "shop.py:4: shop imports other", "other.py:2: other imports colorsys",
    ]  # fmt: skip
    assert found.explain("ssl").splitlines()[-1].startswith("ssl was left out: large, and neither")
    assert found.explain("colorsis") == "colorsis is not in the file: nothing imports it. Did you mean colorsys?"
    assert found.explain("tkinter") == "tkinter is not in the file: nothing imports it."


def test_cold_modules(tmp_path: Path, cache: str) -> None:
    """What each start needs is not among those that are packed; the verbs are."""
    found = frozen(project(tmp_path, {"shop.py": SERVICE + "import csv\ndef f():\n    import colorsys\n"}), cache=cache)
    assert {"stayon.cli.install", "stayon.cli.doctor", "colorsys", "subprocess"} <= found.cold
    assert found.cold.isdisjoint({"shop", "csv", "os", "threading", "stayon.app", "stayon.runtime.host"})
    assert found.cold.isdisjoint(tables.START)


@pytest.mark.parametrize("platform", ["linux", "win32"])
def test_nothing_that_is_needed_is_left_out(tmp_path: Path, cache: str, platform: str) -> None:
    """No module that is there imports, at its start, one that is left out; and all that tables name is there."""
    found = frozen(project(tmp_path, {"shop.py": SERVICE}), platform=platform, cache=cache)
    names = set(found.closure.nodes)
    needed = {
        (node.found.name, statement.module)
        for node in found.closure.nodes.values()
        for statement in (node.compiled.imports if node.compiled else ())
        if not statement.in_function and not statement.is_soft and not statement.level
    }
    missing = {(importer, name) for importer, name in needed if name not in names and name in found.left_out}
    assert (
        missing
        == {
            "linux": {("stayon.platforms.libc", "stayon.platforms.libc_ctypes")},
            "win32": {("stayon.platforms.windows.win32", "stayon.platforms.windows.win32_ctypes")},
        }[platform]
    ), "these alone: each chooses between two"
    for name in tables.SOON[platform]:
        assert name in names
    for name in tables.NOT_THERE[platform]:
        place = Path(stayon.__file__).parent.parent / name.replace(".", "/")
        assert place.is_dir() or place.with_suffix(".py").exists(), name


def test_tables_name_what_there_is() -> None:
    """Each module that a table of Python's library names is one of some version, so that none is misspelt."""
    older = {"cgi", "distutils", "lib2to3", "nntplib", "telnetlib", "test", "_pyrepl", "_sysconfigdata",
             "_pydatetime"}  # fmt: skip
    for name in tables.HEAVY | tables.DEVELOPMENT:
        assert name.partition(".")[0] in sys.stdlib_module_names | older, name


def test_distributions(tmp_path: Path, cache: str) -> None:
    """Whole ones without their tests; data and metadata are files; a .pth is told of, compilers' files are left."""
    packages = project(tmp_path / "packages", {
        "web/__init__.py": "import colorsys\n", "web/late.py": "import sched\ndef f():\n    import pdb\n",
        "web/tests/test_it.py": "", "web/data.txt": "data", "web/web.pyi": "", "web/tests/data.txt": "",
        "web-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: web\nVersion: 1.2\n",
        "web-1.2.dist-info/entry_points.txt": "[web]\na = web:b\n", "web-1.2.dist-info/INSTALLER": "uv",
        "bin/web": "#!python", "odd.pth": "import os", "stayon/__init__.py": "", "space/part.py": "",
    })  # fmt: skip
    found = frozen(project(tmp_path, {"shop.py": SERVICE + "import web\n"}), packages=str(packages), cache=cache)
    names = modules(found)
    assert {"web", "web.late", "colorsys", "sched", "space", "space.part"} <= names.keys()
    assert names.keys().isdisjoint({"web.tests", "web.tests.test_it", "pdb"})
    assert (names["web"].flags, names["stayon"].flags) == (payload.PACKAGE, payload.PACKAGE | payload.FROZEN)
    assert [place for place, _, _ in found.program_files] == [
        "web/data.txt", "web-1.2.dist-info/METADATA", "web-1.2.dist-info/entry_points.txt",
    ]  # fmt: skip
    assert found.versions == {"web": "1.2"}
    assert len(found.warnings) == 1
    assert "odd.pth" in found.warnings[0]
