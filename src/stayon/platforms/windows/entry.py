"""The program that the SCM runs: ``python.exe -I -S entry.py --service NAME ... program.py``; see ``command``.

It needs nothing but the interpreter, and loads what a service needs from one file where that has been packed (``pack``
says why); ``boot`` does the rest.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock, start_new_thread
from marshal import loads
from os import scandir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from stayon.platforms.windows.boot import Boot

    # Of each module: whether it is a package, its file, and where its code begins and ends.
    Index = dict[str, tuple[bool, str, int, int]]

# This file's directory is stayon/platforms/windows.
PACKAGE = __file__.rsplit("\\" if "\\" in __file__ else "/", 3)[0]
SEPARATOR = "\\" if "\\" in __file__ else "/"
PACK_NAME = f"service.{sys.implementation.cache_tag}.pack"

# Whose code a pack holds, as the first bytes of it: marshalled code is of no use to any other.
_OWNER = f"stayon pack 1, {sys.version}\n".encode()


class PackedModules:
    """Finds modules in a pack; each once, so that a reload takes the file."""

    def __init__(self, index: Index, code: memoryview) -> None:
        self._index, self._code = index, code

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> Any:
        """The spec of a packed module, as if it had been found in its file."""
        found = self._index.get(name)
        if found is None:
            return None
        is_package, origin, _, _ = found
        spec_type: Any = type(sys.__spec__)
        spec = spec_type(name, self, origin=origin, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [origin.rpartition(SEPARATOR)[0]]
        return spec

    def names(self) -> list[str]:
        """What nobody has imported yet."""
        return list(self._index)

    def create_module(self, _spec: object) -> None:
        """As usual."""

    def exec_module(self, module: ModuleType) -> None:
        """Run its code."""
        _, _, begin, end = self._index.pop(module.__name__)
        exec(loads(self._code[begin:end]), module.__dict__)  # noqa: S102, S302  # the code is as protected as its files

    def clear(self) -> None:
        """Forget what nobody has asked for."""
        self._index.clear()
        self._code = memoryview(b"")


def head(index_size: int) -> bytes:
    """How a pack of this Python begins, whose index has *index_size* bytes."""
    return _OWNER + index_size.to_bytes(8, "little")


def stamp(package: str, directories: list[str]) -> list[tuple[str, int, int]]:
    """What tells that the sources in *directories* of *package* are the same: name, time and size of each file. Windows
    gives all of a directory's in one go.
    """
    found = []
    for directory in directories:
        with scandir(package + directory) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    about = entry.stat()
                    found.append((f"{directory}{SEPARATOR}{entry.name}", about.st_mtime_ns, about.st_size))
    return sorted(found)


def unpacked(package: str) -> PackedModules:
    """The modules of the pack beside *package*'s own byte code, if they are those of its sources; else none."""
    import mmap

    try:
        with open(f"{package}{SEPARATOR}__pycache__{SEPARATOR}{PACK_NAME}", "rb") as file:
            # Read into memory, it would leave a hole of its size there, which costs 0.8 MB for good.
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        begin = len(_OWNER) + 8
        if data[: len(_OWNER)] == _OWNER:
            where, directories, wanted, index = loads(data[begin:])  # noqa: S302  # as protected as the code is
            if where == package and stamp(package, directories) == wanted:
                return PackedModules(index, data[begin + int.from_bytes(data[begin - 8 : begin], "little") :])
    except (OSError, EOFError, ValueError, TypeError):
        # None, or one that is damaged.
        return PackedModules({}, memoryview(b""))
    return PackedModules({}, memoryview(b""))


def main() -> None:
    """Be a service. Never returns."""
    import gc

    # Nothing that is made on the way is garbage; ``boot`` turns it on again.
    gc.disable()
    # The two threads hand the GIL to and fro; ``app`` sets what holds then.
    sys.setswitchinterval(0.0005)
    shared: list[Boot] = []
    ready = allocate_lock()
    ready.acquire()

    def connect() -> None:
        import _ctypes  # noqa: F401  # it loads libraries without keeping the other thread from unpacking meanwhile

        ready.acquire()
        shared[0].connect()

    start_new_thread(connect, ())
    modules = unpacked(PACKAGE)
    sys.meta_path.insert(0, modules)
    sys.path.append(PACKAGE.rpartition(SEPARATOR)[0])
    from stayon.platforms.windows.boot import Boot, understood

    shared.append(Boot(understood(sys.argv[1:]), modules.clear))
    ready.release()
    shared[0].run()


if __name__ == "__main__":
    main()
