"""``Service`` as users have it: what they declare, and the program that it is."""

from __future__ import annotations

import os
import sys

from stayon.runtime import service as definition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


class Service(definition.Service):
    """A service: what ``stayon.runtime.service.Service`` says, and the program it is."""

    def main(self, words: Sequence[str] | None = None) -> NoReturn:
        """Be the program: ``run`` without words, else the verb they say (default: ``sys.argv``). Never returns.

        The last statement of the user's file, under ``if __name__ == "__main__":``.
        """
        # What a manager runs declares a service, and is no program.
        from stayon.cli.command import execute

        program = _program_name() or self.name
        leave(execute(sys.argv[1:] if words is None else words, program=program, service=self))


def leave(code: int) -> NoReturn:
    """End the process with *code* after flushing and the ``atexit`` functions, without taking the interpreter down.

    Taking it down costs 8 to 14 ms, and a thread that never ends could keep it from ending.
    """
    import atexit

    atexit._run_exitfuncs()  # noqa: SLF001  # what Py_Finalize calls first; there is no other name for it
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            code = code or 1
    os._exit(code)


def _program_name() -> str:
    """How this program was called, for messages: its file's name, or ``python -m MODULE``."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None:
        return f"python -m {spec.name.removesuffix('.__main__')}"
    return os.path.basename(sys.argv[0])
