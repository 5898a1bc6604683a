"""One file with the code of a service's modules: as good as the sources, or not used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import stayon
from stayon.platforms.windows import entry, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCES = Path(stayon.__file__).parent


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with its pack."""
    package = tmp_path_factory.mktemp("site-packages") / "stayon"
    shutil.copytree(SOURCES, package, ignore=shutil.ignore_patterns("__pycache__"))
    assert pack.write(str(package)) == str(package / "__pycache__" / entry.PACK_NAME)
    return package


@pytest.fixture
def package(packed: Path, tmp_path: Path) -> Iterator[Path]:
    """The same, to be spoilt; a pack belongs to a place, so it is moved there and back."""
    keep = tmp_path / "keep"
    shutil.copytree(packed, keep, copy_function=shutil.copy2)
    yield packed
    shutil.rmtree(packed)
    shutil.copytree(keep, packed, copy_function=shutil.copy2)


def names(package: Path) -> set[str]:
    """The modules that the pack has for *package*."""
    return set(entry.unpacked(str(package)).names())


def run(package: Path, program: str) -> str:
    """What *program* prints in an interpreter that has the pack before its path."""
    prelude = f"""
import sys
sys.path.append({str(package.parent)!r})
sys.dont_write_bytecode = True
from importlib.util import spec_from_file_location, module_from_spec
spec = spec_from_file_location("entry", {str(package / "platforms" / "windows" / "entry.py")!r})
entry = module_from_spec(spec)
spec.loader.exec_module(entry)
modules = entry.unpacked({str(package)!r})
sys.meta_path.insert(0, modules)
"""
    command = [sys.executable, "-I", "-S", "-c", prelude + program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.stdout.strip()


def test_it_has_what_a_service_imports_and_nothing_else(packed: Path) -> None:
    """The runtime and the SCM's side are there; verbs, test things, and what the interpreter has itself are not."""
    found = names(packed)

    assert {"stayon", "stayon.app", "stayon.runtime.host", "stayon.platforms.windows.dispatcher"} <= found
    assert not {"argparse", "asyncio", "subprocess", "stayon.cli.install", "stayon.testing", "os"} & found
    assert not [name for name in found if name.startswith(("stayon.testing", "stayon.services"))]


def test_its_modules_are_those_of_the_files(packed: Path) -> None:
    """``__file__``, packages' paths and a traceback's lines are the same; docstrings are gone, assertions are not."""
    program = """
import stayon.runtime.host, stayon.app
from stayon.core.duration import seconds
print(type(stayon.app.__spec__.loader).__name__, stayon.app.__file__, stayon.runtime.__path__, stayon.app.__doc__)
try:
    seconds("soon")
except Exception as error:
    step = error.__traceback__
    while step.tb_next: step = step.tb_next
    print(step.tb_frame.f_code.co_filename, step.tb_lineno)
"""
    loader, file, path, doc, *place = run(packed, program).split()

    assert (loader, file, doc) == ("PackedModules", str(packed / "app.py"), "None")
    assert path == repr([str(packed / "runtime")])
    assert "raise UsageError" in "".join(Path(place[0]).read_text("utf-8").splitlines()[int(place[1]) - 1 :][:1])


def test_each_module_is_given_once(packed: Path) -> None:
    """So a reload takes the file; and what was forgotten comes from there, too."""
    program = """
import importlib, stayon.exits
print(type(stayon.exits.__spec__.loader).__name__)
print(type(importlib.reload(stayon.exits).__spec__.loader).__name__)
modules.clear()
import stayon.errors
print(type(stayon.errors.__spec__.loader).__name__)
"""
    assert run(packed, program).split() == ["PackedModules", "SourceFileLoader", "SourceFileLoader"]


def append(path: Path) -> None:
    """Edit a file in place, as an editor does that keeps its time of the second."""
    status = path.stat()
    path.write_text(path.read_text("utf-8") + "\n# edited\n", "utf-8")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def touch(path: Path) -> None:
    """Another file of the same size, as an upgrade brings."""
    os.utime(path, ns=(0, 1_000_000_000))


@pytest.mark.parametrize("spoil", [append, touch, Path.unlink], ids=["edited", "replaced", "removed"])
@pytest.mark.parametrize("file", ["app.py", "core/states.py", "platforms/windows/poller.py"])
def test_one_that_is_older_than_a_source_is_not_used(package: Path, file: str, spoil: Callable[[Path], object]) -> None:
    """Whatever happens to a source, in any of the directories: imports come from the files again."""
    assert names(package)
    spoil(package / file)

    assert not names(package)


def test_a_new_source_makes_it_stale(package: Path) -> None:
    """A module may have become a package."""
    (package / "core" / "another.py").write_text("")

    assert not names(package)


def test_one_that_was_moved_is_not_used(package: Path, tmp_path: Path) -> None:
    """Its modules would have the wrong files."""
    moved = tmp_path / "elsewhere" / "stayon"
    shutil.copytree(package, moved, copy_function=shutil.copy2)

    assert not names(moved)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        entry.head(5)[:-8].replace(sys.version.encode(), b"3.0.0") + bytes(8) + b"N",
        entry.head(0),
        entry.head(5) + b"N",
        entry.head(5) + b"\xfa\xff",
    ],
    ids=["empty", "foreign", "another Python's", "cut off", "no index", "damaged"],
)
def test_a_damaged_one_is_not_used(package: Path, data: bytes) -> None:
    """It is an error to nobody: imports come from the files."""
    (package / "__pycache__" / entry.PACK_NAME).write_bytes(data)

    assert not names(package)


def test_without_one_imports_come_from_the_files(package: Path) -> None:
    """And taking it away twice is harmless."""
    pack.remove(str(package))
    pack.remove(str(package))

    assert not names(package)
    assert run(package, "import stayon.exits; print(type(stayon.exits.__spec__.loader).__name__)") == "SourceFileLoader"


def test_where_nothing_can_be_written_there_is_none(package: Path) -> None:
    """An install goes on without it."""
    pack.remove(str(package))
    shutil.rmtree(package / "__pycache__")
    (package / "__pycache__").write_text("in the way")

    assert pack.write(str(package)) == ""


def test_code_without_docstrings_is_the_same_code() -> None:
    """A body that was only a docstring stays a body, and a source that reads docstrings keeps them."""
    source = b'''"""doc"""
from __future__ import annotations
class A:
    """doc"""
def f():
    "doc"
    assert 0, "kept"
'''
    namespace: dict = {}
    exec(pack.compiled(source, "x.py"), namespace)  # noqa: S102  # our own
    assert (namespace.get("__doc__"), namespace["A"].__doc__, namespace["f"].__doc__) == (None, None, None)
    with pytest.raises(AssertionError, match="kept"):
        namespace["f"]()

    exec(pack.compiled(source + b"f.__doc__ += '!'\n", "x.py"), namespace)  # noqa: S102  # our own
    assert namespace["f"].__doc__ == "doc!"
