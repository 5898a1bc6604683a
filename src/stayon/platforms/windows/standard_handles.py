"""Standard input, output and error for a process that was started without them."""

from __future__ import annotations

import os
import sys


def open_missing_handles() -> None:
    """Let NUL be in the place of what is missing. The SCM gives none, nor does pythonw.exe: what is printed has to go
    somewhere, and nothing else be in its place. Twice is harmless.
    """
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(fd)
        except OSError:
            # Without a console the C run-time keeps the number, with no handle behind it: the next free one is another.
            null_fd = os.open(os.devnull, os.O_RDWR)
            if null_fd != fd:
                os.dup2(null_fd, fd)
                os.close(null_fd)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(fd, "r" if fd == 0 else "w", encoding="utf-8", closefd=False))
