"""Services that misbehave, each in one way: in a simulation, as a process of its own, or run by the host in one.

``service(mode)`` is a ``Service`` for ``simulate``. ``python -m stayon.testing.naughty MODE`` is a plain process that
prints ``ready``; with a verb behind it (``... MODE run``) it is a hosted service with all verbs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading

from stayon.testing.crew import sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stayon.runtime.service import Service

# How long it takes until somebody misbehaves who is well at first.
SOON_S = 0.2
EXIT_CODE = 3
TIMES = {"start_timeout": "10s", "stop_timeout": "5s", "hook_timeout": "2s", "hang_timeout": "3s"}
MEMORY_STEP, MEMORY_LIMIT = 16 * 1024**2, 512 * 1024**2
GRANDCHILD_LIFE_S = 600


class NaughtyError(Exception):
    """What these services raise."""


def _happy(ctx: Any) -> None:
    """Ready, and leaves when asked to."""
    ctx.ready()
    ctx.stopping.wait()


def _finishes(ctx: Any) -> None:
    """Ready, and done soon after."""
    ctx.ready()
    sleep(SOON_S)


def _fails_at_once(_ctx: Any) -> None:
    """Raises before it is ready."""
    raise NaughtyError("at once")


def _fails_after_ready(ctx: Any) -> None:
    """Ready, and raises soon after."""
    ctx.ready()
    sleep(SOON_S)
    raise NaughtyError("after ready")


def _never_ready(ctx: Any) -> None:
    """Never says that it is ready; leaves when asked to."""
    ctx.stopping.wait()


def _hangs(ctx: Any) -> None:
    """Ready, and then gives no more sign of life, nor does it leave."""
    ctx.ready()
    ctx.heartbeat()
    while True:
        sleep("1h")


def _hangs_with_the_gil(ctx: Any) -> None:
    """As ``hangs``, in C code that lets no other Python code run. For real processes only."""
    ctx.ready()
    sleep(SOON_S)
    if hasattr(ctypes, "WinDLL"):
        ctypes.PyDLL("kernel32").Sleep(3_600_000)
    else:
        ctypes.PyDLL(None).sleep(3600)


def _ignores_stop(ctx: Any) -> None:
    """Ready, and never looks whether it should leave, but gives signs of life."""
    ctx.ready()
    while True:
        ctx.heartbeat()
        sleep(SOON_S)


def _ignores_signals(ctx: Any) -> None:
    """As ``ignores-stop``, and signals don't even reach it. For real processes only."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    _ignores_stop(ctx)


def _raises_on_stop(ctx: Any) -> None:
    """Ready, and raises instead of leaving when asked to."""
    ctx.ready()
    ctx.stopping.wait()
    raise NaughtyError("on stop")


def _exits(ctx: Any) -> None:
    """Ready, and soon after ends by ``SystemExit`` with ``EXIT_CODE``."""
    ctx.ready()
    sleep(SOON_S)
    raise SystemExit(EXIT_CODE)


def _leaves_a_grandchild(ctx: Any) -> None:
    """Starts, by way of a process that ends at once, one in a session of its own, and prints ``grandchild PID``."""
    program = f"import time; time.sleep({GRANDCHILD_LIFE_S})"
    between = (
        "import subprocess, sys\n"
        "quiet = dict.fromkeys(('stdin', 'stdout', 'stderr'), subprocess.DEVNULL)\n"
        "flags = getattr(subprocess, 'DETACHED_PROCESS', 0)\n"
        f"command = [sys.executable, '-c', {program!r}]\n"
        "child = subprocess.Popen(command, start_new_session=True, creationflags=flags, **quiet)\n"
        "print('grandchild', child.pid, flush=True)\n"
    )
    subprocess.run([sys.executable, "-c", between], check=True)
    _happy(ctx)


def _prints_without_end(ctx: Any) -> None:
    """Ready, and prints lines as fast as it can, until asked to leave."""
    ctx.ready()
    while not ctx.stopping:
        sys.stdout.write("as much as it can\n" * 100)
    sys.stdout.flush()


def _closes_its_handles(ctx: Any) -> None:
    """Ready, and closes its standard input, output and error; leaves when asked to."""
    ctx.ready()
    for fd in (0, 1, 2):
        os.close(fd)
    ctx.stopping.wait()


def _eats_memory(ctx: Any) -> None:
    """Ready, and takes memory, up to ``MEMORY_LIMIT``; leaves when asked to."""
    ctx.ready()
    pieces: list[bytearray] = []
    while not ctx.stopping.wait(0.01) and len(pieces) * MEMORY_STEP < MEMORY_LIMIT:
        pieces.append(bytearray(os.urandom(4096)) * (MEMORY_STEP // 4096))
    ctx.stopping.wait()


def _kills_itself(ctx: Any) -> None:
    """Ready, and soon after gone without a word. For real processes only."""
    ctx.ready()
    sleep(SOON_S)
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def _raises_in_hooks(ctx: Any) -> None:
    """A happy one, whose hooks for pause, resume, reload and stop all raise."""
    _happy(ctx)


RUNS: dict[str, Callable[[Any], None]] = {
    function.__name__[1:].replace("_", "-"): function
    for function in (
        _happy, _finishes, _fails_at_once, _fails_after_ready, _never_ready, _hangs, _hangs_with_the_gil, _ignores_stop,
        _ignores_signals, _raises_on_stop, _exits, _leaves_a_grandchild, _prints_without_end, _closes_its_handles,
        _eats_memory, _kills_itself, _raises_in_hooks,
    )
}  # fmt: skip
MODES = tuple(RUNS)


def service(mode: str, **options: Any) -> Service:
    """The service called ``naughty`` that misbehaves by *mode*, one of ``MODES``; *options* are ``Service``'s."""
    from stayon import Service

    made = Service("naughty", **{**TIMES, **options})
    made.run(RUNS[mode], hang_timeout="5s" if mode.startswith("hangs") else None)
    if mode == "raises-in-hooks":
        for declare in (made.on_pause, made.on_resume, made.on_reload, made.on_stop):
            declare(_raise)
    return made


def _raise(*_arguments: object) -> None:
    raise NaughtyError("in a hook")


class PlainContext:
    """What a plain process has of a context: ``ready`` prints a line, SIGTERM and SIGINT set ``stopping``."""

    def __init__(self) -> None:
        self.stopping = PlainFlag()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self.stopping.set())

    def ready(self) -> None:
        """Print ``ready``."""
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    def heartbeat(self) -> None:
        """Nobody watches."""


class PlainFlag(threading.Event):
    """An event with a truth value, as ``ctx.stopping`` has one."""

    def __bool__(self) -> bool:
        return self.is_set()


def main(arguments: list[str]) -> None:
    """Misbehave by the first word; with more words, as a hosted service that is given these."""
    if not arguments or arguments[0] not in RUNS:
        raise SystemExit(f"usage: naughty MODE [VERB ...], MODE being one of {', '.join(MODES)}")
    mode, *words = arguments
    if words:
        made: Any = service(mode)
        made.main(words)
    else:
        RUNS[mode](PlainContext())


if __name__ == "__main__":
    main(sys.argv[1:])
