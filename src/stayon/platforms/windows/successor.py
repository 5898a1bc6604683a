"""Starting anew in a console. A process of Windows can't be replaced, so the first one stays, and waits for each of its
successors: whoever started it sees one process, with one exit code.
"""

from __future__ import annotations

import os
import sys

from stayon.platforms.windows import win32
from stayon.platforms.windows.prepare import WAITER
from stayon.platforms.windows.process import process_identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

_THIS_PROCESS = win32.INVALID_HANDLE_VALUE  # what GetCurrentProcess gives
_INFINITE = 0xFFFFFFFF

_kernel32 = win32.Library(
    "kernel32.dll",
    GetCurrentProcessId=">I",
    K32EmptyWorkingSet="P>i",
    SetConsoleCtrlHandler="Pi>i",
    WaitForSingleObject="PI>I",
)

# Its pid, its identity, and the file that takes the environment of the next one.
_waiter: list[str] = []


def remember() -> None:
    """Take note of who waits for us, and let our own children not think that he waits for them."""
    told = os.environ.pop(WAITER, "")
    if told:
        _waiter[:] = told.split(" ", 2)


def become(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Go on as *command*, with *environment* besides our own: this process ends, or never runs Python again, and ends
    when it does. Raises ``OSError`` if it can't be started.
    """
    if _waiter and process_identity(int(_waiter[0])) == _waiter[1]:
        with open(_waiter[2], "w", encoding="utf-8") as file:
            file.write("\0".join(f"{name}={value}" for name, value in environment.items()))
        os._exit(0)
    _stand(command, environment)


def _stand(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Start it, and the next one, until one says nothing of another; its exit code is ours."""
    import subprocess
    import tempfile

    fd, path = tempfile.mkstemp(prefix="stayon")
    os.close(fd)
    pid = os.getpid()
    base = {**os.environ, WAITER: f"{pid} {process_identity(pid)} {path}"}
    _leave_keys_to_successor()
    wanted = dict(environment)
    while True:
        child = subprocess.Popen(command, env={**base, **wanted}, stdin=0, stdout=1, stderr=2)
        _kernel32.K32EmptyWorkingSet(_THIS_PROCESS)
        _wait_alone(int(child._handle))  # type: ignore[attr-defined,unused-ignore]  # noqa: SLF001  # Windows only
        exit_code = child.wait()
        with open(path, "r+", encoding="utf-8") as file:
            text = file.read()
            file.truncate(0)
        if not text:
            os.unlink(path)
            # C's int has a sign, and the codes of crashes are beyond it.
            os._exit(exit_code - 2**32 if exit_code >= 2**31 else exit_code)
        wanted = dict(pair.split("=", 1) for pair in text.split("\0"))


def _wait_alone(process: int) -> None:
    """Until *process* has ended. The GIL is kept meanwhile: what threads the service has left stand still for good."""
    win32.locking(_kernel32.address("WaitForSingleObject"), "PI>I")(process, _INFINITE)


def _leave_keys_to_successor() -> None:
    """Ctrl-C and Ctrl-Break go to both of us, and are the successor's. The handler *is* a function of kernel32, as
    Python can't run: one that gives something other than 0, which means that it is dealt with.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    _kernel32.SetConsoleCtrlHandler(_kernel32.address("GetCurrentProcessId"), 1)
