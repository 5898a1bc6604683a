"""The layout "trusted": not one program file that nobody has signed, and a service all the same."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from stayon.build import pe, sign
from tests.build.signing_desk import EXAMPLE, build, built, osslsigncode
from tests.build.windows_programs import launcher
from tests.windows.lab import Lab

pytestmark = [pytest.mark.linux, pytest.mark.slow, pytest.mark.timeout(300)]

NAME = "stayon-trusted"
SOURCE = f"""\
from stayon import Service

service = Service("{NAME}")


@service.every("100ms")
def collect(ctx):
    ctx.log.info("collected", prices=3)
"""
# Who signs what python.org hands out.
SIGNERS = {"Python Software Foundation", "Microsoft Corporation"}
ORGANIZATION = re.compile(r"Signer #0:\n\s*Subject: .*?/O=([^/]+)/")
DIGEST = re.compile(r"(?:Current|Calculated) message digest\s*: ([0-9A-F]+)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The program's directory."""
    place = tmp_path_factory.mktemp("trusted")
    (place / "collector.py").write_text(SOURCE, "utf-8")
    return built(place / "collector.py", place / "dist", "--layout", "trusted") / "collector"


def _program_files(folder: Path) -> list[Path]:
    """What Windows would run: told by its content, whatever it is called."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.read_bytes()[:2] == b"MZ")


def test_every_program_file_has_a_signature(folder: Path) -> None:
    """python.exe by another name, the interpreter, its extensions, what those need; and no other is there."""
    found = _program_files(folder)
    names = {path.name for path in found}

    assert {"collector.exe", "_ctypes.pyd", "vcruntime140.dll"} < names
    assert {path.suffix for path in found} == {".exe", ".dll", ".pyd"}
    assert [path.name for path in found if not sign.is_signed(path.read_bytes())] == []
    # None needs a DLL that is neither here nor the system's.
    wanted = {name.lower() for path in found for name in pe.imports(path.read_bytes())}
    assert {name for name in wanted if name.startswith(("python", "vc", "lib"))} - {
        name.lower() for name in names
    } == set()


@pytest.mark.needs_osslsigncode
def test_every_signature_is_of_those_who_made_it_and_right(folder: Path) -> None:
    """A verifier reads the signer's name in each, and computes the hash that was signed."""
    for path in _program_files(folder):
        said = osslsigncode("verify", "-in", path).out
        organization, digests = ORGANIZATION.search(said), DIGEST.findall(said)

        assert organization, path.name
        assert organization[1] in SIGNERS, path.name
        assert len(digests) >= 2, path.name
        assert digests[0] == digests[1], path.name


def test_a_program_file_that_nobody_signed_is_told(tmp_path) -> None:
    """It is built in as it was asked for, and a warning names it."""
    (tmp_path / "helper.dll").write_bytes(launcher())
    answer = build(EXAMPLE, tmp_path / "dist", "--layout", "trusted", "--data", tmp_path / "helper.dll")

    assert answer.code == 0, answer
    assert "warning: nobody has signed app/helper.dll" in answer.out


def test_its_verbs_make_a_service_of_it(lab: Lab, folder: Path) -> None:
    """On Windows: installed, started, asked, stopped, and taken away by the renamed python.exe itself."""
    place = lab.folder / "trusted"
    shutil.copytree(folder, place)
    exe = place / "collector.exe"
    for words, said in (
        (("--version",), "Python 3."),  # what begins with a dash is Python's
        (("install",), f"{NAME} is installed"),
        (("start",), "RUNNING"),
        (("status",), "RUNNING"),
        (("restart",), "RUNNING"),
        (("stop",), "STOPPED"),
        (("uninstall", "--purge", "--yes"), "uninstalled"),
    ):
        answer = lab.exe(exe, *words, limit_s=60)
        assert (answer.code, answer.err) == (0, ""), (words, answer)
        assert said in answer.out, (words, answer)
    assert not (lab.data / NAME).exists()
