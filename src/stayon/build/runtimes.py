"""Where the interpreter's files for a target come from, and which of them a program needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from stayon.build import payload
from stayon.build.targets import Target


@dataclass(frozen=True)
class Runtime:
    """An interpreter for *target*: its *library* (libpython or pythonXY.dll), *always* needed files beside that, its
    own *extensions* (module: file), what is built in, and where its library in Python is (a directory with ``.py``,
    or a zip with ``.pyc``). *content* gives a file, *needs* what a file wants beside it, in the order of loading.
    *adopt* takes in a library that a file elsewhere needs, and gives its name behind those that it needs itself; it
    raises ``UnavailableError`` if that is nowhere.
    """

    target: Target
    version: tuple[int, int, int]
    library: str
    stdlib: str
    builtins: frozenset[str]
    extensions: Mapping[str, str]
    content: Callable[[str], bytes]
    needs: Callable[[str], tuple[str, ...]]
    origin: str
    glibc_of: Callable[[str], tuple[int, ...]] = lambda _: ()
    adopt: Callable[[str, str], tuple[str, ...]] = lambda _needed, _by: ()

    @property
    def minor(self) -> tuple[int, int]:
        """Its version as far as bytecode depends on it."""
        return self.version[:2]


@dataclass(frozen=True)
class Chosen:
    """Files of a runtime that a program needs: their names in the order of loading, with flags; what an extension
    needs to be loaded before it; the glibc that all of it needs.
    """

    files: tuple[tuple[str, int], ...]
    libraries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    glibc: tuple[int, ...] = ()


def chosen(
    runtime: Runtime, modules: Iterable[str], further: Iterable[str], libraries: Mapping[str, tuple[str, ...]]
) -> Chosen:
    """The files of *runtime* for a program that imports its extension *modules*, and wants *further* ones by name; what
    modules of others need before them is in *libraries*.
    """
    flags: dict[str, int] = {}
    for name in runtime.needs(runtime.library):
        flags[name] = payload.PRELOAD
    flags[runtime.library] = 0
    before: dict[str, tuple[str, ...]] = {}
    for module in sorted(modules):
        file = runtime.extensions[module]
        before[module] = runtime.needs(file)
        for name in (*before[module], file):
            flags.setdefault(name, 0)
    for name in further:
        flags.setdefault(name, 0)
    is_told = not runtime.target.is_windows  # Windows looks beside the extension by itself
    told = {
        module: names
        for module, wanted in sorted({**before, **libraries}.items())
        if is_told and (names := tuple(name for name in wanted if flags[name] != payload.PRELOAD))
    }
    return Chosen(tuple(flags.items()), told, max((runtime.glibc_of(name) for name in flags), default=()))
