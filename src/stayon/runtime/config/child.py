"""Parsing in a short-lived child interpreter, so that the parser's memory goes when it ends."""

from __future__ import annotations

import marshal
import os
import sys
from _thread import allocate_lock

from stayon.runtime.config.child_answer import unpacked
from stayon.runtime.config.syntax import BadSyntaxError
from stayon.runtime.threads import start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon.ports import Child, Launcher

ONE_FILE = "_stayon"  # the module that its launcher brings (``platforms.onefile.program``)
INPUT_LIMIT = 64 * 1024  # of Launcher.spawn
TIMEOUT_S = 5.0

# -S leaves site's hooks out (3 to 20 ms), so the child gets our sys.path: there is this package, and maybe PyYAML.
_COMMAND = (
    "import gc,marshal,sys;gc.disable();path,syntax,text=marshal.load(sys.stdin.buffer);sys.path[:]=path;"
    "from stayon.runtime.config.child_answer import answer;answer(syntax,text)"
)


def parse_in_child(launcher: Launcher, syntax: str, text: str) -> dict[str, Any]:
    """As ``parsers.parse``, in a child; where a child can't be had, or gives no answer in time, in this process."""
    question = marshal.dumps(([str(entry) for entry in sys.path], syntax, text))
    if len(question) > INPUT_LIMIT:
        return _parse_here(syntax, text)
    # A program that is one file has a word for this; it has no interpreter.
    words = ["--parse"] if ONE_FILE in sys.modules else ["-I", "-S", "-c", _COMMAND]
    try:
        child = launcher.spawn([sys.executable, *words], stdin=question)
        verdict, content = marshal.loads(_output_of(child))  # noqa: S302  # our own child's words
    except Exception:  # noqa: BLE001  # whatever it was, parsing here still works, at the price of its memory
        return _parse_here(syntax, text)
    if verdict == "error":
        *told, code = content
        raise BadSyntaxError(*told, code=code)
    tree: dict[str, Any] = unpacked(content)
    return tree


def _parse_here(syntax: str, text: str) -> dict[str, Any]:
    from stayon.runtime.config.parsers import parse

    return parse(syntax, text)


def _output_of(child: Child) -> bytes:
    """All it prints; one that takes too long is killed, which ends the reading."""
    answered = allocate_lock()
    answered.acquire()

    def limit() -> None:
        if not answered.acquire(timeout=TIMEOUT_S):
            child.kill()

    start_thread(limit, "stayon-parse-limit")
    try:
        return b"".join(iter(lambda: os.read(child.output, 65536), b""))
    finally:
        answered.release()
        os.close(child.output)
        child.wait(TIMEOUT_S)
