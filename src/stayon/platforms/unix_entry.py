"""The program that a manager on Unix runs: ``python -P unix_entry.py NAME[@INSTANCE] PROGRAM [OPTION ...]``, and
``python -P unix_entry.py --reload NAME[@INSTANCE]`` beside it.

See ``unix_command``. It knows only these lines, so that a service pays neither for the grammar of the verbs nor for
``runpy``.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType
    from typing import NoReturn

    from stayon.ports import Starter


def main(words: Sequence[str]) -> NoReturn:
    """Be the service that *words* tell, or ask it to reload. Never returns."""
    # Nothing that is made on the way is garbage.
    gc.disable()
    # This file is in stayon/platforms; what is installed goes first.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    if len(words) < 2:  # NAME and PROGRAM
        sys.stderr.write("this is what a service manager runs; a person says: python FILE.py\n")
        _end(64)
    if words[0] == "--reload":
        reload(words[1])
    serve(words[0], words[1], tuple(words[2:]))


def serve(called: str, target: str, options: tuple[str, ...]) -> NoReturn:
    """Be the service NAME[@INSTANCE] *called*, which is at *target*, with *options* of ``run``."""
    sys.argv[:] = [target]
    name, _, instance = called.partition("@")
    said: list[BaseException] = []
    try:
        started = _above("started")
        start = started.Start(name, target, instance, options, tuple, str, _found, _end, said.append)
        started.run(start, _starter)
    except BaseException as error:  # noqa: BLE001  # it is the process's last word, and whoever started it gets its code
        _fail(error, is_said=error in said)
    _end(0)  # never reached: ``run`` ends the process


def reload(called: str) -> NoReturn:
    """Have the service NAME[@INSTANCE] *called* read its configuration again."""
    name, _, instance = called.partition("@")
    try:
        _above("reloaded").reload(name, instance)
    except Exception as error:  # noqa: BLE001  # the manager gets its code
        _end(_say(error))
    _end(0)


def _above(name: str) -> ModuleType:
    """A module of the room ``cli``: this program is above all floors, as it joins the platform to the command."""
    module: ModuleType = __import__(f"stayon.cli.{name}", fromlist=[name])
    return module


def _starter() -> Starter:
    from stayon.platforms import current

    return current().starter


def _found(_kinds: Sequence[str]) -> None:
    """All that is loaded now stays."""
    gc.freeze()
    gc.enable()


def _fail(error: BaseException, *, is_said: bool) -> NoReturn:
    """Say why, to the manager as well, and end. Where standard error is the journal, it has been said there."""
    from stayon.core.events import Report
    from stayon.core.states import STOPPED
    from stayon.errors import error_number_of

    code = _code(error) if is_said else _say(error)
    _starter().report(Report(STOPPED, exit_code=code, why=_text(error), error_number=error_number_of(error)))
    _end(code)


def _say(error: BaseException) -> int:
    """Say on standard error why it ends, and give the exit code of that."""
    sys.stderr.write("\n".join([_text(error), *getattr(error, "__notes__", ()), ""]))
    return _code(error)


def _code(error: BaseException) -> int:
    from stayon import exits
    from stayon.errors import exit_code_of

    return exit_code_of(error) or exits.FAILED


def _text(error: BaseException) -> str:
    from stayon.errors import StayonError

    return str(error) if isinstance(error, StayonError) else repr(error)


def _end(exit_code: int, *, asked: bool = False, again: bool = False) -> NoReturn:  # noqa: ARG001  # as Start wants it
    """End the process, from any thread. One that is to be started again says so by its code: only its manager can."""
    from stayon import exits

    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):
                continue  # the program has closed it, or nobody reads it: its exit code says more than that
    os._exit(exits.TEMPORARY if again else exit_code)


if __name__ == "__main__":
    main(sys.argv[1:])
