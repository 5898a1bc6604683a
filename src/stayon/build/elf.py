"""ELF files of 64 bits, as far as a runtime has to be put together from them (https://refspecs.linuxfoundation.org/elf/)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct, error

MACHINES = {62: "x64", 183: "arm64"}

_HEADER = Struct("<16s2HI3QI6H")
_SEGMENT = Struct("<2I6Q")
_DYNAMIC = Struct("<qQ")
_VERSION_NEED = Struct("<2H3I")
_VERSION_NEED_NAME = Struct("<I2H2I")
_MAGIC_64_LITTLE = b"\x7fELF\x02\x01"
_LOAD, _DYNAMIC_SEGMENT = 1, 2
_NEEDED, _STRINGS, _SONAME, _RPATH, _RUNPATH = 1, 5, 14, 15, 29
_VERNEED, _VERNEED_COUNT = 0x6FFFFFFE, 0x6FFFFFFF


class FormatError(ValueError):
    """It is no such file, or a part of it points outside."""


@dataclass(frozen=True)
class Elf:
    """What the dynamic loader would read in a shared object. *versions*: those of symbols that it needs, each with its
    library. *loaded_size*: how much of the file is loaded; *end*: of its section headers.
    """

    machine: str
    soname: str
    needed: tuple[str, ...]
    run_path: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
    loaded_size: int
    end: int

    @property
    def glibc(self) -> tuple[int, ...]:
        """The oldest glibc that has all it needs; () if it needs none."""
        names = [name.removeprefix("GLIBC_") for _, name in self.versions if name.startswith("GLIBC_")]
        return max((tuple(map(int, name.split("."))) for name in names if name.replace(".", "").isdigit()), default=())


def read(data: bytes) -> Elf:
    """What *data* is. Raises ``FormatError``."""
    try:
        return _read(data)
    except (error, IndexError, UnicodeDecodeError) as cause:
        raise FormatError(f"its tables lead outside: {cause}") from cause


def _read(data: bytes) -> Elf:
    if not data.startswith(_MAGIC_64_LITTLE):
        raise FormatError("it is no ELF file of 64 bits")
    fields = _HEADER.unpack_from(data)
    machine, segments_at, sections_at = fields[2], fields[5], fields[6]
    size, count, section_size, sections = fields[9:13]
    segments = [_SEGMENT.unpack_from(data, segments_at + size * index) for index in range(count)]
    loads = [(offset, address, in_file) for kind, _, offset, address, _, in_file, *_ in segments if kind == _LOAD]

    def place(address: int) -> int:
        for offset, begin, in_file in loads:
            if begin <= address < begin + in_file:
                return int(offset + address - begin)
        raise FormatError(f"nothing is loaded at {address:#x}")

    entries = _entries(data, segments)
    values = dict(entries)
    strings = place(values[_STRINGS]) if _STRINGS in values else 0

    def text(offset: int) -> str:
        begin = strings + offset
        return data[begin : data.index(b"\0", begin)].decode()

    paths = text(values[_RUNPATH]) if _RUNPATH in values else text(values[_RPATH]) if _RPATH in values else ""
    versions = _versions(data, place(values[_VERNEED]), values[_VERNEED_COUNT]) if _VERNEED in values else []
    return Elf(
        MACHINES.get(machine, f"machine {machine}"),
        text(values[_SONAME]) if _SONAME in values else "",
        tuple(text(value) for tag, value in entries if tag == _NEEDED),
        tuple(path for path in paths.split(":") if path),
        tuple((text(file), text(name)) for file, name in versions),
        max((offset + in_file for offset, _, in_file in loads), default=0),
        sections_at + section_size * sections if sections else len(data),
    )


def _entries(data: bytes, segments: list[tuple[int, ...]]) -> list[tuple[int, int]]:
    for kind, _, offset, _, _, size, *_ in segments:
        if kind == _DYNAMIC_SEGMENT:
            found = list(_DYNAMIC.iter_unpack(data[offset : offset + size - size % _DYNAMIC.size]))
            end = next((index for index, (tag, _) in enumerate(found) if tag == 0), len(found))
            return found[:end]
    return []


def _versions(data: bytes, position: int, count: int) -> list[tuple[int, int]]:
    """(library's name, version's name), as offsets in the string table."""
    found = []
    for _ in range(count):
        _, names, file, first, following = _VERSION_NEED.unpack_from(data, position)
        at = position + first
        for _ in range(names):
            _, _, _, name, next_name = _VERSION_NEED_NAME.unpack_from(data, at)
            found.append((file, name))
            at += next_name
        position += following
    return found


def trimmed(data: bytes) -> bytes:
    """*data* without what is behind the last byte that is loaded (symbols, debug information), and without section
    headers: the dynamic loader reads none of them.
    """
    cut = bytearray(data[: read(data).loaded_size])
    fields = list(_HEADER.unpack_from(cut))
    fields[6] = fields[11] = fields[12] = fields[13] = 0
    _HEADER.pack_into(cut, 0, *fields)
    return bytes(cut)
