"""The program that PID 1 of a container is while the service runs as its child. It takes in what is orphaned, passes
signals on, ends with the service's exit code, and leaves nothing behind.

Run by path in a Python without anything else, so it imports C halves only, and nothing of ours. All signals are
blocked, and taken one after the other.
"""

from __future__ import annotations

import posix as os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import NoReturn
else:
    import _signal as signal  # the standard module's C half

# How long what is left may take over its end once it has been asked, and over its death.
GRACE_S, BURIAL_S = 2.0, 2.0

# For PID 1 itself, as it reads or writes a terminal in which it is in the background.
OWN_SIGNALS = (signal.SIGCHLD, signal.SIGTTIN, signal.SIGTTOU)


def serve(service: int) -> NoReturn:
    """Until the process *service* has ended; then end. Never returns."""
    code = None
    while code is None:
        number = signal.sigwaitinfo(signal.valid_signals()).si_signo
        if number == signal.SIGCHLD:
            code = reaped(service)
        elif number not in OWN_SIGNALS:
            os.kill(service, number)
    clear()
    os._exit(code)


def reaped(service: int) -> int | None:
    """Take all children that have ended. Gives *service*'s exit code, as shells count it, if it is one of them."""
    code = None
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return code
            if pid == service:
                code = os.waitstatus_to_exitcode(status)
                code = 128 - code if code < 0 else code
    except ChildProcessError:
        return code


def clear() -> None:
    """Ask everything that is left in the container to end, then end it."""
    if os.getpid() != 1:
        return  # it would be everything on the computer
    for number, limit_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, BURIAL_S)):
        deadline = time.monotonic() + limit_s
        try:
            os.kill(-1, number)
        except ProcessLookupError:
            return
        while has_children():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                break
            signal.sigtimedwait([signal.SIGCHLD], left_s)


def has_children() -> bool:
    """Whether there is a child that has not ended."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


if __name__ == "__main__":
    serve(int(sys.argv[1]))
