"""Code as it goes into a program: what is left out of it, that nothing else is, and always the same bytes."""

from __future__ import annotations

import importlib.util
import io
import marshal
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

import stayon
from stayon.build import imports, marshalled, shrink, unannotated, worker

LIBRARY = os.path.dirname(os.__file__)
SAMPLES = (
    "argparse",
    "ast",
    "dataclasses",
    "ipaddress",
    "enum",
    "inspect",
    "logging/__init__",
    "os",
    "tarfile",
    "typing",
)
FIELDS = (
    "co_code", "co_names", "co_varnames", "co_cellvars", "co_freevars", "co_exceptiontable", "co_flags", "co_qualname",
)  # fmt: skip
OPTIONS: dict[str, Any] = {"platform": "linux", "encodings": frozenset({"cp1252"}), "words": frozenset({"popen"})}
MODULE: dict[str, Any] = {"origin": "shop/price.py", "is_compiled": False, "is_ours": False, "docstrings": False}


def answer(source: str | bytes, **module: Any) -> tuple[dict[str, Any], bytes]:
    """What the worker says of *source*."""
    content = source if isinstance(source, bytes) else textwrap.dedent(source).encode()
    return worker.answer(OPTIONS, MODULE | module, content)


def frozen(source: str | bytes, **module: Any) -> CodeType:
    """The code that comes of *source*."""
    about, code = answer(source, **module)
    assert "error" not in about, about
    loaded: CodeType = marshal.loads(code)  # noqa: S302  # made right here
    return loaded


def parts(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from parts(constant)


def lines(code: CodeType) -> list[int | None]:
    return [position[0] for position in code.co_positions()]


def sample(name: str) -> bytes:
    path = os.path.join(LIBRARY, f"{name}.py")
    if not os.path.exists(path):
        pytest.skip(f"this Python has no {name}.py")
    with open(path, "rb") as file:
        return file.read()


@pytest.mark.parametrize("name", SAMPLES)
def test_code_stays_what_it_is(name: str) -> None:
    """Instructions, names, variables, handlers of errors and the line of each instruction are those of the compiler."""
    source = sample(name)
    for whole, small in zip(
        parts(compile(source, "x", "exec", dont_inherit=True)), parts(frozen(source, docstrings=True)), strict=True
    ):
        for field in (
            "co_code",
            "co_names",
            "co_varnames",
            "co_cellvars",
            "co_freevars",
            "co_exceptiontable",
            "co_flags",
        ):
            assert getattr(small, field) == getattr(whole, field), (small, field)
        assert lines(small) == lines(whole), small
        assert small.co_filename == "shop/price.py"


@pytest.mark.parametrize("name", SAMPLES)
def test_constants_stay_but_for_docstrings(name: str) -> None:
    """At most one constant of each code object is gone, and that is a text; all others are what they were."""
    source = sample(name)
    for whole, small in zip(
        parts(compile(source, "x", "exec", dont_inherit=True)), parts(frozen(source)), strict=True
    ):  # fmt: skip
        pairs = list(zip(whole.co_consts, small.co_consts, strict=True))
        changed = [(old, new) for old, new in pairs if not isinstance(old, CodeType) and repr(old) != repr(new)]
        changed = [(old, new) for old, new in changed if not isinstance(old, frozenset) or old != new]
        assert len(changed) <= 1, (whole, changed)
        assert all(isinstance(old, str) and new is None for old, new in changed), (whole, changed)


@pytest.mark.parametrize("name", SAMPLES)
def test_columns_are_gone(name: str) -> None:
    """No instruction has a column any more, and what is written is smaller than what the compiler gives."""
    source = sample(name)
    code = answer(source)[1]
    assert all(position[2:] == (None, None) for part in parts(frozen(source)) for position in part.co_positions())
    assert len(code) < 0.85 * len(marshal.dumps(compile(source, "shop/price.py", "exec", dont_inherit=True)))


def test_the_same_bytes_in_another_process() -> None:
    """Neither the order of hashes nor what else the process has imported changes a byte."""
    program = textwrap.dedent(f"""
        import hashlib, sys
        sys.path.append({os.path.dirname(os.path.dirname(stayon.__file__))!r})
        if sys.argv[1:]:
            import argparse, asyncio, email.message, tarfile
        from stayon.build import worker
        digest = hashlib.sha256()
        options = {{"platform": "linux", "encodings": frozenset(), "words": frozenset()}}
        for name in {SAMPLES!r}:
            try:
                content = open({LIBRARY!r} + "/" + name + ".py", "rb").read()
            except FileNotFoundError:
                continue
            digest.update(worker.answer(options, {MODULE!r}, content)[1])
        print(digest.hexdigest())
    """)
    found = {
        subprocess.run(
            [sys.executable, "-S", "-B", "-c", program, *words], env={"PYTHONHASHSEED": seed}, capture_output=True,
            text=True, check=True,
        ).stdout
        for seed, words in (("1", []), ("2", []), ("3", ["much"]))
    }  # fmt: skip
    assert len(found) == 1


def test_read_and_written_again_it_is_the_same() -> None:
    """What was written is read and written to the very same bytes."""
    code = answer(sample("typing"))[1]
    assert marshalled.write(marshalled.read(code)) == code


def test_constants_of_each_kind() -> None:
    """Numbers, texts, sets, nested tuples and their like come back as they were, each with its type."""
    source = """
        values = (1, 1.0, True, -7, 2**31, -2**80, 1j, -0.0, "a b", "ä", "\\ud800", b"x", ..., None, (1, ("k",)))
        inside = values in {1, 2, 3} if 0 else 5 in {"b", "a", b"c", 2, 1.5}
        text = "%s"
    """
    whole, small = compile(textwrap.dedent(source), "x", "exec"), frozen(source)

    def shown(value: object) -> object:
        return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)

    assert [shown(value) for value in small.co_consts] == [shown(value) for value in whole.co_consts]


def test_docstrings_go() -> None:
    """Those of modules, classes and functions; the same text where it is a value stays."""
    source = """
        "of the module"
        class A:
            "of a class"
            def f(self):
                "of a function"
                return "of a function"
            def g(self): "alone"
        names = ["of a class" for _ in "x"]
        none = [text for text in ("comprehension",)]
    """
    space: dict[str, Any] = {}
    exec(frozen(source), space)  # noqa: S102  # to run it is the point
    assert (space["__doc__"], space["A"].__doc__, space["A"].g.__doc__) == (None, None, None)
    assert (space["A"]().f(), space["A"]().g()) == ("of a function", None)
    assert (space["names"], space["none"]) == (["of a class"], ["comprehension"])


def test_a_docstring_that_looks_like_a_value() -> None:
    """The constants of a function may be the very object that a call has for its keywords: that one stays."""
    source = """
        def size(self):
            "days"
            return self.left
        def f(**named): return named
        given = f(days=7)
        given |= {name: f(days=8) for name in ("other",)}
    """
    space: dict[str, Any] = {}
    exec(frozen(source), space)  # noqa: S102  # as above
    assert space["given"] == {"days": 7, "other": {"days": 8}}
    assert space["size"].__doc__ is None


def test_docstrings_of_users_stay() -> None:
    """Where they are wanted, all of them are there: frameworks make texts for people of them."""
    space: dict[str, Any] = {}
    exec(frozen('"m"\nclass A:\n    "c"\n    def f(self): "f"\n', docstrings=True), space)  # noqa: S102  # as above
    assert (space["__doc__"], space["A"].__doc__, space["A"].f.__doc__) == ("m", "c", "f")


def test_annotations_of_ours_go() -> None:
    """In stayon's own: functions have none, a class keeps the names of its fields, what only type checkers see goes."""
    source = """
        from __future__ import annotations
        TYPE_CHECKING = False
        if TYPE_CHECKING:
            from nowhere import Thing
        class Record:
            size: int = 3
            name: Thing
            def f(self, a: int, *b: str, c: Thing = None, **d: Thing) -> Thing:
                e: Thing = a
                return e
        async def g(a: int) -> int: ...
        count: int = 0
        later: int
    """
    space: dict[str, Any] = {"__name__": "x"}
    exec(frozen(source, is_ours=True), space)  # noqa: S102  # as above
    record = space["Record"]
    assert (list(record.__annotations__), record.size, space["count"]) == (["size", "name"], 3, 0)
    assert (record.f.__annotations__, space["g"].__annotations__, record().f(7)) == ({}, {}, 7)
    assert b"Thing" not in answer(source, is_ours=True)[1]


def test_nobody_of_stayon_reads_what_is_left_out() -> None:
    """``__annotations__`` is asked of classes only, or of users' code; and nobody asks for a ``__doc__``."""
    top = Path(stayon.__file__).parent
    sources = {path.relative_to(top).as_posix(): path.read_text("utf-8") for path in top.rglob("*.py")}
    sources = {name: text for name, text in sources.items() if not name.startswith("build/")}
    assert {name for name, text in sources.items() if "__annotations__" in text} <= _READERS
    assert {name for name, text in sources.items() if ".__doc__" in text} <= set()


def test_a_tree_has_all_else() -> None:
    """Nothing but annotations is taken from a source: the rest runs as it did."""
    tree = unannotated.unannotated(b"f = lambda a: (a, [b for b in a])\nx: list[int] = [1]\n", "x.py")
    space: dict[str, Any] = {}
    exec(compile(tree, "x.py", "exec"), space)  # noqa: S102  # as above
    assert space["f"](space["x"]) == ([1], [1])


# Those that ask classes: their own kind of records, and the user's types of configuration.
_READERS = {"core/record.py", "runtime/config/shapes.py"}

IMPORTS = """\
TYPE_CHECKING = False
if TYPE_CHECKING:
    import never_a
import sys, os
if sys.platform == "win32":
    import never_b
elif os.name != "nt":
    import posix_only
try:
    from d import e, f
except (ImportError, AttributeError):
    import instead
from importlib import import_module
import_module("x.y", package="p")
__import__("z", fromlist=["n"])
if sys.platform.startswith("win") and e:
    import never_c
if sys.platform in ("cygwin", "msys"):
    import never_d
if sys.version_info >= (3, 11):
    import new
else:
    import never_e
from contextlib import suppress
with suppress(ImportError):
    import perhaps
try:
    import hard
finally:
    pass
def function():
    import inside
class Body:
    from .. import above
if __name__ == "__main__":
    import never_f
f"import {e}"
import_module(f"{e}.x")
"""


def test_imports() -> None:
    """Each import with level, names, where it stands, whether the code goes on without it, and its line."""
    found = {row[0] or row[2][0]: tuple(row[1:]) for row in answer(IMPORTS)[0]["imports"]}
    assert found == {
        "sys": (0, [], False, False, 4), "os": (0, [], False, False, 4), "posix_only": (0, [], False, False, 8),
        "d": (0, ["e", "f"], False, True, 10), "instead": (0, [], False, True, 12),
        "importlib": (0, ["import_module"], False, False, 13), "x.y": (0, [], False, False, 14),
        "z": (0, [], False, False, 15), "new": (0, [], False, False, 21),
        "contextlib": (0, ["suppress"], False, False, 24), "perhaps": (0, [], False, True, 26),
        "hard": (0, [], False, False, 28), "inside": (0, [], True, False, 32),
        "above": (2, ["above"], False, False, 34),
    }  # fmt: skip


def test_imports_for_windows() -> None:
    """What stands behind a question after the system is followed for the target, not for this computer."""
    code = compile(IMPORTS, "x", "exec")
    names = {row[0] for row in imports.imports(code, "win32")}
    assert {"never_b", "never_c"} <= names
    assert names.isdisjoint({"posix_only", "never_d"})


def test_what_else_is_told() -> None:
    """Whether it has an async def, which encodings it names, which of the words asked for it uses."""
    about, _ = answer('import os\nasync def f(): "x".encode("CP-1252")\ntext = "cp1252"\nos.popen("x")\n')
    assert (about["is_async"], about["encodings"], about["words"]) == (True, ["cp1252"], ["popen"])
    about, _ = answer("def f(): pass\n")
    assert (about["is_async"], about["encodings"], about["words"]) == (False, [], [])


def test_byte_code_is_taken_as_it_is_found() -> None:
    """A .pyc gives what its source would; one of another version of Python is refused."""
    source = sample("argparse")
    code = compile(source, "C:\\somewhere\\argparse.py", "exec", dont_inherit=True)
    head = importlib.util.MAGIC_NUMBER + bytes(12)
    assert answer(head + marshal.dumps(code), is_compiled=True)[1] == answer(source)[1]
    assert "another version" in answer(b"\x01\x02\x0d\x0a" + bytes(30), is_compiled=True)[0]["error"]


def test_a_wrong_source() -> None:
    """A syntax error is told with its line; content that is no text is told, too."""
    assert answer("a = 1\nb = = 2\n")[0]["line"] == 2
    assert answer(b"a = '\xff'\n")[0]["error"]


def test_frames() -> None:
    """What is written is read again, in order; at the end there is nothing."""
    pipe = io.BytesIO()
    worker.write_frame(pipe, {"a": 1}, b"content")
    worker.write_frame(pipe, {"b": 2})
    pipe.seek(0)
    assert worker.read_frame(pipe) == ({"a": 1, "size": 7}, b"content")
    assert worker.read_frame(pipe) == ({"b": 2, "size": 0}, b"")
    assert worker.read_frame(pipe) == ({}, b"")


def test_lines_far_apart() -> None:
    """Long distances between lines, forth and back, and instructions without a line survive."""
    source = "x = (\n" + "\n" * 5000 + "f(1),\n" + "\n" * 70 + "g)\n" + "with a:\n  b\n" + "\n" * 40 + "del x\n"
    whole = compile(source, "x", "exec")
    assert lines(frozen(source)) == lines(whole)
    assert shrink.without_columns(b"") == b""
