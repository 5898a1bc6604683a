"""From a program to what goes into its file: modules, files of its distributions, and why each of them is there."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from stayon.build import distributions, payload, start
from stayon.build import library as tables
from stayon.build.compiler import Compiler
from stayon.build.explain import explained
from stayon.build.library import Library
from stayon.build.payload import Module
from stayon.build.search import LIBRARY, PACKAGES, PROGRAM, STAYON, Closure, Node, Search
from stayon.build.shelves import BUILTIN, EXTENSION, NAMESPACE, SOURCE
from stayon.errors import ConfigError


@dataclass(frozen=True)
class Order:
    """What is to be frozen: *program*, a file or a module's name, found in *directory* ("": the file's, else here);
    compiled by *interpreter*, with *library*; *packages*: the directory of its distributions ("": it has none).
    *keep_source*: tracebacks show the lines of the program and its distributions.
    """

    program: str
    interpreter: str
    library: Library
    packages: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    directory: str = ""
    keep_source: bool = True
    cache: str = ""


@dataclass(frozen=True)
class Frozen:
    """What goes into the file: *modules*; *program_files*, each with its place in the program's set, its path here and
    its flags; the *program*'s module; *versions* by distribution; what was *left_out* (module: why); *warnings*; and
    which modules are *cold*: no start of a service needs them.
    """

    program: str
    modules: tuple[Module, ...]
    program_files: tuple[tuple[str, str, int], ...]
    versions: Mapping[str, str]
    left_out: Mapping[str, str]
    warnings: tuple[str, ...]
    closure: Closure
    cold: frozenset[str]

    def explain(self, module: str) -> str:
        """Why *module* is in the file, or why not: one line for each step."""
        return explained(self.closure, module)


def freeze(order: Order) -> Frozen:
    """All that *order* needs. Blocks: it compiles. Raises ``ConfigError``: something is missing, or is no Python;
    ``UnavailableError``: the compiling interpreter fails.
    """
    library = order.library
    stayon = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    words = frozenset(tables.WORDS)
    with Compiler(order.interpreter, library.platform, library.encodings(), words, order.cache) as compiler:
        closure = Search(order, compiler, stayon).closure()
    for name, edge in closure.missing.items():
        raise ConfigError(
            f"it imports {name}, which is neither in Python nor among its dependencies",
            where=f"{closure.nodes[edge.importer].found.origin}:{edge.line}",
            hint=f"Name the distribution that has it among the dependencies, or say --exclude {name}.",
            code="build.missing-module",
        )
    tree = distributions.files(order.packages)
    return Frozen(
        closure.program, modules(closure, keep_source=order.keep_source), tree.files, tree.versions,
        {name: why for name, (_, why) in sorted(closure.left_out.items())}, tree.warnings, closure,
        frozenset(closure.nodes) - start.at_start(closure, library.platform),
    )  # fmt: skip


def modules(closure: Closure, *, keep_source: bool) -> tuple[Module, ...]:
    """What goes into the payload."""
    nodes = (node for _, node in sorted(closure.nodes.items()) if node.found.kind != BUILTIN)
    return tuple(_module(node, keep_source=keep_source) for node in nodes)


def _module(node: Node, *, keep_source: bool) -> Module:
    found = node.found
    flags = payload.PACKAGE if found.is_package else 0
    flags |= {LIBRARY: payload.FROZEN, STAYON: payload.FROZEN, PROGRAM: payload.BESIDE, PACKAGES: 0}[node.room]
    if found.kind == EXTENSION:
        return Module(found.name, payload.NATIVE | (payload.LIBRARY if node.room == LIBRARY else 0), found.origin)
    if found.kind == NAMESPACE:
        return Module(found.name, flags & ~payload.FROZEN | payload.NAMESPACE, found.origin)
    source = b""
    if keep_source and node.room in {PROGRAM, PACKAGES} and found.kind == SOURCE:
        source = zlib.compress(found.content(), 9)
    code = node.compiled.code if node.compiled is not None else b""
    return Module(found.name, flags, found.origin, code, source)
