"""Files as the launcher unpacks them: LZMA, and before it the filter that makes calls of x86 alike."""

from __future__ import annotations

import lzma
import os
import tempfile
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256

from stayon.build import payload
from stayon.build.payload import Module, PackedFile

# The launcher's decoder knows these alone; how hard to look for matches is the packer's own affair.
_LZMA = {
    "id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME, "lc": 3, "lp": 0, "pb": 2, "dict_size": 1 << 23,
}  # fmt: skip
_BCJ = {"id": lzma.FILTER_X86}
# Part of the cache's names: another way of packing is another file.
_GENERATION = "1"
_X86_MAGICS = (b"MZ", b"\x7fELF")


def packed(
    files: Sequence[tuple[str, bytes, int]], *, machine: str, cache: str, told: Callable[[float], object]
) -> tuple[PackedFile, ...]:
    """*files* (name, content, flags), packed as small as it goes; what was packed before is taken from *cache*, a
    directory ("": none), where it stays for the next build. *told*: how much is done. Blocks.
    """
    done = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # lzma works without the interpreter's lock
        for file in pool.map(lambda file: _packed(file, cache, is_x86=machine == "x64"), files):
            done.append(file)
            told(len(done) / len(files))
    return tuple(done)


def _packed(file: tuple[str, bytes, int], cache: str, *, is_x86: bool) -> PackedFile:
    name, content, flags = file
    digest = sha256(content).digest()
    way = payload.LZMA_BCJ if is_x86 and content.startswith(_X86_MAGICS) else payload.LZMA
    place = os.path.join(cache, f"{digest.hex()}-{_GENERATION}-{way}") if cache else ""
    known = _kept(place)
    squeezed = known if known is not None else _squeezed(content, way)
    if known is None and place:
        _keep(place, squeezed)
    if len(squeezed) >= len(content):
        return PackedFile(name, content, len(content), digest, payload.STORED, flags)
    return PackedFile(name, squeezed, len(content), digest, way, flags)


def with_packed(modules: Sequence[Module], names: Collection[str]) -> tuple[Module, ...]:
    """*modules*; the code of those called *names* is packed. None of them may be one of the interpreter's own table."""

    def one(module: Module) -> Module:
        if module.name not in names or not module.code:
            return module
        # A code that is smaller than the window needs no larger one, which would have to be cleared for each.
        window = max(4096, 1 << len(module.code).bit_length())
        code = lzma.compress(module.code, lzma.FORMAT_RAW, filters=[{**_LZMA, "dict_size": window}])
        flags = module.flags & ~payload.FROZEN | payload.PACKED
        return replace(module, flags=flags, code=code, unpacked=len(module.code))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return tuple(pool.map(one, modules))


def code_of(module: Module) -> bytes:
    """The marshalled code of *module*, unpacked. Raises ``ValueError`` if that fails."""
    if not module.flags & payload.PACKED:
        return module.code
    try:
        code = lzma.decompress(module.code, lzma.FORMAT_RAW, filters=[_LZMA])
    except lzma.LZMAError as error:
        raise ValueError(f"{module.name} cannot be unpacked: {error}") from error
    if len(code) != module.unpacked:
        raise ValueError(f"{module.name} has {len(code)} bytes, not {module.unpacked}")
    return code


def _filters(way: int) -> list[dict[str, int]]:
    return [_BCJ, _LZMA] if way == payload.LZMA_BCJ else [_LZMA]


def _squeezed(content: bytes, way: int) -> bytes:
    return lzma.compress(content, lzma.FORMAT_RAW, filters=_filters(way))


def unpacked(file: PackedFile) -> bytes:
    """The content of *file*, as the launcher would have it. Raises ``ValueError`` if it isn't what it should be."""
    content = file.packed
    if file.filter != payload.STORED:
        try:
            content = lzma.decompress(content, lzma.FORMAT_RAW, filters=_filters(file.filter))
        except lzma.LZMAError as error:
            raise ValueError(f"{file.name} cannot be unpacked: {error}") from error
    if len(content) != file.size or sha256(content).digest() != file.digest:
        raise ValueError(f"{file.name} is not what was packed")
    return content


def _kept(place: str) -> bytes | None:
    """What the cache has: behind its own hash, so that a file cut short is as good as none."""
    try:
        with open(place, "rb") as file:
            content = file.read()
    except OSError:
        return None
    return content[32:] if sha256(content[32:]).digest() == content[:32] else None


def _keep(place: str, squeezed: bytes) -> None:
    """Best effort: a cache that cannot be written makes builds slower, and nothing else."""
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=os.path.dirname(place))
        try:
            with open(handle, "wb") as file:
                file.write(sha256(squeezed).digest() + squeezed)
            os.replace(beside, place)
        except OSError:
            os.unlink(beside)
            raise
    except OSError:
        return
