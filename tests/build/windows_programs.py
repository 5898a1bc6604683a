"""One-file programs for Windows, put together by hand: the launcher that is shipped, the smallest library that Python
starts with, and a boot module from the test.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import NamedTuple

from stayon.build import abi, image, payload
from tests.windows import fetch
from tests.windows.lab import InstalledService, Lab

LAUNCHERS = Path(payload.__file__).with_name("launchers")
PYTHON = (3, 13)
LIBRARY = "python313.dll"
# What Python imports to start, besides what its DLL has frozen itself. A .pyc file's code comes after 16 bytes.
NEEDED = ("__init__", "aliases", "ascii", "cp1252", "latin_1", "mbcs", "utf_8")
PYC_HEAD = 16

COMPILE = """\
import marshal, sys
code = compile(sys.stdin.read(), "boot.py", "exec", dont_inherit=True)
print(marshal.dumps(code).hex())
"""


def launcher(target: str = "windows-x64") -> bytes:
    """The launcher that is shipped for *target*."""
    return (LAUNCHERS / f"{target}.exe").read_bytes()


class Programs:
    """Makes them, for *lab*, whose Python compiles the boot modules."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.runtime = fetch.kept(fetch.full_name("embeddable"))
        self._set = (self._file("vcruntime140.dll", payload.PRELOAD), self._file(LIBRARY))

    def _file(self, name: str, flags: int = 0) -> payload.PackedFile:
        content = (self.runtime / name).read_bytes()
        digest = hashlib.sha256(content).digest()
        return payload.PackedFile(name, content, len(content), digest, payload.STORED, flags)

    def payload(self, boot: str) -> bytes:
        """What the launcher carries when *boot* is the source of its boot module."""
        compiled = self.lab.run_python("-c", COMPILE, typed=boot)
        assert not compiled.code, compiled
        modules = [payload.Module("boot", payload.FROZEN, "boot.py", bytes.fromhex(compiled.out))]
        with zipfile.ZipFile(self.runtime / "python313.zip") as library:
            for name in NEEDED:
                code = library.read(f"encodings/{name}.pyc")[PYC_HEAD:]
                is_package = name == "__init__"
                full, flags = ("encodings", payload.PACKAGE) if is_package else (f"encodings.{name}", 0)
                modules.append(payload.Module(full, payload.FROZEN | flags, f"encodings/{name}.py", code))
        numbers = abi.numbers(PYTHON, "windows")
        return payload.written(
            payload.Payload(PYTHON, tuple(modules), (self._set,), b'{"format":1}', numbers, "boot", LIBRARY)
        )

    def exe(self, path: Path, boot: str) -> Path:
        """The program as *path*."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image.with_payload(launcher(), self.payload(boot)))
        return path

    def pair(self, path: Path, boot: str) -> Path:
        """The program as *path*, which is the launcher as it is shipped, and a .pkg beside it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(launcher())
        path.with_suffix(".pkg").write_bytes(self.payload(boot))
        return path

    def service(self, boot: str) -> Installed:
        """The program as a service: put into the SCM, not started."""
        service = self.lab.program("")
        exe = self.exe(service.folder / f"{service.name}.exe", boot)
        self.lab.ask("create", service.name, f'"{self.lab.named(exe)}" --service {service.name}')
        return Installed(service, exe)


class Installed(NamedTuple):
    """A service, and its file."""

    service: InstalledService
    exe: Path
