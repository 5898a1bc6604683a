"""What the SCM is told to run for a service."""

from __future__ import annotations

import os
import sys

from stayon.core.record import Record
from stayon.errors import UsageError
from stayon.platforms.onefile import command as onefile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.machine import Program


class Interpreter(Record):
    """The Python that is to run a service: its own executable, never a venv's, which only starts the other one and
    waits: the SCM would watch the wrong process. *venv* is the venv's directory, or "". *entry* is ``entry.py``.
    """

    executable: str
    venv: str
    entry: str


def this_interpreter() -> Interpreter:
    """The Python that runs this."""
    executable = getattr(sys, "_base_executable", sys.executable)
    venv = sys.prefix if sys.prefix != sys.base_prefix else ""
    return Interpreter(executable, venv, os.path.join(os.path.dirname(os.path.abspath(__file__)), "entry.py"))


def service_command(program: Program, interpreter: Interpreter | None = None) -> tuple[str, ...]:
    """The words for *program*; ``command_line.command_line`` makes one line of them, and ``boot.understood`` reads it.

    -I and -S keep everything out but the interpreter itself until the SCM has been answered. Raises ``UsageError`` for
    a word in which the SCM would put an environment variable: it keeps the line as REG_EXPAND_SZ.
    """
    own = "" if interpreter is not None else onefile.own_executable()
    if own:
        words = onefile.service_command(program, own, tells_timeout=True)
    else:
        words = _interpreted(program, interpreter or this_interpreter())
    expanded = [word for word in words if word.count("%") > 1]
    if expanded:
        raise UsageError(
            "Windows would put a variable where percent signs are",
            where=expanded[0],
            hint="Rename the path, or move the setting into the configuration file.",
            code="scm.percent",
        )
    return words


def _interpreted(program: Program, python: Interpreter) -> tuple[str, ...]:
    words = [python.executable, "-I", "-S", python.entry, "--service", program.name]
    if program.instance:
        words += ["--instance", program.instance]
    if python.venv:
        words += ["--venv", python.venv]
    words += ["--start-timeout", f"{program.start_timeout_s:g}"]
    words.append(f"{program.path}:{program.attribute}" if program.attribute else program.path)
    if program.options:
        words += ["--", *program.options]
    return tuple(words)
