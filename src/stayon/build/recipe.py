"""What is to be built: one record, checked before anything is done."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from stayon.build.targets import Target
from stayon.core.nearest import did_you_mean
from stayon.errors import UsageError

LAYOUTS = ("one", "pair", "trusted")
SOURCES = ("keep", "strip")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_NAME_LENGTH_LIMIT = 100
# Names that are devices on Windows, whatever follows them behind a dot.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_VERSION = re.compile(r"\d{1,5}(\.\d{1,5}){0,3}([.+-]?[A-Za-z][A-Za-z0-9.+-]*)?")


@dataclass(frozen=True)
class Recipe:
    """What is to be built, and how. *program*: a file or a module, with *attribute* ("": its only service). *data*:
    files to be built in, each with its place. *python*: None for that of the runtime, or of the Python
    that builds. *runtime*: "" for the usual sources. *stayon*: our own version.
    """

    program: str
    attribute: str
    target: Target
    name: str
    python: tuple[int, int] | None = None
    layout: str = "one"
    runtime: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    data: tuple[tuple[str, str], ...] = ()
    icon: str = ""
    version: str = ""
    publisher: str = ""
    output: str = "dist"
    keeps_source: bool = True
    requirements: str = ""
    is_offline: bool = False
    stayon: str = ""

    @property
    def is_file(self) -> bool:
        """Whether *program* is a file, and no module's name."""
        return self.program.endswith(".py") or os.sep in self.program


def checked_name(name: str) -> str:
    """*name*, if a file can be called so on each system. Raises ``UsageError``."""
    if _NAME.fullmatch(name) and len(name) <= _NAME_LENGTH_LIMIT and not _DEVICES.match(name) and name[-1] != ".":
        return name
    raise UsageError(
        f"{name!r} cannot be a file's name on each system", where="--name",
        hint="Use letters, digits, '.', '_', '+' and '-', beginning with a letter or digit: --name collector.",
        code="build.name",
    )  # fmt: skip


def checked_version(version: str) -> str:
    """*version*, if it begins with one to four numbers. Raises ``UsageError``."""
    numbers = re.match(r"[\d.]+", version)
    if _VERSION.fullmatch(version) and numbers and all(int(part) < 65536 for part in numbers[0].split(".") if part):
        return version
    raise UsageError(
        f"{version!r} is not a version", where="--version", hint="Begin with numbers below 65536: --version 1.2.3.",
        code="build.version",
    )  # fmt: skip


def checked_choice(value: str, option: str, choices: tuple[str, ...]) -> str:
    """*value*, if it is one of *choices*. Raises ``UsageError``."""
    if value in choices:
        return value
    raise UsageError(
        f"{value!r} is none of {', '.join(choices)}", where=option, hint=did_you_mean(value, choices),
        code="build.choice",
    )  # fmt: skip


def checked_python(text: str) -> tuple[int, int]:
    """The minor version that *text* means. Raises ``UsageError``: it is none, or stayon does not run on it."""
    found = re.fullmatch(r"3\.(\d{1,2})", text)
    if found and int(found[1]) in range(11, 14):
        return 3, int(found[1])
    raise UsageError(
        f"{text!r} is no version of Python that a program can be built with", where="--python",
        hint="Those are 3.11, 3.12 and 3.13.", code="build.python",
    )  # fmt: skip


def checked_data(given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The files behind ``--data FILE[=PLACE]``, with their places: directories are gone through.

    Raises ``UsageError``: there is no such file, or a place leads outside.
    """
    found = []
    for one in given:
        path, _, place = one.partition("=")
        place = (place or os.path.basename(os.path.normpath(path))).replace("\\", "/")
        if not os.path.exists(path):
            raise UsageError("there is no such file", where=path, hint="Check --data.", code="build.data")
        if place.startswith("/") or ":" in place or ".." in place.split("/"):
            raise UsageError(
                f"the place {place!r} leads outside", where="--data", hint="Say where it is beside your modules: "
                "--data prices.csv=data/prices.csv.", code="build.data",
            )  # fmt: skip
        if os.path.isfile(path):
            found.append((path, place))
            continue
        for folder, folders, names in os.walk(path):
            folders.sort()
            inside = os.path.relpath(folder, path).replace(os.sep, "/")
            found += [(os.path.join(folder, name), os.path.normpath(f"{place}/{inside}/{name}").replace(os.sep, "/"))
                      for name in sorted(names)]  # fmt: skip
    return tuple(found)
