"""Which distributions a program says that it needs: in its own first lines, its project's declaration, or a list."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass

from stayon.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

# What stays where it is: the stayon that builds is the one that is built in.
_OURS = "stayon"
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
_FILE_OPTION = re.compile(r"(-r|-c|--requirement|--constraint)[ =]?\s*(\S.*)")


@dataclass(frozen=True)
class Wanted:
    """The *requirements* of a program as lines of a requirements file, without stayon; *origin*: the file that has
    them, "" if there is none.
    """

    requirements: tuple[str, ...] = ()
    origin: str = ""


def wanted(program: str, directory: str, requirements: str = "") -> Wanted:
    """What *program*, a file or a module in *directory*, needs: what the file *requirements* says, else its own inline
    metadata (PEP 723), else the nearest ``pyproject.toml``, else ``requirements.txt`` beside it.

    Raises ``ConfigError``: one of these can't be read, or isn't what it should be.
    """
    if requirements:
        return _of_list(os.path.abspath(requirements))
    if program.endswith(".py"):
        path = os.path.abspath(program)
        block = inline(_read(path))
        if block is not None:
            return _clean(_listed(_parsed(block, path).get("dependencies", []), path), path)
    project = _project(directory)
    if project:
        declared = _parsed(_read(project), project)["project"]
        if "dependencies" in declared.get("dynamic", ()):
            raise ConfigError(
                "its dependencies are made by a build, so nobody can read them there", where=project,
                hint="Write them down, or say --requirements FILE.", code="build.dependencies",
            )  # fmt: skip
        return _clean(_listed(declared.get("dependencies", []), project), project)
    beside = os.path.join(os.path.abspath(directory), "requirements.txt")
    return _of_list(beside) if os.path.isfile(beside) else Wanted()


def inline(source: str) -> str | None:
    """The TOML in the block ``# /// script`` of *source* (PEP 723); None: it has none.

    Raises ``ConfigError`` for a block without an end, or a second one.
    """
    blocks: list[str] = []
    inside: list[str] | None = None
    for line in source.splitlines():
        if inside is None:
            inside = [] if line.rstrip() == "# /// script" else None
        elif line.rstrip() == "# ///":
            blocks.append("\n".join(inside))
            inside = None
        elif line == "#" or line.startswith("# "):
            inside.append(line[2:])
        else:
            raise _broken("its block '# /// script' has no end")
    if inside is not None:
        raise _broken("its block '# /// script' has no end")
    if len(blocks) > 1:
        raise _broken("it has more than one block '# /// script'")
    return blocks[0] if blocks else None


def _broken(what: str) -> ConfigError:
    return ConfigError(what, hint="A line '# ///' ends it; there is one such block.", code="build.dependencies")


def _of_list(path: str) -> Wanted:
    return _clean(list(_lines(path)), path)


def _lines(path: str) -> Iterator[str]:
    """The lines of a requirements file, continued ones as one, and further files by full path."""
    logical = re.sub(r"\\\n", " ", _read(path))
    for raw in logical.splitlines():
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        option = _FILE_OPTION.fullmatch(line)
        if option and option[1] in {"-r", "--requirement"}:
            yield from _lines(os.path.join(os.path.dirname(path), option[2]))
        elif option:
            yield f"-c {os.path.join(os.path.dirname(path), option[2])}"
        elif line:
            yield line


def _project(directory: str) -> str:
    """The nearest ``pyproject.toml`` with a project in *directory* or above; "": there is none."""
    at = os.path.abspath(directory)
    while True:
        path = os.path.join(at, "pyproject.toml")
        if os.path.isfile(path) and "project" in _parsed(_read(path), path):
            return path
        above = os.path.dirname(at)
        if above == at or os.path.exists(os.path.join(at, ".git")):
            return ""
        at = above


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "it cannot be read", where=path, why=str(error), hint="Check the path; it must be UTF-8.",
            code="build.dependencies",
        ) from error  # fmt: skip


def _parsed(text: str, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            "its declaration is no TOML", where=path, why=str(error), hint="Correct it.", code="build.dependencies"
        ) from error


def _listed(value: object, path: str) -> list[str]:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    raise ConfigError(
        "its dependencies are not a list of texts", where=path, hint='Write dependencies = ["requests>=2"].',
        code="build.dependencies",
    )  # fmt: skip


def _clean(lines: Iterable[str], origin: str) -> Wanted:
    """*lines* without stayon, but with what its extras need."""
    found: list[str] = []
    for line in lines:
        name = _NAME.match(line)
        if name is None or normal(name[1]) != _OURS:
            found.append(line)
        elif name[2]:
            found += _of_extras({extra.strip() for extra in name[2].split(",")}, origin)
    return Wanted(tuple(dict.fromkeys(found)), origin)


def normal(name: str) -> str:
    """A distribution's *name* as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _of_extras(extras: set[str], origin: str) -> list[str]:
    """What stayon's own *extras* need."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        all_of_them = requires(_OURS) or []
    except PackageNotFoundError as error:
        raise ConfigError(
            f"what stayon[{','.join(sorted(extras))}] needs is not known: this stayon is not installed",
            where=origin, hint="Name those distributions themselves.", code="build.dependencies",
        ) from error  # fmt: skip
    found = []
    for line in all_of_them:
        requirement, _, marker = line.partition(";")
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
        if extra and extra[1] in extras:
            found.append(requirement.strip())
    return found
