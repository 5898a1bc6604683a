"""The README's first screen is true: its program runs, its commands work, and its table says what the code does."""

from __future__ import annotations

import os
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


def test_what_the_table_says_of_linux_can_be_said() -> None:
    """The command of its row is one of the program's, and one of those on its page; so is the other verb on its own."""
    page = (ROOT / "docs" / "how-to" / "systemd-service.md").read_text("utf-8")
    daemons = (ROOT / "docs" / "how-to" / "classic-daemon.md").read_text("utf-8")
    command = re.search(r'`sudo "\$\(which python3\)" collector\.py ([a-z -]+)`', _row("Linux"))

    assert command
    assert words.parse(command[1].split(), with_target=False).verb.name == "install"
    assert f"collector.py {command[1]}\n" in page
    assert "(`start`)" in _row("Linux")
    assert "$ python3 collector.py start\n" in daemons


def test_the_exposure_of_a_service_is_the_same_everywhere() -> None:
    """The figure in the list is that of the page on systemd, and of the reasons."""
    found = re.search(r"an \[exposure of ([0-9.]+)\]", README)

    assert found
    for page in ("how-to/systemd-service.md", "why.md"):
        assert f"an exposure of {found[1]}," in (ROOT / "docs" / page).read_text("utf-8")


@pytest.mark.linux
def test_without_a_manager_installing_leads_to_the_daemon(shell) -> None:
    """Where nobody keeps services, ``install`` is one error that names the verb of the table."""
    if os.path.isdir("/run/systemd/system"):
        pytest.skip("systemd keeps services here")
    (shell.directory / "collector.py").write_text(_program(), "utf-8")

    answer = shell.ask("collector.py", "install")

    assert answer.returncode == exits.UNAVAILABLE
    assert "[manager.none]" in answer.stderr
    assert "collector.py start" in answer.stderr


@pytest.mark.linux
def test_macos_gets_what_the_table_says(monkeypatch) -> None:
    """On macOS, changes are polled for; a host that hangs in C code is ended by faulthandler, as its page says."""
    monkeypatch.setattr(sys, "platform", "darwin")
    machine = platforms._choose()  # noqa: SLF001  # what ``current`` calls once
    page = (ROOT / "docs" / "how-to" / "macos-launchd.md").read_text("utf-8")

    assert machine.directory_watch().fileno() == -1
    assert f"within {reloading.POLL_S:g} s" in _row("macOS")
    assert "$ python3 collector.py install --now\n" in page
    assert machine.deadman.__name__ == "FaulthandlerDeadman"
    assert "the\ncode on macOS is 1" in page
