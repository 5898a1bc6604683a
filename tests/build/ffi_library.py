"""The launcher's calls of C functions as a library of their own, for a Python that no launcher has started."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOURCES = (Path(__file__).with_name("ffi_module.c"), ROOT / "launcher" / "ffi.c")
LINUX, WINDOWS = "gcc", "x86_64-w64-mingw32-gcc"


def built(compiler: str, folder: Path) -> Path:
    """The library, compiled into *folder*."""
    path = folder / ("ffi.dll" if compiler == WINDOWS else "ffi.so")
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-shared", "-fPIC", "-fvisibility=hidden"]
    subprocess.run([compiler, *flags, "-o", path, *SOURCES], check=True)
    return path


def started(path: Path) -> Any:
    """The module ``_stayon`` of the library at *path*, which is in ``sys.modules`` from now on."""
    library = ctypes.PyDLL(str(path))
    library.start.argtypes = [ctypes.c_void_p]
    python: Any = ctypes.pythonapi
    assert library.start(getattr(sys, "dllhandle", python._handle)) == 0  # noqa: SLF001  # ctypes has no other name for it
    return sys.modules["_stayon"]
