"""The computers for which a program can be built: one table."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

from stayon.core.nearest import did_you_mean
from stayon.errors import UsageError


@dataclass(frozen=True)
class Target:
    """A kind of computer. *launcher* is the file of ours that begins the program there, *suffix* the end of the
    program's name; *wheel*: what the resolver of dependencies calls it.
    """

    name: str
    system: str
    machine: str
    launcher: str
    suffix: str
    wheel: str

    @property
    def is_windows(self) -> bool:
        """Whether its programs are PE files."""
        return self.system == "windows"


TARGETS = {
    target.name: target
    for target in (
        Target("windows-x64", "windows", "x64", "windows-x64.exe", ".exe", "x86_64-pc-windows-msvc"),
        Target("windows-arm64", "windows", "arm64", "windows-arm64.exe", ".exe", "aarch64-pc-windows-msvc"),
        Target("linux-x64", "linux", "x64", "linux-x64", "", "x86_64-unknown-linux-gnu"),
        Target("linux-arm64", "linux", "arm64", "linux-arm64", "", "aarch64-unknown-linux-gnu"),
    )
}

_SYSTEMS = {"win32": "windows", "linux": "linux"}
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def here() -> str:
    """The target that this computer is; "" if there is none for its kind."""
    name = f"{_SYSTEMS.get(sys.platform, '')}-{_MACHINES.get(platform.machine().lower(), '')}"
    return name if name in TARGETS else ""


def target_of(name: str) -> Target:
    """The target called *name* ("": this computer's). Raises ``UsageError``."""
    wanted = name or here()
    if wanted in TARGETS:
        return TARGETS[wanted]
    if not wanted:
        raise UsageError(
            f"there is no target for this computer ({sys.platform}, {platform.machine()})",
            hint=f"Say for which one: --target {' or '.join(TARGETS)}.",
            code="build.target",
        )
    raise UsageError(
        f"there is no target {wanted!r}, only {', '.join(TARGETS)}",
        where="--target",
        hint=did_you_mean(wanted, TARGETS),
        code="build.target",
    )
