"""Has modules compiled by an interpreter of the target's minor version, and keeps what came of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
from dataclasses import dataclass, field

from stayon.build import imports, marshalled, shrink, unannotated, worker
from stayon.errors import ConfigError, UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

# It finds stayon as the only thing besides Python's own library, and leaves no byte code beside our sources.
_PROGRAM = "import sys; sys.path.append(sys.argv[1]); from stayon.build import worker; worker.main()"
_END_TIMEOUT_S = 10


@dataclass(frozen=True)
class Import:
    """An import that code makes: *level* is how many dots. *in_function*: not at the module's start; *is_soft*: the
    code goes on without it.
    """

    module: str
    level: int
    names: tuple[str, ...]
    in_function: bool
    is_soft: bool
    line: int


@dataclass(frozen=True)
class Compiled:
    """A module's marshalled *code*, and what is to know of it: *encodings* it may use, *words*: attributes and names
    among those that were asked for.
    """

    code: bytes
    imports: tuple[Import, ...]
    is_async: bool
    encodings: tuple[str, ...]
    words: tuple[str, ...]


@dataclass
class Compiler:
    """An *interpreter* that compiles for *platform* ("linux", "win32"); it is started when it is needed. *cache*: a
    directory that keeps what was compiled ("": none does). Use it as a context.
    """

    interpreter: str
    platform: str
    encodings: frozenset[str]
    words: frozenset[str]
    cache: str = ""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _key: bytes = field(default=b"", repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with process:
            if kind is not None:
                process.kill()
            else:
                with contextlib.suppress(OSError):
                    process.communicate(timeout=_END_TIMEOUT_S)  # the end of its input is the end of it

    def compiled(self, content: bytes, origin: str, *, is_compiled: bool, is_ours: bool, docstrings: bool) -> Compiled:
        """The code of *content*, a source or a ``.pyc``, as the file *origin*. *is_ours*: it is stayon's. Blocks.

        Raises ``ConfigError`` for a source that is none, ``UnavailableError`` if the interpreter fails.
        """
        module = {"origin": origin, "is_compiled": is_compiled, "is_ours": is_ours, "docstrings": docstrings}
        path = self._place(module, content)
        about, code = _kept(path)
        if not about:
            about, code = self._ask(module, content)
            _keep(path, about, code)
        if "error" in about:
            where = f"{origin}:{about['line']}" if about["line"] else origin
            raise ConfigError(
                "it cannot be compiled", where=where, why=about["error"], hint="Correct it.", code="build.source"
            )
        found = tuple(Import(module, level, tuple(names), *rest) for module, level, names, *rest in about["imports"])
        return Compiled(code, found, about["is_async"], tuple(about["encodings"]), tuple(about["words"]))

    def _place(self, module: dict[str, Any], content: bytes) -> str:
        if not self.cache:
            return ""
        if not self._key:
            self._key = self._identity()
        digest = hashlib.sha256(self._key + json.dumps(module, sort_keys=True).encode() + b"\0" + content).hexdigest()
        return os.path.join(self.cache, digest[:2], digest[2:])

    def _identity(self) -> bytes:
        """What the outcome depends on besides the module: the interpreter, what was asked, and our own code."""
        found = os.stat(os.path.realpath(self.interpreter))
        parts = [self.interpreter, found.st_size, found.st_mtime_ns, self.platform, sorted(self.encodings)]
        digest = hashlib.sha256(json.dumps([*parts, sorted(self.words)]).encode())
        for code in (worker, imports, marshalled, shrink, unannotated):
            with open(str(code.__file__), "rb") as file:
                digest.update(file.read())
        return digest.digest()

    def _ask(self, module: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
        try:
            process = self._process or self._started()
            if process.stdin is None or process.stdout is None:
                raise OSError("it has no pipes")
            worker.write_frame(process.stdin, module, content)
            about, code = worker.read_frame(process.stdout)
        except OSError as error:
            raise self._failed(str(error)) from error
        if not about:
            raise self._failed("it ended while it compiled")
        return about, code

    def _started(self) -> subprocess.Popen[bytes]:
        package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(worker.__file__))))
        command = [self.interpreter, "-I", "-S", "-B", "-c", _PROGRAM, package]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self._process.stdin is not None:
            options = {"platform": self.platform, "encodings": sorted(self.encodings), "words": sorted(self.words)}
            worker.write_frame(self._process.stdin, options)
        return self._process

    def _failed(self, why: str) -> UnavailableError:
        return UnavailableError(
            "the interpreter that compiles has failed", where=self.interpreter, why=why,
            hint="See what it printed above.", code="build.compiler",
        )  # fmt: skip


def _kept(path: str) -> tuple[dict[str, Any], bytes]:
    """What was compiled before; an empty object if nothing was, or only a part of it is there."""
    if not path:
        return {}, b""
    try:
        with open(path, "rb") as file:
            about, code = worker.read_frame(file)
            return (about, code) if len(code) == about.get("size") else ({}, b"")
    except (OSError, ValueError):
        return {}, b""


def _keep(path: str, about: dict[str, Any], code: bytes) -> None:
    """Keep it for the next build, which is only quicker for it: what can't be written is no failure."""
    if not path:
        return
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        new = f"{path}.{os.getpid()}"
        with open(new, "wb") as file:
            worker.write_frame(file, about, code)
        os.replace(new, path)
