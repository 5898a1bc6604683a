"""Imports out of the file: what they find, what importlib and its kin are told, and what nobody slips in."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import linecache
import marshal
import pkgutil
import sys
import textwrap
import traceback
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stayon.build import payload
from stayon.build.payload import Module
from stayon.platforms.onefile import finder

BESIDE, PACKAGE, FROZEN, NAMESPACE = payload.BESIDE, payload.PACKAGE, payload.FROZEN, payload.NAMESPACE
LIBRARY, NATIVE, PACKED = payload.LIBRARY, payload.NATIVE, payload.PACKED


class Launcher:
    """What a launcher gives, from modules."""

    def __init__(self, folder: Path, modules: list[Module], libraries: str = "{}") -> None:
        self.modules = {module.name: module for module in modules}
        self.executable = str(folder / "bin" / "program")
        self.sets = (str(folder / "interpreter"), str(folder / "own"))
        self.about = b'{"libraries": %s, "x": 1}' % libraries.encode()
        self.loaded: list[str] = []

    def find(self, name: str) -> tuple[int, str, int] | None:
        if name not in self.modules:
            return None
        return self.modules[name].flags, self.modules[name].origin, sorted(self.modules).index(name)

    def _at(self, index: int) -> Module:
        return self.modules[sorted(self.modules)[index]]

    def code(self, index: int) -> Any:
        return marshal.loads(self._at(index).code)  # noqa: S302  # made right here

    def source(self, index: int) -> bytes:
        return self._at(index).source

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.modules))

    def load(self, path: str) -> int:
        self.loaded.append(path)
        return 1


def module(name: str, source: str, flags: int = 0, *, keeps: bool = True) -> Module:
    """A module as the builder makes it."""
    text = textwrap.dedent(source)
    origin = name.replace(".", "/") + ("/__init__.py" if flags & PACKAGE else ".py")
    code = marshal.dumps(compile(text, origin, "exec"))
    return Module(name, flags, origin, code, zlib.compress(text.encode()) if keeps else b"")


MODULES = [
    module("zzshop", "import zzweb.inner\ndef f():\n    return zzweb.inner.g()\n", BESIDE),
    module("zzown", "", BESIDE | PACKAGE),
    module("zzweb", '"doc"\n', PACKAGE),
    module("zzweb.inner", "def g():\n    raise ValueError('deep')\n"),
    module("zzweb.quiet", "def g():\n    raise ValueError('deep')\n", keeps=False),
    Module("zzspace", NAMESPACE | PACKAGE, "zzspace"),
    module("zzspace.part", "a = 1\n"),
    module("zzfrozen", "a = 1\n", FROZEN),
    module("colorsys", "a = 'packed'\n", PACKED, keeps=False),
    module("stayon.zzcold", "a = 'cold'\n", PACKED, keeps=False),
    Module("zzlibrary", NATIVE | LIBRARY, "zzlibrary.so"),
    Module("zzweb.fast", NATIVE, "zzweb/fast.so"),
]


@pytest.fixture
def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Launcher]:
    """A program whose imports are in place, until the test ends."""
    for place, text in {
        "own/zzweb/data.txt": "data", "own/zzweb-1.5.dist-info/METADATA": "Name: zzweb\nVersion: 1.5\n",
        "own/zzweb-1.5.dist-info/entry_points.txt": "[zz]\na = zzweb.inner:g\n", "bin/zzown/planted.py": "",
    }.items():  # fmt: skip
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    made = Launcher(tmp_path, MODULES)
    monkeypatch.setitem(sys.modules, "_stayon", made)
    for name in ("meta_path", "path_hooks", "path"):
        monkeypatch.setattr(sys, name, list(getattr(sys, name)))
    monkeypatch.setattr(sys, "path_importer_cache", {})
    before = set(sys.modules)
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    finder.install()
    yield made
    for name in set(sys.modules) - before:
        if name.startswith(("zz", "colorsys", "stayon.zz")):
            del sys.modules[name]


def test_modules(launcher: Launcher, tmp_path: Path) -> None:
    """The program's are beside the executable, those of distributions in its set; packages have their paths."""
    shop, web = importlib.import_module("zzshop"), importlib.import_module("zzweb")
    assert shop.__file__ == str(tmp_path / "bin" / "zzshop.py")
    assert (web.__file__, web.__path__) == (str(tmp_path / "own/zzweb/__init__.py"), [str(tmp_path / "own" / "zzweb")])
    assert (web.__package__, web.__doc__, shop.zzweb.inner.__package__) == ("zzweb", "doc", "zzweb")
    assert importlib.import_module("zzspace.part").a == 1
    assert list(sys.modules["zzspace"].__path__) == [str(tmp_path / "own" / "zzspace")]
    assert sys.path[0] == str(tmp_path / "own")


def test_what_is_not_ours(launcher: Launcher) -> None:
    """Frozen modules are left to the interpreter's own finder, unknown ones to the next."""
    found = finder.Finder(launcher)
    assert found.find_spec("zzfrozen") is None
    assert found.find_spec("zznowhere") is None


@pytest.mark.parametrize("name", ["colorsys", "stayon.zzcold"])
def test_packed_ones_of_python(launcher: Launcher, name: str) -> None:
    """What is packed of Python's library and of stayon is as its frozen modules are: without a file."""
    found = importlib.import_module(name)
    assert found.a in {"packed", "cold"}
    assert not hasattr(found, "__file__")
    assert found.__spec__ is not None
    assert found.__spec__.origin == "frozen"


def test_tracebacks(launcher: Launcher) -> None:
    """They show each line with its file's place, and no frame of ours."""
    with pytest.raises(ValueError, match="deep") as error:
        importlib.import_module("zzshop").f()
    stack = "".join(traceback.format_exception(error.value))
    assert "return zzweb.inner.g()" in stack
    assert "raise ValueError('deep')" in stack
    assert str(Path("own", "zzweb", "inner.py")) in stack
    linecache.clearcache()


def test_tracebacks_without_source(launcher: Launcher) -> None:
    """Where no source was built in, the line's number is there."""
    with pytest.raises(ValueError, match="deep") as error:
        importlib.import_module("zzweb.quiet").g()
    assert 'quiet.py", line 2' in "".join(traceback.format_exception(error.value))


def test_what_loaders_are_asked(launcher: Launcher, tmp_path: Path) -> None:
    """Source, code, file name, whether it is a package; for a wrong name an ImportError."""
    loader: Any = importlib.import_module("zzweb").__loader__
    assert loader.get_source("zzweb.inner").startswith("def g")
    assert (loader.get_source("zzweb.quiet"), loader.is_package("zzweb"), loader.is_package("zzshop")) == (
        None,
        True,
        False,
    )
    assert loader.get_filename("zzshop") == str(tmp_path / "bin" / "zzshop.py")
    assert loader.get_code("zzweb.inner").co_filename == str(tmp_path / "own" / "zzweb" / "inner.py")
    for asked in (loader.get_source, loader.get_code, loader.get_filename, loader.is_package):
        with pytest.raises(ImportError):
            asked("zznowhere")


def test_data(launcher: Launcher, tmp_path: Path) -> None:
    """pkgutil and importlib.resources read data from the set, and sources from the file."""
    importlib.import_module("zzweb")
    assert pkgutil.get_data("zzweb", "data.txt") == b"data"
    assert pkgutil.get_data("zzweb", "inner.py") == b"def g():\n    raise ValueError('deep')\n"
    assert importlib.resources.files("zzweb").joinpath("data.txt").read_text("utf-8") == "data"
    with pytest.raises(FileNotFoundError):
        pkgutil.get_data("zzweb", "missing.txt")
    with pytest.raises(FileNotFoundError):
        pkgutil.get_data("zzweb", "missing.py")


def test_metadata(launcher: Launcher) -> None:
    """Versions and entry points of distributions are found."""
    assert importlib.metadata.version("zzweb") == "1.5"
    points = importlib.metadata.entry_points(group="zz")
    assert [point.load().__name__ for point in points] == ["g"]


def test_walking(launcher: Launcher) -> None:
    """pkgutil lists what is in a package, and in sys.path; nothing of Python's or stayon's is told as the program's."""
    web = importlib.import_module("zzweb")
    assert {found.name: found.ispkg for found in pkgutil.iter_modules(web.__path__, "zzweb.")} == {
        "zzweb.fast": False, "zzweb.inner": False, "zzweb.quiet": False,
    }  # fmt: skip
    top = {found.name for found in pkgutil.iter_modules([launcher.sets[1]])}
    assert top == {"zzown", "zzshop", "zzspace", "zzweb"}


def test_what_is_planted(launcher: Launcher) -> None:
    """A file that somebody has put where a package of the program would be is not imported."""
    importlib.import_module("zzown")
    with pytest.raises(ModuleNotFoundError) as error:
        importlib.import_module("zzown.planted")
    assert error.value.name == "zzown.planted"


def test_what_was_left_out(launcher: Launcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of Python's library that nobody has is told with what brings it in; who only asks gets no error."""
    monkeypatch.setattr(sys, "stdlib_module_names", sys.stdlib_module_names | {"zzgone"})
    with pytest.raises(ModuleNotFoundError, match="build it with --include zzgone") as error:
        importlib.import_module("zzgone")
    assert error.value.name == "zzgone"
    assert importlib.util.find_spec("zzgone") is None
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'zznowhere'$"):
        importlib.import_module("zznowhere")
    with pytest.raises(ImportError, match="cannot import name"):
        exec("from zzweb import missing", {})  # noqa: S102  # what a program would say


def test_native_ones(launcher: Launcher, tmp_path: Path) -> None:
    """Those of Python's library are in the interpreter's set, others in the program's, each by full path."""
    found = finder.Finder(launcher)
    library, fast = found.find_spec("zzlibrary"), found.find_spec("zzweb.fast")
    assert library is not None
    assert fast is not None
    assert (library.origin, fast.origin) == (
        str(tmp_path / "interpreter/zzlibrary.so"),
        str(tmp_path / "own/zzweb/fast.so"),
    )


@pytest.mark.linux
def test_libraries_of_native_ones(launcher: Launcher, tmp_path: Path) -> None:
    """What an extension needs is loaded before it, in order, from the interpreter's set."""
    launcher.about = b'{"libraries": {"_other": ["c.so"], "zzlibrary": ["b.so.1", "a.so"]}, "x": ["zzlibrary"]}'
    with pytest.raises(ImportError):
        importlib.import_module("zzlibrary")  # which is no real one
    assert launcher.loaded == [str(tmp_path / "interpreter" / name) for name in ("b.so.1", "a.so")]
    launcher.loaded.clear()
    with pytest.raises(ImportError):
        importlib.import_module("zzweb.fast")
    assert launcher.loaded == []
