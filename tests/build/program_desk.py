"""Programs that are one file, built when they are first asked for, and a root that has nothing but them and glibc."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import stayon

PATIENCE_S = 20.0
BUILD_S = 300.0
LOOK_S = 0.02

SOURCE = """\
from stayon import Service

service = Service("collector", description="Collects prices")

@service.every("1s")
def collect(ctx):
    ctx.log.info("collected", prices=3)
"""

# What a program and the interpreter in it take of the system: glibc, and nothing besides.
GLIBC = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libutil.so.1", "librt.so.1")


class Answer(NamedTuple):
    """What a program gave: the exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its answer, where ``--json`` was said."""
        return json.loads(self.out)


def wait_until(is_so: Callable[[], Any], what: str = "it", limit_s: float = PATIENCE_S) -> Any:
    """Look again and again until *is_so* gives something; gives that."""
    deadline = time.monotonic() + limit_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, f"{what} did not happen within {limit_s:g} s"
        time.sleep(LOOK_S)
    return found


@functools.cache
def workshop() -> Path:
    """A directory for what is built, until the tests end."""
    folder = tempfile.mkdtemp(prefix="stayon-built-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@functools.cache
def built(source: str = SOURCE, version: str = "1.0", name: str = "collector", *options: str) -> Path:
    """The program of one file that ``stayon build`` makes of *source* here."""
    place = Path(tempfile.mkdtemp(dir=workshop()))
    script = place / f"{name}.py"
    script.write_text(textwrap.dedent(source), "utf-8")
    command = [
        sys.executable,
        "-m",
        "stayon",
        "build",
        str(script),
        "--output",
        str(place / "dist"),
        "--version",
        version,
    ]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=BUILD_S, check=False, cwd=place,
        env={**os.environ, "PYTHONPATH": str(Path(stayon.__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "dist" / (f"{name}.exe" if "windows-x64" in options else name)


def run(
    *words: str | Path, limit_s: float = PATIENCE_S, env: dict[str, str] | None = None, cwd: Path | None = None
) -> Answer:
    """Run a program to its end, with an environment that has *env* and a path only."""
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=limit_s, check=False, cwd=cwd,
        stdin=subprocess.DEVNULL, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **(env or {})},
    )  # fmt: skip
    return Answer(done.returncode, done.stdout, done.stderr)


class EmptyRoot:
    """A root directory without Python: glibc, /proc, /dev/null, and a program. Only root can enter it."""

    def __init__(self, top: Path, program: Path) -> None:
        self.top = top
        loader = Path("/lib64/ld-linux-x86-64.so.2")
        for name in GLIBC:
            self.take(_library(name), f"/lib/x86_64-linux-gnu/{name}")
        self.take(loader.resolve(), str(loader))
        for name in ("proc", "dev", "tmp", "etc", "run", "var/lib", "var/log", "var/cache", "opt"):
            (top / name).mkdir(parents=True, exist_ok=True)
        for name in ("null", "urandom"):
            found = os.stat(f"/dev/{name}")
            os.mknod(top / "dev" / name, found.st_mode, found.st_rdev)
        (top / "dev" / "fd").symlink_to("/proc/self/fd")
        (top / "etc" / "passwd").write_text("root:x:0:0::/:/\n", "utf-8")
        self.program = "/opt/collector/collector"
        self.take(program, self.program)

    def take(self, path: Path, inside: str) -> None:
        to = self.top / inside.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)

    def run(self, *words: str, **environment: str) -> Answer:
        """Run the program there with *words*, as the first process of its computer, until that ends."""
        return run(*self._command(words), env=environment)

    @contextlib.contextmanager
    def computer(self, *words: str, **environment: str) -> Iterator[Computer]:
        """As ``run``, while it goes on; what is left of it is killed at the end."""
        process = subprocess.Popen(
            self._command(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment},
        )  # fmt: skip
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            first = int(wait_until(children.read_text, "the first process").split()[0])
            wait_until(lambda: os.readlink(f"/proc/{first}/exe").startswith(str(self.top)), "the program")
            yield Computer(self, process, first)
        finally:
            process.kill()
            process.communicate()

    def _command(self, words: Sequence[str]) -> list[str]:
        enter = f'mount -t proc proc {self.top}/proc && exec chroot {self.top} "$@"'
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", enter, "sh", self.program, *words]

    def files(self) -> dict[str, tuple[int, int]]:
        """All files there with size and time, without what the kernel makes."""
        found = {}
        for path in self.top.rglob("*"):
            inside = path.relative_to(self.top)
            if inside.parts[0] != "proc" and path.is_file():
                about = path.stat()
                found[str(inside)] = (about.st_size, about.st_mtime_ns)
        return found


class Computer:
    """The processes in an ``EmptyRoot``: *first* is the pid, as this computer counts, of its process 1."""

    def __init__(self, root: EmptyRoot, process: subprocess.Popen[str], first: int) -> None:
        self.root, self.process, self.first = root, process, first

    def run(self, *words: str) -> Answer:
        """Run the program there with *words*, besides what runs."""
        enter = ["nsenter", "-t", str(self.first), "--mount", "--pid", "--root", "--wd=/"]
        return run(*enter, self.root.program, *words)

    def pids(self) -> list[int]:
        """All processes there, as this computer counts."""
        own = os.readlink(f"/proc/{self.first}/ns/pid")
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and os.readlink(entry / "ns" / "pid") == own:
                    found.append(int(entry.name))
            except OSError:
                continue  # it has ended
        return sorted(found)

    def end(self) -> tuple[int, str]:
        """The exit code of all, when it has ended, and what it has printed."""
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out


def _library(name: str) -> Path:
    for folder in ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64"):
        path = Path(folder, name)
        if path.exists():
            return path.resolve()
    pytest.skip(f"there is no {name} of glibc here")
