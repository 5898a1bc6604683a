"""A computer with a manager of services in memory, and somebody who types: what the tests of installing share."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stayon.cli.command import execute
from stayon.core.installation import Installation
from stayon.testing import FakeMachine
from stayon.testing.installed import FakeServices

NAME = "collector"

PROGRAM = """
from stayon.runtime.service import Service

service = Service("collector", description="Collects prices", version="2.1", stop_timeout="5s")

@service.every("5s")
def collect(ctx):
    pass
"""


class Said(NamedTuple):
    """What a verb gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Desk(NamedTuple):
    """A computer with a manager, a program in a file, and somebody who types."""

    machine: FakeMachine
    services: FakeServices
    file: Path
    say: Callable[..., Said]

    @property
    def wanted(self) -> Installation:
        """What the manager was told."""
        return self.services.wanted[NAME]


@contextmanager
def opened(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Desk]:
    """``stayon VERB …/collector.py`` on a computer with a manager that keeps nothing yet; nobody at the terminal."""
    for variable in ("STAYON_HOME", "STAYON_PASSWORD", "PYTHONPATH"):
        monkeypatch.delenv(variable, raising=False)
    # The standard library's only: nothing of the tests' own is found from everywhere.
    monkeypatch.setattr("sys.path", [path for path in sys.path if path.startswith(sys.base_prefix)])
    monkeypatch.setattr("sys.stdin", io.StringIO())
    file = tmp_path / "collector.py"
    file.write_text(PROGRAM)
    with FakeMachine() as machine:
        machine.services = FakeServices()

        def say(verb: str, *words: str) -> Said:
            code = execute([verb, str(file), *words], program="stayon", machine=machine.ports())
            printed = capsys.readouterr()
            return Said(code, printed.out, printed.err)

        yield Desk(machine, machine.services, file, say)
