"""An installed Python of another kind of computer, which cannot be asked: it is read."""

from __future__ import annotations

import ast
import os
import re

from stayon.build.interpreter import Interpreter
from stayon.build.targets import Target
from stayon.errors import ConfigError

_LIBRARY = re.compile(r"libpython(3)\.(\d+)\.so\.1\.0")
_MACHINES = {"x64": "x86_64", "arm64": "aarch64"}
# Built in everywhere (Modules/config.c.in), and in none of the lists.
_CORE = ("_ast", "_imp", "_string", "_tokenize", "_warnings", "builtins", "gc", "marshal", "sys")


def read(place: str, target: Target) -> Interpreter:
    """The Python for Linux installed in *place*, which has its ``lib``. Raises ``ConfigError``: there is none."""
    folder = os.path.join(place, "lib")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    found = next((match for name in names if (match := _LIBRARY.fullmatch(name))), None)
    if found is None:
        raise ConfigError(
            "there is no Python with a libpython of its own in it",
            where=place,
            hint="Give the directory that has lib/libpython3.N.so.1.0.",
            code="build.runtime-version",
        )
    major, minor = int(found[1]), int(found[2])
    stdlib = os.path.join(folder, f"python{major}.{minor}")
    extensions = os.path.join(stdlib, "lib-dynload")
    triple = f"{_MACHINES[target.machine]}-linux-gnu"
    return Interpreter(
        place,
        (major, minor, _micro(os.path.join(folder, found[0]), major, minor)),
        frozenset((*_CORE, *_built(stdlib, extensions))),
        stdlib,
        found[0],
        (folder,),
        extensions,
        (f".cpython-{major}{minor}-{triple}.so", ".abi3.so", ".so"),
        b"",
        is_usual=True,
    )


def _micro(library: str, major: int, minor: int) -> int:
    """What *library* says of its version: PY_VERSION, a text."""
    with open(library, "rb") as file:
        found = re.search(rb"%d\.%d\.(\d+)\0" % (major, minor), file.read())
    return int(found[1]) if found else 0


def _built(stdlib: str, extensions: str) -> set[str]:
    """The modules that its build was told to have, but those that are files (``MODBUILT_NAMES`` of sysconfig)."""
    names = [name for name in os.listdir(stdlib) if re.fullmatch(r"_sysconfigdata_.*\.py", name)]
    if not names:
        raise ConfigError(
            "what was built into this Python cannot be told", where=stdlib, why="it has no _sysconfigdata",
            hint="Give all of the installation, with its library.", code="build.runtime-damaged",
        )  # fmt: skip
    with open(os.path.join(stdlib, min(names)), encoding="utf-8") as file:
        text = file.read()
    told = ast.literal_eval(text[text.index("{") :])
    files = {name.partition(".")[0] for name in os.listdir(extensions)} if os.path.isdir(extensions) else set()
    return set(str(told.get("MODBUILT_NAMES", "")).split()) - files
