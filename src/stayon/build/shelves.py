"""Where modules are found: directories and archives, each with its own rules of what may stand in it."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass, field
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SOURCE, COMPILED, EXTENSION, NAMESPACE, BUILTIN = "source", "compiled", "extension", "namespace", "built-in"

# Directories that hold no modules of a program, whatever they are called otherwise.
_NEVER = frozenset(("__pycache__", "node_modules"))


@dataclass(frozen=True)
class Found:
    """A module on a shelf: of which *kind*, where its file is among the others (*origin*, with "/"), and where its
    content is: a *path*, or a member of the archive at it.
    """

    name: str
    kind: str
    origin: str = ""
    is_package: bool = False
    path: str = ""
    member: str = ""

    def content(self) -> bytes:
        """What its file holds. Raises ``OSError``."""
        if self.member:
            return _archive(self.path).read(self.member)
        with open(self.path, "rb") as file:
            return file.read()


@dataclass(frozen=True)
class Directory:
    """The modules below *root*, as a directory in ``sys.path`` has them. Extensions are those for *minor* on
    *platform*. Names of *hidden* aren't in it.
    """

    root: str
    platform: str
    minor: tuple[int, int]
    hidden: frozenset[str] = frozenset()

    def find(self, name: str) -> Found | None:
        """The module called *name*, a namespace only if there is nothing else."""
        if self.hidden and name.partition(".")[0] in self.hidden:
            return None
        place = name.replace(".", "/")
        path = os.path.join(self.root, *name.split("."))
        for origin, is_package in ((f"{place}/__init__.py", True), (f"{place}.py", False)):
            if os.path.isfile(os.path.join(self.root, origin)):
                return Found(name, SOURCE, origin, is_package, os.path.join(self.root, origin))
        folder, _, last = path.rpartition(os.sep)
        for file in _listed(folder):
            if file.startswith(f"{last}.") and self.extension(file) == last:
                origin = f"{place.rpartition('/')[0]}/{file}".lstrip("/")
                return Found(name, EXTENSION, origin, path=os.path.join(folder, file))
        if os.path.isdir(path):
            return Found(name, NAMESPACE, place, is_package=True, path=path)
        return None

    def extension(self, file: str) -> str:
        """The name of the module that the extension *file* is; "": it is none, or none for the target."""
        stem, _, tag = file.partition(".")
        suffix = "pyd" if self.platform == "win32" else "so"
        if not tag.endswith(suffix) or not stem.isidentifier():
            return ""
        version = f"{self.minor[0]}{self.minor[1]}"
        is_right = tag in {suffix, f"abi3.{suffix}"} or tag.startswith((f"cp{version}-", f"cpython-{version}-"))
        return stem if is_right else ""

    def names(self, folder: str = "", *, namespaces: bool = True) -> Iterator[Found]:
        """All modules below *folder* of it, in order. *namespaces*: directories without ``__init__.py``, too."""
        here = os.path.join(self.root, *folder.split("/")) if folder else self.root
        for name in _listed(here):
            place = f"{folder}/{name}".lstrip("/")
            path = os.path.join(here, name)
            dotted = folder.replace("/", ".") + "." if folder else ""
            stem = self.extension(name)
            if name.endswith(".py") and name[:-3].isidentifier():
                dotted = dotted[:-1] if name == "__init__.py" else dotted + name[:-3]
                if dotted:
                    yield Found(dotted, SOURCE, place, name == "__init__.py", path)
            elif stem and os.path.isfile(path):
                yield Found(dotted + stem, EXTENSION, place, path=path)
            elif name.isidentifier() and name not in _NEVER and os.path.isdir(path) and place not in self.hidden:
                inside = list(self.names(place, namespaces=namespaces))
                is_regular = os.path.isfile(os.path.join(path, "__init__.py"))
                if inside and not is_regular and namespaces:
                    yield Found(dotted + name, NAMESPACE, place, is_package=True, path=path)
                if is_regular or namespaces:
                    yield from inside


@dataclass(frozen=True)
class Archive:
    """The modules in a zip archive of byte code, as python.org packs its library for Windows."""

    path: str
    members: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        members = {name.replace("\\", "/").lower(): name for name in _archive(self.path).namelist()}
        object.__setattr__(self, "members", members)

    def find(self, name: str) -> Found | None:
        """The module called *name*."""
        place = name.replace(".", "/")
        for origin, is_package in ((f"{place}/__init__.py", True), (f"{place}.py", False)):
            for suffix, kind in (("c", COMPILED), ("", SOURCE)):
                member = self.members.get(f"{origin}{suffix}".lower(), "")
                if member == f"{origin}{suffix}":
                    return Found(name, kind, origin, is_package, self.path, member)
        return None

    def names(self, folder: str) -> Iterator[Found]:
        """All modules below *folder* of it, in order."""
        for member in sorted(self.members.values()):
            if member.startswith(f"{folder}/"):
                name = member.rpartition(".")[0].replace("/", ".").removesuffix(".__init__")
                found = self.find(name)
                if found is not None:
                    yield found


@lru_cache(maxsize=4)
def _archive(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


@lru_cache(maxsize=4096)
def _listed(folder: str) -> tuple[str, ...]:
    try:
        return tuple(sorted(os.listdir(folder)))
    except OSError:
        return ()
