"""Makes the pack: one file with the code of all that an idle service imports, so that it starts at once.

Finding and opening a hundred small files takes most of a service's start, the more so where a virus scanner looks at
each of them. ``entry`` reads it.
"""

from __future__ import annotations

import os
import sys
from marshal import dumps

from stayon.platforms.windows import entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType
    from typing import Any

# What a service imports at its start, and inside functions soon afterwards; the last is for its configuration.
ROOTS = (
    "stayon.platforms.windows.boot",
    "stayon.platforms.windows.bell",
    "stayon.platforms.windows.controls",
    "stayon.platforms.windows.dispatcher",
    "stayon.platforms.windows.service_process",
    "stayon.cli.program",
    "stayon.cli.started",
    "stayon.cli.target",
    "stayon.core.schedule",
    "stayon.runtime.context",
    "stayon.runtime.config.last_good",
    "stayon.runtime.declared",
    "stayon.runtime.logs.event_text",
    "stayon.runtime.logs.filters",
    "stayon.runtime.logs.system_sink",
    "stayon.runtime.logs.text",
    "stayon.runtime.logs.walk",
    "tomllib",
)

# A fresh interpreter, as the service's own, writes it: the one that asks has imported much more.
_PROGRAM = """
import sys
sys.path.append(sys.argv[1])
from stayon.platforms.windows import pack
pack.write_here(sys.argv[2])
"""


def write(package: str = entry.PACKAGE) -> str:
    """Write the pack of *package* (stayon's directory) beside its byte code; gives its path, or "" if it can't be
    written there: services start without it, only later. Takes a second.
    """
    import subprocess

    package = os.path.abspath(package)  # as ``command`` has it, from which ``entry`` knows its place
    # Without the columns of every instruction, a third of a pack: tracebacks still have lines.
    command = [getattr(sys, "_base_executable", sys.executable), "-I", "-S", "-X", "no_debug_ranges", "-c", _PROGRAM]
    path = os.path.join(package, "__pycache__", entry.PACK_NAME)
    made = subprocess.run(
        [*command, os.path.dirname(package), package], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return path if made.returncode == 0 else ""


def remove(package: str = entry.PACKAGE) -> None:
    """Remove the pack, if there is one."""
    try:
        os.remove(os.path.join(package, "__pycache__", entry.PACK_NAME))
    except OSError:
        return


def write_here(package: str) -> None:
    """Write it with what this interpreter imports for a service, besides what it has imported for this."""
    own = set(sys.modules)
    for name in ROOTS:
        __import__(name)
    # The ports of this computer are chosen when they are asked for.
    __import__("stayon.app", fromlist=["here"]).here()
    names = sorted(name for name in sys.modules if name not in own or name.partition(".")[0] == "stayon")
    # (Some of what stands among the modules is none, as typing.io of Python 3.11.)
    specs = {name: getattr(sys.modules[name], "__spec__", None) for name in names if name != __name__}
    files = {name: spec for name, spec in specs.items() if spec is not None and spec.has_location}
    ours = {os.path.dirname(str(spec.origin)) for name, spec in files.items() if _is_ours(name)}
    relative = sorted(directory.removeprefix(package) for directory in ours)
    # Before the sources are read, so that one that is changed from now on makes the pack a stale one.
    stamp = entry.stamp(package, relative)
    code, index = bytearray(), {}
    for name, spec in files.items():
        marshalled = _marshalled(name, spec)
        if marshalled:
            is_package = spec.submodule_search_locations is not None
            index[name] = (is_package, str(spec.origin), len(code), len(code) + len(marshalled))
            code += marshalled
    about = dumps((package, relative, stamp, index))
    _replace(os.path.join(package, "__pycache__", entry.PACK_NAME), entry.head(len(about)) + about + code)


def compiled(source: bytes, path: str) -> CodeType:
    """The code of *source*, without docstrings unless it reads them; everything else, ``assert`` too, is there."""
    import ast

    tree = ast.parse(source, path)
    if b"__doc__" not in source:
        for node in ast.walk(tree):
            if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            if ast.get_docstring(node, clean=False) is not None:
                node.body[:1] = [] if node.body[1:] else [ast.copy_location(ast.Pass(), node.body[0])]
    code: CodeType = compile(tree, path, "exec", dont_inherit=True)
    return code


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == "stayon"


def _marshalled(name: str, spec: ModuleSpec) -> bytes:
    """The code of a module; nothing for one that isn't Python's."""
    loader: Any = spec.loader
    if _is_ours(name):
        return dumps(compiled(loader.get_data(spec.origin), str(spec.origin)))
    code = loader.get_code(name) if hasattr(loader, "get_code") else None
    return dumps(code) if code is not None else b""


def _replace(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = f"{path}.{os.getpid()}"
    with open(new, "wb") as file:
        file.write(data)
    os.replace(new, path)
