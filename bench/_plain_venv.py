"""Plain virtual environments with the wheel, as a user has it: no test tools, and none of their start-up hooks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from _figures import progress

ROOT = Path(__file__).resolve().parent.parent
PEERS = ["aiohttp>=3.9"]


def find_python(version: str) -> str:
    """The interpreter for *version* ("3.13"): this one, one on PATH, or pyenv's newest; "" if there is none."""
    if version == "{}.{}".format(*sys.version_info):
        return sys.executable
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    folders = sorted(versions.glob(f"{version}.*"), key=lambda folder: int(folder.name.split(".")[2]), reverse=True)
    for candidate in [f"python{version}", *(str(folder / "bin" / "python") for folder in folders)]:
        if shutil.which(candidate) is None:
            continue
        # A pyenv shim may be there for a version that isn't switched on.
        asked = [candidate, "-c", "import sys; print(sys.executable)"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
    return ""


def build_wheel(folder: Path) -> Path:
    """The wheel of this source, in *folder*. Needs hatchling here, as ``dev.py bench`` has it."""
    progress("building the wheel")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    _pip(sys.executable, "wheel", *options, str(ROOT))
    return next(folder.glob("stayon-*.whl"))


def plain_venv(version: str, wheel: Path, folder: Path) -> str:
    """Make a venv with *wheel* and what the peers need; gives its interpreter, or "" where there is no *version*."""
    interpreter = find_python(version)
    if not interpreter:
        progress(f"no Python {version} here: it is left out")
        return ""
    progress(f"making a plain venv with Python {version}")
    place = folder / f"venv-{version}"
    subprocess.run([interpreter, "-m", "venv", str(place)], check=True)
    python = str(place / "bin" / "python")
    _pip(python, "install", "--quiet", str(wheel), *PEERS)
    return python


def _pip(python: str, *arguments: str) -> None:
    command = [python, "-m", "pip", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, stdout=sys.stderr)
