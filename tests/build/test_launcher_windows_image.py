"""The launchers for Windows as files: what they ask of the system, and what a scanner sees in them. The one for arm64
can't run here; it is looked at instead.
"""

from __future__ import annotations

from struct import unpack_from

import pytest

from stayon.build import pe
from tests.build.windows_programs import launcher

TARGETS = ("windows-x64", "windows-arm64")

# Every process of Windows has these two open, from its own directory: nobody can put others in their place.
LIBRARIES = {"KERNEL32.DLL", "ADVAPI32.DLL"}
# What malware asks for, and what a launcher has no need of.
SUSPICIOUS = (
    "VirtualProtect", "WriteProcessMemory", "ReadProcessMemory", "CreateRemoteThread", "VirtualAllocEx", "OpenProcess",
    "CreateProcess", "WinExec", "ShellExecute", "SetWindowsHook", "QueueUserAPC", "IsDebuggerPresent", "Toolhelp",
    "AdjustTokenPrivileges", "URLDownload", "Crypt",
)  # fmt: skip
HARMLESS = {"OpenProcessToken"}  # the own one's, to ask who it is

WRITABLE, RUNS = 0x80000000, 0x20000000
HIGH_ENTROPY, DYNAMIC_BASE, NO_EXECUTE = 0x20, 0x40, 0x100
CONSOLE = 3
SIZE_LIMIT = 64 * 1024
BASE_RELOCATIONS = 5


@pytest.fixture(params=TARGETS)
def image(request: pytest.FixtureRequest) -> pe.Pe:
    """The launcher for each target."""
    found = pe.read(launcher(request.param))
    assert f"windows-{found.machine}" == request.param
    return found


def test_it_asks_for_what_every_process_has(image: pe.Pe) -> None:
    """Two libraries of the system, none of them a C runtime; nothing that scanners take for a sign."""
    imports = pe.imports(image.data)
    assert {name.upper() for name in imports} == LIBRARIES
    names = [name for functions in imports.values() for name in functions]
    assert [name for name in set(names) - HARMLESS if any(sign in name for sign in SUSPICIOUS)] == []


def test_no_page_is_both_written_and_run(image: pe.Pe) -> None:
    """Code can't be changed, data can't be run, and both are loaded at addresses that nobody knows beforehand."""
    assert [section.name for section in image.sections if section.flags & RUNS] == [".text"]
    assert [section.name for section in image.sections if section.flags & RUNS and section.flags & WRITABLE] == []
    (flags,) = unpack_from("<H", image.data, image.optional + 70)
    wanted = HIGH_ENTROPY | DYNAMIC_BASE | NO_EXECUTE
    assert flags & wanted == wanted
    assert image.directory(BASE_RELOCATIONS)[1] > 0


def test_it_is_a_small_console_program(image: pe.Pe) -> None:
    """Nothing in it but itself: no payload, no symbols, no certificate, no names of the computer that built it."""
    (subsystem,) = unpack_from("<H", image.data, image.optional + 68)
    assert subsystem == CONSOLE
    assert len(image.data) < SIZE_LIMIT
    assert pe.section(image.data, pe.PAYLOAD_SECTION) == (0, 0)
    assert image.directory(pe.CERTIFICATES) == (0, 0)
    (symbols,) = unpack_from("<I", image.data, image.optional - 24 + 12)
    assert symbols == 0
    for word in (b"/root", b"/home", b"/tmp", b"/work", b".pdb"):
        assert word not in image.data


def test_it_says_what_it_is(image: pe.Pe) -> None:
    """A version, and a manifest: no elevation, long paths, no compatibility modes."""
    assert image.directory(pe.RESOURCES)[1] > 0
    assert 'level="asInvoker"' in image.data.decode("latin-1")
    assert ">true</longPathAware>" in image.data.decode("latin-1")
    assert "VS_VERSION_INFO".encode("utf-16-le") in image.data


def test_python_has_as_much_stack_as_it_is_used_to(image: pe.Pe) -> None:
    """Its limit of nested calls in C is made for python.exe's stack."""
    (reserved,) = unpack_from("<Q", image.data, image.optional + 72)
    assert reserved >= 3_000_000
