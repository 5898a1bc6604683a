"""The distributions that a program depends on, as they were unpacked: which of their files go into its set."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.parser import HeaderParser

# What only compilers and type checkers read, and byte code of some other interpreter.
_NOT_RUN = (".py", ".pyc", ".pyi", ".pyx", ".pxd", ".pxi", ".h", ".hpp", ".c", ".cpp", ".a", ".lib", ".pdb")
_TESTS = re.compile(r"(^|/)(tests?|__pycache__)/")
# Where installers put programs, and what they note for themselves.
_NOT_OURS = re.compile(
    r"^(bin|Scripts|include|share/man)/|^\.lock$|\.dist-info/(REQUESTED|INSTALLER|direct_url\.json|uv_\w+\.json)$"
)


@dataclass(frozen=True)
class Tree:
    """*files*: each one's place with "/", its path here, and flags (none). *versions* by name of the distribution."""

    files: tuple[tuple[str, str, int], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def files(directory: str) -> Tree:
    """What of the distributions in *directory* ("": there are none) are files on disk; modules aren't.

    A ``.pth`` file is for ``site``, which a program of one file has not: there is a warning.
    """
    if not directory:
        return Tree()
    found: list[tuple[str, str, int]] = []
    versions: dict[str, str] = {}
    warnings: list[str] = []
    for place, path in _walked(directory):
        if place.endswith(".dist-info/METADATA"):
            name, version = _identity(path)
            versions[name] = version
        if place.endswith(".pth") and "/" not in place:
            warnings.append(f"{place} is left out: nothing reads such files in a program of one file")
        elif not place.endswith(_NOT_RUN) and not _TESTS.search(place) and not _NOT_OURS.search(place):
            found.append((place, path, 0))
    return Tree(tuple(found), dict(sorted(versions.items())), tuple(warnings))


def _walked(directory: str) -> Iterator[tuple[str, str]]:
    for folder, folders, names in os.walk(directory):
        folders.sort()
        inside = os.path.relpath(folder, directory).replace(os.sep, "/")
        for name in sorted(names):
            yield name if inside == "." else f"{inside}/{name}", os.path.join(folder, name)


def _identity(path: str) -> tuple[str, str]:
    """Name and version, from a distribution's METADATA."""
    with open(path, encoding="utf-8", errors="replace") as file:
        head = HeaderParser().parse(file, headersonly=True)
    return str(head["Name"]), str(head["Version"])
