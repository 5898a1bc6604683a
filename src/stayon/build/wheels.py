"""Resolves a program's dependencies for its target, and unpacks their wheels: by ``uv``, which asks markers and tags of
the target, not of the computer that builds. Nothing is ever built from source: that would be for the wrong computer.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from stayon.build.dependencies import normal
from stayon.build.targets import target_of
from stayon.errors import ConfigError, StayonError, UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# A large set from a slow mirror; uv has limits of its own for each request.
TIMEOUT_S = 900

_NO_WHEEL = re.compile(r"(?:versions of )?([A-Za-z0-9][\w.-]*?)(?:==\S+)? ha(?:s|ve) no (?:usable )?wheels")
_NOT_FOUND = re.compile(r"([A-Za-z0-9][\w.-]*) was not found in the (?:package registry|cache)")
_NO_NETWORK = re.compile(
    r"Failed to fetch|error sending request|dns error|network was disabled|Could not connect", re.IGNORECASE
)


@dataclass(frozen=True)
class _Request:
    """What is to be resolved, and for what: the *target*'s name, what uv calls it, the minor version of Python."""

    requirements: tuple[str, ...]
    target: str
    platform: str
    minor: str

    @property
    def key(self) -> str:
        """The name that its resolution is kept by."""
        text = "\n".join((self.target, self.minor, *self.requirements))
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def install(
    requirements: Sequence[str], *, target: str, python: tuple[int, int], cache: str, offline: bool = False
) -> str:
    """The directory that all of *requirements* are unpacked in for *target* and the minor version *python*; "" if there
    are none. It is below *cache*, and is made once for each resolution. Blocks, for as long as downloads take.

    Without a network the last resolution of the same requirements is taken. Raises ``ConfigError``: they have no
    solution, or one has no wheel for the target; ``UnavailableError``: no network, no uv.
    """
    if not requirements:
        return ""
    request = _Request(tuple(requirements), target, target_of(target).wheel, f"{python[0]}.{python[1]}")
    resolved = _resolved(request, cache, offline=offline)
    lines = [line for line in resolved.splitlines() if line.strip()]
    if not any(line[0].isalnum() for line in lines):
        return ""
    text = "\n".join(lines) + "\n"
    name = hashlib.sha256(f"{target}\n{request.minor}\n{text}".encode()).hexdigest()[:24]
    place = os.path.join(cache, name)
    if not os.path.isdir(place):
        _unpack(text, request, place, offline=offline)
    return place


def _resolved(request: _Request, cache: str, *, offline: bool) -> str:
    """Every distribution with its version and hashes, a requirements file; stayon is not among them."""
    kept = os.path.join(cache, f"{request.key}.txt")
    with tempfile.TemporaryDirectory(prefix="stayon") as folder:
        asked = os.path.join(folder, "requirements.in")
        with open(asked, "w", encoding="utf-8") as file:
            file.write("\n".join(request.requirements) + "\n")
        try:
            text = _uv([
                "pip", "compile", asked, "--generate-hashes", "--no-header", "--no-annotate", "--no-build",
                "--no-emit-package", "stayon", *_about(request, offline=offline),
            ], request)  # fmt: skip
        except UnavailableError:
            if not os.path.isfile(kept):
                raise
            with open(kept, encoding="utf-8") as file:
                return file.read()
    _replace(kept, text)
    return text


def _unpack(text: str, request: _Request, place: str, *, offline: bool) -> None:
    """Make *place*, with all that the resolution *text* names; nothing is there if that fails."""
    with tempfile.TemporaryDirectory(prefix=".making-", dir=os.path.dirname(place)) as folder:
        listed, made = os.path.join(folder, "requirements.txt"), os.path.join(folder, "made")
        with open(listed, "w", encoding="utf-8") as file:
            file.write(text)
        _uv([
            "pip", "install", "--target", made, "--no-deps", "--no-build", "--require-hashes", "--link-mode", "copy",
            "-r", listed, *_about(request, offline=offline),
        ], request)  # fmt: skip
        try:
            os.rename(made, place)
        except OSError:
            if not os.path.isdir(place):  # else another build was quicker
                raise


def _about(request: _Request, *, offline: bool) -> list[str]:
    options = ["--python", sys.executable, "--python-version", request.minor, "--python-platform", request.platform]
    return [*options, "--quiet", "--color", "never", *(["--offline"] if offline else [])]


def _uv(arguments: Sequence[str], request: _Request) -> str:
    """What uv prints for *arguments*. Raises what its complaint means."""
    try:
        done = subprocess.run(
            [program(), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S,
            encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise UnavailableError(
            "uv does not run", why=str(error), hint='Install it anew: pip install "stayon[build]".', code="build.uv"
        ) from error
    if done.returncode:
        raise _refused(done.stderr, request)
    return done.stdout


def program() -> str:
    """Where uv is. Raises ``UnavailableError`` if it is nowhere."""
    try:
        return str(__import__("uv").find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if not found:
        raise UnavailableError(
            "the program has dependencies, and uv, which resolves them for another computer, is not installed",
            hint='pip install "stayon[build]"', code="build.uv",
        )  # fmt: skip
    return found


def _refused(complaint: str, request: _Request) -> StayonError:
    """The error that uv's *complaint* is for us."""
    said = " ".join(complaint.split())
    where = f"{request.target}, Python {request.minor}"
    found = _NOT_FOUND.search(said)
    if _NO_NETWORK.search(said):
        return UnavailableError(
            f"{normal(found[1])} is not in the cache" if found else "the dependencies cannot be fetched", where=where,
            why="the package index does not answer" if "network was disabled" not in said else "offline was said",
            hint="Build once with a network: what was fetched is kept.", code="build.no-network",
        )  # fmt: skip
    missing = _NO_WHEEL.search(said)
    if missing:
        return ConfigError(
            f"{normal(missing[1])} has no wheel for {request.target} / Python {request.minor}",
            why="building it from source would be for the computer that builds",
            hint="Ask for a version that has one, or take another distribution.", code="build.no-wheel",
        )  # fmt: skip
    if found:
        return ConfigError(
            f"there is no distribution {normal(found[1])}", where=where, hint="Check its name.",
            code="build.no-distribution",
        )  # fmt: skip
    cause = said.partition("cause: ")[2] or said.removeprefix("error: ")
    return ConfigError(
        "the dependencies have no solution", where=where, why=cause.partition(" hint: ")[0].rstrip("."),
        hint="Loosen one of those named.", code="build.requirements",
    )  # fmt: skip


def _replace(path: str, text: str) -> None:
    new = f"{path}.{os.getpid()}"
    with open(new, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(new, path)
