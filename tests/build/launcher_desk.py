"""Programs made by hand around the Linux launcher: the interpreter that runs the tests, the least of its library, and a
boot module of one's own.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import lzma
import marshal
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from stayon.build import abi, payload
from stayon.build.payload import Module, PackedFile, Payload
from stayon.build.xxh64 import xxh64

REPOSITORY = Path(__file__).resolve().parents[2]
LAUNCHER = REPOSITORY / "launcher"
SHIPPED = REPOSITORY / "src" / "stayon" / "build" / "launchers"
PATIENCE_S = 30.0

HELLO = "def main():\n    print('hello')\n"
LZMA1 = {"id": lzma.FILTER_LZMA1, "preset": 1, "lc": 3, "lp": 0, "pb": 2}
X86 = {"id": lzma.FILTER_X86}


def target() -> str:
    """The launcher for this computer."""
    name = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}.get(platform.machine())
    if name is None:
        pytest.skip(f"there is no launcher for {platform.machine()}")
    return name


@functools.cache
def interpreter() -> tuple[str, bytes]:
    """The name and the content of the running interpreter's library, without what only debuggers read."""
    name, folder = sysconfig.get_config_var("INSTSONAME"), sysconfig.get_config_var("LIBDIR")
    path = Path(folder or "", name or "")
    if not sysconfig.get_config_var("Py_ENABLE_SHARED") or not path.is_file():
        pytest.skip("this Python has no shared library that a launcher could load")
    with tempfile.TemporaryDirectory() as scratch:
        stripped = Path(scratch, "stripped")
        subprocess.run(["strip", "--strip-unneeded", "-o", stripped, path], check=True)
        return name, stripped.read_bytes()


def frozen(name: str, source: str, *, is_package: bool = False, flags: int = payload.FROZEN) -> Module:
    """A module for a payload."""
    place = name.replace(".", "/") + ("/__init__.py" if is_package else ".py")
    code = marshal.dumps(compile(source, place, "exec", dont_inherit=True))
    return Module(name, flags | (payload.PACKAGE if is_package else 0), place, code)


def of_library(*modules: ModuleType) -> Iterable[Module]:
    """Those modules of the running Python's library."""
    for module in modules:
        yield frozen(module.__name__, inspect.getsource(module), is_package=hasattr(module, "__path__"))


def stored(name: str, content: bytes, flags: int = 0) -> PackedFile:
    """A file as it is."""
    return PackedFile(name, content, len(content), hashlib.sha256(content).digest(), payload.STORED, flags)


def squeezed(file: PackedFile, *, is_x86: bool = False) -> PackedFile:
    """The same file, packed."""
    filters = [X86, LZMA1] if is_x86 else [LZMA1]
    packed = lzma.compress(file.packed, lzma.FORMAT_RAW, filters=filters)
    return replace(file, packed=packed, filter=payload.LZMA_BCJ if is_x86 else payload.LZMA)


def program(boot: str = HELLO, **changes: object) -> Payload:
    """What a program has whose boot module has the source *boot*; *changes* are members of ``Payload``."""
    names = ("encodings", "encodings.aliases", "encodings.utf_8")
    library, content = interpreter()
    whole = Payload(
        python=sys.version_info[:2],
        modules=(*of_library(*map(importlib.import_module, names)), frozen("boot", boot)),
        sets=((stored(library, content),),),
        about=b'{"name": "hello"}',
        abi=abi.numbers(sys.version_info[:2], "linux"),
        boot="boot",
        library=library,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # the caller knows the members' types


def executable(path: Path, carried: bytes | Payload, launcher: bytes | None = None) -> Path:
    """Puts a program together at *path*."""
    image = launcher if launcher is not None else (SHIPPED / target()).read_bytes()
    content = payload.written(carried) if isinstance(carried, Payload) else carried
    path.write_bytes(image + bytes(-len(image) % payload.PAGE) + content)
    path.chmod(0o755)
    return path


def rehashed(carried: bytes | bytearray) -> bytes:
    """A payload that was changed, with the hash that it has now."""
    head = payload.HEAD.size
    return bytes(carried[: head - 8]) + xxh64(carried[head:]).to_bytes(8, "little") + bytes(carried[head:])


class Runner:
    """Starts programs whose runtime is put into a directory of this test's."""

    def __init__(self, folder: Path) -> None:
        self.runtime = folder / "runtime"

    def environment(self, **more: str) -> dict[str, str]:
        """The least that a program may find."""
        return {"PATH": os.environ["PATH"], "STAYON_RUNTIME": str(self.runtime), **more}

    def __call__(self, *words: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        defaults: dict[str, object] = {"env": self.environment(), "stdin": subprocess.DEVNULL}
        return subprocess.run(  # type: ignore[call-overload]  # what options hold is the test's affair
            [str(word) for word in words],
            check=False, capture_output=True, text=True, timeout=PATIENCE_S, **(defaults | options),
        )  # fmt: skip

    def set_of(self, carried: Payload, index: int = 0) -> Path:
        """Where a set of the payload is put."""
        return self.runtime / payload.set_name(carried.sets[index])


def may_mount() -> None:
    """Skips, by name, where root may not mount anything, as in a plain container."""
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this root may not mount anything")


def refused(ended: subprocess.CompletedProcess[str], code: str, exit_code: int) -> str:
    """Asserts that the launcher said one line with this code; gives the line."""
    assert re.fullmatch(rf"[^\n]+ \[{re.escape(code)}\]\n", ended.stderr), ended.stderr
    assert ended.returncode == exit_code, ended.stderr
    assert not ended.stdout
    return ended.stderr
