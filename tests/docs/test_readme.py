"""The README's first screen is true: its program runs, its commands work, and its table says what the code does."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from stayon import exits, platforms
from stayon.cli import words
from stayon.runtime import reloading

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
FIRST_SCREEN = README.partition("\n## ")[0]


def _program() -> str:
    found = re.search(r"```python\n(.*?)```", FIRST_SCREEN, re.DOTALL)
    assert found
    return found[1]


def _row(system: str) -> str:
    found = re.search(rf"^\| {system} \| (.*) \|$", FIRST_SCREEN, re.MULTILINE)
    assert found
    return found[1]


def test_the_first_screen_fits_on_one() -> None:
    """Whoever opens the page sees the program, the commands, the systems and the two tasks without going on."""
    assert len(FIRST_SCREEN.splitlines()) <= 40
    assert "python3 dev.py demo" in FIRST_SCREEN
    assert "python3 dev.py test" in FIRST_SCREEN


def test_its_program_is_the_example() -> None:
    """The program is that of examples/collector.py: the file in the clone does what the page says."""
    assert _program() == (ROOT / "examples" / "collector.py").read_text("utf-8")


@pytest.mark.linux
def test_its_program_runs_and_answers(shell) -> None:
    """Started as on the page, it collects; ``status`` from another terminal says so; Ctrl-C stops it gracefully."""
    (shell.directory / "collector.py").write_text(_program(), "utf-8")
    answers = []

    ran = shell.run("collector.py", until="collected", then=lambda: answers.append(shell.ask("collector.py", "status")))

    assert ran.code == exits.DONE
    assert ran.messages[-1] == "stopped"
    assert answers[0].returncode == exits.DONE
    assert answers[0].stdout.startswith("price-collector: RUNNING, process ")


def test_it_needs_no_other_package_and_the_python_that_it_says() -> None:
    """``pip install .`` brings nothing else, and the oldest Python is the one on the page."""
    project = (ROOT / "pyproject.toml").read_text("utf-8")

    assert "\ndependencies = []\n" in project
    assert 'requires-python = ">=3.11"' in project
    assert "needs Python 3.11 or newer, and no other package" in FIRST_SCREEN


def test_what_the_table_says_of_windows_can_be_said() -> None:
    """The verbs of its row are there, and its page begins with this program and the same verbs."""
    verbs = re.findall(r"`(\w+)`", _row("Windows"))
    page = (ROOT / "docs" / "how-to" / "windows-service.md").read_text("utf-8")

    assert verbs
    for verb in verbs:
        assert words.parse([verb], with_target=False).verb.name == verb
        assert f"> python collector.py {verb}\n" in page


@pytest.mark.linux
def test_installing_is_refused_on_linux_as_the_table_says(shell) -> None:
    """``install`` is one error with the exit code that the table has."""
    (shell.directory / "collector.py").write_text(_program(), "utf-8")
    answer = shell.ask("collector.py", "install")

    assert "[manager.none]" in answer.stderr
    assert f"ends with {answer.returncode}" in _row("Linux")


@pytest.mark.linux
def test_macos_gets_what_the_table_says(monkeypatch) -> None:
    """On macOS, changes are polled for, and a hung host is ended by faulthandler, whose exit code is 1."""
    monkeypatch.setattr(sys, "platform", "darwin")
    machine = platforms._choose()  # noqa: SLF001  # what ``current`` calls once

    assert machine.directory_watch().fileno() == -1
    assert f"within {reloading.POLL_S:g} s" in _row("macOS")
    assert f"ends with 1, not {exits.HANG}" in _row("macOS")
    assert machine.deadman.__name__ == "FaulthandlerDeadman"
