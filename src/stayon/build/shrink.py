"""Takes out of code what a service never reads: docstrings, the columns of its lines, and where it was compiled.

Runs in the interpreter that compiles (``worker``): the standard library is all it has.
"""

from __future__ import annotations

from opcode import EXTENDED_ARG, opmap

from stayon.build.marshalled import Code, data, text, value_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from stayon.build.marshalled import Node

_OPTIMIZED, _HAS_DOCSTRING = 0x1, 0x4000000  # Include/cpython/code.h; the latter since 3.13
_NONE = b"N"
_STORE_NAME, _LOAD_CONST = opmap["STORE_NAME"], opmap["LOAD_CONST"]
_CONSTANT_OPERATIONS = frozenset(opmap[name] for name in ("LOAD_CONST", "RETURN_CONST", "KW_NAMES") if name in opmap)

# The kinds of an entry of the table of lines (Objects/locations.md): what has columns, and what has not.
_NO_LINE, _LONG, _NO_COLUMNS, _ONE_LINE = 15, 14, 13, 10


def shrink(top: Code, origin: str, *, docstrings: bool, full_names: bool) -> None:
    """Name *origin* as the file of *top* and of all code in it, leave out columns and, unless *docstrings* are wanted,
    those. Without *full_names*, functions are called as tracebacks call them, not with their class.
    """
    file = text(origin)
    for code in top.codes():
        code.objects[Code.FILE] = file
        lines = value_of(code.objects[Code.LINES])
        if isinstance(lines, bytes):
            code.objects[Code.LINES] = data(without_columns(lines))
        if not full_names and code.numbers[Code.FLAGS] & _OPTIMIZED:
            code.objects[Code.FULL_NAME] = code.objects[Code.NAME]
        if not docstrings:
            _drop_docstring(code)


def without_columns(table: bytes) -> bytes:
    """A table of lines that says the same of lines, and nothing of columns."""
    found: list[list[int | None]] = []  # how many units, and the change of the line (None: they have no line)
    for length, change in _entries(table):
        # What has the line of its neighbour is one with it.
        if found and (change is None) == (found[-1][1] is None) and not change:
            found[-1][0] = (found[-1][0] or 0) + length
        else:
            found.append([length, change])
    out = bytearray()
    for units, change in found:
        left, now = units or 0, change
        while left:
            size = min(left, 8)
            left -= size
            if now is None:
                out.append(0x80 | _NO_LINE << 3 | size - 1)
                continue
            out.append(0x80 | _NO_COLUMNS << 3 | size - 1)
            _put_number(out, now << 1 if now >= 0 else -now << 1 | 1)
            now = 0
    return bytes(out)


def _entries(table: bytes) -> Iterator[tuple[int, int | None]]:
    """Of each entry: how many code units it is about, and by how much the line changes (None: there is none)."""
    at, end = 0, len(table)
    while at < end:
        kind, length = table[at] >> 3 & 15, (table[at] & 7) + 1
        at += 1
        change: int | None = 0
        if kind == _NO_LINE:
            change = None
        elif kind in {_LONG, _NO_COLUMNS}:
            number, at = _number(table, at)
            change = -(number >> 1) if number & 1 else number >> 1
            for _ in range(3 if kind == _LONG else 0):
                _, at = _number(table, at)
        elif kind >= _ONE_LINE:
            change, at = kind - _ONE_LINE, at + 2
        else:
            at += 1
        yield length, change


def _number(table: bytes, at: int) -> tuple[int, int]:
    """A number of 6 bits at a time, and where the next thing is."""
    value = shift = 0
    while True:
        value |= (table[at] & 63) << shift
        at += 1
        if not table[at - 1] & 64:
            return value, at
        shift += 6


def _put_number(out: bytearray, number: int) -> None:
    while number > 63:
        out.append(number & 63 | 64)
        number >>= 6
    out.append(number)


def _drop_docstring(code: Code) -> None:
    constants = code.objects[Code.CONSTANTS]
    if not isinstance(constants, list) or len(constants) < 2:
        return
    flags, name = code.numbers[Code.FLAGS], value_of(code.objects[Code.NAME])
    if not flags & _OPTIMIZED:
        place = _stored_docstring(code)
        if place >= 0 and _uses(code, place) == 1:
            _forget(code, constants, place)
    elif flags & _HAS_DOCSTRING:
        if not _uses(code, 0):
            _forget(code, constants, 0)
            code.numbers[Code.FLAGS] = flags & ~_HAS_DOCSTRING
    # Before 3.13 the first constant is it; a comprehension's is any, and it has no name of its own.
    elif not _HAS_FLAG and isinstance(name, str) and not name.startswith("<") and not _uses(code, 0):
        _forget(code, constants, 0)


# Whether the compiler tells by a flag which functions have one: this very docstring is asked.
_HAS_FLAG = bool(_drop_docstring.__code__.co_flags & _HAS_DOCSTRING) or bool(shrink.__code__.co_flags & _HAS_DOCSTRING)


def _forget(code: Code, constants: list[Node], place: int) -> None:
    """Have *code* a tuple of its own without this text: the compiler shares equal ones, also with what is a value."""
    if isinstance(value_of(constants[1 + place]), str):
        code.objects[Code.CONSTANTS] = [*constants[: 1 + place], _NONE, *constants[2 + place :]]


def _stored_docstring(code: Code) -> int:
    """Which constant the body of a module or class stores as ``__doc__``; -1: none."""
    loaded = -1
    names = [value_of(node) for node in code.parts(Code.NAMES)]
    for operation, argument in _operations(code):
        if operation == _STORE_NAME and names[argument] == "__doc__":
            return loaded
        loaded = argument if operation == _LOAD_CONST else -1
    return -1


def _uses(code: Code, constant: int) -> int:
    """How often *code* loads a constant."""
    return sum(argument == constant for operation, argument in _operations(code) if operation in _CONSTANT_OPERATIONS)


def _operations(code: Code) -> Iterator[tuple[int, int]]:
    """The operations of *code* with their arguments. (Room for caches is operation 0.)"""
    units = value_of(code.objects[Code.CODE])
    extended = 0
    if isinstance(units, bytes):
        for operation, argument in zip(units[::2], units[1::2], strict=True):
            if operation == EXTENDED_ARG:
                extended = (extended | argument) << 8
                continue
            yield operation, extended | argument
            extended = 0
