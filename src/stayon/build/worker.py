"""Compiles modules for the target: a program of its own, in an interpreter of the target's minor version.

Bytecode of one minor version is nonsense to another, so the builder asks a ``pythonX.Y -I -S`` of the right one. They
talk in frames on standard input and output: the length of a JSON object, the object, and as many bytes as its "size"
says. The first frame has the options; each further one is a module, and each is answered by one.

Here and in what it imports, the standard library is all there is: nothing of the user's is ever run.
"""

from __future__ import annotations

import json
import marshal
import sys

from stayon.build import imports, marshalled, shrink, unannotated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import IO, Any

# A .pyc's head: magic number, flags, time, size (PEP 552).
_HEAD_SIZE = 16

_KEPT_STRING = 24  # the longest name of an encoding is 19


def read_frame(file: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """The next object, and its bytes; an empty object at the end."""
    head = file.read(4)
    if len(head) < 4:
        return {}, b""
    about: dict[str, Any] = json.loads(file.read(int.from_bytes(head, "little")))
    return about, file.read(about["size"])


def write_frame(file: IO[bytes], about: dict[str, Any], content: bytes = b"") -> None:
    """Send an object with its bytes."""
    head = json.dumps(about | {"size": len(content)}).encode()
    file.write(len(head).to_bytes(4, "little") + head + content)
    file.flush()


def answer(options: dict[str, Any], module: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
    """What is asked of one module: its code, and what is to know of it; or an "error" and its line."""
    origin = module["origin"]
    try:
        code = _code(content, origin, is_compiled=module["is_compiled"], is_ours=module["is_ours"])
    except (SyntaxError, ValueError, EOFError, TypeError, RecursionError) as error:
        return {"error": getattr(error, "msg", "") or str(error), "line": getattr(error, "lineno", 0) or 0}, b""
    top = marshalled.read(marshal.dumps(code))
    if not isinstance(top, marshalled.Code):
        return {"error": "it holds no code", "line": 0}, b""
    shrink.shrink(top, origin, docstrings=module["docstrings"], full_names=not module["is_ours"])
    names = {text.lower().replace("-", "_") for text in imports.strings(code) if len(text) <= _KEPT_STRING}
    about = {
        "imports": imports.imports(code, options["platform"]),
        "is_async": imports.is_async(code),
        "encodings": sorted(names & options["encodings"]),
        "words": sorted(options["words"].intersection(imports.words(code))),
    }
    return about, marshalled.write(top)


def _code(content: bytes, origin: str, *, is_compiled: bool, is_ours: bool) -> CodeType:
    if not is_compiled:
        source = unannotated.unannotated(content, origin) if is_ours else content
        return compile(source, origin, "exec", dont_inherit=True, optimize=0)
    from importlib.util import MAGIC_NUMBER

    if content[:4] != MAGIC_NUMBER:
        raise ValueError("it was compiled by another version of Python")
    code: CodeType = marshal.loads(content[_HEAD_SIZE:])  # noqa: S302  # the interpreter's own library, checked by hash
    return code


def main() -> None:
    """Answer until there is nothing more to read."""
    source, to = sys.stdin.buffer, sys.stdout.buffer
    sys.setrecursionlimit(20_000)  # long chains of operators nest as deep, also as marshalled constants
    options, _ = read_frame(source)
    options |= {name: frozenset(options[name]) for name in ("encodings", "words")}
    while True:
        module, content = read_frame(source)
        if not module:
            return
        write_frame(to, *answer(options, module, content))
