"""The launcher's decoders and hashes, against those of Python's library; and with input that somebody has changed."""

from __future__ import annotations

import ctypes
import hashlib
import lzma
import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stayon.build.xxh64 import xxh64
from tests.build import launcher_desk as desk

pytestmark = [pytest.mark.linux, pytest.mark.needs_gcc]

ROUNDS = 3000
CODE = Path("/bin/sh")


class Codecs:
    """hash.c and lzma.c, compiled for this process."""

    def __init__(self, folder: Path) -> None:
        path = folder / "codecs.so"
        sources = [desk.LAUNCHER / "hash.c", desk.LAUNCHER / "lzma.c"]
        subprocess.run(["gcc", "-std=c11", "-O2", "-shared", "-fPIC", "-o", path, *sources], check=True)
        self.library = ctypes.CDLL(str(path))
        self.library.xxh64_end.restype = ctypes.c_uint64
        self.library.lzma_decode.restype = ctypes.c_bool

    def xxh64(self, *parts: bytes) -> int:
        state = ctypes.create_string_buffer(32 + 8 + 32)
        self.library.xxh64_start(state)
        for part in parts:
            self.library.xxh64_add(state, part, ctypes.c_size_t(len(part)))
        return int(self.library.xxh64_end(state))

    def sha256(self, content: bytes) -> bytes:
        digest = ctypes.create_string_buffer(32)
        self.library.sha256(content, ctypes.c_size_t(len(content)), digest)
        return digest.raw

    def unpacked(self, packed: bytes, size: int, *, is_x86: bool = False) -> bytes | None:
        output = ctypes.create_string_buffer(size or 1)
        if not self.library.lzma_decode(packed, ctypes.c_size_t(len(packed)), output, ctypes.c_size_t(size)):
            return None
        if is_x86:
            self.library.bcj_x86_decode(output, ctypes.c_size_t(size))
        return output.raw[:size]


@pytest.fixture(scope="module")
def codecs(tmp_path_factory: pytest.TempPathFactory) -> Codecs:
    return Codecs(tmp_path_factory.mktemp("codecs"))


def packed(content: bytes, *, is_x86: bool = False) -> bytes:
    return lzma.compress(content, lzma.FORMAT_RAW, filters=[desk.X86, desk.LZMA1] if is_x86 else [desk.LZMA1])


@settings(max_examples=200)
@given(parts=st.lists(st.binary(max_size=100), max_size=8))
def test_xxh64(codecs: Codecs, parts: list[bytes]) -> None:
    """XXH64 in C is that in Python, in whatever pieces the bytes come."""
    assert codecs.xxh64(*parts) == xxh64(b"".join(parts))


def test_xxh64_of_nothing(codecs: Codecs) -> None:
    """The hash of no bytes is the one that the specification's sample code gives."""
    assert codecs.xxh64() == xxh64(b"") == 0xEF46DB3751D8E999


@settings(max_examples=200)
@given(content=st.binary(max_size=300))
def test_sha256(codecs: Codecs, content: bytes) -> None:
    """SHA-256 is hashlib's, about every length of the last block."""
    assert codecs.sha256(content) == hashlib.sha256(content).digest()


@settings(max_examples=100)
@given(pieces=st.lists(st.tuples(st.binary(max_size=40), st.integers(1, 400)), max_size=12))
def test_lzma(codecs: Codecs, pieces: list[tuple[bytes, int]]) -> None:
    """What liblzma has packed comes out as it was: literals, long and short matches, repeated distances."""
    content = b"".join(piece * times for piece, times in pieces)
    assert codecs.unpacked(packed(content), len(content)) == content


@pytest.mark.parametrize("is_x86", [False, True])
def test_lzma_of_a_program(codecs: Codecs, is_x86: bool) -> None:
    """An interpreter's library comes out as it was, with the filter of x86 and without."""
    _, content = desk.interpreter()
    assert codecs.unpacked(packed(content, is_x86=is_x86), len(content), is_x86=is_x86) == content


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), size=st.integers(0, 400))
def test_x86_filter(codecs: Codecs, seed: int, size: int) -> None:
    """The x86 filter undoes liblzma's where opcodes and operands overlap in every way."""
    chance = random.Random(seed)
    content = bytes(chance.choice((0xE8, 0xE9, 0x00, 0xFF, 0x01, chance.randrange(256))) for _ in range(size))
    assert codecs.unpacked(packed(content, is_x86=True), size, is_x86=True) == content


def test_too_little_or_too_much(codecs: Codecs) -> None:
    """Input that ends early is refused; less output than there is can be asked for."""
    content = CODE.read_bytes()[:5000]
    small = packed(content)
    assert codecs.unpacked(small[: len(small) // 2], len(content)) is None
    assert codecs.unpacked(b"", 1) is None
    assert codecs.unpacked(b"\1" + small[1:], len(content)) is None
    assert codecs.unpacked(small, 1000) == content[:1000]
    assert codecs.unpacked(small, len(content) + 100_000) is None


def test_changed_input(tmp_path: Path) -> None:
    """Whatever the input is, the decoders stay within it and within their output: the sanitizers say so."""
    made = tmp_path / "fuzz"
    words = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{desk.LAUNCHER}"]
    sources = [Path(__file__).with_name("fuzz_codecs.c"), desk.LAUNCHER / "lzma.c"]
    subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", *words, *sources, "-o", made], check=True)
    content = CODE.read_bytes()[:30_000]
    seed = random.SystemRandom().randrange(2**32)
    ended = subprocess.run(
        [made, str(len(content)), str(ROUNDS), str(seed)],
        check=False, input=packed(content), capture_output=True, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, f"seed {seed}: {ended.stderr.decode()}"
    assert 0 < int(ended.stdout) < ROUNDS
