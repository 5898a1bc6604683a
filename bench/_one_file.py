"""Ours: a program that ``stayon build`` has made, and a bare one, which is the launcher, Python, and nothing to do."""

from __future__ import annotations

import marshal
import subprocess
import sys
import time
from pathlib import Path

from _figures import OURS, progress
from _packers import Packed

from stayon.build import abi, assemble, image, kit, pack, payload
from stayon.build.payload import Module, Payload
from stayon.build.recipe import Recipe
from stayon.build.targets import target_of

PROGRAM = """\
from stayon import Service

service = Service("collector")

@service.every("5s")
def collect(ctx):
    ctx.log.info("collected", prices=3)
"""
BARE = "def main():\n    pass\n"
# A build needs these only to be told apart from an import's.
WITH_TLS = PROGRAM.replace("from stayon", "import ssl\nfrom stayon", 1)
BUILDS = 3


def built(target: str, folder: Path, source: str = PROGRAM) -> tuple[Packed, list[float]]:
    """The program for *target* in *folder*, and how many seconds each build took, with what the first has kept."""
    folder.mkdir()
    script = folder / "collector.py"
    script.write_text(source)
    took: list[float] = []
    command = [sys.executable, "-m", "stayon", "build", str(script), "--target", target, "--output", f"{folder}/dist"]
    for number in range(BUILDS + 1):
        progress(f"building with stayon for {target}, {number + 1} of {BUILDS + 1}")
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=sys.stderr)
        took.append(time.perf_counter() - began)
    program = folder / "dist" / ("collector" + target_of(target).suffix)
    for bill in program.parent.glob("*.cdx.json"):
        bill.unlink()
    return Packed(OURS, program, program.parent, None), took[1:]


def bare(target: str, folder: Path) -> Path:
    """A program for *target* whose ``main`` returns at once; of this Python's minor version."""
    folder.mkdir()
    script = folder / "nothing.py"
    script.write_text("from stayon import Service\n\nservice = Service('nothing')\n")
    wanted = Recipe(str(script), "", target_of(target), "bare", sys.version_info[:2], output=str(folder))
    gathered = kit.gathered(wanted, lambda _what, _share: None)
    runtime = gathered.runtime
    needed = [module for module in gathered.modules if module.name.partition(".")[0] == "encodings"]
    boot = Module("bare", payload.FROZEN, "bare.py", marshal.dumps(compile(BARE, "bare.py", "exec")))
    names = [(name, flags) for name, flags in gathered.chosen.files if flags or name == runtime.library]
    files = [(name, runtime.content(name), flags) for name, flags in names]
    packed = pack.packed(files, machine=wanted.target.machine, cache=str(folder), told=lambda _share: None)
    numbers = abi.numbers(runtime.minor, wanted.target.system)
    carried = Payload(runtime.minor, (*needed, boot), (packed,), b"{}", numbers, "bare", runtime.library)
    launcher = (Path(assemble.LAUNCHERS) / wanted.target.launcher).read_bytes()
    program = folder / ("bare" + wanted.target.suffix)
    program.write_bytes(image.with_payload(launcher, payload.written(carried)))
    program.chmod(0o755)
    return program
