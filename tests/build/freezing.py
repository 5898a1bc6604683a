"""Small projects on disk, frozen by the interpreter that runs the tests."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
import textwrap
from pathlib import Path
from typing import Any

from stayon.build.graph import Frozen, Order, freeze
from stayon.build.library import Library
from stayon.build.payload import Module

SERVICE = 'from stayon import Service\nservice = Service("shop")\n'


@functools.cache
def library(platform: str = "linux") -> Library:
    """The library of the interpreter that runs the tests, as if it were *platform*'s."""
    place = sysconfig.get_path("stdlib")
    folder = sysconfig.get_config_var("DESTSHARED") or ""
    files = os.listdir(folder) if os.path.isdir(folder) else []
    extensions = {name.partition(".")[0]: name for name in files}
    return Library(place, extensions, frozenset(sys.builtin_module_names), platform, sys.version_info[:2])


def project(top: Path, files: dict[str, str]) -> Path:
    """A directory with *files* by place."""
    for place, text in files.items():
        path = top / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), "utf-8")
    return top


def frozen(top: Path, program: str = "shop.py", *, platform: str = "linux", **order: Any) -> Frozen:
    """What comes of *program* in the directory *top*."""
    path = str(top / program) if program.endswith(".py") else program
    return freeze(Order(path, sys.executable, library(platform), directory=str(top), **order))


def modules(found: Frozen) -> dict[str, Module]:
    """Its modules by name."""
    return {module.name: module for module in found.modules}
