"""Programs with dependencies, built from PyPI's wheels and run on a computer that has glibc and nothing of Python's."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.build.program_desk import EmptyRoot, built, run
from tests.windows.lab import Lab

# A part of glibc that not every program needs. (What else wheels may take for granted, PEP 600, is built in.)
OF_SYSTEM = ("libresolv.so.2",)

_PROGRAM = """\
# /// script
# dependencies = {requirements}
# ///
import json

from stayon import Service

service = Service("asked")


{body}


@service.run
def answer(ctx):
    ctx.ready()
    print("ANSWER " + json.dumps(told()), flush=True)
"""


def told(folder: Path, requirements: str, body: str) -> Any:
    """What the function ``told`` in *body* gives, in a program that depends on *requirements*."""
    root = EmptyRoot(folder / "root", made(requirements, body))
    (root.top / "etc" / "hosts").write_text("127.0.0.1 localhost\n", "utf-8")
    for name in OF_SYSTEM:
        _take(root, name)
    found = root.run("run")
    return _answer(found.out, found.err)


def told_windows(lab: Lab, requirements: str, body: str) -> Any:
    """As ``told``, on *lab*, whose Windows has no Python on its path."""
    program = made(requirements, body, "--target", "windows-x64").with_suffix(".exe")
    found = lab.exe(program, "run", limit_s=120.0)
    return _answer(found.out, found.err)


def _answer(out: str, err: str) -> Any:
    lines = [line.removeprefix("ANSWER ") for line in out.splitlines() if line.startswith("ANSWER ")]
    assert lines, out + err
    return json.loads(lines[0])


def made(requirements: str, body: str, *options: str) -> Path:
    """The program of one file; the test is skipped by name where there is no network and nothing was kept."""
    listed = json.dumps(requirements.split())
    source = _PROGRAM.format(requirements=listed, body=textwrap.dedent(body).strip())
    try:
        return built(source, "1.0", "asked", *options)
    except AssertionError as error:
        if "[build.no-network]" in str(error):
            pytest.skip(f"{requirements} cannot be fetched: there is no network")
        raise


def _take(root: EmptyRoot, name: str) -> None:
    found = run("gcc", f"-print-file-name={name}").out.strip()
    root.take(Path(found).resolve(), f"/lib/x86_64-linux-gnu/{name}")
