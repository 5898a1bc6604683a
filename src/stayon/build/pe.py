"""PE files (https://learn.microsoft.com/windows/win32/debug/pe-format): reading, and a section more."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct, error, pack_into, unpack_from

from stayon.build.elf import FormatError

PAYLOAD_SECTION = ".stayon"

MACHINES = {0x8664: "x64", 0xAA64: "arm64", 0x14C: "x86"}
# The data directories, by number.
EXPORTS, IMPORTS, RESOURCES, CERTIFICATES, DELAYED_IMPORTS = 0, 1, 2, 4, 13

_SECTION = Struct("<8s6I2HI")
_IMPORT = Struct("<5I")
_DELAYED_IMPORT = Struct("<8I")
_EXPORT = Struct("<2I2H7I")
_READ_ONLY_DATA = 0x40000040  # IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ


@dataclass(frozen=True)
class Section:
    """A row of the section table."""

    name: str
    size: int
    address: int
    file_size: int
    offset: int
    flags: int = _READ_ONLY_DATA


@dataclass(frozen=True)
class Pe:
    """The headers of a 64-bit image: *optional* is where its optional header begins."""

    data: bytes
    machine: str
    optional: int
    sections: tuple[Section, ...]
    table: int
    section_alignment: int
    file_alignment: int
    headers_size: int
    image_base: int

    def directory(self, number: int) -> tuple[int, int]:
        """Address and size of a data directory, zeros if there is none; of CERTIFICATES, the offset in the file."""
        if 112 + 8 * number + 8 > self.table - self.optional:
            return 0, 0
        address, size = unpack_from("<2I", self.data, self.optional + 112 + 8 * number)
        return address, size

    def place(self, address: int) -> int:
        """The offset in the file of what is loaded at *address* (relative to the image). Raises ``FormatError``."""
        for section in self.sections:
            if section.address <= address < section.address + min(section.file_size, max(section.size, 1)):
                return section.offset + address - section.address
        raise FormatError(f"nothing of the file is loaded at {address:#x}")

    def text(self, address: int) -> str:
        """The text, ended by a zero byte, that is loaded at *address*."""
        begin = self.place(address)
        return self.data[begin : self.data.index(b"\0", begin)].decode("latin-1")


def read(data: bytes) -> Pe:
    """The headers of *data*. Raises ``FormatError``."""
    try:
        return _read(data)
    except (error, UnicodeDecodeError) as cause:
        raise FormatError(f"its headers lead outside: {cause}") from cause


def _read(data: bytes) -> Pe:
    (at,) = unpack_from("<I", data, 0x3C) if data.startswith(b"MZ") else (0,)
    if not at or data[at : at + 4] != b"PE\0\0":
        raise FormatError("it is no PE file")
    machine, count, _, _, _, optional_size, _ = unpack_from("<2H3I2H", data, at + 4)
    optional = at + 24
    (magic,) = unpack_from("<H", data, optional)
    if magic != 0x20B:
        raise FormatError("it is no PE file of 64 bits")
    (image_base,) = unpack_from("<Q", data, optional + 24)
    section_alignment, file_alignment = unpack_from("<2I", data, optional + 32)
    (headers_size,) = unpack_from("<I", data, optional + 60)
    table = optional + optional_size
    sections = []
    for index in range(count):
        name, size, address, file_size, offset, *_, flags = _SECTION.unpack_from(data, table + index * _SECTION.size)
        sections.append(Section(name.rstrip(b"\0").decode("latin-1"), size, address, file_size, offset, flags))
    return Pe(data, MACHINES.get(machine, f"machine {machine:#x}"), optional, tuple(sections), table,
              section_alignment, file_alignment, headers_size, image_base)  # fmt: skip


def section(data: bytes, name: str) -> tuple[int, int]:
    """Where in the file the section *name* is, and its size; (0, 0) if there is none. Raises ``FormatError``."""
    for found in read(data).sections:
        if found.name == name:
            return found.offset, min(found.size, found.file_size)
    return 0, 0


def with_section(data: bytes, name: str, content: bytes) -> bytes:
    """*data* with one more section, read-only, after all others: the last bytes of the file, so that a signature can be
    put behind them. Raises ``FormatError``: it is signed already, or its headers have no room.
    """
    image = read(data)
    if image.directory(CERTIFICATES)[0]:
        raise FormatError("it is signed: what is added would break the signature")
    row = image.table + len(image.sections) * _SECTION.size
    if row + _SECTION.size > min(section.offset for section in image.sections if section.offset):
        raise FormatError("its headers have no room for another section")
    last = max(image.sections, key=lambda one: one.address)
    address = _aligned(last.address + max(last.size, last.file_size), image.section_alignment)
    # A page of the file is a page of memory: it is mapped as it is.
    offset = _aligned(max(len(data), last.offset + last.file_size), max(image.file_alignment, 4096))
    body = content + bytes(-len(content) % image.file_alignment)
    made = bytearray(data + bytes(offset - len(data)) + body)
    _SECTION.pack_into(made, row, name.encode(), len(content), address, len(body), offset, 0, 0, 0, 0, _READ_ONLY_DATA)
    pack_into("<H", made, image.optional - 18, len(image.sections) + 1)
    (initialized,) = unpack_from("<I", made, image.optional + 8)
    pack_into("<I", made, image.optional + 8, initialized + len(body))
    pack_into("<I", made, image.optional + 56, _aligned(address + len(content), image.section_alignment))
    return with_checksum(made)


def with_checksum(data: bytearray) -> bytes:
    """*data* with the checksum that belongs to it (as ImageHlp's CheckSumMappedFile computes it)."""
    at = read(bytes(data)).optional + 64
    pack_into("<I", data, at, 0)
    padded = bytes(data) + bytes(-len(data) % 2)
    # A sum of 16-bit words with the carry added in is a remainder by 65535, and those of 65536 are the digits' sum.
    total = int.from_bytes(padded, "little") % 0xFFFF if padded.strip(b"\0") else 0
    pack_into("<I", data, at, (total or 0xFFFF) + len(data) & 0xFFFFFFFF)
    return bytes(data)


def imports(data: bytes) -> dict[str, tuple[str, ...]]:
    """What *data* needs, delayed or not: functions by DLL, by number as "#12". Raises ``FormatError``."""
    image = read(data)
    found: dict[str, tuple[str, ...]] = {}
    try:
        for row, name_at, names_at in ((_IMPORT, 3, 0), (_DELAYED_IMPORT, 1, 4)):
            address, _ = image.directory(IMPORTS if row is _IMPORT else DELAYED_IMPORTS)
            while address:
                fields = row.unpack_from(data, image.place(address))
                if not fields[name_at]:
                    break
                # An import without a list of names has them where the addresses will be.
                found[image.text(fields[name_at])] = _functions(image, fields[names_at] or fields[4])
                address += row.size
    except (error, ValueError) as cause:
        raise FormatError(f"what it imports cannot be read: {cause}") from cause
    return found


def _functions(image: Pe, address: int) -> tuple[str, ...]:
    found: list[str] = []
    at = image.place(address)
    while True:
        (value,) = unpack_from("<Q", image.data, at)
        if not value:
            return tuple(found)
        found.append(f"#{value & 0xFFFF}" if value >> 63 else image.text(value + 2))
        at += 8


def exported(data: bytes, name: str) -> int:
    """The address (relative to the image) of what *data* exports as *name*; 0 if it doesn't. Raises ``FormatError``."""
    image = read(data)
    at, _ = image.directory(EXPORTS)
    try:
        *_, count, functions, names, numbers = _EXPORT.unpack_from(data, image.place(at)) if at else (0, 0, 0, 0)
        for index in range(count):
            (found,) = unpack_from("<I", data, image.place(names + 4 * index))
            if image.text(found) == name:
                (number,) = unpack_from("<H", data, image.place(numbers + 2 * index))
                return int(unpack_from("<I", data, image.place(functions + 4 * number))[0])
    except (error, ValueError) as cause:
        raise FormatError(f"what it exports cannot be read: {cause}") from cause
    return 0


def _aligned(value: int, alignment: int) -> int:
    return value + -value % alignment
