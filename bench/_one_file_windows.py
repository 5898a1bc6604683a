"""The Windows half of ``onefile``: ours, Go's and PyInstaller's program as services of Wine's SCM."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import _one_file
from _figures import OURS, Figures, progress
from _packers import PEERS, Packed, go, kept
from _process import anonymous_mb, memory_mb
from windows import Client, Competitor

from tests.windows import fetch
from tests.windows import lab as laboratory
from tests.windows.lab import Lab

ROUNDS = 15
FIRST_RUNS = 3
REST_S = 0.5
SETTLE_S = 1.5
PACK_LIMIT_S = 300.0
SYSTEM = ", Wine"
# What pip would install there; its markers are of the computer that it runs on, so they are all named.
PYINSTALLER = (
    *("pyinstaller", "pyinstaller-hooks-contrib", "altgraph", "packaging", "pefile", "pywin32-ctypes"),
    "setuptools",
)


class Service(Competitor):
    """As in ``windows``, and all its processes count: PyInstaller's one file is two."""

    def memory(self) -> dict[str, float]:
        """Of all of them together, and how many they are."""
        pids = [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if self.is_of(folder)]
        return {
            "rss_mb": sum(memory_mb(pid)["rss_mb"] for pid in pids),
            "private_mb": sum(anonymous_mb(pid) for pid in pids),
            "processes": len(pids),
        }


def ours(lab: Lab, client: Client, packed: Packed) -> Service:
    """Copied there, and installed by itself."""
    program = lab.folder / "one-file" / "collector.exe"
    program.parent.mkdir()
    shutil.copy2(packed.program, program)
    done = lab.exe(program, "install", limit_s=60.0)
    if done.code != 0:
        raise RuntimeError(f"install: {done.out}{done.err}")
    client.ask("attach", "collector")
    return Service(client, OURS + SYSTEM, "collector", "one-file\\collector.exe")


def foreign(lab: Lab, client: Client, packed: Packed) -> Service:
    """Put into the SCM by its command line. The word that tells it from others is its folder's name."""
    name = packed.folder.name
    shutil.copytree(packed.folder, lab.folder / name)
    program = lab.folder / name / packed.program.relative_to(packed.folder)
    client.ask("create", name, f'"{lab.named(program)}" "{lab.named(lab.folder / name / "collector.log")}"')
    return Service(client, packed.title + SYSTEM, name, f"{name}\\")


def pyinstaller(lab: Lab, *, one_file: bool) -> Packed | None:
    """The service with pywin32, packed by PyInstaller under Wine."""
    script = PEERS / "with_pywin32.py"

    def make(folder: Path) -> None:
        python = _furnished(lab)
        shutil.copy2(script, python / "collector.py")
        mode, made = "--onefile" if one_file else "--onedir", python / "made"
        words = ["-m", "PyInstaller", mode, "--noconfirm", "--log-level", "ERROR", "--distpath", made]
        done = lab.exe(
            python / "python.exe", *words, "--workpath", python / "work", "--specpath", python, python / "collector.py",
            limit_s=PACK_LIMIT_S,
        )  # fmt: skip
        if done.code != 0:
            raise RuntimeError(done.err[-500:])
        shutil.copytree(made, folder, dirs_exist_ok=True)

    title, program = (
        ("PyInstaller onefile", "collector.exe") if one_file else ("PyInstaller onedir", "collector/collector.exe")
    )
    try:
        found = kept(title + SYSTEM, program, [script], "wine", make)
    except (RuntimeError, AssertionError, OSError, subprocess.CalledProcessError) as error:
        progress(f"{title} under Wine is left out: {error}")
        return None
    return found._replace(title=title)


def _furnished(lab: Lab) -> Path:
    """A Python of its own there, with PyInstaller and pywin32."""
    folder = lab.folder / "with PyInstaller"
    if folder.exists():
        return folder
    shutil.copytree(lab.python, folder)
    packages = folder / "Lib" / "site-packages"
    shutil.copytree(lab.pywin32, packages, dirs_exist_ok=True)
    for library in (packages / "pywin32_system32").glob("*.dll"):
        shutil.copy2(library, folder)
    # Wine has not all that it asks of Windows.
    (folder / "DLLs" / "_wmi.pyd").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        platform = ["--platform", "win_amd64", "--python-version", "3.13", "--only-binary=:all:", "--no-deps"]
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", *platform]
        subprocess.run([*command, "--dest", scratch, *PYINSTALLER], check=True, stdout=sys.stderr)
        for wheel in Path(scratch).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(packages)
    return folder


def measure(figures: Figures, folder: Path) -> None:
    """All of them, in turn."""
    fetch.fetch()
    packed, builds = _one_file.built("windows-x64", folder / "windows")
    bare = _one_file.bare("windows-x64", folder / "bare-windows")
    for seconds in builds:
        figures.add(OURS + SYSTEM, build_s=seconds)
    figures.add(OURS + SYSTEM, size_mb=packed.size_mb)
    tls, _ = _one_file.built("windows-x64", folder / "windows-tls", _one_file.WITH_TLS)
    figures.add(f"{OURS}{SYSTEM}, with TLS", size_mb=tls.size_mb)
    with laboratory.opened() as lab:
        client = Client(lab)
        competitors = [ours(lab, client, packed), *_peers(lab, client, figures)]
        _starts(figures, competitors)
        _first_runs(figures, lab, competitors[0])
        _bare_starts(figures, lab, client, bare)
        client.close()


def _peers(lab: Lab, client: Client, figures: Figures) -> list[Service]:
    found = []
    in_go = go("Go", "go_windows", "collector.exe", GOOS="windows", GOARCH="amd64")
    makers: list[Callable[[], Packed | None]] = [
        lambda: in_go,
        lambda: pyinstaller(lab, one_file=True),
        lambda: pyinstaller(lab, one_file=False),
    ]
    for packed in filter(None, (make() for make in makers)):
        one = foreign(lab, client, packed)
        try:
            one.start()
            stop(one)
        except RuntimeError as error:
            progress(f"{one.title} is left out: {error}")
            continue
        found.append(one)
        figures.add(one.title, size_mb=packed.size_mb)
        if packed.build_s is not None:
            figures.add(one.title, build_s=packed.build_s)
    return found


def stop(one: Service) -> None:
    """Stop it. A process that is gone before Wine has its answer is stopped as well (error 109, ERROR_BROKEN_PIPE)."""
    try:
        one.stop()
    except RuntimeError as error:
        if not str(error).endswith("109"):
            raise
        progress(f"{one.title}: {error}")
        time.sleep(REST_S)


def _starts(figures: Figures, competitors: list[Service]) -> None:
    """The first start of each has cold files, and does not count."""
    for number in range(ROUNDS + 1):
        progress(f"Wine, round {number} of {ROUNDS}")
        for one in competitors:
            took = one.start()["ms"]
            if number:
                figures.add(one.title, start_ms=took)
            time.sleep(REST_S)
            if number % 5 == 0:
                time.sleep(SETTLE_S)
                figures.add(one.title, **one.memory())
            stop(one)


def _first_runs(figures: Figures, lab: Lab, one: Service) -> None:
    """The interpreter is not there yet."""
    for _ in range(FIRST_RUNS):
        shutil.rmtree(lab.data / "stayon" / "runtime")
        figures.add(one.title, first_ms=one.start()["ms"])
        time.sleep(REST_S)
        stop(one)


def _bare_starts(figures: Figures, lab: Lab, client: Client, bare: Path) -> None:
    folder = lab.folder / "bare"
    folder.mkdir()
    programs = {OURS: folder / "bare.exe", "python -I -S": lab.python / "python.exe"}
    shutil.copy2(bare, folder)
    in_go = go("Go bare", "go_bare", "bare.exe", GOOS="windows", GOARCH="amd64")
    if in_go is not None:
        programs["Go"] = folder / "go.exe"
        shutil.copy2(in_go.program, programs["Go"])
    for number in range(ROUNDS + 1):
        for title, program in programs.items():
            words = ["-I", "-S", "-c", "pass"] if title.startswith("python") else []
            took = client.ask("run", lab.named(program), *words)["ms"]
            if number:
                figures.add(title + SYSTEM, bare_ms=took)
