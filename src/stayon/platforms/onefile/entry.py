"""What the launcher calls: ``main`` is on the way of every start, so it imports only what the words ask for."""

from __future__ import annotations

import sys

from stayon.platforms.onefile import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType
    from typing import Any, NoReturn

# What ``multiprocessing`` starts besides its workers (on Unix): programs of an interpreter, of which there is none.
_TOOLS = {
    "from multiprocessing.resource_tracker import main;main": "multiprocessing.resource_tracker",
    "from multiprocessing.forkserver import main; main": "multiprocessing.forkserver",
}
WORKER = "--multiprocessing-fork"


def main() -> None:
    """Be what the words ask for. Returns only where a child of ``multiprocessing`` is done."""
    import _stayon  # type: ignore[import-not-found]  # the launcher's, and nobody else's

    words = sys.argv[1:]
    first = words[0] if words else ""
    sys.executable = _stayon.executable
    if first == program.INIT:
        from stayon.platforms.init_process import serve

        serve(int(words[1]))
    sys.frozen = True  # type: ignore[attr-defined]  # what others look for, such as multiprocessing
    from stayon.platforms.onefile.finder import install

    install()
    _note_first_start(_stayon)
    if first == program.SERVICE:
        _serve(words)
    elif first == program.RELOAD:
        from stayon.platforms.unix_entry import reload

        reload(words[1])
    elif first == program.PARSE:
        _parse()
    elif first == WORKER:
        from multiprocessing.spawn import freeze_support

        freeze_support()
    elif not _is_tool(words):
        # This program is above all floors: it joins the platform to the command.
        inside: Any = __import__("stayon.cli.inside", fromlist=["main"])
        inside.main(words)


def _serve(words: Sequence[str]) -> NoReturn:
    """Be the service that a manager asks for."""
    import gc

    from stayon.platforms.onefile.command import understood

    # Nothing that is made on the way is garbage.
    gc.disable()
    one_file = program.here()
    assert one_file is not None  # noqa: S101  # main has imported what tells
    line, entry = understood(words), one_file.entry
    if sys.platform == "win32":
        launched: ModuleType = __import__("stayon.platforms.windows.launcher_process", fromlist=["serve"])
        launched.serve(line, entry)
    from stayon.platforms.unix_entry import serve

    called = f"{line.service}@{line.instance}" if line.instance else line.service
    serve(called, entry, line.options)


def _parse() -> None:
    """Be the child that reads a configuration file for a service (``runtime.config.child``)."""
    import marshal

    _path, syntax, text = marshal.load(sys.stdin.buffer)  # noqa: S302  # our own parent's words
    child: Any = __import__("stayon.runtime.config.child_answer", fromlist=["answer"])
    child.answer(syntax, text)


def _is_tool(words: Sequence[str]) -> bool:
    """Whether they were the words of one of ``multiprocessing``'s own programs, which has run then. Only those: what
    else stands behind ``-c`` is none of ours.
    """
    told = words[-1] if words[-2:-1] == ["-c"] else ""
    called, _, arguments = told.partition("(")
    if called not in _TOOLS or not arguments.endswith(")"):
        return False
    from ast import literal_eval

    plain, _, named = arguments[:-1].partition(", **")
    tool: Any = __import__(_TOOLS[called], fromlist=["main"])
    tool.main(*literal_eval(f"({plain},)"), **literal_eval(named or "{}"))
    return True


def _note_first_start(launcher: Any) -> None:
    """Have it be known whose the sets are that this start has put into their places."""
    if launcher.was_registered:
        from stayon.platforms.onefile.collect import remember_this

        remember_this()
