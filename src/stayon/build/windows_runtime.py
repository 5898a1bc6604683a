"""The runtime of Windows: a directory with python.org's embeddable distribution, or an installed Python."""

from __future__ import annotations

import os
import re
from functools import cache
from struct import unpack_from

from stayon.build import pe
from stayon.build.elf import FormatError
from stayon.build.runtimes import Runtime
from stayon.build.targets import Target
from stayon.errors import ConfigError

_LIBRARY = re.compile(r"python(\d)(\d+)\.dll", re.IGNORECASE)
# Where an installed Python has what the embeddable distribution has in one directory.
_FOLDERS = ("", "DLLs")


def of_directory(target: Target, folder: str, origin: str) -> Runtime:
    """The runtime in *folder*, which was had from *origin*. Raises ``ConfigError`` if it is none for *target*."""
    places = _places(folder)
    library = next((name for name in places if _LIBRARY.fullmatch(name)), "")
    if not library:
        raise ConfigError(
            "there is no Python for Windows in it", where=folder,
            hint="Give the embeddable distribution of python.org (a zip or its directory), or an installed Python.",
            code="build.runtime-version",
        )  # fmt: skip
    files = _Files(places)
    image = files.pe(library)
    if image.machine != target.machine:
        raise ConfigError(
            f"its Python is one for {image.machine}, not for {target.name}", where=folder,
            hint="Give the runtime for that computer.", code="build.runtime-version",
        )  # fmt: skip
    version = _version(image, library)
    archive = os.path.join(folder, f"python{version[0]}{version[1]}.zip")
    extensions = {name[:-4]: name for name in sorted(places) if name.endswith(".pyd")}
    return Runtime(
        target, version, library, archive if os.path.isfile(archive) else os.path.join(folder, "Lib"),
        frozenset(_builtins(image)), extensions, files.content, files.needs, origin,
    )  # fmt: skip


def _places(folder: str) -> dict[str, str]:
    """Its DLLs and extensions by name. Debug versions (_d) and what only the installer's programs use stay out."""
    found: dict[str, str] = {}
    for inside in _FOLDERS:
        place = os.path.join(folder, inside)
        for name in sorted(os.listdir(place)) if os.path.isdir(place) else ():
            kind, of_debugging = name.lower()[-4:], name.lower()[-6:-4] == "_d"
            if name.lower() == "python.exe" or (kind in {".dll", ".pyd"} and not of_debugging):
                found.setdefault(name, os.path.join(place, name))
    return found


def _version(image: pe.Pe, library: str) -> tuple[int, int, int]:
    """Py_Version, a number that the library exports (https://docs.python.org/3/c-api/apiabiversion.html)."""
    address = pe.exported(image.data, "Py_Version")
    if not address:
        raise ConfigError(
            "it is older than 3.11", where=library, hint="Give a Python that stayon runs on: 3.11, 3.12, 3.13.",
            code="build.runtime-version",
        )  # fmt: skip
    (version,) = unpack_from("<I", image.data, image.place(address))
    return version >> 24, version >> 16 & 0xFF, version >> 8 & 0xFF


def _builtins(image: pe.Pe) -> list[str]:
    """The modules that are built into the interpreter: PyImport_Inittab, a table of names and functions."""
    (table,) = unpack_from("<Q", image.data, image.place(pe.exported(image.data, "PyImport_Inittab")))
    found: list[str] = []
    at = image.place(table - image.image_base)
    while True:
        (name,) = unpack_from("<Q", image.data, at)
        if not name:
            return found
        found.append(image.text(name - image.image_base))
        at += 16


class _Files:
    """Files of the runtime, each where it is; what they need of one another."""

    def __init__(self, places: dict[str, str]) -> None:
        self._places = places
        self._names = {name.lower(): name for name in places}

    @cache  # noqa: B019  # it lives as long as the build
    def content(self, name: str) -> bytes:
        with open(self._places[name], "rb") as file:
            return file.read()

    def pe(self, name: str) -> pe.Pe:
        try:
            return pe.read(self.content(name))
        except FormatError as error:
            raise ConfigError(
                "this file cannot be part of a program", where=self._places[name], why=str(error),
                code="build.runtime-damaged",
            ) from error  # fmt: skip

    def needs(self, name: str) -> tuple[str, ...]:
        """The DLLs of the runtime that *name* needs, directly or not, those first that others need."""
        found: list[str] = []
        self._gather(name, found)
        return tuple(found)

    def _gather(self, name: str, found: list[str]) -> None:
        for needed in pe.imports(self.content(name)):
            own = self._names.get(needed.lower(), "")
            if own and own not in found and own != name and not _LIBRARY.fullmatch(own):
                self._gather(own, found)
                found.append(own)
