"""A start unpacks nothing: what services load until they are idle is in the file as it is loaded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stayon.build import payload
from tests.build.program_desk import built, run
from tests.windows.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

PROGRAM = f"""\
import os
import sys
from stayon import Service

service = Service("idle")
times = []

@service.every("200ms")
def look(ctx):
    ctx.log.info("looked", times=len(times))
    times.append(1)
    if len(times) == 8:
        found = [name for name in sys.modules if (sys.modules["_stayon"].find(name) or (0,))[0] & {payload.PACKED}]
        print("ANSWER", str(found).replace("'", '"'), len(sys.modules), flush=True)
        os._exit(0)
"""


def answer(out: str) -> Any:
    """The packed modules that were loaded, from what the program printed."""
    line = next(line for line in out.splitlines() if line.startswith("ANSWER "))
    return json.loads(line.partition(" ")[2].rpartition(" ")[0])


@pytest.mark.linux
def test_on_linux() -> None:
    """A service in a console, with jobs, logs and a status page."""
    program = built(PROGRAM, "1.0", "idle")
    run(program, "help")  # the first start of all puts files into their places
    done = run(program)
    assert answer(done.out) == [], done


def test_on_windows(lab: Lab) -> None:
    """The same on Windows."""
    program = built(PROGRAM, "1.0", "idle", "--target", "windows-x64").with_suffix(".exe")
    lab.exe(program, "help", limit_s=60.0)
    assert answer(lab.exe(program, limit_s=60.0).out) == []
