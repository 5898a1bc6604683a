"""Executables, as the assembler reads and makes them: ELF and PE, resources, checksums."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from stayon.build import elf, image, payload, pe, resources
from stayon.build.elf import FormatError
from stayon.build.payload import Payload

LAUNCHERS = Path(payload.__file__).with_name("launchers")
CARRIED = payload.written(Payload((3, 13), (), (), b"{}", (), "boot", "library"))


@pytest.fixture
def windows() -> bytes:
    return (LAUNCHERS / "windows-x64.exe").read_bytes()


@pytest.fixture
def libpython() -> Path:
    name = sysconfig.get_config_var("INSTSONAME") if sysconfig.get_config_var("Py_ENABLE_SHARED") else ""
    path = Path(sysconfig.get_config_var("LIBDIR") or "", name or "")
    if not name or not path.is_file():
        pytest.skip("this Python has no libpython of its own")
    return path


@pytest.mark.linux
def test_a_library_is_loaded_without_what_is_behind_its_segments(libpython: Path, tmp_path: Path) -> None:
    """libpython, cut behind what is loaded, is smaller or as small, and the loader takes it."""
    whole = libpython.read_bytes()
    cut = elf.trimmed(whole)
    (tmp_path / libpython.name).write_bytes(cut)
    program = f"import ctypes; print(ctypes.CDLL({str(tmp_path / libpython.name)!r}).Py_GetVersion is not None)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert len(cut) <= len(whole)
    assert done.stdout == "True\n", done.stderr
    assert elf.read(cut).needed == elf.read(whole).needed


@pytest.mark.linux
def test_what_a_library_needs_is_what_readelf_says(libpython: Path) -> None:
    """Needed libraries, and the newest version of glibc's symbols, are those that binutils find."""
    program = shutil.which("readelf")
    if program is None:
        pytest.skip("readelf is missing (on Debian: apt-get install binutils)")
    told = subprocess.run([program, "-dVW", libpython], capture_output=True, text=True, timeout=60, check=True).stdout
    found = elf.read(libpython.read_bytes())
    versions = [word.removeprefix("GLIBC_") for word in told.split() if word.startswith("GLIBC_")]

    assert found.needed == tuple(line.split("[")[1].rstrip("]") for line in told.splitlines() if "(NEEDED)" in line)
    assert found.glibc == max(tuple(map(int, version.split("."))) for version in versions if version[0].isdigit())


@pytest.mark.parametrize("name", ["linux-x64", "linux-arm64", "windows-x64.exe", "windows-arm64.exe"])
def test_what_is_put_in_is_found_again(name: str) -> None:
    """Each launcher gives back the payload it was joined with, and none before."""
    launcher = (LAUNCHERS / name).read_bytes()
    made = image.with_payload(launcher, CARRIED)

    assert image.payload_of(launcher) == b""
    assert image.payload_of(made) == CARRIED
    assert made.find(CARRIED) % payload.PAGE == 0
    assert image.payload_of(CARRIED) == CARRIED


def test_a_payload_that_is_cut_off_is_none(windows: bytes) -> None:
    """A file that lacks the end of its payload has no payload."""
    linux = (LAUNCHERS / "linux-x64").read_bytes()

    assert image.payload_of(image.with_payload(linux, CARRIED)[:-1]) == b""
    assert image.payload_of(image.with_payload(windows, CARRIED)[:-4096]) == b""


def test_the_last_bytes_are_the_section(windows: bytes) -> None:
    """Nothing stands behind the new section, which is read-only, so a signature can be put there."""
    made = image.with_payload(windows, CARRIED)
    found = pe.read(made).sections[-1]

    assert found.name == ".stayon"
    assert found.offset + found.file_size == len(made)
    assert found.flags & 0xE0000000 == 0x40000000, "readable; not writable, not executable"
    assert found.offset % 4096 == 0


def test_checksums_are_those_of_windows(windows: bytes) -> None:
    """The checksum of a file that a linker made comes out again, and that of ours agrees with a plain sum of words."""
    (told,) = struct.unpack_from("<I", windows, pe.read(windows).optional + 64)
    assert not told or pe.with_checksum(bytearray(windows)) == windows

    made = image.with_payload(windows, CARRIED)
    at = pe.read(made).optional + 64
    (told,) = struct.unpack_from("<I", made, at)
    total = 0
    plain = made[:at] + bytes(4) + made[at + 4 :]
    for (word,) in struct.iter_unpack("<H", plain + bytes(len(plain) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    assert told == total + len(made)


def test_a_signed_file_is_not_changed(windows: bytes) -> None:
    """Where there is a signature, adding a section is refused: it would break it."""
    signed = bytearray(windows)
    struct.pack_into("<2I", signed, pe.read(windows).optional + 112 + 8 * pe.CERTIFICATES, len(windows), 8)

    with pytest.raises(FormatError, match="signed"):
        pe.with_section(bytes(signed), ".more", b"x")


def test_version_and_icon_are_the_programs(windows: bytes) -> None:
    """Version, texts and icon are the new ones; the manifest, and the code, are the launcher's."""
    picture = b"\x89PNG" + bytes(5000)
    ico = struct.pack("<3H4B2H2I", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(picture), 22) + picture
    made = resources.branded(windows, "1.2.3", {"CompanyName": "Größe & Söhne", "ProductName": "collector"}, ico)
    before, after = resources.of(windows), resources.of(made)

    assert resources.version_of(made) == "1.2.3.0"
    assert "Größe & Söhne".encode("utf-16-le") in after[resources.VERSION, 1, 0x409]
    assert [content for (kind, _, _), content in after.items() if kind == resources.ICON] == [picture]
    assert {key: value for key, value in after.items() if key[0] == resources.MANIFEST} == {
        key: value for key, value in before.items() if key[0] == resources.MANIFEST
    }
    assert pe.imports(made) == pe.imports(windows)


def test_version_information_is_what_a_resource_compiler_makes(tmp_path: Path) -> None:
    """windres, given the same words, makes the same bytes."""
    program = shutil.which("x86_64-w64-mingw32-windres")
    if program is None:
        pytest.skip("windres is missing (on Debian: apt-get install binutils-mingw-w64-x86-64)")
    (tmp_path / "it.rc").write_text(
        "1 VERSIONINFO FILEVERSION 1,2,3,0 PRODUCTVERSION 1,2,3,0 FILEFLAGSMASK 0x3f FILEOS 0x40004 FILETYPE 1\n"
        'BEGIN BLOCK "StringFileInfo" BEGIN BLOCK "040904b0" BEGIN\n'
        'VALUE "CompanyName", "Prices"\nVALUE "FileVersion", "1.2.3"\nEND END\n'
        'BLOCK "VarFileInfo" BEGIN VALUE "Translation", 0x409, 1200 END END\n',
        "utf-8",
    )
    command = [program, "--output-format=res", "it.rc", "it.res"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    ours = resources.version_info("1.2.3", {"CompanyName": "Prices", "FileVersion": "1.2.3"})

    assert ours in (tmp_path / "it.res").read_bytes()


@pytest.mark.parametrize("data", [b"", b"MZ", b"MZ" + bytes(200), b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0", b"#!"])
def test_what_is_no_program_is_said_to_be_none(data: bytes) -> None:
    """Files that are cut off, or something else, raise what callers expect, and no other error."""
    with pytest.raises(FormatError):
        pe.read(data)
    with pytest.raises(FormatError):
        image.payload_of(data)


@pytest.mark.parametrize("size", [4, 20, 63, 64, 200, 1000, 5000])
def test_a_library_that_is_cut_off_is_said_to_be_none(size: int) -> None:
    """An ELF file without its end has an answer, or a FormatError."""
    whole = (LAUNCHERS / "linux-x64").read_bytes()
    try:
        cut = elf.trimmed(whole[:size])
    except FormatError:
        return
    assert len(cut) <= size


def test_damaged_headers_never_escape_as_other_errors(windows: bytes) -> None:
    """A byte changed anywhere in the headers gives an answer or a FormatError."""
    for place in range(0x3C, 0x300):
        damaged = bytearray(windows)
        damaged[place] ^= 0xFF
        try:
            pe.imports(bytes(damaged))
            resources.of(bytes(damaged))
        except FormatError:
            continue
