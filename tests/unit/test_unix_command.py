"""What a manager on Unix runs: the words for a program, and those that ask it to reload."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stayon.machine import Program
from stayon.platforms.unix_command import Interpreter, reload_command, service_command, this_interpreter

PYTHON = Interpreter("/opt/venv/bin/python", "/opt/venv/lib/stayon/platforms/unix_entry.py")
HEAD = (PYTHON.executable, "-P", PYTHON.entry)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (Program("s", "/srv/p.py"), ("s", "/srv/p.py")),
        (Program("s", "/srv/p.py", "other"), ("s", "/srv/p.py:other")),
        (Program("s", "shop.prices", "service", "eu"), ("s@eu", "shop.prices:service")),
        (
            Program("s", "/srv/p.py", options=("--config", "/etc/a b.toml")),
            ("s", "/srv/p.py", "--config", "/etc/a b.toml"),
        ),
    ],
)
def test_the_words_name_the_service_and_its_program(program: Program, words: tuple[str, ...]) -> None:
    """Name and instance, then the program, then the options of ``run``; short enough to be read in a list."""
    assert service_command(program, PYTHON) == (*HEAD, *words)


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ((*HEAD, "s", "/srv/p.py", "--set", "a=b"), (*HEAD, "--reload", "s")),
        ((*HEAD, "s@eu", "/srv/p.py"), (*HEAD, "--reload", "s@eu")),
        (HEAD, ()),
        (("/usr/sbin/nginx", "-g", "daemon off;", "x"), ()),
        ((), ()),
    ],
)
def test_a_reload_is_asked_for_by_the_same_program(command: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    """By name only; for a command that isn't ours there are no words."""
    assert reload_command(command) == wanted


@pytest.mark.skipif(os.name == "nt", reason="the entry of Windows is another")
def test_a_venv_keeps_its_name(tmp_path: Path) -> None:
    """The interpreter is called as the venv calls it, not by what that leads to: else its packages would be missing."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(tmp_path / "v")], check=True)
    program = "from stayon.platforms.unix_command import this_interpreter; print(this_interpreter().executable)"
    source = str(Path(this_interpreter().entry).parents[2])
    done = subprocess.run(
        [tmp_path / "v" / "bin" / "python", "-c", program],
        env={"PYTHONPATH": source}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()).parent == tmp_path / "v" / "bin"


def test_the_entry_is_there() -> None:
    """What the words name is a file of the package."""
    assert Path(this_interpreter().entry).is_file()
    assert Path(this_interpreter().executable).is_absolute()
