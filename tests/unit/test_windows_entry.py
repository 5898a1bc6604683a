"""The SCM's command line: made, quoted, taken apart again; and the modules it loads from a pack."""

from __future__ import annotations

import pytest

from stayon.errors import UsageError
from stayon.machine import Program
from stayon.platforms.windows.boot import Line, understood
from stayon.platforms.windows.command import Interpreter, service_command, this_interpreter

PYTHON = Interpreter(r"C:\Program Files\Python\python.exe", "", r"C:\App Data\stayon\platforms\windows\entry.py")


@pytest.mark.parametrize(
    ("program", "venv", "line"),
    [
        (Program("c", r"C:\a b\c.py"), "", Line("c", r"C:\a b\c.py")),
        (Program("c", r"C:\c.py", "service"), "", Line("c", r"C:\c.py:service")),
        (
            Program("c", r"C:\c.py", "", "two", (), 90.5),
            r"C:\My Venv",
            Line("c", r"C:\c.py", "two", r"C:\My Venv", 90.5),
        ),
        (
            Program("c", r"C:\c.py", options=("--config", r"C:\c.toml", "--set", "a=b c")),
            "",
            Line("c", r"C:\c.py", options=("--config", r"C:\c.toml", "--set", "a=b c")),
        ),
    ],
)
def test_what_is_installed_is_what_is_understood(program: Program, venv: str, line: Line) -> None:
    """The words begin with the interpreter, isolated and without site, and the script; the rest says everything."""
    words = service_command(program, PYTHON.replace(venv=venv))

    assert words[:4] == (PYTHON.executable, "-I", "-S", PYTHON.entry)
    assert understood(words[4:]) == line


def test_a_line_that_windows_would_expand_is_refused() -> None:
    """Between two percent signs the SCM puts an environment variable; one alone means nothing to it."""
    service_command(Program("c", r"C:\c.py", options=("--set", "share=50%")), PYTHON)
    with pytest.raises(UsageError) as caught:
        service_command(Program("c", r"C:\%TEMP%\c.py"), PYTHON)

    assert caught.value.code == "scm.percent"


def test_this_interpreter_is_never_the_one_of_a_venv() -> None:
    """A venv's python.exe starts another process, which the SCM would not watch."""
    python = this_interpreter()

    assert not python.venv or not python.executable.startswith(python.venv)
    assert python.entry.endswith("entry.py")


@pytest.mark.parametrize(
    "words", [["--serve", "x", "y"], ["--service"], [], ["--service", "x", "--start-timeout", "soon", "y"]]
)
def test_another_line_is_refused(words: list[str]) -> None:
    """What no install has written isn't guessed at."""
    with pytest.raises(ValueError):  # noqa: PT011  # whichever part of it is wrong
        understood(words)
