"""What a program is put together from, once all that is asked for has been had: nothing is written yet."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from stayon.build import cache, declaration, dependencies, graph, library, natives, payload, runtimes, sources, wheels
from stayon.build.declaration import Declaration
from stayon.build.graph import Frozen
from stayon.build.interpreter import Interpreter
from stayon.build.payload import Module
from stayon.build.recipe import Recipe
from stayon.build.runtimes import Chosen, Runtime
from stayon.errors import UsageError

_FOR_TRUSTED = (
    "_ctypes", "site", "stayon.platforms.windows.entry", "stayon.platforms.windows.pack",
    "stayon.platforms.windows.win32_ctypes",
)  # fmt: skip

# Called with what is being done, and how much of it is done (0 to 1).
Tell = Callable[[str, float], object]


@dataclass(frozen=True)
class Kit:
    """*modules* are all that are built in; *own* files, by place, go into the program's set; *chosen* are those of the
    interpreter.
    """

    recipe: Recipe
    declared: Declaration
    runtime: Runtime
    compiler: Interpreter
    frozen: Frozen
    modules: tuple[Module, ...]
    own: Mapping[str, str]
    chosen: Chosen
    warnings: tuple[str, ...]

    @property
    def module(self) -> str:
        """The module that has the service."""
        return self.frozen.program

    @property
    def version(self) -> str:
        """The program's own version."""
        return self.recipe.version or self.declared.version or "0.0.0"


def gathered(recipe: Recipe, tell: Tell) -> Kit:
    """All that *recipe* needs. Blocks: some of it may be fetched. Raises ``StayonError``."""
    tell("program", 0.0)
    folder = os.path.dirname(os.path.abspath(recipe.program)) if recipe.is_file else os.getcwd()
    declared = _declared(recipe, folder)
    tell("runtime", 0.0)
    runtime, compiler = sources.found(recipe, lambda done, size: tell("runtime", done / size if size else 0.0))
    tell("dependencies", 0.0)
    wanted = dependencies.wanted(recipe.program, folder, recipe.requirements)
    packages = wheels.install(
        wanted.requirements,
        target=recipe.target.name,
        python=runtime.minor,
        cache=cache.directory("wheels"),
        offline=recipe.is_offline,
    )
    tell("modules", 0.0)
    frozen = graph.freeze(graph.Order(
        program=recipe.program, interpreter=compiler.path, packages=packages, include=_included(recipe),
        exclude=recipe.exclude, keep_source=recipe.keeps_source or recipe.layout == "trusted", directory=folder,
        cache=cache.directory("modules"), library=library.Library(
            place=runtime.stdlib, extensions=runtime.extensions, builtins=runtime.builtins,
            platform="win32" if recipe.target.is_windows else "linux", minor=runtime.minor,
        ),
    ))  # fmt: skip
    used = [module.name for module in frozen.modules if module.flags & payload.LIBRARY]
    wanted_natively = natives.of(frozen, runtime)
    chosen = runtimes.chosen(runtime, used, wanted_natively.files, wanted_natively.libraries)
    return Kit(
        recipe, declared, runtime, compiler, frozen, _placed(frozen.modules, recipe), _own(frozen, recipe),
        replace(chosen, glibc=max(chosen.glibc, wanted_natively.glibc)), wanted_natively.warnings,
    )  # fmt: skip


def _declared(recipe: Recipe, folder: str) -> Declaration:
    """What the program says of itself. A module that isn't below *folder* is another's, and is found later, or not."""
    place = os.path.join(folder, *recipe.program.split("."))
    for path in (recipe.program,) if recipe.is_file else (f"{place}.py", os.path.join(place, "__init__.py")):
        if recipe.is_file or os.path.isfile(path):
            return declaration.of(path, recipe.attribute)
    return Declaration()


def _included(recipe: Recipe) -> tuple[str, ...]:
    """What is asked for, and what a layout needs: without a launcher, Windows is called by ctypes."""
    return (*recipe.include, *_FOR_TRUSTED) if recipe.layout == "trusted" else recipe.include


def _placed(modules: tuple[Module, ...], recipe: Recipe) -> tuple[Module, ...]:
    """*modules*; the program's own are where its data is, if that is built in."""
    if not recipe.data:
        return modules
    return tuple(replace(module, flags=module.flags & ~payload.BESIDE) for module in modules)


def _own(frozen: Frozen, recipe: Recipe) -> dict[str, str]:
    found = {name: path for name, path, _ in frozen.program_files}
    for path, place in recipe.data:
        if place in found:
            raise UsageError(
                f"two files are to be at {place}", where=path, hint="Give one of them another: --data FILE=PLACE.",
                code="build.data",
            )  # fmt: skip
        found[place] = path
    return found
