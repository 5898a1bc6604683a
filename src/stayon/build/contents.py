"""A payload read again: what a launcher finds in it."""

from __future__ import annotations

from struct import error

from stayon.build import payload
from stayon.build.payload import FILE, HEAD, MODULE, REST, SET, Module, PackedFile, Payload
from stayon.build.xxh64 import xxh64


def read(data: bytes) -> Payload:
    """What ``payload.written`` made *data* of. Raises ``ValueError``: it is none, or it is damaged."""
    try:
        return _read(data)
    except (error, IndexError, UnicodeDecodeError) as cause:
        raise ValueError(f"its tables lead outside: {cause}") from cause


def _read(data: bytes) -> Payload:
    magic, size, digest = HEAD.unpack_from(data)
    if magic != payload.MAGIC or size != len(data):
        raise ValueError("it is cut off, or none of ours")
    if xxh64(data[HEAD.size :]) != digest:
        raise ValueError("it is damaged: its hash is another")
    (form, python, modules, module_count, files, file_count, sets, set_count, about, about_size, abi, abi_count, boot,
     library, *_) = REST.unpack_from(data, HEAD.size)  # fmt: skip
    if form != payload.FORMAT:
        raise ValueError(f"its format is {form}, and this stayon reads {payload.FORMAT}")

    def text(place: int) -> str:
        return data[place : data.index(b"\0", place)].decode()

    def part(place: int, length: int) -> bytes:
        return data[place : place + length]

    found = []
    for index in range(module_count):
        name, flags, code, code_size, source, source_size, origin, unpacked = MODULE.unpack_from(
            data, modules + index * MODULE.size
        )
        found.append(
            Module(text(name), flags, text(origin), part(code, code_size), part(source, source_size), unpacked)
        )
    all_files = []
    for index in range(file_count):
        name, place, packed_size, real_size, way, flags, sha256 = FILE.unpack_from(data, files + index * FILE.size)
        all_files.append(PackedFile(text(name), part(place, packed_size), real_size, sha256, way, flags))
    all_sets = []
    for index in range(set_count):
        name, first, count = SET.unpack_from(data, sets + index * SET.size)
        members = tuple(all_files[first : first + count])
        if text(name) != payload.set_name(members):
            raise ValueError(f"the set {text(name)} is not made of the files that are in it")
        all_sets.append(members)
    numbers = tuple(int.from_bytes(part(abi + 4 * index, 4), "little") for index in range(abi_count))
    return Payload((python >> 8, python & 0xFF), tuple(found), tuple(all_sets), part(about, about_size), numbers,
                   text(boot), text(library))  # fmt: skip
