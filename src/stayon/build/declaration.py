"""What a program says of itself, read without importing it: it may be meant for another computer."""

from __future__ import annotations

import ast
import os
import tomllib
from dataclasses import dataclass

from stayon.errors import ConfigError, UsageError


@dataclass(frozen=True)
class Declaration:
    """The name and description of the service that a program declares, and its version; "" for what it doesn't say in
    plain words.
    """

    service: str = ""
    description: str = ""
    version: str = ""


def of(path: str, attribute: str) -> Declaration:
    """What the file at *path* declares; of several services, that at *attribute*.

    Raises ``UsageError``: there is no such file; ``ConfigError``: it is no Python that can be compiled.
    """
    tree = _parsed(path)
    service, description, version = "", "", _version_of_project(os.path.dirname(os.path.abspath(path)))
    for statement in tree.body:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            continue
        name, value = statement.targets[0].id, statement.value
        if name == "__version__":
            version = _text(value) or version
        if isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] == "Service":
            if service and name != attribute:
                continue
            keywords = {keyword.arg: keyword.value for keyword in value.keywords}
            service = _text(value.args[0] if value.args else keywords.get("name"))
            description = _text(keywords.get("description"))
    return Declaration(service, description, version)


def _parsed(path: str) -> ast.Module:
    try:
        with open(path, "rb") as file:
            return ast.parse(file.read(), path)
    except FileNotFoundError as error:
        raise UsageError("there is no such file", where=path, hint="Check the path.", code="usage.no-file") from error
    except OSError as error:
        raise UsageError(
            "it cannot be read", where=path, why=error.strerror or str(error), hint="Name a Python file.",
            code="usage.no-file",
        ) from error  # fmt: skip
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigError(
            "it is no Python that this version can compile", where=f"{path}{line}",
            why=error.msg if isinstance(error, SyntaxError) else str(error), hint="Correct it; nothing was built.",
            code="build.program",
        ) from error  # fmt: skip


def _text(value: ast.expr | None) -> str:
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def _version_of_project(folder: str) -> str:
    """The version in the nearest pyproject.toml, if it is written there."""
    while True:
        path = os.path.join(folder, "pyproject.toml")
        if os.path.isfile(path):
            try:
                with open(path, "rb") as file:
                    version = tomllib.load(file).get("project", {}).get("version", "")
            except (OSError, ValueError):
                return ""
            return version if isinstance(version, str) else ""
        if os.path.dirname(folder) == folder:
            return ""
        folder = os.path.dirname(folder)
