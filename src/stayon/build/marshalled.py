"""Marshalled code, taken apart and written again: smaller, and the same bytes for the same code.

``marshal.dumps`` marks what it may refer to again by counting references, those of the process that asks among them:
its bytes differ from run to run. Here what is used twice is written once, whatever the process held. Works on the
format of Python 3.11 to 3.14 (Python/marshal.c, versions 4 and 5) without loading anything.

Runs in the interpreter that compiles (``worker``): the standard library is all it has.
"""

from __future__ import annotations

from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    # A constant as it is written; a tuple, frozenset or slice as its type and parts; or a code object.
    Node: TypeAlias = "bytes | list[Node] | Code"

_FLAG = 0x80
_INT = Struct("<i")
_NONE = b"N"
EMPTY = b"s\0\0\0\0"

# Types by what follows them: nothing, as many bytes, a size in one byte or in four.
_BARE = b"NFTS.0"
_FIXED = {ord("i"): 4, ord("g"): 8, ord("y"): 16}
_SHORT, _LONG = b"zZ", b"aAsut"
_NAME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")

# The fields of a code object, in order: numbers, then objects, a number, and two objects.
_NUMBERS, _OBJECTS = 5, 8


class Code:
    """A code object. *objects*: its code, constants, names, names of variables, their kinds, file name, name, full
    name, and (after the first line) the tables of lines and exceptions.
    """

    __slots__ = ("first_line", "numbers", "objects")

    CODE, CONSTANTS, NAMES, VARIABLES, KINDS, FILE, NAME, FULL_NAME, LINES, EXCEPTIONS = range(10)
    FLAGS = 4

    def __init__(self, numbers: list[int], objects: list[Node], first_line: int) -> None:
        self.numbers, self.objects, self.first_line = numbers, objects, first_line

    def parts(self, field: int) -> list[Node]:
        """The parts of one of its tuples."""
        node = self.objects[field]
        return node[1:] if isinstance(node, list) else []

    def codes(self) -> Iterator[Code]:
        """It and all code objects among its constants, and theirs."""
        yield self
        for constant in self.parts(self.CONSTANTS):
            if isinstance(constant, Code):
                yield from constant.codes()


def text(value: str) -> bytes:
    """A string's node: one that looks like a name is interned, as the compiler does it."""
    encoded = value.encode("utf-8", "surrogatepass")
    if not value.isascii():
        return b"u" + _INT.pack(len(encoded)) + encoded
    interned = _NAME.issuperset(value)
    if len(encoded) < 256:
        return (b"Z" if interned else b"z") + bytes((len(encoded),)) + encoded
    return (b"A" if interned else b"a") + _INT.pack(len(encoded)) + encoded


def data(value: bytes) -> bytes:
    """The node of bytes."""
    return b"s" + _INT.pack(len(value)) + value


def value_of(node: Node) -> str | bytes | None:
    """What a node of a string or of bytes says; None for any other."""
    if not isinstance(node, bytes):
        return None
    kind = node[:1]
    if kind in b"zZ":
        return node[2:].decode()
    if kind in b"aAut":
        return node[5:].decode("utf-8", "surrogatepass")
    return node[5:] if kind == b"s" else None


def read(marshal: bytes) -> Node:
    """What *marshal* holds. Raises ``ValueError`` for what isn't a module's code."""
    return _Reader(marshal).node()


class _Reader:
    def __init__(self, marshal: bytes) -> None:
        self.marshal, self.at = marshal, 0
        self.seen: list[Node] = []

    def number(self) -> int:
        self.at += 4
        return int(_INT.unpack_from(self.marshal, self.at - 4)[0])

    def node(self) -> Node:
        first = self.marshal[self.at]
        kind = first & ~_FLAG
        self.at += 1
        if kind == 0x72:  # "r": one that was marked before
            return self.seen[self.number()]
        if not first & _FLAG:
            return self._of(kind)
        # Its place among the marked ones is taken before those within it.
        place = len(self.seen)
        self.seen.append(_NONE)
        self.seen[place] = node = self._of(kind)
        return node

    def _of(self, kind: int) -> Node:
        start = self.at - 1
        if kind in _BARE:
            return bytes((kind,))
        if kind in _FIXED:
            self.at += _FIXED[kind]
        elif kind in _SHORT:
            self.at += 1 + self.marshal[self.at]
        elif kind in _LONG:
            size = self.number()
            self.at += size
        elif kind == 0x6C:  # "l": 15 bits at a time, the sign in how many
            digits = self.number()
            self.at += 2 * abs(digits)
        elif kind in b")(>:":
            return self._parts(kind)
        elif kind == 0x63:  # "c"
            return self._code()
        else:
            raise ValueError(f"marshalled code has no type {chr(kind)!r}")
        return bytes((kind,)) + self.marshal[start + 1 : self.at]

    def _parts(self, kind: int) -> Node:
        if kind == 0x29:  # ")": a tuple with its size in one byte
            size = self.marshal[self.at]
            self.at += 1
        else:
            size = 3 if kind == 0x3A else self.number()  # ":" is a slice
        parts: list[Node] = [b"(" if kind == 0x29 else bytes((kind,))]
        parts += [self.node() for _ in range(size)]
        return parts

    def _code(self) -> Code:
        numbers = [self.number() for _ in range(_NUMBERS)]
        objects = [self.node() for _ in range(_OBJECTS)]
        first_line = self.number()
        return Code(numbers, [*objects, self.node(), self.node()], first_line)


def write(node: Node) -> bytes:
    """The bytes of *node*: equal constants once, and always the same."""
    writer = _Writer()
    top = writer.take(node, is_name=False)
    writer.count(top)
    writer.put(top)
    return bytes(writer.data)


class _Writer:
    """Gives equal nodes one number, counts how often each is used, and writes them."""

    def __init__(self) -> None:
        self.numbers: dict[object, int] = {}
        # By number: an atom as it is written, or a list of the head's bytes and numbers of parts.
        self.heads: list[bytes] = []
        self.parts: list[tuple[int, ...]] = []
        self.uses: list[int] = []
        self.marks: dict[int, int] = {}
        self.data = bytearray()

    def _number(self, key: object, head: bytes, parts: tuple[int, ...] = ()) -> int:
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.heads)
            self.heads.append(head)
            self.parts.append(parts)
            self.uses.append(0)
        return number

    def take(self, node: Node, *, is_name: bool) -> int:
        """The number of *node*. *is_name*: what a name is for, so all strings in it are interned."""
        if isinstance(node, bytes):
            if node[0] in b"zZaAut":
                node = self._string(node, is_name=is_name)
            return self._number(node, node)
        if isinstance(node, Code):
            return self._code(node)
        kind = node[0]
        parts = [self.take(part, is_name=is_name) for part in node[1:]]
        if kind == b">":  # of a set, the order is no matter
            parts.sort(key=lambda part: (self.heads[part], self.parts[part]))
        size = len(parts)
        head = kind if kind == b":" else b">" + _INT.pack(size) if kind == b">" else _tuple_head(size)
        return self._number((head, tuple(parts)), head, tuple(parts))

    def _string(self, node: bytes, *, is_name: bool) -> bytes:
        value = value_of(node)
        node = text(value) if isinstance(value, str) else node
        if is_name:
            node = {b"z": b"Z", b"a": b"A", b"u": b"t"}.get(node[:1], node[:1]) + node[1:]
        return node

    def _code(self, code: Code) -> int:
        named = (code.NAMES, code.VARIABLES, code.FILE, code.NAME, code.FULL_NAME)
        objects = [self.take(node, is_name=field in named) for field, node in enumerate(code.objects)]
        head = b"c" + b"".join(map(_INT.pack, code.numbers)) + _INT.pack(code.first_line)
        # (The first line stands before the last two; a code object is never another's equal.)
        return self._number(id(code), head, tuple(objects))

    def count(self, top: int) -> None:
        """Count the uses of all that is written for *top*."""
        self.uses[top] += 1
        if self.uses[top] == 1:
            for part in self.parts[top]:
                self.count(part)

    def put(self, number: int) -> None:
        """Write it, or where it was written before."""
        head, out = self.heads[number], self.data
        if number in self.marks:
            out += b"r" + _INT.pack(self.marks[number])
            return
        # What is as long as a reference, and one of a kind anyway, is written again.
        marked = self.uses[number] > 1 and head[0] not in b"NFT.i"
        if marked:
            self.marks[number] = len(self.marks)
        out.append(head[0] | _FLAG if marked else head[0])
        parts = self.parts[number]
        if head[0] != 0x63:
            out += head[1:]
            for part in parts:
                self.put(part)
            return
        out += head[1 : 1 + 4 * _NUMBERS]
        for part in parts[:_OBJECTS]:
            self.put(part)
        out += head[1 + 4 * _NUMBERS :]
        for part in parts[_OBJECTS:]:
            self.put(part)


def _tuple_head(size: int) -> bytes:
    return b")" + bytes((size,)) if size < 256 else b"(" + _INT.pack(size)
