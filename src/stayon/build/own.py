"""stayon's own modules that a program needs and no import tells: their names are texts in tables of stayon itself."""

from __future__ import annotations

import ast
import os

from stayon.errors import FailedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# A program of one file is not a builder.
_BUILDS = "build"

_ALWAYS = {
    "platforms.onefile.entry": "it starts the program",
    "platforms.onefile.finder": "it finds modules in the file",
    "cli.program": "services start by it",
    "cli.started": "services start by it",
    "cli.run": "services start by it",
    "cli.target": "services start by it",
    "cli.inside": "the program's verbs begin there",
    "runtime.config.child_answer": "it is the child that reads a configuration file",
}
_BY_PLATFORM = {
    "win32": {
        "platforms.windows.launcher_process": "the SCM starts services by it",
        "platforms.windows.program_file": "an update replaces the program by it",
    },
    "linux": {
        "cli.reloaded": "systemd has services reload by it",
        "platforms.unix_entry": "managers start services by it",
    },
}


def needed(package: str, platform: str) -> Iterator[tuple[str, str]]:
    """Those of stayon at *package*, its directory, each with why a program for *platform* has it."""
    for name, why in (_ALWAYS | _BY_PLATFORM[platform]).items():
        yield f"stayon.{name}", why
    for home in sorted(set(_front_door(os.path.join(package, "__init__.py")))):
        yield f"stayon.{home}", "the front door leads to it"
    for module in sorted(set(_verbs(os.path.join(package, "cli", "words.py")))):
        if module != _BUILDS:
            yield f"stayon.cli.{module}", "it does a verb"


def _front_door(path: str) -> Iterator[str]:
    """The modules that the names of the front door are in: the values of its table."""
    for node in ast.walk(_parsed(path)):
        if (
            isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == "_HOMES"
            and isinstance(node.value, ast.Dict)
        ):
            yield from (_text(value) for value in node.value.values)
            return
    raise FailedError("stayon's front door has no table of its names", where=path, code="build.stayon")


def _verbs(path: str) -> Iterator[str]:
    """The modules that verbs are in: what stands before the colon in each one's second argument."""
    found = False
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Verb":
            found = True
            yield _text(node.args[1]).partition(":")[0]
    if not found:
        raise FailedError("stayon's command line has no table of verbs", where=path, code="build.stayon")


def _parsed(path: str) -> ast.Module:
    with open(path, encoding="utf-8") as file:
        return ast.parse(file.read(), path)


def _text(node: ast.expr) -> str:
    value = ast.literal_eval(node)
    if not isinstance(value, str):
        raise TypeError(f"a text was expected, not {value!r}")
    return value
