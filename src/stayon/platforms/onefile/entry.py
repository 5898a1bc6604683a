"""What the launcher calls: ``main`` is on the way of every start, so it imports only what the words ask for.

It is above all floors, as it joins the platform to the command: other rooms are imported by their names.
"""

from __future__ import annotations

import sys

from stayon.platforms.onefile import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

WORKER = "--multiprocessing-fork"

# What ``multiprocessing`` starts besides its workers (on Unix): programs of an interpreter, of which there is none.
_TOOLS = {
    "from multiprocessing.resource_tracker import main;main": "multiprocessing.resource_tracker",
    "from multiprocessing.forkserver import main; main": "multiprocessing.forkserver",
}

_USAGE = 64


def main() -> None:
    """Be what the words ask for. Returns only where a child of ``multiprocessing`` is done."""
    import _stayon  # type: ignore[import-not-found]  # the launcher's, and nobody else's

    words = sys.argv[1:]
    first = words[0] if words else ""
    sys.executable = _stayon.executable
    if first in (program.SERVICE, program.RELOAD, program.INIT) and len(words) == 1:
        _refuse(words)
    if first == program.INIT:
        _room("stayon.platforms.init_process").serve(int(words[1]))
    sys.frozen = True  # type: ignore[attr-defined]  # what others look for, such as multiprocessing
    from stayon.platforms.onefile.finder import install

    install()
    if sys.platform == "win32" and None in (sys.stdin, sys.stdout, sys.stderr):
        _room("stayon.platforms.windows.standard_handles").open_missing_handles()
    _note_first_start(_stayon)
    if first == program.SERVICE:
        _serve(words)
    elif first == program.RELOAD:
        _room("stayon.platforms.unix_entry").reload(words[1])
    elif first == program.PARSE:
        _parse()
    elif first == WORKER:
        _room("multiprocessing.spawn").freeze_support()
    elif not is_tool(words):
        _room("stayon.cli.inside").main(words)


def _serve(words: Sequence[str]) -> NoReturn:
    """Be the service that a manager asks for."""
    import gc

    from stayon.platforms.onefile.command import understood

    # Nothing that is made on the way is garbage.
    gc.disable()
    one_file = program.here()
    assert one_file is not None  # noqa: S101  # main has imported what tells
    try:
        line = understood(words)
    except (ValueError, IndexError):
        _refuse(words)
    if sys.platform == "win32":
        _room("stayon.platforms.windows.launcher_process").serve(line, one_file.entry)
    called = f"{line.service}@{line.instance}" if line.instance else line.service
    _room("stayon.platforms.unix_entry").serve(called, one_file.entry, line.options)
    raise AssertionError  # it ends the process


def _refuse(words: Sequence[str]) -> NoReturn:
    sys.stderr.write(f"{words[0]} is for service managers, with the service's name behind it; people say --help\n")
    raise SystemExit(_USAGE)


def _parse() -> None:
    """Be the child that reads a configuration file for a service (``runtime.config.child``)."""
    import marshal

    _path, syntax, text = marshal.load(sys.stdin.buffer)  # noqa: S302  # our own parent's words
    _room("stayon.runtime.config.child_answer").answer(syntax, text)


def is_tool(words: Sequence[str]) -> bool:
    """Whether they were the words of one of ``multiprocessing``'s own programs, which has run then. Only those: what
    else stands behind ``-c`` is none of ours.
    """
    told = words[-1] if words[-2:-1] == ["-c"] else ""
    called, _, arguments = told.partition("(")
    if called not in _TOOLS or not arguments.endswith(")"):
        return False
    plain, _, named = arguments[:-1].partition(", **")
    _room(_TOOLS[called]).main(*_values(f"({plain},)"), **_values(named or "{}"))
    return True


def _values(text: str) -> Any:
    """What the words of *text* stand for, if they are values alone: numbers, texts, and lists of them. Raises
    ``ValueError`` where there is a name, and thus maybe a call, in them. (``ast.literal_eval`` does that too, and would
    be in every program.)
    """
    code = compile(text, "-c", "eval")
    if code.co_names or code.co_freevars or any(hasattr(each, "co_code") for each in code.co_consts):
        raise ValueError(text)
    return eval(code, {"__builtins__": {}})  # noqa: S307  # nothing in it can be called


def _note_first_start(launcher: Any) -> None:
    """Have it be known whose the sets are that this start has put into their places."""
    if launcher.was_registered:
        from stayon.platforms.onefile.collect import remember_this

        remember_this()


def _room(name: str) -> Any:
    return __import__(name, fromlist=["_"])
