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
    always: tuple[str, ...] = ()

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


def chosen(runtime: Runtime, modules: Iterable[str], further: Iterable[str] = ()) -> Chosen:
    """The files of *runtime* for a program that imports its extension *modules*, and *further* ones by name."""
    flags: dict[str, int] = {}
    for name in runtime.needs(runtime.library):
        flags[name] = payload.PRELOAD
    flags[runtime.library] = 0
    for name in (*runtime.always, *further):
        flags.setdefault(name, 0)
    libraries = {}
    for module in sorted(modules):
        file = runtime.extensions[module]
        missing = tuple(name for name in runtime.needs(file) if flags.get(name) != payload.PRELOAD)
        if missing and not runtime.target.is_windows:
            libraries[module] = missing
        for name in (*missing, file):
            flags.setdefault(name, 0)
    glibc = max((runtime.glibc_of(name) for name in flags), default=())
    return Chosen(tuple(flags.items()), libraries, glibc)
