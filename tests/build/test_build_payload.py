"""What a launcher carries, written, packed and read again."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stayon.build import contents, pack, payload
from stayon.build.payload import Module, PackedFile, Payload

NAMES = some.text("abc.é", min_size=1, max_size=8)
MODULES = some.builds(
    Module, NAMES, some.integers(0, 127), some.text(max_size=9).filter(lambda text: "\0" not in text),
    some.binary(max_size=40), some.binary(max_size=20), some.integers(0, 9),
)  # fmt: skip


def stored(name: str, content: bytes) -> PackedFile:
    return PackedFile(name, content, len(content), sha256(content).digest(), payload.STORED)


def nothing_told(_share: float) -> None:
    """Nobody looks."""


@given(some.lists(MODULES, max_size=5, unique_by=lambda module: module.name), some.binary(max_size=30))
def test_what_is_written_is_read(modules: list[Module], about: bytes) -> None:
    """Reading gives what was written, in the order of names."""
    whole = Payload((3, 12), tuple(modules), ((stored("a", b"1"),), (stored("b/c", b""),)), about, (1, 2), "x", "a")
    found = contents.read(payload.written(whole))

    assert found.sets == whole.sets
    assert (found.about, found.abi, found.boot, found.library, found.python) == (about, (1, 2), "x", "a", (3, 12))
    assert found.modules == tuple(sorted(modules, key=lambda module: module.name.encode()))


def test_the_same_is_written_the_same() -> None:
    """The order in which modules come makes no difference."""
    modules = (Module("b", 0, "b.py", b"2"), Module("a", 0, "a.py", b"1"))
    both = [payload.written(Payload((3, 13), each, (), b"", (), "", "")) for each in (modules, modules[::-1])]

    assert both[0] == both[1]


def test_each_flipped_bit_is_found() -> None:
    """Whichever bit of a payload is another, it is refused."""
    whole = payload.written(Payload((3, 13), (Module("a", 0, "a.py", b"code"),), (), b"{}", (), "a", "b"))
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        with pytest.raises(ValueError, match=r"."):
            contents.read(bytes(damaged))


@pytest.mark.parametrize(
    "content", [b"", b"x", b"MZ" + bytes(range(256)) * 40, os.urandom(5000), b"\x7fELF" + bytes(9000)]
)
def test_packed_files_come_out_again(content: bytes, tmp_path: Path) -> None:
    """Whatever a file holds, unpacking gives it back; the second time from the cache, and the same."""
    files = [("it", content, payload.PRELOAD)]
    first = pack.packed(files, machine="x64", cache=str(tmp_path), told=nothing_told)
    second = pack.packed(files, machine="x64", cache=str(tmp_path), told=nothing_told)

    assert first == second
    assert pack.unpacked(first[0]) == content
    assert first[0].flags == payload.PRELOAD
    assert len(first[0].packed) <= len(content)


def test_a_damaged_cache_is_as_good_as_none(tmp_path: Path) -> None:
    """What somebody has cut short in the cache is packed anew."""
    files = [("it", b"prices" * 1000, 0)]
    right = pack.packed(files, machine="arm64", cache=str(tmp_path), told=nothing_told)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:-1])

    assert pack.packed(files, machine="arm64", cache=str(tmp_path), told=nothing_told) == right


def test_a_changed_file_is_refused() -> None:
    """Another content than the one that was packed does not come out."""
    (file,) = pack.packed([("it", b"prices" * 1000, 0)], machine="x64", cache="", told=nothing_told)
    changed = bytearray(file.packed)
    changed[-20] ^= 1

    with pytest.raises(ValueError, match="it"):
        pack.unpacked(PackedFile(file.name, bytes(changed), file.size, file.digest, file.filter))


def test_cold_modules_are_packed_and_no_longer_frozen() -> None:
    """Only the modules that are named are packed, and the interpreter's own table has none of them."""
    modules = (Module("cold", payload.FROZEN, "cold.py", b"code" * 200), Module("hot", payload.FROZEN, "hot.py", b"x"))
    cold, hot = pack.with_packed(modules, {"cold"})

    assert (cold.flags, cold.unpacked, hot) == (payload.PACKED, 800, modules[1])
    assert pack.unpacked(PackedFile("", cold.code, 800, sha256(b"code" * 200).digest(), payload.LZMA)) == b"code" * 200


def test_the_name_of_a_set_tells_its_files() -> None:
    """The same files have the same directory, in whatever order; another content, name or flag has another."""
    files = (stored("a", b"1"), stored("b", b"2"))

    assert payload.set_name(files) == payload.set_name(files[::-1])
    assert len({payload.set_name(each) for each in (files, files[:1], (files[0], stored("c", b"2")))}) == 3
