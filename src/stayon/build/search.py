"""Which modules a program needs, and why: from its own, its distributions' and stayon's imports to Python's library."""

from __future__ import annotations

import os
import re
from collections import deque
from dataclasses import dataclass, field

from stayon.build import library as tables
from stayon.build import own
from stayon.build.shelves import COMPILED, EXTENSION, NAMESPACE, SOURCE, Directory, Found
from stayon.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.build.compiler import Compiled, Compiler, Import
    from stayon.build.graph import Order
    from stayon.build.library import Library

PROGRAM, PACKAGES, STAYON, LIBRARY = "the program", "a distribution", "stayon", "Python's library"
BY_C = "by its C code"
_TESTS = re.compile(r"(^|\.)(tests?|conftest)(\.|$)")

# A word between zero bytes, as C and Cython keep names of modules.
_NAMED = re.compile(rb"\0([a-z_][a-z0-9_]{2,30}(?:\.[a-z_]{2,30})?)(?=\0)")


@dataclass(frozen=True)
class Edge:
    """Why a module is in the file: *importer* ("": nobody's import) has it at *line*, or the reason in words.
    *is_soft*: in a function, or in a try that goes on without it.
    """

    importer: str
    line: int = 0
    why: str = ""
    is_soft: bool = False


@dataclass
class Node:
    """A module that is in the file. *room*: whose it is. *edge*: what brought it first."""

    found: Found
    room: str
    edge: Edge
    compiled: Compiled | None = None


@dataclass(frozen=True)
class Closure:
    """All modules of a program; *left_out*: the others that were asked for, with what asked and why they are not
    there. *program*: the module that has the service. *missing*: what it cannot do without, and is nowhere. *reasons*:
    every import that was followed.
    """

    program: str
    nodes: dict[str, Node]
    left_out: dict[str, tuple[Edge, str]]
    missing: dict[str, Edge] = field(default_factory=dict)
    reasons: list[tuple[str, Edge]] = field(default_factory=list)


class Search:
    """Goes from module to module until nothing new is found."""

    def __init__(self, order: Order, compiler: Compiler, stayon: str) -> None:
        self.order, self.compiler, self.stayon = order, compiler, stayon
        library = order.library
        platform, minor = library.platform, library.minor
        self.home, self.program = _program(order)
        rooms: list[tuple[str, Directory | Library]] = [
            (PROGRAM, Directory(self.home, platform, minor)),
            (LIBRARY, library),
        ]
        if order.packages:
            rooms.append((PACKAGES, Directory(order.packages, platform, minor, frozenset(("stayon",)))))
        rooms.append((STAYON, Directory(stayon, platform, minor)))
        self.rooms = rooms
        # What is asked for by name is there all the same.
        self.not_there = tuple(name for name in tables.NOT_THERE[platform] if name not in order.include)
        self.nodes: dict[str, Node] = {}
        self.left_out: dict[str, tuple[Edge, str]] = {}
        self.missing: dict[str, Edge] = {}
        self.reasons: list[tuple[str, Edge]] = []
        self.waiting: deque[str] = deque()
        # Whether what is found now is for the program: then heavy companions go with it.
        self.for_program = True

    def closure(self) -> Closure:
        """All of it. Raises ``ConfigError``: the program, or what it imports, is not there."""
        self._add(self.program, Edge("", why="is the program"))
        if self.program not in self.nodes:
            raise ConfigError(
                f"there is no module {self.program}", where=self.home, hint="Check its name.", code="build.program"
            )
        for name in self.order.include:
            self._include(name)
        if self.order.packages:
            self._add_distributions()
        self._follow_all()
        self.for_program = False
        for name, why in own.needed(os.path.join(self.stayon, "stayon"), self.order.library.platform):
            self._add(name, Edge("", why=why))
        for name in tables.ALWAYS[self.order.library.platform]:
            self._add(name, Edge("", why="Python imports it by itself"))
        self._follow_all()
        return Closure(self.program, self.nodes, self.left_out, self.missing, self.reasons)

    def _include(self, name: str) -> None:
        self._add(name, Edge("", why="--include says so"))
        node = self.nodes.get(name)
        if node is None:
            raise ConfigError(
                f"there is no module {name}", where="--include", hint="Check its name.", code="build.include"
            )
        if node.found.is_package:
            self._add_package(node, f"it belongs to {name}, which --include names")

    def _add_distributions(self) -> None:
        for room, shelf in self.rooms:
            if room != PACKAGES or not isinstance(shelf, Directory):
                continue
            for found in shelf.names():
                if _TESTS.search(found.name):
                    self.left_out[found.name] = (Edge("", why="it is among the distributions"), "tests are left out")
                else:
                    self._put(found, room, Edge("", why="the program depends on its distribution"))

    def _add_package(self, node: Node, why: str) -> None:
        """All modules in the package *node*: what is in it may be asked for by names that no code tells."""
        for room, shelf in self.rooms:
            if room == node.room and (isinstance(shelf, Directory) or room == LIBRARY):
                inside = shelf.names(node.found.name.replace(".", "/")) if isinstance(shelf, Directory) else ()
                for found in inside:
                    if not _TESTS.search(found.name):
                        self._put(found, room, Edge("", why=why))

    def find(self, name: str) -> tuple[Found | None, str]:
        """The module *name*, and whose it is; a namespace only if nobody has more."""
        namespace: tuple[Found | None, str] = (None, "")
        for room, shelf in self.rooms:
            found = shelf.find(name)
            if found is not None and found.kind != NAMESPACE:
                return found, room
            if found is not None and namespace[0] is None:
                namespace = (found, room)
        return namespace

    def _add(self, name: str, edge: Edge) -> bool:
        """Have *name* and the packages it is in; tells whether it is there."""
        if name in self.nodes:
            self.reasons.append((name, edge))
            return True
        parent = name.rpartition(".")[0]
        if parent and not self._add(parent, edge):
            return False
        if tables.is_in(name, self.order.exclude):
            self.left_out.setdefault(name, (edge, "--exclude says so"))
            return False
        if tables.is_in(name, self.not_there) and tables.heavy_root(name) == "":
            self.left_out.setdefault(name, (edge, "no service of the target's system runs it"))
            return False
        found, room = self.find(name)
        if found is None:
            return False
        self._put(found, room, edge)
        return True

    def _put(self, found: Found, room: str, edge: Edge) -> None:
        if found.name in self.nodes or tables.is_in(found.name, self.order.exclude):
            return
        node = self.nodes[found.name] = Node(found, room, edge)
        self.reasons.append((found.name, edge))
        self.waiting.append(found.name)
        if room == PROGRAM and found.is_package and found.kind != NAMESPACE:
            self._add_package(node, f"it belongs to the program's package {found.name}")

    def _follow_all(self) -> None:
        while self.waiting:
            name = self.waiting.popleft()
            node = self.nodes[name]
            for target in tables.HIDDEN.get(name, ()):
                self._go(node, target, Edge(name, why=BY_C))
            if self.for_program:
                for target in tables.COMPANIONS.get(name, ()):
                    self._add(target, Edge(name, why="goes with it"))
            if node.found.kind == EXTENSION and node.room in {PACKAGES, PROGRAM}:
                self._follow_native(node)
            if node.found.kind in {SOURCE, COMPILED}:
                self._follow(node)

    def _follow_native(self, node: Node) -> None:
        """What the machine code of a distribution imports: what is known of it, and library modules that it names."""
        known = tables.NATIVE.get(node.found.name.rpartition(".")[2], ())
        named = {text.decode() for text in _NAMED.findall(node.found.content())} - tables.WORDLIKE
        for target in (*known, *sorted(named)):
            if self.order.library.find(target) is not None:
                self._add(target, Edge(node.found.name, why="by its machine code"))

    def _follow(self, node: Node) -> None:
        name, found = node.found.name, node.found
        content = found.content()
        node.compiled = self.compiler.compiled(
            content, found.origin, is_compiled=found.kind == COMPILED, is_ours=node.room == STAYON,
            docstrings=node.room in {PROGRAM, PACKAGES},
        )  # fmt: skip
        for statement in node.compiled.imports:
            self._follow_import(node, statement)
        if node.room not in {PROGRAM, PACKAGES}:
            return
        for encoding in node.compiled.encodings:
            self._add(f"encodings.{encoding}", Edge(name, why="names the encoding"))
        for word in node.compiled.words:
            self._add(tables.WORDS[word], Edge(name, why=f"uses {word}"))
        if node.compiled.is_async:
            self._add("asyncio", Edge(name, why="has async def"))

    def _follow_import(self, node: Node, statement: Import) -> None:
        base = _absolute(node, statement)
        if not base:
            return
        edge = Edge(node.found.name, statement.line, is_soft=statement.in_function or statement.is_soft)
        if not self._go(node, base, edge):
            self._note_missing(node, base, edge)
            return
        target = self.nodes.get(base)
        if target is None or not target.found.is_package:
            return
        for taken in statement.names:
            if taken != "*" and self.find(f"{base}.{taken}")[0] is not None:
                self._go(node, f"{base}.{taken}", edge)

    def _go(self, node: Node, target: str, edge: Edge) -> bool:
        """Follow an import of *node* to *target*, unless it is left out; tells whether it is there."""
        if target in self.nodes:
            self.reasons.append((target, edge))
            return True
        why = self._reason_against(node, target) if edge.is_soft else ""
        if why:
            self.left_out.setdefault(target, (edge, why))
            return False
        there = self._add(target, edge)
        if there:
            self.left_out.pop(target, None)
        return there

    def _reason_against(self, node: Node, target: str) -> str:
        root = tables.heavy_root(target)
        if node.room in {PROGRAM, PACKAGES}:
            is_tool = node.room == PACKAGES and tables.is_in(target, tables.DEVELOPMENT)
            return "a tool for those who write programs" if is_tool and self.find(target)[1] == LIBRARY else ""
        if not root or self.find(target)[1] != LIBRARY:
            return ""
        if tables.heavy_root(node.found.name) == root:
            return ""
        return "large, and neither the program nor its distributions import it"

    def _note_missing(self, node: Node, target: str, edge: Edge) -> None:
        if node.room == PROGRAM and not edge.is_soft and target not in self.left_out and self.find(target)[0] is None:
            self.missing.setdefault(target, edge)


def _program(order: Order) -> tuple[str, str]:
    """The directory that the program's modules are in, and the module that is it."""
    if order.program.endswith(".py"):
        path = os.path.abspath(order.program)
        return order.directory or os.path.dirname(path), os.path.basename(path).removesuffix(".py")
    return order.directory or os.getcwd(), order.program


def _absolute(node: Node, statement: Import) -> str:
    """The full name of what is imported; "": it is above the top."""
    if not statement.level:
        return statement.module
    package = node.found.name if node.found.is_package else node.found.name.rpartition(".")[0]
    for _ in range(statement.level - 1):
        package = package.rpartition(".")[0]
    return ".".join(part for part in (package, statement.module) if part)
