"""Finds what is in the file: the program's modules, those of its distributions, and all native ones.

Of Python's own library and stayon, what each start needs is frozen: the interpreter finds it by itself. The launcher
has a table of everything; a module is one look into it, and no file is opened but native ones, which only the system
can load.
"""

from __future__ import annotations

import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import ExtensionFileLoader, _LoaderBasics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import CodeType, ModuleType
    from typing import Any

# Flags of modules, as build.payload has them; a frozen one isn't ours to find.
_PACKAGE, _FROZEN, _NATIVE, _NAMESPACE, _BESIDE, _LIBRARY = 1, 2, 4, 8, 16, 32
_SHARED = ("python3.dll", "vcruntime140_1.dll")
_SEPARATOR = "\\" if sys.platform == "win32" else "/"


def install() -> None:
    """Have imports look into the file, and ``sys.path`` begin with the directory of the program's own files, if it has
    any: there, ``importlib.metadata`` finds its distributions.
    """
    import _stayon  # type: ignore[import-not-found]  # the launcher's

    finder = Finder(_stayon)
    sys.meta_path.insert(0, finder)
    sys.meta_path.append(LeftOut)
    sys.path_hooks.insert(0, finder.entry)
    sys.path[:0] = _stayon.sets[1:]


def _joined(directory: str, place: str) -> str:
    return f"{directory}{_SEPARATOR}{place.replace('/', _SEPARATOR)}" if place else directory


class Finder(_LoaderBasics):
    """Finder and loader in one: it has no state of its own. *launcher* has the table.

    (Tracebacks leave out the frames of ``_LoaderBasics``, which runs the modules.)
    """

    def __init__(self, launcher: Any) -> None:
        self.launcher = launcher
        self.beside = launcher.executable.rpartition(_SEPARATOR)[0]
        self.library, self.own = launcher.sets[0], launcher.sets[-1]

    def find_spec(self, name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """What ``import`` asks. Raises ``ModuleNotFoundError`` for what a package of the file lacks: what somebody has
        put beside it is never imported in its place.
        """
        itself: Any = self
        found = self.launcher.find(name)
        if found is None:
            if path and self._is_ours(name.rpartition(".")[0], path):
                raise _left_out(name)
            return None
        flags, origin, _ = found
        if flags & _NATIVE:
            return self._native(name, flags, origin)
        if flags & _FROZEN:
            return None
        if _has_no_file(name, flags):
            return ModuleSpec(name, itself, origin="frozen", is_package=bool(flags & _PACKAGE))
        file = self._file(flags, origin)
        if flags & _NAMESPACE:
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [file]
            return spec
        spec = ModuleSpec(name, itself, origin=file, is_package=bool(flags & _PACKAGE))
        spec.has_location = True
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(file.rpartition(_SEPARATOR)[0])
        return spec

    def _native(self, name: str, flags: int, origin: str) -> ModuleSpec:
        path = _joined(self.library if flags & _LIBRARY else self.own, origin)
        spec = ModuleSpec(name, _NativeLoader(name, path, self.launcher), origin=path)
        spec.has_location = True
        return spec

    def _file(self, flags: int, origin: str) -> str:
        return _joined(self.beside if flags & _BESIDE else self.own, origin)

    def _is_ours(self, package: str, path: Sequence[str]) -> bool:
        """Whether *package* is a whole one of the file, with nothing added to its *path*."""
        found = self.launcher.find(package)
        if found is None or found[0] & (_FROZEN | _NAMESPACE):
            return False
        return list(path) == [self._file(found[0], found[1]).rpartition(_SEPARATOR)[0]]

    def _entry(self, name: str) -> tuple[int, str, int]:
        found: tuple[int, str, int] | None = self.launcher.find(name)
        if found is None or found[0] & (_FROZEN | _NATIVE | _NAMESPACE):
            raise ImportError(f"it is no module of this file: {name}", name=name)
        return found

    def get_filename(self, name: str) -> str:
        """Where the module's file would be: its data is there, it is not."""
        flags, origin, _ = self._entry(name)
        if _has_no_file(name, flags):
            raise ImportError(f"it has no file: {name}", name=name)
        return self._file(flags, origin)

    def is_package(self, name: str) -> bool:
        return bool(self._entry(name)[0] & _PACKAGE)

    def get_code(self, name: str) -> CodeType:
        """The module's code, with the path of its file in it. Raises ``ImportError``."""
        import _imp

        flags, origin, index = self._entry(name)
        code: CodeType = self.launcher.code(index)
        if _has_no_file(name, flags):
            return code
        _imp._fix_co_filename(code, self._file(flags, origin))  # type: ignore[attr-defined]  # noqa: SLF001  # what Python's loaders do for code that was compiled elsewhere
        return code

    def get_source(self, name: str) -> str | None:
        """The lines that tracebacks show; None if they were not built in."""
        packed = self.launcher.source(self._entry(name)[2])
        if not packed:
            return None
        from zlib import decompress

        return decompress(packed).decode()

    def get_data(self, path: str) -> bytes:
        """What the file *path* of a package holds; for a module's own file, its source. Raises ``OSError``."""
        try:
            with open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            source = self.get_source(self._module_at(path))
            if source is None:
                raise
            return source.encode()

    def _module_at(self, path: str) -> str:
        """The module whose file *path* would be; "": none's."""
        for directory in (self.own, self.beside):
            place = path.removeprefix(directory + _SEPARATOR)
            if place != path and place.endswith(".py"):
                name = place[:-3].replace(_SEPARATOR, ".").removesuffix(".__init__")
                found = self.launcher.find(name)
                if found is not None and not found[0] & (_FROZEN | _NATIVE | _NAMESPACE):
                    return name
        raise FileNotFoundError(2, "No such file", path)

    def get_resource_reader(self, name: str) -> Any:
        """For ``importlib.resources``: the directory of the package's data."""
        from importlib.readers import FileReader

        return FileReader(ExtensionFileLoader(name, self.get_filename(name)))

    def entry(self, directory: str) -> Entry:
        """What ``sys.path_hooks`` is asked for: *directory* as a place of modules of the file. Raises ``ImportError``
        for any other: the next one in that list takes it.
        """
        for top in {self.own, self.beside}:
            place = directory.removeprefix(top).lstrip(_SEPARATOR)
            if directory == top and top == self.own and self.launcher.sets[1:]:
                return Entry(self.launcher, "", directory)
            if directory.startswith(top + _SEPARATOR):
                package = place.replace(_SEPARATOR, ".")
                found = self.launcher.find(package)
                if found is not None and found[0] & (_PACKAGE | _NAMESPACE) and not found[0] & _FROZEN:
                    return Entry(self.launcher, package, directory)
        raise ImportError("it is no directory of this file's modules", path=directory)


def _has_no_file(name: str, flags: int) -> bool:
    """Whether it is Python's or stayon's, as a frozen one; only that no start needs it, and it is packed."""
    top = name.partition(".")[0]
    return not flags & _BESIDE and (top == "stayon" or top in sys.stdlib_module_names)


class Entry:
    """A directory of modules that are in the file: ``pkgutil`` asks it which. (Found they are by ``Finder``.)"""

    def __init__(self, launcher: Any, package: str, directory: str) -> None:
        self.launcher, self.package, self.path = launcher, package, directory

    def find_spec(self, _name: str, _target: object = None) -> None:
        """Nothing: whoever comes here has asked ``Finder`` before."""
        return

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """The modules right in it, each with whether it is a package."""
        inside = f"{self.package}." if self.package else ""
        for name in self.launcher.names():
            last = name.removeprefix(inside)
            if name.startswith(inside) and last and "." not in last:
                flags = self.launcher.find(name)[0]
                if not flags & (_FROZEN | _LIBRARY) and not _has_no_file(name, flags):
                    yield prefix + last, bool(flags & (_PACKAGE | _NAMESPACE))


class _NativeLoader(ExtensionFileLoader):
    """Loads an extension together with what it needs from its own directory, and from nowhere else but the system's."""

    def __init__(self, name: str, path: str, launcher: Any) -> None:
        super().__init__(name, path)
        self.launcher = launcher

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        directory = self.launcher.sets[0]
        for library in _libraries(self.launcher.about, self.name):
            self._load(_joined(directory, library))
        if sys.platform == "win32":
            if not self.path.startswith(directory):
                # Those of distributions ask by name for what is in the interpreter's set, if they need it.
                for shared in _SHARED:
                    self.launcher.load(_joined(directory, shared))
            # Python itself would have the system look for DLLs beside the executable: wherever that was downloaded to.
            self._load(self.path)
        return super().create_module(spec)

    def _load(self, path: str) -> None:
        if not self.launcher.load(path):
            why = f"error {self.launcher.last_error()}"
            raise ImportError(f"{path} cannot be loaded: {why}", name=self.name, path=path)


def _libraries(about: bytes, name: str) -> list[str]:
    """What the extension *name* of Python's library needs to be loaded before it: from *about*, whose ``libraries``
    have only lists of plain names. (A JSON parser is an extension itself.)
    """
    listed = about.partition(b'"libraries": {')[2].partition(b"}")[0].partition(b'"%s": [' % name.encode())[2]
    return [file.decode() for file in listed.partition(b"]")[0].split(b'"')[1::2]]


class LeftOut:
    """The last finder: says of a module of Python's library, which all others lack, how it comes in."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        """Raises ``ModuleNotFoundError``, unless somebody only asks whether there is such a module."""
        if name.partition(".")[0] in sys.stdlib_module_names and sys._getframe(2).f_code.co_name != "find_spec":
            raise _left_out(name)


def _left_out(name: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(
        f"No module named {name!r}: it was left out of this file; build it with --include {name}", name=name
    )
