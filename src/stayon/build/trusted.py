"""The layout "trusted": a directory in which every program file of Windows is one that python.org has signed.

``NAME.exe`` is python.exe by another name, ``NAME._pth`` tells it where modules are
(https://docs.python.org/3/using/windows.html#finding-modules), and ``sitecustomize``, which Python imports by itself,
makes the program's verbs of its words. What begins with a dash is still Python's.
"""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from hashlib import sha256

from stayon.build import bill, payload, sign
from stayon.build.kit import Kit, Tell
from stayon.build.output import Output
from stayon.build.payload import Module
from stayon.errors import ConfigError

PROGRAM_FOLDER, PACKAGES_FOLDER, LIBRARY_ARCHIVE = "app", "packages", "library.zip"
_UNCHECKED_HASH = (1).to_bytes(4, "little")  # PEP 552: nobody looks whether the source is newer
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)

_BOOT = '''"""Makes a program of Python: its words are the verbs of {program}."""

import os
import sys


def main():
    words = sys.orig_argv[1:]
    if words[:1] and words[0].startswith("-"):
        return
    path = os.path.join(os.path.dirname(sys.executable), "{folder}", "{program}")
    sys.argv = [sys.executable, *words]
    module = sys.modules["__main__"]
    module.__file__ = path
    from _frozen_importlib_external import SourceFileLoader

    exec(SourceFileLoader("__main__", path).get_code("__main__"), vars(module))
    from stayon.cli.target import pick

    pick(vars(module), "{attribute}", path).main()


try:
    main()
except SystemExit:
    raise
except BaseException:
    import traceback

    # Python would go on after an error here, and take the words for its own.
    traceback.print_exc()
    os._exit(70)
'''


def files_of(kit: Kit) -> Iterator[tuple[str, bytes]]:
    """All files of the program, by their places in its directory. Raises ``ConfigError``."""
    name, runtime = kit.recipe.name, kit.runtime
    yield f"{name}.exe", runtime.content("python.exe")
    for file, _ in kit.chosen.files:
        yield file, runtime.content(file)
    lines = (LIBRARY_ARCHIVE, PROGRAM_FOLDER, PACKAGES_FOLDER, ".", "import site")
    yield f"{name}._pth", "".join(f"{line}\r\n" for line in lines).encode()
    yield LIBRARY_ARCHIVE, _library(kit)
    own = _program(kit)
    yield from own.items()
    boot = _BOOT.format(program=_script(kit), folder=PROGRAM_FOLDER, attribute=kit.recipe.attribute)
    yield f"{PROGRAM_FOLDER}/sitecustomize.py", boot.encode()
    for place, path in sorted(kit.own.items()):
        folder = PROGRAM_FOLDER if any(place == told for _, told in kit.recipe.data) else PACKAGES_FOLDER
        with open(path, "rb") as opened:
            yield f"{folder}/{place}", opened.read()


def _script(kit: Kit) -> str:
    """The file that is run: the program itself, or one that has it imported."""
    return kit.module.replace(".", "/") + ".py" if kit.recipe.is_file else "__program__.py"


def _library(kit: Kit) -> bytes:
    """Python's own modules, compiled, in a zip that is not compressed: it is read at each start."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as made:
        for module in sorted(kit.modules, key=lambda module: module.name):
            if module.flags & payload.FROZEN and not _is_stayons(module) and module.code:
                info = zipfile.ZipInfo(_place(module) + "c", _ZIP_TIME)
                made.writestr(info, _pyc(kit, module))
    return archive.getvalue()


def _program(kit: Kit) -> Mapping[str, bytes]:
    """stayon's modules and the program's, with source and compiled; those of distributions too."""
    found: dict[str, bytes] = {}
    tag = f"cpython-{kit.runtime.version[0]}{kit.runtime.version[1]}"
    for module in kit.modules:
        if module.flags & (payload.NATIVE | payload.NAMESPACE) or not module.code:
            continue
        if _is_stayons(module):
            found |= _with_compiled(PROGRAM_FOLDER, module, _source_of_stayon(module), tag, kit)
        elif not module.flags & payload.FROZEN:
            is_own = module.name.partition(".")[0] in _own_names(kit)
            folder = PROGRAM_FOLDER if is_own else PACKAGES_FOLDER
            found |= _with_compiled(folder, module, zlib.decompress(module.source) if module.source else b"", tag, kit)
    if not kit.recipe.is_file:
        # Its name is all that is wanted of it: who is asked for the service looks through it, as through a file.
        found[f"{PROGRAM_FOLDER}/__program__.py"] = f"from {kit.module} import {kit.recipe.attribute or '*'}\n".encode()
    return found


def _own_names(kit: Kit) -> set[str]:
    """The program's own modules at the top; what is neither Python's nor stayon's nor theirs is a distribution's."""
    return {module.name.partition(".")[0] for module in kit.frozen.modules if module.flags & payload.BESIDE}


def _with_compiled(folder: str, module: Module, source: bytes, tag: str, kit: Kit) -> dict[str, bytes]:
    place = f"{folder}/{_place(module)}"
    if not source:
        return {f"{place}c": _pyc(kit, module)}  # compiled alone is found where the source would be
    directory, _, file = place.rpartition("/")
    cached = f"{directory}/__pycache__/{file.removesuffix('.py')}.{tag}.pyc"
    return {place: source, cached: _pyc(kit, module)}


def _place(module: Module) -> str:
    path = module.name.replace(".", "/")
    return f"{path}/__init__.py" if module.flags & payload.PACKAGE else f"{path}.py"


def _pyc(kit: Kit, module: Module) -> bytes:
    return kit.compiler.magic + _UNCHECKED_HASH + bytes(8) + module.code


def _is_stayons(module: Module) -> bool:
    return module.name.partition(".")[0] == "stayon"


def _source_of_stayon(module: Module) -> bytes:
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open(os.path.join(top, *_place(module).split("/")), "rb") as file:
        return file.read()


def put(kit: Kit, output: Output, tell: Tell) -> tuple[str, dict[str, int], list[str]]:
    """Write the directory and the bill of materials into *output*. Gives the SHA-256 of all files together, sizes by
    part, and the program files that nobody has signed.
    """
    name = kit.recipe.name
    files = dict(files_of(kit))
    unsigned = []
    for done, (place, content) in enumerate(sorted(files.items())):
        tell("writing", done / len(files))
        output.put(f"{name}/{place}", content, is_executable=place.endswith((".exe", ".dll", ".pyd")))
        if place.lower().endswith((".exe", ".dll", ".pyd")) and not _is_signed(content):
            unsigned.append(place)
    digest = sha256()
    for place, content in sorted(files.items()):
        digest.update(sha256(content).digest() + place.encode() + b"\0")
    output.put(f"{name}.cdx.json", bill.of(kit, digest.hexdigest()))
    parts: dict[str, int] = {}
    for place, content in files.items():
        top = place.split("/")[0]
        part = {PROGRAM_FOLDER: "stayon and the program", PACKAGES_FOLDER: "distributions"}.get(top, "Python")
        part = "Python's library" if top == LIBRARY_ARCHIVE else part
        parts[part] = parts.get(part, 0) + len(content)
    return digest.hexdigest(), parts, unsigned


def _is_signed(content: bytes) -> bool:
    try:
        return sign.is_signed(content)
    except ValueError as error:
        raise ConfigError(
            "a program file cannot be read", where="--layout trusted", why=str(error), hint="Build the layout one.",
            code="build.runtime-damaged",
        ) from error  # fmt: skip
