"""The runtime of Linux: an interpreter that is installed here, and the libraries that it needs beside the C library."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

from stayon.build import elf
from stayon.build.interpreter import Interpreter
from stayon.build.runtimes import Runtime
from stayon.build.targets import Target
from stayon.errors import ConfigError, UnavailableError

# What the C library brings on each computer must not be brought along: its parts have to be of one version.
_OF_GLIBC = (
    "libc.so.", "libm.so.", "libpthread.so.", "libdl.so.", "librt.so.", "libutil.so.", "libresolv.so.", "libanl.so.",
    "libmvec.so.", "libnss_", "ld-linux",
)  # fmt: skip
_USUAL_PLACES = ("/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")


def of_interpreter(target: Target, python: Interpreter) -> Runtime:
    """The runtime that the interpreter *python* of this computer is. Raises ``ConfigError`` if it can't be one, and
    ``UnavailableError`` (when a file is asked for) if a library that it needs isn't here.
    """
    if not python.is_usual:
        raise ConfigError(
            "this is not the usual CPython, and no other can be built in", where=python.path,
            hint="Name an interpreter that is: --runtime PATH.", code="build.runtime-version",
        )  # fmt: skip
    library = _library(python)
    files = _Files((os.path.dirname(library), *python.directories), target.machine)
    name = files.add(os.path.basename(library), library)
    if files.elf(name).machine != target.machine:
        raise ConfigError(
            f"this interpreter is one for {files.elf(name).machine}, not for {target.name}", where=python.path,
            hint="Build on such a computer, or name such an interpreter: --runtime PATH.", code="build.runtime-version",
        )  # fmt: skip
    extensions = {}
    for file in sorted(os.listdir(python.extensions)) if os.path.isdir(python.extensions) else ():
        suffix = next((suffix for suffix in python.suffixes if file.endswith(suffix)), "")
        if suffix:
            extensions[file.removesuffix(suffix)] = files.add(file, os.path.join(python.extensions, file))
    return Runtime(
        target, python.version, name, python.stdlib, python.builtins, extensions,
        files.content, files.needs, python.path, files.glibc, files.adopted,
    )  # fmt: skip


def _library(python: Interpreter) -> str:
    """The path of its libpython; the launcher loads that, and cannot load an executable."""
    for folder in python.directories:
        path = os.path.join(folder, python.library)
        if python.library and os.path.isfile(path):
            return os.path.realpath(path)
    minor = f"{python.version[0]}.{python.version[1]}"
    raise ConfigError(
        "this Python has no libpython as a file of its own, which is what a program is built with",
        where=python.path,
        hint=f"On Debian: apt-get install libpython{minor}; with pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv "
        f"install {minor}; or take uv's: uv python install {minor}, and --runtime PATH.",
        code="build.no-libpython",
    )


class _Files:
    """Files of the runtime by name, each where it is; what they need is found as the dynamic loader would."""

    def __init__(self, folders: tuple[str, ...], machine: str) -> None:
        self._folders, self._machine = folders, machine
        self._places: dict[str, str] = {}

    def add(self, name: str, path: str) -> str:
        self._places[name] = path
        return name

    @cache  # noqa: B019  # it lives as long as the build
    def elf(self, name: str) -> elf.Elf:
        with open(self._places[name], "rb") as file:
            try:
                return elf.read(file.read())
            except elf.FormatError as error:
                raise ConfigError(
                    "this file cannot be part of a program", where=self._places[name], why=str(error),
                    code="build.runtime-damaged",
                ) from error  # fmt: skip

    def content(self, name: str) -> bytes:
        """The file, without what is never loaded."""
        with open(self._places[name], "rb") as file:
            return elf.trimmed(file.read())

    def glibc(self, name: str) -> tuple[int, ...]:
        return self.elf(name).glibc

    def needs(self, name: str) -> tuple[str, ...]:
        """The libraries that *name* needs, directly or not, those first that others need."""
        found: list[str] = []
        self._gather(name, found)
        return tuple(found)

    def adopted(self, needed: str, by: str) -> tuple[str, ...]:
        """The names of the library *needed*, which the file *by* wants, and of what that needs, in loading order; ()
        for what the C library brings.
        """
        if needed.startswith(_OF_GLIBC) or needed.startswith("libpython"):
            return ()
        if needed not in self._places:
            self.add(needed, self._located(needed, by))
        return (*self.needs(needed), needed)

    def _gather(self, name: str, found: list[str]) -> None:
        for needed in self.elf(name).needed:
            if needed in found:
                continue
            for adopted in self.adopted(needed, self._places[name]):
                if adopted not in found:
                    found.append(adopted)

    def _located(self, needed: str, by: str) -> str:
        """Where the library *needed* is, as the dynamic loader would find it for the file *by*."""
        folder = os.path.dirname(os.path.realpath(by))
        with open(by, "rb") as file:
            run_path = elf.read(file.read()).run_path
        folders = [path.replace("${ORIGIN}", folder).replace("$ORIGIN", folder) for path in run_path]
        places = [os.path.join(place, needed) for place in (*folders, *self._folders) if place]
        places += filter(None, [_known_to_the_loader().get(needed, "")])
        places += [os.path.join(place, needed) for place in _USUAL_PLACES]
        for path in places:
            if os.path.isfile(path) and self._is_usable(path):
                return path
        raise UnavailableError(
            f"{needed} is not here, and {os.path.basename(by)} needs it", where=by,
            hint="Install the package that has it.", code="build.no-library",
        )  # fmt: skip

    def _is_usable(self, path: str) -> bool:
        """Whether it is a library for the target: this computer's own may be for another kind."""
        with open(path, "rb") as file:
            try:
                return elf.read(file.read()).machine == self._machine
            except elf.FormatError:
                return False


@cache
def _known_to_the_loader() -> dict[str, str]:
    """Libraries by name, from the dynamic loader's cache (ldconfig(8)); the first of each name is the one it takes."""
    program = shutil.which("ldconfig") or "/sbin/ldconfig"
    try:
        listed = subprocess.run([program, "-p"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    found: dict[str, str] = {}
    for line in listed.splitlines():
        name, arrow, path = line.strip().partition(" => ")
        if arrow and ("x86-64" in name or "AArch64" in name):
            found.setdefault(name.split(" ")[0], path)
    return found
