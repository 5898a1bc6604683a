"""Dependencies of a program, resolved and unpacked for another computer; all from a directory, without a network."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from stayon.build import wheels
from stayon.errors import ConfigError, StayonError, UnavailableError
from tests.conftest import required

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

NOBODY = "http://127.0.0.1:9"  # where, on any computer, nothing listens


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that uv takes for the only index there is; whatever else it would ask does not answer."""
    try:
        wheels.program()
    except UnavailableError as error:
        if required():
            raise
        pytest.skip(str(error))
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("UV_DEFAULT_INDEX", folder.as_uri())
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, NOBODY)
    return folder


def wheel(index: Path, name: str, tag: str = "py3-none-any", needs: tuple[str, ...] = ()) -> None:
    """Put a wheel of *name* 1.0 into the index."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    metadata += "".join(f"Requires-Dist: {one}\n" for one in needs)
    folder = index / name
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1.0-{tag}.whl", "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"TAG = {tag!r}\n")
        archive.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{name}-1.0.dist-info/RECORD", f"{name}/__init__.py,,\n")
    listed(folder)


def listed(folder: Path) -> None:
    """Write the page of the index that has all files of *folder* (PEP 503)."""
    names = sorted(path.name for path in folder.iterdir() if path.name != "index.html")
    links = "".join(f'<a href="{name}">{name}</a>' for name in names)
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>", "utf-8")


def install(folder: Path, *requirements: str, target: str = "windows-x64", offline: bool = False) -> Path:
    cache = folder / "cache"
    cache.mkdir(exist_ok=True)
    return Path(wheels.install(requirements, target=target, python=(3, 13), cache=str(cache), offline=offline))


def refused(folder: Path, *requirements: str, target: str = "windows-x64") -> StayonError:
    with pytest.raises(StayonError) as error:
        install(folder, *requirements, target=target)
    assert [path for path in (folder / "cache").iterdir() if path.is_dir()] == []
    return error.value


def test_for_the_target(index: Path, tmp_path: Path) -> None:
    """Tags and markers are asked of the target and its Python, not of this computer."""
    wheel(index, "native", "cp313-cp313-win_amd64")
    wheel(index, "native", "cp313-cp313-manylinux_2_17_x86_64")
    wheel(index, "native", "cp311-cp311-win_amd64")
    wheel(index, "top", needs=("native", "only; sys_platform == 'win32'", "old; python_version < '3.12'"))
    wheel(index, "only")
    windows, linux = install(tmp_path, "top"), install(tmp_path, "top", target="linux-x64")
    names = {path.name for path in windows.iterdir() if path.is_dir() and "-" not in path.name}
    assert names == {"top", "native", "only"}
    assert "win_amd64" in (windows / "native" / "__init__.py").read_text("utf-8")
    assert "manylinux" in (linux / "native" / "__init__.py").read_text("utf-8")
    assert not (linux / "only").exists()


def test_once_for_each_resolution(index: Path, tmp_path: Path) -> None:
    """The same requirements give the same directory, untouched; and, when nothing can be resolved, the last one."""
    wheel(index, "top")
    first = install(tmp_path, "top")
    (first / "mark").write_text("", "utf-8")
    assert install(tmp_path, "top") == first
    assert (first / "mark").exists()


def test_stayon_is_not_among_them(index: Path, tmp_path: Path) -> None:
    """The one that builds is built in, also where a distribution asks for another."""
    wheel(index, "stayon")
    wheel(index, "top", needs=("stayon",))
    assert not (install(tmp_path, "top") / "stayon").exists()


def test_no_requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any, nobody asks for uv."""
    monkeypatch.setattr(wheels, "program", lambda: pytest.fail("uv was asked for"))
    assert wheels.install((), target="linux-x64", python=(3, 13), cache=str(tmp_path)) == ""


def test_a_source_alone_is_refused(index: Path, tmp_path: Path) -> None:
    """A distribution without a wheel is named, with target and version; nothing is built, nothing is left."""
    (index / "source").mkdir()
    with tarfile.open(index / "source" / "source-1.0.tar.gz", "w:gz"):
        pass
    listed(index / "source")
    error = refused(tmp_path, "source")
    assert isinstance(error, ConfigError)
    assert (error.code, error.what) == ("build.no-wheel", "source has no wheel for windows-x64 / Python 3.13")


def test_a_wheel_for_others_is_refused(index: Path, tmp_path: Path) -> None:
    """One whose wheels are all for other computers is refused in the same words."""
    wheel(index, "native", "cp313-cp313-macosx_11_0_arm64")
    assert (refused(tmp_path, "native").code) == "build.no-wheel"


def test_what_cannot_be_had(index: Path, tmp_path: Path) -> None:
    """A name that nobody has, and requirements that no set of versions fulfils."""
    wheel(index, "top")
    assert refused(tmp_path, "nobody-has-this").code == "build.no-distribution"
    assert refused(tmp_path, "top>=2").code == "build.requirements"


def test_no_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without uv the line says how to get it."""
    monkeypatch.setitem(__import__("sys").modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    error = refused(tmp_path, "top")
    assert error.code == "build.uv"
    assert "stayon[build]" in error.hint


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: Path) -> None:
    """Where an index doesn't answer, the last resolution is taken; without one it is one line with a code."""
    wheel(index, "top")
    kept = install(tmp_path, "top")
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"{NOBODY}/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    assert install(tmp_path, "top") == kept
    with pytest.raises(UnavailableError) as error:
        install(tmp_path, "other")
    assert error.value.code == "build.no-network"
    with pytest.raises(UnavailableError) as error:
        install(tmp_path, "other", offline=True)
    assert error.value.code == "build.no-network"
