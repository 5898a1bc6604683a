"""The house rules that a machine can hold: floors, lean imports, small rooms, names, and the reasons of exceptions."""

from __future__ import annotations

import ast
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "stayon"
PYTHON_ROOMS = ("src", "tests", "bench", "examples")
EVERYTHING = [ROOT / "dev.py", *(path for room in PYTHON_ROOMS for path in (ROOT / room).rglob("*.py"))]

# The rooms an idle service has loaded. What they import at module level, every service pays for, used or not.
LEAN_ROOMS = ("core", "runtime", "platforms")
LEAN_FILES = ("__init__", "app", "errors", "exits", "ports")

# What those may import at module level: built in, or light. C halves (_socket, _json, _queue ...) are free to use.
LIGHT = {
    "__future__", "atexit", "ctypes", "errno", "faulthandler", "fcntl", "gc", "heapq", "itertools", "marshal", "math",
    "msvcrt", "nt", "ntpath", "os", "posix", "pwd", "resource", "select", "stat", "struct", "sys", "termios",
    "threading", "time", "winreg",
}  # fmt: skip

# Where Python may be asked which system this is.
MAY_ASK_FOR_THE_SYSTEM = ("platforms", "build")

FORBIDDEN_NAMES = {"base", "common", "helper", "helpers", "manager", "misc", "shared", "util", "utils"}
# (A service manager is called so by all who have one: systemd, Windows, launchd.)
FORBIDDEN_ENDINGS = re.compile(r"(Helper|(?<!^Service)Manager|Util)s?$")

CODE = re.compile(r"^\|\s*`([a-z0-9.-]+)`\s*\|", re.MULTILINE)


Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


class Source(NamedTuple):
    """A module of ours: its path below src/stayon with slashes, its text, its tree."""

    name: str
    text: str
    tree: ast.Module


def _sources() -> list[Source]:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text("utf-8")
        found.append(Source(path.relative_to(SOURCE).as_posix(), text, ast.parse(text)))
    return found


SOURCES = _sources()


def _room(source: Source) -> str:
    """The folder right below src/stayon, or the module's name if it stands there itself."""
    return source.name.split("/")[0].removesuffix(".py")


def _module_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that importing runs: into if, try, with and class, but not into functions or TYPE_CHECKING."""
    for statement in body:
        yield statement
        if isinstance(statement, Function):
            continue
        only_for_checkers = isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
        for part in ("orelse",) if only_for_checkers else ("body", "orelse", "finalbody"):
            yield from _module_level(getattr(statement, part, []))
        for handler in getattr(statement, "handlers", []):
            yield from _module_level(handler.body)


def _imported(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        return [f"{statement.module}.{alias.name}" for alias in statement.names]
    return []


def _definitions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Every function and class with its dotted name, however deep."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition):
            yield prefix + node.name, node
            yield from _definitions(node, f"{prefix}{node.name}.")
        else:
            yield from _definitions(node, prefix)


def _parameters(node: Function) -> int:
    plain = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([argument for argument in plain if argument.arg not in ("self", "cls")])


def test_imports_point_down_only() -> None:
    """The contracts of pyproject.toml hold: floors, a pure core, siblings that don't know each other."""
    pytest.importorskip("importlinter", reason="the floors can't be checked without import-linter")
    check = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_logo=True))"
    command = [sys.executable, "-c", check]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_only_those_above_come_through_the_front_door() -> None:
    """``stayon`` itself joins everything, so no room below the services may import a name from it, only its modules."""
    children = {path.stem for path in SOURCE.iterdir()}
    found = []
    for source in SOURCES:
        if _room(source) in ("services", "testing", "cli", "__main__"):
            continue
        names = [name for node in ast.walk(source.tree) if isinstance(node, ast.stmt) for name in _imported(node)]
        ours = [name.split(".") for name in names if name.split(".")[0] == "stayon"]
        found += [f"{source.name}: {'.'.join(name)}" for name in ours if len(name) == 1 or name[1] not in children]

    assert not found, "\n".join(found)


def test_an_idle_service_pays_for_no_heavy_import() -> None:
    """What an idle service has loaded imports only what is light; the rest waits in a function until it is used."""
    found = []
    for source in SOURCES:
        if _room(source) not in (*LEAN_ROOMS, *LEAN_FILES):
            continue
        for statement in _module_level(source.tree.body):
            roots = {name.split(".")[0] for name in _imported(statement)}
            heavy = [name for name in roots if name not in LIGHT and name != "stayon" and not name.startswith("_")]
            found += [f"{source.name}:{statement.lineno}: {name}" for name in heavy]

    assert not found, "\n".join(found)


def test_only_platforms_and_build_ask_which_system_this_is() -> None:
    """``sys.platform``, ``os.name`` and their like stand in one room, so another system is the work of that room."""
    asking = {"sys.platform", "os.name", "os.uname", "platform.system", "sysconfig.get_platform"}
    found = []
    for source in SOURCES:
        if _room(source) in MAY_ASK_FOR_THE_SYSTEM:
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in asking:
                found.append(f"{source.name}:{node.lineno}: {ast.unparse(node)}")
            if isinstance(node, ast.stmt):
                found += [f"{source.name}:{node.lineno}: {name}" for name in _imported(node) if name in asking]

    assert not found, "\n".join(found)


def test_only_the_command_line_prints() -> None:
    """A service's stdout belongs to its user; what stayon has to say goes to the log, or is returned."""
    found = []
    for source in SOURCES:
        if _room(source) in ("cli", "__main__"):
            continue
        calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
        found += [f"{source.name}:{call.lineno}" for call in calls if ast.unparse(call.func) == "print"]

    assert not found, "\n".join(found)


def test_core_is_told_the_time() -> None:
    """Nothing in core asks for the time of day: it is an argument."""
    asking = re.compile(r"\.(now|utcnow|today)$")
    found = []
    for source in SOURCES:
        if _room(source) == "core":
            attributes = [node for node in ast.walk(source.tree) if isinstance(node, ast.Attribute)]
            found += [f"{source.name}:{node.lineno}" for node in attributes if asking.search(ast.unparse(node))]

    assert not found, "\n".join(found)


def test_files_are_small_rooms() -> None:
    """No file has more than 500 lines, and half of the source's have fewer than 200."""
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in EVERYTHING}
    too_long = [f"{path.relative_to(ROOT)}: {length}" for path, length in lengths.items() if length > 500]

    assert not too_long, "\n".join(too_long)
    assert statistics.median(lengths[path] for path in lengths if path.is_relative_to(SOURCE)) < 200


def test_functions_fit_on_a_screen() -> None:
    """No function has more than 60 lines."""
    found = []
    for source in SOURCES:
        for name, node in _definitions(source.tree):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if isinstance(node, Function) and length > 60:
                found.append(f"{source.name}:{node.lineno}: {name} has {length}")

    assert not found, "\n".join(found)


def test_functions_take_at_most_five_parameters() -> None:
    """More than five belong into a Record; the few exceptions (a user's keywords) say so beside ``def``."""
    found = []
    for source in SOURCES:
        lines = source.text.splitlines()
        for name, node in _definitions(source.tree):
            many = isinstance(node, Function) and _parameters(node) > 5
            if many and "# noqa: PLR0913  # " not in lines[node.lineno - 1]:
                found.append(f"{source.name}:{node.lineno}: {name}")

    assert not found, "\n".join(found)


def test_every_exception_to_a_rule_says_why() -> None:
    """Beside each ``noqa`` and ``type: ignore`` stands its code and, after two blanks and a ``#``, its reason."""
    loose = re.compile(
        r"#\s*(noqa|type:\s*ignore|pragma)(?!(: [A-Z]+[0-9]+(, [A-Z]+[0-9]+)*|\[[a-z-, ]+\]|: no cover)  # \S)"
    )
    found = []
    for path in EVERYTHING:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if loose.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")

    assert not found, "\n".join(found)


def test_names_say_what_a_thing_is() -> None:
    """No room, module, class or function is called after nothing in particular."""
    paths = [part.removesuffix(".py") for source in SOURCES for part in source.name.split("/")]
    names = [name for source in SOURCES for name, _ in _definitions(source.tree)]

    assert [name for name in paths if name in FORBIDDEN_NAMES] == []
    assert [name for name in names if FORBIDDEN_ENDINGS.search(name) or name.lower() in FORBIDDEN_NAMES] == []


def test_every_folder_is_a_package() -> None:
    """A folder without ``__init__.py`` would be invisible to the floors."""
    folders = {path.parent for path in SOURCE.rglob("*.py")}

    assert [str(folder.relative_to(SOURCE)) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_every_module_begins_with_what_it_is_for() -> None:
    """Every module has a docstring, and annotations that cost nothing at run time."""
    silent = [source.name for source in SOURCES if not ast.get_docstring(source.tree)]
    future = "from __future__ import annotations"
    costly = [source.name for source in SOURCES if " -> " in source.text and future not in source.text]

    assert not silent, "\n".join(silent)
    assert not costly, "\n".join(costly)


def _says_what_it_does(node: Definition) -> bool:
    given = [ast.unparse(statement.targets[0]) for statement in node.body if isinstance(statement, ast.Assign)]
    return bool(ast.get_docstring(node)) or "__doc__" in given


def test_every_public_function_and_class_says_what_it_does() -> None:
    """A public name has a docstring: its contract. (A method that does what its class says may go without.)"""
    found = []
    for source in SOURCES:
        public = [node for node in source.tree.body if isinstance(node, Definition) and not node.name.startswith("_")]
        found += [f"{source.name}: {node.name}" for node in public if not _says_what_it_does(node)]

    assert not found, "\n".join(found)


def test_every_test_states_its_requirement() -> None:
    """The docstring of a test is what has to be true, in a sentence."""
    found = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        for name, node in _definitions(ast.parse(path.read_text("utf-8"))):
            if node.name.startswith("test_") and isinstance(node, Function) and not ast.get_docstring(node):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {name}")

    assert not found, "\n".join(found)


def _code_values(tree: ast.Module) -> Iterator[ast.expr]:
    """What is given as ``code``: by keyword where an error is made, by an error class of itself, and by a constant."""
    given: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given += [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).isupper():
            given += [node.value] if _is_code(node.value) else []
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
            assignments = [statement for statement in node.body if isinstance(statement, ast.Assign)]
            given += [each.value for each in assignments if ast.unparse(each.targets[0]) == "code"]
    for value in given:
        yield from (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,)


def _is_code(value: ast.expr) -> bool:
    """Whether a constant is a code of the configuration's problems, which are collected before they become an error."""
    return isinstance(value, ast.Constant) and str(value.value).startswith("config.")


def test_every_error_code_is_in_the_reference_once() -> None:
    """The codes of the source and the table of docs/reference/errors.md are the same, and each stands there once."""
    used: set[str] = set()
    for source in SOURCES:
        for value in _code_values(source.tree):
            assert not isinstance(value, ast.JoinedStr), f"{source.name}:{value.lineno}: write codes out, to be found"
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
                used.add(value.value)
    for path in (ROOT / "launcher").glob("*.c"):
        used |= set(re.findall(r"[\"\[](launcher\.[a-z-]+)[\"\]]", path.read_text("utf-8")))
    documented = CODE.findall((ROOT / "docs" / "reference" / "errors.md").read_text("utf-8"))

    assert sorted(used - set(documented)) == [], "not in the reference"
    assert sorted(set(documented) - used) == [], "in the reference, but in no source"
    assert sorted({code for code in documented if documented.count(code) > 1}) == [], "more than once in the reference"
