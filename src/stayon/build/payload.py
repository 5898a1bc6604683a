"""The payload: what the launcher carries, as bytes. ``launcher/payload.h`` has the same layout in C."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from struct import Struct

from stayon.build.xxh64 import xxh64

MAGIC = b"stayon\r\n"
FORMAT = 1
PAGE = 4096

# Flags of modules. (LIBRARY: an extension of Python's own, a file of set 0. PACKED: its code is LZMA, as a file's.)
PACKAGE, FROZEN, NATIVE, NAMESPACE, BESIDE, LIBRARY, PACKED = 1, 2, 4, 8, 16, 32, 64
# Filters of files, and their flags.
STORED, LZMA, LZMA_BCJ = range(3)
PRELOAD, EXECUTABLE = 1, 2

# Its header in two parts (what the hash is not of, and the rest), and the rows of its tables.
HEAD = Struct("<8sQQ")
REST = Struct("<16I")
MODULE = Struct("<8I")
FILE = Struct("<6I32s")
SET = Struct("<3I")


@dataclass(frozen=True)
class Module:
    """A module: marshalled *code* (none of a namespace, or of an extension), *source* compressed by zlib (b"": not
    kept), and its file's place *origin*. *unpacked*: how many bytes a packed code becomes.
    """

    name: str
    flags: int
    origin: str
    code: bytes = b""
    source: bytes = b""
    unpacked: int = 0


@dataclass(frozen=True)
class PackedFile:
    """A file that the launcher puts on disk: *packed* by *filter*; *size* and *digest* are those of the file there."""

    name: str
    packed: bytes
    size: int
    digest: bytes
    filter: int
    flags: int = 0


@dataclass(frozen=True)
class Payload:
    """What a launcher carries. *sets*: the interpreter's files, then those of the program, if it has any."""

    python: tuple[int, int]
    modules: tuple[Module, ...]
    sets: tuple[tuple[PackedFile, ...], ...]
    about: bytes
    abi: tuple[int, ...]
    boot: str
    library: str


def set_name(files: tuple[PackedFile, ...]) -> str:
    """The name of the directory of *files*: it tells what is in it."""
    digest = sha256()
    for file in sorted(files, key=lambda file: file.name):
        digest.update(f"{file.name}\0{file.size}\0{file.flags}\0".encode() + file.digest)
    return digest.hexdigest()[:32]


@dataclass
class _Writer:
    """Bytes that grow behind a head of a known size."""

    data: bytearray
    texts: dict[str, int] = field(default_factory=dict)

    def put(self, content: bytes, align: int = 16) -> int:
        self.data += bytes(-len(self.data) % align)
        offset = len(self.data)
        self.data += content
        return offset

    def text(self, text: str) -> int:
        if text not in self.texts:
            self.texts[text] = self.put(text.encode() + b"\0", 1)
        return self.texts[text]


def written(payload: Payload) -> bytes:
    """Its bytes: the same for the same payload. Code comes first, since each start reads it; then what is read once."""
    to = _Writer(bytearray(HEAD.size + REST.size))
    modules = sorted(payload.modules, key=lambda module: module.name.encode())
    codes = [to.put(module.code) if module.code else 0 for module in modules]
    texts = [(to.text(module.name), to.text(module.origin)) for module in modules]
    boot, library = to.text(payload.boot), to.text(payload.library)
    sets = [
        SET.pack(to.text(set_name(files)), sum(map(len, payload.sets[:index])), len(files))
        for index, files in enumerate(payload.sets)
    ]
    files = [file for files in payload.sets for file in files]
    names = [to.text(file.name) for file in files]
    about, abi = to.put(payload.about), to.put(b"".join(number.to_bytes(4, "little") for number in payload.abi))
    sources = [to.put(module.source, 1) if module.source else 0 for module in modules]
    packed = [to.put(file.packed, PAGE if file.filter == STORED else 16) for file in files]
    table = to.put(b"".join(
        MODULE.pack(name, module.flags, code, len(module.code), source, len(module.source), origin, module.unpacked)
        for module, code, source, (name, origin) in zip(modules, codes, sources, texts, strict=True)
    ))  # fmt: skip
    file_table = to.put(b"".join(
        FILE.pack(name, offset, len(file.packed), file.size, file.filter, file.flags, file.digest)
        for file, name, offset in zip(files, names, packed, strict=True)
    ))  # fmt: skip
    set_table = to.put(b"".join(sets))
    major, minor = payload.python
    to.data[HEAD.size : HEAD.size + REST.size] = REST.pack(
        FORMAT, major << 8 | minor, table, len(modules), file_table, len(files), set_table, len(sets),
        about, len(payload.about), abi, len(payload.abi), boot, library, 0, 0,
    )  # fmt: skip
    to.put(b"")
    head = HEAD.pack(MAGIC, len(to.data), xxh64(to.data[HEAD.size :]))
    return head + bytes(to.data[HEAD.size :])
