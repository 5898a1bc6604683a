"""PID 1 in a container: this process splits before it has a second thread. The service goes on as a child, and what
stays behind becomes ``init_process``: it takes orphans in, passes signals on, and ends as the service did.

The service itself can't take orphans in: whoever reaps all children takes those of ``subprocess`` too, which then
believes in an exit code of 0.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # the standard module's C half

# "off": the container has an init of its own beside us, or shall have none.
VARIABLE = "STAYON_INIT"


def split() -> None:
    """Go on as the service, which is a child of PID 1 from here on; PID 1 itself never returns.

    Call it in PID 1, where there is one thread only. Where that isn't so any more, a library that was imported having
    made some, the service begins anew, as fork(2) would leave them behind.
    """
    if os.environ.get(VARIABLE, "").lower() == "off":
        return
    # A runtime may have left this ignored, and then there would be nothing to wait for.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # What comes in between is kept, also across exec: PID 1 is sent nothing for which it has no handler, unless it is
    # blocked.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    alone = _threads() == 1
    try:
        pid = os.fork() if alone else _anew(before)
    except OSError as error:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _tell(f"no init beside the service: {error}; orphans stay zombies")
        return
    if pid == 0:
        own_terminal()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    _become_init(pid)


def own_terminal() -> None:
    """Be a group of one's own, that of the terminal where there is one: Ctrl-C is for the service, not for PID 1, which
    would pass it on as a second one.
    """
    os.setpgid(0, 0)
    for fd in range(3):
        try:
            os.tcsetpgrp(fd, os.getpgrp())
        except OSError:
            continue  # no terminal, or not ours
        return


def _become_init(service: int) -> None:
    """A new Python without what this one has imported: 2.4 MB instead of 4, however much that was."""
    from stayon.platforms import init_process
    from stayon.platforms.onefile.program import INIT, here

    words = ["-I", "-S", init_process.__file__] if here() is None else [INIT]
    try:
        os.execv(sys.executable, [sys.executable, *words, str(service)])  # noqa: S606  # by list
    except OSError:
        init_process.serve(service)


def _anew(mask: set[int]) -> int:
    """The program again from its beginning, as a child."""
    pid = os.posix_spawn(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ, setpgroup=0, setsigmask=mask)
    for fd in range(3):
        try:
            os.tcsetpgrp(fd, pid)
        except OSError:
            continue
        break
    return pid


def _threads() -> int:
    """How many this process has, also such as Python does not know."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def _tell(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")
