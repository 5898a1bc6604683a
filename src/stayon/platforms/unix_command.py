"""What a manager on Unix is told to run for a service."""

from __future__ import annotations

import os
import sys

from stayon.core.record import Record
from stayon.platforms.onefile import command as onefile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from stayon.machine import Program


ENTRY = "unix_entry.py"
RELOAD = "--reload"


class Interpreter(Record):
    """The Python that is to run a service: a venv's is kept as it is called, since what it is called is what makes it
    the venv's. *entry* is ``unix_entry.py``.
    """

    executable: str
    entry: str


def this_interpreter() -> Interpreter:
    """The Python that runs this."""
    directory = os.path.dirname(os.path.abspath(__file__))
    return Interpreter(os.path.abspath(sys.executable), os.path.join(directory, ENTRY))


def service_command(program: Program, interpreter: Interpreter | None = None) -> tuple[str, ...]:
    """The words for *program*; ``unix_entry.understood`` reads them.

    -P: the entry's own directory is no place to import from.
    """
    own = "" if interpreter is not None else onefile.own_executable()
    if own:
        return onefile.service_command(program, own)
    python = interpreter or this_interpreter()
    name = f"{program.name}@{program.instance}" if program.instance else program.name
    target = f"{program.path}:{program.attribute}" if program.attribute else program.path
    return (python.executable, "-P", python.entry, name, target, *program.options)


def reload_command(command: Sequence[str]) -> tuple[str, ...]:
    """The words that have the service of *command*, as ``service_command`` made it, read its configuration again, and
    fail with the reason if it refuses; () where *command* isn't ours.
    """
    if onefile.is_ours(command):
        return onefile.reload_command(command)
    head, called = command[:3], command[3:4]
    if not called or os.path.basename(head[2]) != ENTRY:
        return ()
    return (*head, RELOAD, *called)
