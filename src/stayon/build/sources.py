"""Which runtime a recipe gets, and which interpreter compiles for it."""

from __future__ import annotations

import os
import sys

from stayon.build import embeddable, interpreter, linux_runtime, prefix, windows_runtime
from stayon.build.download import Progress
from stayon.build.interpreter import Interpreter
from stayon.build.recipe import Recipe
from stayon.build.runtimes import Runtime
from stayon.build.targets import here
from stayon.errors import ConfigError, UnavailableError


def found(recipe: Recipe, progress: Progress) -> tuple[Runtime, Interpreter]:
    """The runtime for *recipe*, and an interpreter of the same minor version, which compiles. Blocks.

    Raises ``UnavailableError``: it, or its interpreter, can't be had; ``ConfigError``: it is none for the target.
    """
    if recipe.target.is_windows:
        runtime = _of_windows(recipe, progress)
    else:
        runtime = _of_linux(recipe, progress)
    if recipe.python and runtime.minor != recipe.python:
        major, minor = recipe.python
        raise ConfigError(
            f"this runtime is Python {'.'.join(map(str, runtime.version))}, not {major}.{minor}", where=runtime.origin,
            hint=f"Leave --python out, or give a runtime of {major}.{minor}.", code="build.runtime-version",
        )  # fmt: skip
    compiler = interpreter.of_minor(runtime.minor)
    return runtime, compiler


def _of_windows(recipe: Recipe, progress: Progress) -> Runtime:
    if recipe.runtime:
        place = embeddable.given(recipe.runtime, is_offline=recipe.is_offline, progress=progress)
        return windows_runtime.of_directory(recipe.target, place, recipe.runtime)
    if recipe.target.machine != "x64":
        raise _none_known(recipe, "the embeddable distribution of python.org for it")
    place, origin = embeddable.directory(_minor(recipe), is_offline=recipe.is_offline, progress=progress)
    return windows_runtime.of_directory(recipe.target, place, origin)


def _of_linux(recipe: Recipe, progress: Progress) -> Runtime:
    if recipe.runtime:
        place = embeddable.given(recipe.runtime, is_offline=recipe.is_offline, progress=progress)
        is_here = recipe.target.name == here()
        python = interpreter.asked(_program(place)) if is_here else prefix.read(place, recipe.target)
        return linux_runtime.of_interpreter(recipe.target, python)
    if recipe.target.name != here():
        raise _none_known(recipe, "an installed Python of such a computer, with a libpython of its own")
    return linux_runtime.of_interpreter(recipe.target, interpreter.of_minor(_minor(recipe)))


def _program(place: str) -> str:
    """The interpreter in the installed Python at *place*."""
    for name in ("bin/python3", "bin/python", "python3", "python"):
        path = os.path.join(place, name)
        if os.path.isfile(path):
            return path
    raise ConfigError(
        "there is no Python in it", where=place, hint="Give the directory that has bin/python3.",
        code="build.runtime-version",
    )  # fmt: skip


def _minor(recipe: Recipe) -> tuple[int, int]:
    return recipe.python or sys.version_info[:2]


def _none_known(recipe: Recipe, what: str) -> UnavailableError:
    return UnavailableError(
        f"there is no Python for {recipe.target.name} that this computer could get by itself", where="--target",
        hint=f"Give {what}: --runtime PATH.", code="build.no-runtime",
    )  # fmt: skip
