"""Whether a file that was built is as it should be: looked at, and run where it can run."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator

from stayon import exits
from stayon.build import contents, elf, image, pack, payload, pe, sign, targets
from stayon.build.elf import FormatError
from stayon.build.payload import Payload
from stayon.core.finding import BAD, OK, WARNING, Finding
from stayon.errors import UsageError

RUN_TIMEOUT_S = 60
# What a launcher may ask of a system: no network, no other program, nothing of a shell's.
_WINDOWS = {"kernel32.dll", "advapi32.dll", "shell32.dll", "ntdll.dll"}
_LINUX = ("libc.so.", "libdl.so.", "libpthread.so.", "ld-linux")


def verified(path: str) -> list[Finding]:
    """What is found of the program at *path*. Blocks. Raises ``UsageError``: there is none."""
    if os.path.isdir(path):
        return _of_directory(path)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise UsageError(
            "it cannot be read", where=path, why=error.strerror or str(error), hint="Name what build has made.",
            code="build.verify",
        ) from error  # fmt: skip
    try:
        carried, beside = _carried(path, data)
        found = contents.read(carried)
    except ValueError as error:
        return [Finding(BAD, "payload", str(error), exits.BAD_CONFIG)]
    about = json.loads(found.about)
    text = f"{len(carried):,} bytes{beside}, hash right: {about['name']} {about['version']} for {about['target']}"
    findings = [Finding(OK, "payload", text), *_files(found), *_launcher(data), *_modules(found)]
    return [*findings, *(_run(path, about["target"]) if all(one.verdict != BAD for one in findings) else [])]


def _carried(path: str, data: bytes) -> tuple[bytes, str]:
    try:
        inside = image.payload_of(data)
    except FormatError as error:
        raise ValueError(f"build has not made it: {error}") from error
    if inside:
        return inside, ""
    beside = (path.removesuffix(".exe") if data.startswith(b"MZ") else path) + ".pkg"
    if not os.path.isfile(beside):
        raise ValueError("it has none, and there is none beside it: build has not made it, or it was cut off")
    with open(beside, "rb") as file:
        return image.payload_of(file.read()), f" in {os.path.basename(beside)}"


def _files(found: Payload) -> Iterator[Finding]:
    for files, of in zip(found.sets, ("interpreter", "program's files"), strict=False):
        try:
            total = sum(len(pack.unpacked(file)) for file in files)
        except ValueError as error:
            yield Finding(BAD, of, str(error), exits.BAD_CONFIG)
            continue
        yield Finding(
            OK, of, f"{len(files)} files, {total:,} bytes on disk, each with its SHA-256; set {payload.set_name(files)}"
        )


def _modules(found: Payload) -> Iterator[Finding]:
    names = {module.name for module in found.modules}
    for name in (found.boot, json.loads(found.about)["module"]):
        if name not in names:
            yield Finding(BAD, "modules", f"{name} is missing", exits.BAD_CONFIG)
    try:
        total = sum(len(pack.code_of(module)) for module in found.modules)
    except ValueError as error:
        yield Finding(BAD, "modules", str(error), exits.BAD_CONFIG)
        return
    yield Finding(
        OK, "modules", f"{len(found.modules)} of Python {found.python[0]}.{found.python[1]}, {total:,} bytes of code"
    )


def _launcher(data: bytes) -> Iterator[Finding]:
    """What it asks of the system, and whether it is signed."""
    is_windows = data.startswith(b"MZ")
    if is_windows:
        asked = sorted(name.lower() for name in pe.imports(data))
        strange = [name for name in asked if name not in _WINDOWS]
    else:
        asked = list(elf.read(data).needed)
        strange = [name for name in asked if not name.startswith(_LINUX)]
    if strange:
        yield Finding(WARNING, "launcher", f"it asks for {', '.join(strange)}: no launcher of ours does")
    else:
        yield Finding(OK, "launcher", f"asks the system for {', '.join(asked)} alone")
    if is_windows:
        signed = "signed (who by, osslsigncode verify tells)" if sign.is_signed(data) else "not signed"
        yield Finding(OK, "signature", signed)


def _of_directory(path: str) -> list[Finding]:
    """The layout trusted: all program files are signed, and what they need is there."""
    names = {os.path.join(folder, name) for folder, _, files in os.walk(path) for name in files}
    programs = sorted(name for name in names if name.lower().endswith((".exe", ".dll", ".pyd")))
    executables = [name for name in programs if name.endswith(".exe")]
    if len(executables) != 1 or f"{executables[0][:-4]}._pth" not in names:
        raise UsageError("build has not made it", where=path, hint="Name what build has made.", code="build.verify")
    unsigned = []
    for name in programs:
        with open(name, "rb") as file:
            try:
                unsigned += [] if sign.is_signed(file.read()) else [os.path.relpath(name, path)]
            except ValueError as error:
                return [Finding(BAD, "files", f"{name}: {error}", exits.BAD_CONFIG)]
    if unsigned:
        return [Finding(WARNING, "signatures", f"nobody has signed {', '.join(unsigned)}")]
    return [Finding(OK, "signatures", f"all {len(programs)} program files have one")]


def _run(path: str, target: str) -> list[Finding]:
    """Have it say what is inside, if this is a computer for it."""
    if target != targets.here():
        return [Finding(OK, "start", f"not tried: this is not {target}")]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "STAYON_RUNTIME": folder}
        command = [os.path.abspath(path), "info", "--json"]
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
            )
            why = done.stderr.strip() if done.returncode else ""
            said = json.loads(done.stdout) if not done.returncode else {}
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            why = str(error)
    if why:
        return [Finding(BAD, "start", why, exits.FAILED)]
    return [Finding(OK, "start", f"it runs here, and says that it is {said.get('name')} {said.get('version')}")]
