"""An interpreter of this computer, asked what it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from stayon.errors import UnavailableError

PROBE_TIMEOUT_S = 30
_PROBE = """
import _imp, importlib.util, json, sys, sysconfig
get = sysconfig.get_config_var
print(json.dumps({
    "version": sys.version_info[:3],
    "builtins": sys.builtin_module_names,
    "stdlib": sysconfig.get_path("stdlib"),
    "library": get("INSTSONAME") if get("Py_ENABLE_SHARED") else "",
    "directories": [get("LIBDIR") or "", sys.base_prefix + "/lib"],
    "extensions": get("DESTSHARED") or "",
    "suffixes": _imp.extension_suffixes(),
    "magic": importlib.util.MAGIC_NUMBER.hex(),
    "is_usual": sys.implementation.name == "cpython" and not get("Py_GIL_DISABLED"),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """What the interpreter at *path* says of itself. *library*: the file of libpython, "" if it is built in;
    *extensions*: the directory of its own extension modules; *magic*: how its compiled files begin. *is_usual*: CPython
    with its lock.
    """

    path: str
    version: tuple[int, int, int]
    builtins: frozenset[str]
    stdlib: str
    library: str
    directories: tuple[str, ...]
    extensions: str
    suffixes: tuple[str, ...]
    magic: bytes
    is_usual: bool


def asked(path: str) -> Interpreter:
    """What the interpreter at *path* is. Raises ``UnavailableError`` if it doesn't run."""
    command = [path, "-I", "-S", "-c", _PROBE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=True)
        told = json.loads(done.stdout)
        major, minor, micro = told["version"]
        return Interpreter(
            path, (major, minor, micro), frozenset(told["builtins"]), told["stdlib"], told["library"],
            tuple(told["directories"]), told["extensions"], tuple(told["suffixes"]), bytes.fromhex(told["magic"]),
            told["is_usual"],
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise _useless(path, (error.stderr.strip().splitlines() or ["it says nothing"])[-1]) from error
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise _useless(
            path, f"{type(error).__name__}: {getattr(error, 'strerror', None) or 'no usable answer'}"
        ) from error


def _useless(path: str, why: str) -> UnavailableError:
    return UnavailableError(
        "this interpreter does not run", where=path, why=why, hint="Name another: --runtime PATH.",
        code="build.interpreter",
    )  # fmt: skip


def of_minor(minor: tuple[int, int]) -> Interpreter:
    """An interpreter of Python *minor*, such as (3, 13): the one that builds, or one on PATH, or uv's or pyenv's.

    Raises ``UnavailableError`` if there is none: bytecode of one minor version crashes another.
    """
    if sys.version_info[:2] == minor:
        return asked(sys.executable)
    name = f"python{minor[0]}.{minor[1]}"
    for path in (shutil.which(name), *_kept_elsewhere(minor)):
        try:
            found = asked(path) if path else None
        except UnavailableError:
            continue  # pyenv's on PATH runs only the versions that are chosen
        if found is not None and found.version[:2] == minor and found.is_usual:
            return found
    raise UnavailableError(
        f"{name} is not installed here, and its bytecode is compiled by itself alone",
        hint=f"Install it (uv python install {minor[0]}.{minor[1]}), or build for the Python that runs this: "
        f"--python {sys.version_info[0]}.{sys.version_info[1]}.",
        code="build.interpreter",
    )


def _kept_elsewhere(minor: tuple[int, int]) -> list[str]:
    """Where uv and pyenv keep interpreters that are not on PATH; the newest first."""
    prefix = f"{minor[0]}.{minor[1]}."
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    candidates = []
    for folder, before in ((os.path.join(pyenv, "versions"), ""), (os.path.join(data, "uv", "python"), "cpython-")):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            micro = name.removeprefix(before).removeprefix(prefix).partition("-")[0]
            path = os.path.join(folder, name, "bin", f"python{minor[0]}.{minor[1]}")
            if name.startswith(before + prefix) and micro.isdigit() and os.path.isfile(path):
                candidates.append((int(micro), path))
    return [path for _, path in sorted(candidates, reverse=True)]
