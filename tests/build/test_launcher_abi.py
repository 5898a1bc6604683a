"""Where the members of CPython's structures are: as a compiler says that has the headers."""

from __future__ import annotations

import itertools
import subprocess
import sysconfig
from pathlib import Path

import pytest

from stayon.build import abi
from tests.build import launcher_desk as desk

PROGRAM = """\
#include <Python.h>
#include <stddef.h>
#include <stdio.h>

int main(void) {
    printf("%zu %zu %zu", sizeof(struct _frozen), offsetof(PyPreConfig, utf8_mode), sizeof(PyConfig));
MEMBERS
    return 0;
}
"""


def headers() -> dict[tuple[int, int], Path]:
    """The headers of each version that we serve, as far as this computer has them."""
    own = Path(sysconfig.get_path("include"))
    roots = [own.parent, *Path.home().glob(".pyenv/versions/*/include"), Path("/usr/include")]
    found: dict[tuple[int, int], Path] = {}
    for root, version in itertools.product(roots, abi.VERSIONS):
        place = root / f"python{version[0]}.{version[1]}"
        if (place / "Python.h").is_file():
            found.setdefault(version, place)
    return found


@pytest.mark.linux
@pytest.mark.needs_gcc
@pytest.mark.parametrize("version", abi.VERSIONS)
def test_offsets(tmp_path: Path, version: tuple[int, int]) -> None:
    """Each number is the one that offsetof gives with that version's headers."""
    place = headers().get(version)
    if place is None:
        pytest.skip(f"the headers of Python {version[0]}.{version[1]} are not here")
    lines = [f'    printf(" %zu", offsetof(PyConfig, {name}));' for name in abi.CONFIG_MEMBERS]
    (tmp_path / "offsets.c").write_text(PROGRAM.replace("MEMBERS", "\n".join(lines)))
    subprocess.run(["gcc", f"-I{place}", "-o", tmp_path / "offsets", tmp_path / "offsets.c"], check=True)
    said = subprocess.run([tmp_path / "offsets"], capture_output=True, text=True, check=True).stdout
    assert abi.numbers(version, "linux") == tuple(map(int, said.split()))


def test_offsets_on_windows() -> None:
    """On Windows long has 32 bits, and two structures have a member more each: seen with the official 3.13."""
    linux, windows = (abi.numbers((3, 13), system) for system in abi.SYSTEMS)
    assert (linux[1], windows[1]) == (28, 32)  # utf8_mode is behind legacy_windows_fs_encoding
    argv = 3 + abi.CONFIG_MEMBERS.index("argv")
    assert linux[argv] - windows[argv] == 8  # hash_seed


def test_every_number_has_a_name() -> None:
    """There are as many numbers as payload.h has names for, in the same order."""
    text = (desk.LAUNCHER / "payload.h").read_text()
    names = [line.strip().rstrip(",").split(",")[0] for line in text.split("enum Abi {")[1].split("};")[0].splitlines()]
    listed = [name for name in names if name.startswith("ABI_")]
    wanted = ["ABI_FROZEN_STRIDE", "ABI_PRECONFIG_UTF8_MODE", "ABI_CONFIG_SIZE"]
    assert listed == [*wanted, *(f"ABI_CONFIG_{name.upper()}" for name in abi.CONFIG_MEMBERS), "ABI_COUNT"]
    assert all(len(abi.numbers(version, "linux")) == len(listed) - 1 for version in abi.VERSIONS)


@pytest.mark.parametrize(("version", "system"), [((3, 10), "linux"), ((3, 14), "windows"), ((3, 13), "darwin")])
def test_what_is_not_known(version: tuple[int, int], system: str) -> None:
    """A version or system that nobody has looked at is refused."""
    with pytest.raises(ValueError, match="no structures known"):
        abi.numbers(version, system)
