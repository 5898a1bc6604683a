"""Payloads that are wrong inside, though their hash is right: each offset is looked at before it is followed."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stayon.build import payload
from tests.build import launcher_desk as desk

pytestmark = [pytest.mark.linux, pytest.mark.needs_gcc]

SOURCES = (
    "main_linux", "system_linux", "files_linux", "messages", "payload", "hash", "lzma", "register", "python", "module",
    "start", "ffi",
)  # fmt: skip
ROUNDS = 40
# The sanitizers' own exit code, which no launcher has.
CAUGHT = 99


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The launcher, compiled so that each access to memory is looked at."""
    made = tmp_path_factory.mktemp("watched") / "launcher"
    words = ["-std=c11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-common"]
    subprocess.run(["gcc", *words, *(desk.LAUNCHER / f"{name}.c" for name in SOURCES), "-o", made], check=True)
    return made.read_bytes()


@pytest.fixture(scope="module")
def content() -> bytes:
    """A payload whose interpreter is none, as no interpreter is to be reached."""
    name, _ = desk.interpreter()
    files = (desk.stored(name, b"no library"), desk.squeezed(desk.stored("data/text", b"text " * 100)))
    return payload.written(desk.program(sets=(files, (desk.stored("own", b"own"),))))


def changes(content: bytes, seed: int) -> Iterator[bytes]:
    """The same with a few numbers of its header and tables changed, and the hash that belongs to it."""
    chance = random.Random(seed)
    fields = payload.REST.unpack_from(content, payload.HEAD.size)
    tables = [(payload.HEAD.size + 4, payload.REST.size - 4)]
    rows = (payload.MODULE.size, payload.FILE.size, payload.SET.size)
    for place, count, size in zip(fields[2:8:2], fields[3:9:2], rows, strict=True):
        tables.append((place, count * size))
    for _ in range(ROUNDS):
        changed = bytearray(content)
        for _ in range(chance.randrange(1, 4)):
            start, size = chance.choice(tables)
            at = start + chance.randrange(size // 4) * 4
            number = chance.choice((0, 1, len(content) - 1, len(content), 2**31, 2**32 - 1, chance.randrange(2**32)))
            changed[at : at + 4] = number.to_bytes(4, "little")
        yield desk.rehashed(changed)


def test_wrong_numbers(tmp_path: Path, watched: bytes, content: bytes) -> None:
    """Whatever the numbers are, no byte outside is read, and the end is one of the launcher's own."""
    seed = random.SystemRandom().randrange(2**32)
    options = {"ASAN_OPTIONS": f"exitcode={CAUGHT}:detect_leaks=0", "UBSAN_OPTIONS": f"exitcode={CAUGHT}"}
    for number, changed in enumerate(changes(content, seed)):
        run = desk.Runner(tmp_path / str(number))
        run.runtime.mkdir(parents=True)
        made = desk.executable(tmp_path / "program", changed, watched)
        ended = run(made, env=run.environment(**options), errors="replace")
        assert ended.returncode in {69, 77, 78}, f"seed {seed}, round {number}: {ended.stderr}"
        assert " [launcher." in ended.stderr


@pytest.mark.parametrize("name", ["../up", "/etc/x", "a//b", "a/../../b", ".", "a/.", "c:x", "a\\b", ""])
def test_names_that_lead_elsewhere(tmp_path: Path, watched: bytes, name: str) -> None:
    """No file is put anywhere but below its set."""
    run = desk.Runner(tmp_path)
    files = (desk.stored(name, b"x"),)
    carried = desk.program()
    made = desk.executable(tmp_path / "program", replace(carried, sets=(carried.sets[0], files)), watched)
    desk.refused(run(made, env=run.environment(ASAN_OPTIONS="detect_leaks=0")), "launcher.damaged", 78)
    assert not run.runtime.exists()
