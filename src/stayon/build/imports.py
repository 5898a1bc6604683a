"""Which imports code makes, read from its bytecode, so that it works without sources as well.

What can't be reached for the target counts for nothing: what stands behind ``if TYPE_CHECKING`` or behind a question
after another system or another version of Python.

Runs in the interpreter that compiles (``worker``): the standard library is all it has.
"""

from __future__ import annotations

import dis
import operator
import sys
from opcode import opmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from dis import Instruction
    from types import CodeType

_IMPORT_NAME = opmap["IMPORT_NAME"]
_OPTIMIZED, _ASYNC = 0x1, 0x80 | 0x200  # Include/cpython/code.h: CO_OPTIMIZED, CO_COROUTINE, CO_ASYNC_GENERATOR
_BY_STRING = frozenset(("import_module", "__import__"))
_CATCHES_MISSING = frozenset(("ImportError", "ModuleNotFoundError", "Exception", "BaseException"))
_LEAVES = ("RETURN_VALUE", "RETURN_CONST", "RERAISE", "RAISE_VARARGS")
_COMPARED = {"==": operator.eq, "!=": operator.ne, ">=": operator.ge, ">": operator.gt, "<": operator.lt,
             "<=": operator.le}  # fmt: skip
_SYSTEMS = {"win32": "nt", "linux": "posix", "darwin": "posix"}
_QUIET = frozenset(("CACHE", "NOP", "TO_BOOL", "PRECALL", "PUSH_NULL", "EXTENDED_ARG", "RESUME", "NOT_TAKEN"))


def imports(code: CodeType, platform: str) -> list[list[object]]:
    """Every import that *code* can make on *platform*: the module, its level (dots), the names taken from it, whether
    a function makes it (else the module's own start), whether it goes on without it, and the line.
    """
    found: list[list[object]] = []
    for part, in_function in _codes(code, in_function=False):
        names = part.co_names
        if _IMPORT_NAME in part.co_code[::2] or not _BY_STRING.isdisjoint(names):
            found += _Scan(part, platform, in_function=in_function).found()
    return found


def is_async(code: CodeType) -> bool:
    """Whether *code* has an ``async def`` in it."""
    return any(part.co_flags & _ASYNC for part, _ in _codes(code, in_function=False))


def words(code: CodeType) -> Iterator[str]:
    """All names and attributes that it uses, and what it imports from modules."""
    for part, _ in _codes(code, in_function=False):
        yield from part.co_names
        yield from _strings(constant for constant in part.co_consts if isinstance(constant, tuple))


def strings(code: CodeType) -> Iterator[str]:
    """All strings among its constants."""
    for part, _ in _codes(code, in_function=False):
        yield from _strings(part.co_consts)


def _strings(constants: Iterable[object]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, (tuple, frozenset)):
            yield from _strings(constant)


def _codes(code: CodeType, *, in_function: bool) -> Iterator[tuple[CodeType, bool]]:
    yield code, in_function
    for constant in code.co_consts:
        if hasattr(constant, "co_code"):
            # The body of a class runs where it stands.
            yield from _codes(constant, in_function=in_function or bool(constant.co_flags & _OPTIMIZED))


class _Scan:
    """One code object: its steps, and which of them can be reached."""

    def __init__(self, code: CodeType, platform: str, *, in_function: bool) -> None:
        self.platform, self.in_function = platform, in_function
        self.steps = [step for step in dis.get_instructions(code) if step.opname not in {"CACHE", "EXTENDED_ARG"}]
        self.places = {step.offset: index for index, step in enumerate(self.steps)}
        # Beginning, end and handler of each try.
        self.handlers = [(entry.start, entry.end, entry.target) for entry in dis._parse_exception_table(code)]  # type: ignore[attr-defined]  # noqa: SLF001  # the one reader of that table that Python has

    def found(self) -> list[list[object]]:
        found: list[list[object]] = []
        line = 0
        normal = self._reached(set(), [0])
        reached = self._reached(set(normal), [])
        for index, step in enumerate(self.steps):
            line = _line(step) or line
            if index not in reached:
                continue
            # What a handler imports stands in for something, too.
            is_soft = index not in normal or self._is_soft(step.offset)
            if step.opname == "IMPORT_NAME":
                level, taken = self.steps[index - 2].argval, self.steps[index - 1].argval
                names = list(taken) if isinstance(taken, tuple) else []
                found.append([step.argval, level or 0, names, self.in_function, is_soft, line])
            elif step.opname.startswith("CALL") and (name := self._by_string(index)):
                level = len(name) - len(name.lstrip("."))
                found.append([name.lstrip("."), level, [], self.in_function, is_soft, line])
        return found

    def _by_string(self, index: int) -> str:
        """The module that a call with one string (and perhaps a package) imports."""
        seen: list[str] = []
        for step in reversed(self.steps[max(0, index - 8) : index]):
            if step.opname == "LOAD_CONST" and isinstance(step.argval, str):
                seen.append(step.argval)
            elif step.argval in _BY_STRING and step.opname.startswith("LOAD"):
                name = seen[-1] if seen else ""
                return name if all(part.isidentifier() for part in name.lstrip(".").split(".")) else ""
            elif step.opname in ("BUILD_LIST", "BUILD_TUPLE"):
                continue  # what is to be taken from it
            elif step.opname.startswith(("CALL", "STORE", "POP_TOP", "BUILD", "FORMAT")):
                return ""
        return ""

    def _reached(self, reached: set[int], left: list[int]) -> set[int]:
        """The steps that can be reached from *left* on, besides those *reached* before; with nothing *left*, from the
        handlers of errors on. What is asked of system and version is answered.
        """
        with_handlers = not left
        while left or (with_handlers and (left := self._handlers_of(reached))):
            index = left.pop()
            while index < len(self.steps) and index not in reached:
                reached.add(index)
                step = self.steps[index]
                if step.opname in _LEAVES:
                    break
                target = self._target(step)
                if target < 0:
                    index += 1
                    continue
                answer = self._answer(index) if "_IF_" in step.opname else None
                if answer is None:
                    left.append(target)
                jumps = answer is not None and answer == step.opname.endswith("TRUE")
                if jumps or ("JUMP" in step.opname and "_IF_" not in step.opname):
                    index = target
                else:
                    index += 1
        return reached

    def _target(self, step: Instruction) -> int:
        if step.opcode in dis.hasjrel or step.opcode in dis.hasjabs:
            return self.places.get(step.argval, -1)
        return -1

    def _handlers_of(self, reached: set[int]) -> list[int]:
        """The handlers of what was reached that weren't themselves."""
        found = {
            self.places[target]
            for start, end, target in self.handlers
            if any(self.places.get(offset) in reached for offset in range(start, end, 2))
        }
        return list(found - reached)

    def _is_soft(self, offset: int) -> bool:
        """Whether it stands in a try that takes a missing module."""
        for start, end, target in self.handlers:
            if not start <= offset < end:
                continue
            names: set[object] = set()
            for step in self.steps[self.places[target] :][:16]:
                if step.opname.startswith("LOAD_"):
                    names.add(step.argval)
                elif step.opname in {"CHECK_EXC_MATCH", "POP_TOP"}:  # POP_TOP: a bare except
                    if step.opname == "POP_TOP" or not _CATCHES_MISSING.isdisjoint(names):
                        return True
                    break
                elif step.opname in {"RERAISE", "WITH_EXCEPT_START"}:
                    if step.opname == "WITH_EXCEPT_START" and self._suppresses(start):
                        return True
                    break
        return False

    def _suppresses(self, start: int) -> bool:
        """Whether the with-block at *start* is ``contextlib.suppress(ImportError)``."""
        index = self.places.get(start, 0)
        loaded = {step.argval for step in self.steps[max(0, index - 10) : index] if isinstance(step.argval, str)}
        return "suppress" in loaded and not _CATCHES_MISSING.isdisjoint(loaded)

    def _answer(self, index: int) -> bool | None:
        """What is asked before a jump, if it is known here."""
        steps = [step for step in self.steps[max(0, index - 10) : index] if step.opname not in _QUIET][-5:]
        if not steps:
            return None
        last = steps[-1]
        if last.argval == "TYPE_CHECKING" and last.opname.startswith("LOAD"):
            return False
        if last.opname == "COMPARE_OP" and len(steps) > 2 and steps[-2].opname == "LOAD_CONST":
            if steps[-3].argval == "__name__" and steps[-2].argval == "__main__":
                return _operation(last) == "!="
            compare = _COMPARED.get(_operation(last))
            value = self._known(steps[:-2])
            return None if compare is None or value is None else _compare(compare, value, steps[-2].argval)
        if last.opname == "CONTAINS_OP" and len(steps) > 2 and last.arg == 0 and steps[-2].argval == "_names":
            return bool(steps[-3].argval == _SYSTEMS[self.platform])  # as the module os asks which one it is for
        if last.opname == "CONTAINS_OP" and len(steps) > 2 and isinstance(steps[-2].argval, (tuple, frozenset)):
            value = self._known(steps[:-2])
            return None if value is None else (value in steps[-2].argval) != bool(last.arg)
        if last.opname == "CALL" and len(steps) > 3 and steps[-3].argval == "startswith":
            value = self._known(steps[:-3])
            wanted = steps[-2].argval
            return value.startswith(wanted) if isinstance(value, str) and isinstance(wanted, (str, tuple)) else None
        return None

    def _known(self, steps: list[Instruction]) -> object:
        """The value of ``sys.platform``, ``os.name`` or ``sys.version_info`` that *steps* have loaded at last."""
        if len(steps) < 2 or not steps[-2].opname.startswith("LOAD") or not steps[-1].opname.startswith("LOAD_ATTR"):
            return None
        known = {
            ("sys", "platform"): self.platform,
            ("os", "name"): _SYSTEMS[self.platform],
            ("sys", "version_info"): tuple(sys.version_info),
        }
        return known.get((str(steps[-2].argval), str(steps[-1].argval)))


def _compare(compare: object, value: object, wanted: object) -> bool | None:
    try:
        return bool(compare(value, wanted))  # type: ignore[operator]  # one of _COMPARED
    except TypeError:
        return None


def _operation(step: Instruction) -> str:
    """What a COMPARE_OP compares by: "bool(==)" is one that leaves a bool."""
    return step.argrepr.removeprefix("bool(").rstrip(")")


def _line(step: Instruction) -> int:
    """Its line, where one begins. (Until 3.12 that is what starts_line has, since then whether one does.)"""
    number = getattr(step, "line_number", step.starts_line)
    return number or 0
