"""What the native modules of distributions ask for and their wheels don't bring: wheels take some libraries for
granted (PEP 600), and a computer without Python may have none of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from stayon.build import elf, payload, pe
from stayon.build.elf import FormatError
from stayon.build.graph import Frozen
from stayon.build.runtimes import Runtime
from stayon.errors import UnavailableError

# What DLLs of others ask for by name, and python.org brings (python3.dll: modules for several versions; C++).
_OF_WINDOWS = ("python3.dll", "vcruntime140_1.dll")


@dataclass(frozen=True)
class Natives:
    """*files* of the runtime that are wanted, by name; *libraries*: of them, what a module needs to be loaded before
    it; the *glibc* that all need; *warnings* of what is nowhere.
    """

    files: tuple[str, ...] = ()
    libraries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    glibc: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()


def of(frozen: Frozen, runtime: Runtime) -> Natives:
    """What the native files of *frozen* want of *runtime*, and of the computer that builds."""
    return _of_windows(frozen) if runtime.target.is_windows else _of_linux(frozen, runtime)


def _of_windows(frozen: Frozen) -> Natives:
    wanted: set[str] = set()
    for _, path, _ in frozen.program_files:
        if path.lower().endswith((".pyd", ".dll")):
            with open(path, "rb") as file:
                try:
                    wanted |= {name.lower() for name in pe.imports(file.read())}
                except FormatError:
                    continue  # a PE of another kind is data to us
    return Natives(tuple(name for name in _OF_WINDOWS if name in wanted))


def _of_linux(frozen: Frozen, runtime: Runtime) -> Natives:
    read = {}
    for place, path, _ in frozen.program_files:
        if ".so" in os.path.basename(place):
            with open(path, "rb") as file:
                try:
                    read[place] = (path, elf.read(file.read()))
                except FormatError:
                    continue  # as above
    search = _Search(read, runtime)
    for module in frozen.modules:
        if module.flags & payload.NATIVE and not module.flags & payload.LIBRARY:
            search.look(module.name, module.origin)
    files = dict.fromkeys(name for names in search.libraries.values() for name in names)
    glibc = max((found.glibc for _, found in read.values()), default=())
    return Natives(tuple(files), search.libraries, glibc, tuple(search.missing.values()))


class _Search:
    """From a module's file through those of its distribution to what none of them has."""

    def __init__(self, read: Mapping[str, tuple[str, elf.Elf]], runtime: Runtime) -> None:
        self._read, self._runtime = read, runtime
        self._by_name = {os.path.basename(place): place for place in read}
        self.libraries: dict[str, tuple[str, ...]] = {}
        self.missing: dict[str, str] = {}

    def look(self, module: str, place: str) -> None:
        """Note what *module*, which is the file at *place*, needs to be loaded before it."""
        found: dict[str, None] = {}
        seen = {place}
        waiting = [place] if place in self._read else []
        while waiting:
            path, image = self._read[waiting.pop()]
            for needed in image.needed:
                inside = self._by_name.get(needed, "")
                if inside and inside not in seen:
                    seen.add(inside)
                    waiting.append(inside)
                elif not inside:
                    found |= dict.fromkeys(self._adopted(needed, path))
        if found:
            self.libraries[module] = tuple(found)

    def _adopted(self, needed: str, path: str) -> tuple[str, ...]:
        try:
            return self._runtime.adopt(needed, path)
        except UnavailableError:
            by = os.path.basename(path)
            self.missing[needed] = f"{by} needs {needed}, which is not here: it has to be where the program runs"
            return ()
