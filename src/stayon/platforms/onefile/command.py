"""What managers run for a service that is in a program of one file, and what that program understands of it: pure.

``PROGRAM --service NAME[@INSTANCE] [--start-timeout SECONDS] [-- OPTION ...]``, and ``PROGRAM --reload
NAME[@INSTANCE]`` beside it. The launcher itself looks for the first word, and on Windows for the name behind it.
"""

from __future__ import annotations

from stayon.core.record import Record
from stayon.platforms.onefile.program import RELOAD, SERVICE, here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from stayon.machine import Program

START_TIMEOUT = "--start-timeout"


class Line(Record):
    """What the command line says; *options* are those of the verb ``run``."""

    service: str
    instance: str = ""
    start_timeout_s: float = 60.0
    options: tuple[str, ...] = ()


def service_command(program: Program, executable: str, *, tells_timeout: bool = False) -> tuple[str, ...]:
    """The words for *program*, which is in *executable*; ``understood`` reads them."""
    words = [executable, SERVICE, f"{program.name}@{program.instance}" if program.instance else program.name]
    if tells_timeout:
        words += [START_TIMEOUT, f"{program.start_timeout_s:g}"]
    if program.options:
        words += ["--", *program.options]
    return tuple(words)


def reload_command(command: Sequence[str]) -> tuple[str, ...]:
    """The words that have the service of *command*, as ``service_command`` made it, read its configuration again; ()
    where *command* isn't of a program of one file.
    """
    return (command[0], RELOAD, command[2]) if is_ours(command) else ()


def is_ours(command: Sequence[str]) -> bool:
    """Whether *command* runs a service that is in a program of one file."""
    return len(command) > 2 and command[1] == SERVICE


def run_options(command: Sequence[str]) -> tuple[str, ...]:
    """The options of ``run`` in *command*, for which ``is_ours`` holds."""
    return understood(command[1:]).options


def understood(words: Sequence[str]) -> Line:
    """The line that *words*, without the program, are. Options may stand there without the ``--`` before them, as where
    one was added to what ``service_command`` made. What isn't such a line raises ``ValueError``.
    """
    word, called, *rest = words
    if word != SERVICE or not called:
        raise ValueError(word)
    name, _, instance = called.partition("@")
    timeout_s = Line.start_timeout_s
    if rest[:1] == [START_TIMEOUT]:
        timeout_s, rest = float(rest[1]), rest[2:]
    if rest[:1] == ["--"]:
        rest = rest[1:]
    return Line(name, instance, timeout_s, tuple(rest))


def own_executable() -> str:
    """The file that this process is, if it is a program of one file; else ""."""
    one_file = here()
    return "" if one_file is None else one_file.executable
