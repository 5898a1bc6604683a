"""TEMPORARY until graph.freeze is there: all of the library, stayon and the script's directory, compiled here."""

from __future__ import annotations

import marshal
import os

from stayon.build import payload
from stayon.build.payload import Module

SKIP = {"test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "site-packages", "lib-dynload", "__pycache__", "pydoc_data", "dist-packages"}


def modules(root: str, flags: int, prefix: str = ""):
    """All modules below *root*."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIP and not name.startswith("config-"))
        inside = os.path.relpath(folder, root).replace(os.sep, "/")
        for name in sorted(names):
            if not name.endswith(".py"):
                continue
            path = prefix + os.path.normpath(f"{inside}/{name}")
            dotted = path.removesuffix(".py").replace("/", ".")
            is_package = dotted.endswith(".__init__")
            dotted = dotted.removesuffix(".__init__")
            with open(os.path.join(folder, name), "rb") as file:
                code = compile(file.read(), path, "exec", dont_inherit=True, optimize=0)
            found.append(Module(dotted, flags | (payload.PACKAGE if is_package else 0), path, marshal.dumps(code)))
    return found
