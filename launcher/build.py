"""Builds the launchers that ``stayon build`` puts programs into. The same compilers give the same bytes everywhere.

    python3 launcher/build.py [TARGET ...]            into src/stayon/build/launchers/
    python3 launcher/build.py --check [TARGET ...]    compares with what is there; exit code 1: something differs

The compilers are Debian 12's (gcc, gcc-aarch64-linux-gnu, gcc-mingw-w64-x86-64: all 12.2) and, for Windows on arm64,
zig 0.17.1 from PyPI (``pip install ziglang==0.17.1``). Others compile it, too, but not to the same bytes.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent / "src" / "stayon" / "build" / "launchers"

SHARED = ("messages", "payload", "hash", "lzma", "register", "python", "module", "start", "ffi")
LINUX = ("entry_linux", "main_linux", "system_linux", "files_linux")
WINDOWS = (
    "main_windows", "system_windows", "system_windows_files", "system_windows_roots", "service", "service_module",
    "event_log", "wide", "freestanding_windows",
)  # fmt: skip

# No compiler's name, no unused function, no table for unwinding (nothing is thrown here), no path, no time.
_COMMON = (
    "-std=c11", "-Os", "-Wall", "-Wextra", "-Werror", "-ffunction-sections", "-fno-ident", "-s",
)  # fmt: skip
_LINUX = (
    *_COMMON, "-fdata-sections", "-include", "glibc_linux.h", "-fPIE", "-pie", "-nostartfiles",
    "-fno-asynchronous-unwind-tables", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2",
    "-Wl,-z,relro,-z,now,-z,noexecstack", "-Wl,--gc-sections,--build-id=none,--hash-style=gnu",
)  # fmt: skip
_LINUX_LIBRARIES = ("-Wl,--no-as-needed", "-l:libdl.so.2")
_WINDOWS = (
    # Without -fdata-sections: mingw would write zeros into the file.
    *_COMMON, "-D_WIN32_WINNT=0x0a00", "-DWIN32_LEAN_AND_MEAN", "-nostdlib",
    "-Wl,--gc-sections", "-Wl,-e,launcher_start", "-Wl,--stack,3000000",
    "-Wl,--dynamicbase,--nxcompat,--high-entropy-va", "-Wl,--subsystem,console",
)  # fmt: skip
_MINGW = (
    "-Wl,--no-insert-timestamp", "-Wl,--major-os-version,10,--major-subsystem-version,10,--minor-subsystem-version,0",
)  # fmt: skip
_WINDOWS_LIBRARIES = ("-lkernel32", "-ladvapi32")


@dataclass(frozen=True)
class Target:
    """One launcher: *file* among those shipped; *compiler* as a command, with *version* in what it says of itself."""

    file: str
    compiler: tuple[str, ...]
    version: str
    sources: tuple[str, ...]
    flags: tuple[str, ...]
    libraries: tuple[str, ...]
    resources: tuple[str, ...] = ()


def _zig() -> str:
    """The program ``zig`` of the package ziglang, or that on PATH."""
    package = importlib.util.find_spec("ziglang")
    if package is None or package.origin is None:
        return "zig"
    return str(Path(package.origin).with_name("zig"))


TARGETS = {
    "linux-x64": Target(
        "linux-x64", ("gcc",), "12.2.0", LINUX + SHARED, (*_LINUX, "-fcf-protection"), _LINUX_LIBRARIES
    ),
    "linux-arm64": Target(
        "linux-arm64", ("aarch64-linux-gnu-gcc",), "12.2.0", LINUX + SHARED,
        (*_LINUX, "-mbranch-protection=standard"), _LINUX_LIBRARIES,
    ),
    "windows-x64": Target(
        "windows-x64.exe", ("x86_64-w64-mingw32-gcc",), "12-win32", WINDOWS + SHARED, _WINDOWS + _MINGW,
        (*_WINDOWS_LIBRARIES, "-lgcc"), ("x86_64-w64-mingw32-windres", "-O", "coff", "windows.rc", "OUTPUT"),
    ),
    "windows-arm64": Target(
        "windows-arm64.exe", (_zig(), "cc", "-target", "aarch64-windows-gnu"), "0.17.1", WINDOWS + SHARED,
        (*_WINDOWS, "-fno-stack-protector"), _WINDOWS_LIBRARIES,
        (_zig(), "rc", "/:auto-includes", "none", "/fo", "OUTPUT", "windows.rc"),
    ),
}  # fmt: skip


def missing(target: Target) -> str:
    """Why *target* can't be built here to the bytes that are shipped, or ``""``."""
    program = target.compiler[0]
    if shutil.which(program) is None:
        return f"there is no {program}"
    asked = [program, "version"] if "cc" in target.compiler else [program, "--version"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return "" if target.version in said else f"{program} is not {target.version}"


def build(target: Target, output: Path) -> None:
    """Build *target* as the file *output*. Raises ``subprocess.CalledProcessError``."""
    with tempfile.TemporaryDirectory() as scratch:
        # Whatever the compiler writes down of its surroundings is the same everywhere.
        environment = {"LC_ALL": "C", "TZ": "UTC", "SOURCE_DATE_EPOCH": "0", "ZIG_LOCAL_CACHE_DIR": scratch}
        environment |= {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

        def run(*words: str) -> None:
            subprocess.run(words, cwd=HERE, env=environment, check=True)

        objects = []
        for source in target.sources:
            objects.append(f"{scratch}/{source}.o")
            run(*target.compiler, *_of_compiler(target.flags), "-c", f"{source}.c", "-o", objects[-1])
        if target.resources:
            objects.append(f"{scratch}/resources.{'res' if 'rc' in target.resources else 'o'}")
            run(*(objects[-1] if word == "OUTPUT" else word for word in target.resources))
        run(*target.compiler, *target.flags, *objects, *target.libraries, "-o", str(output))


def _of_compiler(flags: tuple[str, ...]) -> list[str]:
    """Without those for the linker, of which a compiler that links nothing may complain."""
    linking = ("-s", "-pie", "-nostartfiles", "-nostdlib")
    return [flag for flag in flags if flag not in linking and not flag.startswith("-Wl,")]


def main(words: list[str]) -> int:
    """Do what the command line *words* says. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Build the launchers, or compare a build with those shipped.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--check", action="store_true", help="build elsewhere and compare")
    options = parser.parse_args(words)
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    is_same = True
    SHIPPED.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.targets or TARGETS:
            target = TARGETS[name]
            made = Path(scratch, target.file)
            why = missing(target)
            if why and options.check:
                print(f"{name}: not compared: {why}")
                continue
            build(target, made)
            shipped = SHIPPED / target.file
            same = shipped.is_file() and shipped.read_bytes() == made.read_bytes()
            is_same &= same
            print(f"{name}: {made.stat().st_size:,} bytes, {'as shipped' if same else 'not as shipped'} {why}".rstrip())
            if not options.check and not same:
                shutil.copyfile(made, shipped)
    return 0 if is_same or not options.check else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
