"""The launchers as files: built again they are the same, and the Linux ones ask for little and are hardened."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from struct import iter_unpack, unpack_from
from types import ModuleType

import pytest

from stayon.build import elf
from tests.build import launcher_desk as desk

LINUX = ("linux-x64", "linux-arm64")
SIZE_LIMIT = 72 * 1024
OLDEST_GLIBC = (2, 17)

LOAD, DYNAMIC, INTERPRETER, STACK, RELRO = 1, 2, 3, 0x6474E551, 0x6474E552
RUNS, WRITABLE = 1, 2
SHARED_OBJECT = 3
FLAGS_1, NOW, PIE, DEBUG_NAMES = 0x6FFFFFFB, 0x1, 0x08000000, b".debug"


def builder() -> ModuleType:
    """launcher/build.py."""
    spec = importlib.util.spec_from_file_location("launcher_build", desk.LAUNCHER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for it there
    spec.loader.exec_module(module)
    return module


BUILD = builder()


@pytest.mark.parametrize("name", BUILD.TARGETS)
def test_built_again(tmp_path: Path, name: str) -> None:
    """The same source and the same compiler give the bytes that are shipped."""
    target = BUILD.TARGETS[name]
    if why := BUILD.missing(target):
        pytest.skip(f"{name} can't be compared here: {why}")
    made = tmp_path / target.file
    BUILD.build(target, made)
    assert made.read_bytes() == (BUILD.SHIPPED / target.file).read_bytes()


@pytest.mark.linux
@pytest.mark.needs_gcc
def test_check(tmp_path: Path) -> None:
    """`--check` ends with 1 if what is shipped differs, and writes nothing."""
    if why := BUILD.missing(BUILD.TARGETS["linux-x64"]):
        pytest.skip(f"linux-x64 can't be compared here: {why}")
    script = tmp_path / "launcher" / "build.py"
    for path in desk.LAUNCHER.iterdir():
        script.parent.mkdir(exist_ok=True)
        if path.is_file():
            (script.parent / path.name).write_bytes(path.read_bytes())
    shipped = tmp_path / "src" / "stayon" / "build" / "launchers" / "linux-x64"
    shipped.parent.mkdir(parents=True)
    shipped.write_bytes((BUILD.SHIPPED / "linux-x64").read_bytes())
    words = [sys.executable, str(script), "--check", "linux-x64"]
    assert subprocess.run(words, check=False, capture_output=True, timeout=60).returncode == 0
    shipped.write_bytes(b"another")
    assert subprocess.run(words, check=False, capture_output=True, timeout=60).returncode == 1
    assert shipped.read_bytes() == b"another"


@pytest.fixture(params=LINUX)
def image(request: pytest.FixtureRequest) -> bytes:
    """Each Linux launcher."""
    return (desk.SHIPPED / request.param).read_bytes()


def segments(image: bytes) -> list[tuple[int, ...]]:
    """Its program headers: type, flags, offset, address, address, size in the file, size, alignment."""
    (start,) = unpack_from("<Q", image, 32)
    size, count = unpack_from("<2H", image, 54)
    return list(iter_unpack("<2I6Q", image[start : start + size * count]))


def dynamic(image: bytes) -> dict[int, int]:
    """Its dynamic section."""
    (place,) = [segment for segment in segments(image) if segment[0] == DYNAMIC]
    return dict(iter_unpack("<2Q", image[place[2] : place[2] + place[5]]))


def test_it_asks_for_glibc_alone(image: bytes) -> None:
    """It needs nothing but glibc, and of that what each version since 2012 has: the interpreter decides."""
    found = elf.read(image)
    # On arm64 the stack protector's number is the loader's.
    assert set(found.needed) - {"ld-linux-aarch64.so.1"} == {"libc.so.6", "libdl.so.2"}
    assert found.glibc <= OLDEST_GLIBC
    assert found.run_path == ()


def test_it_is_hardened(image: bytes) -> None:
    """No page is both written and run, nor is the stack; it is loaded anywhere; what ld.so fills in is read-only."""
    of_type = {segment[0]: segment for segment in segments(image)}
    assert [segment for segment in segments(image) if segment[0] == LOAD and segment[1] & 3 == RUNS | WRITABLE] == []
    assert of_type[STACK][1] & RUNS == 0
    assert RELRO in of_type
    assert unpack_from("<H", image, 16) == (SHARED_OBJECT,)
    assert dynamic(image)[FLAGS_1] & (NOW | PIE) == NOW | PIE
    assert b"__stack_chk_fail" in image


def test_it_is_small_and_tells_nothing(image: bytes) -> None:
    """Tens of kilobytes, without names for debuggers, a compiler's name, or a path of the computer that built it."""
    assert len(image) <= SIZE_LIMIT
    assert elf.read(image).end == len(image)
    for trace in (DEBUG_NAMES, b"GCC: ", os.fsencode(desk.REPOSITORY), b"/tmp", b"/home/", b".c\0"):
        assert trace not in image
