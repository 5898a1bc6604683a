"""The first net of every deadman: a thread that dumps all stacks and ends the process, holding the GIL while it reads
them.
"""

from __future__ import annotations

import faulthandler
import os
import time
from _thread import allocate_lock, start_new_thread

from stayon import exits

STDERR = 2

# How long the first net has before the second falls. Five milliseconds a running thread would do; a busy computer
# needs more.
TURN_S = 1.0
# In the second, from the dump into the crash file to the one on stderr, and from there to the end. Two dumps, because a
# pipe that nobody reads can block the second, and a dead file system the first.
STDERR_DELAY_S = 0.1
END_DELAY_S = 0.3

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class CrashFile:
    """Where the stacks go; made at the first use, mode 0600, and not inherited.

    What a former process left there is gone then: read it before.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def fd(self) -> int:
        """Its descriptor, with nothing in it but what this process has written."""
        if self._fd == -1:
            self._fd = os.open(self._path, _FLAGS | getattr(os, "O_NOFOLLOW", 0), 0o600)
        return self._fd

    def close(self) -> None:
        """Give the descriptor back. The file stays."""
        if self._fd != -1:
            os.close(self._fd)
            self._fd = -1


class Sentry:
    """The first net: a thread that wakes only when the time that it was told last is over."""

    def __init__(self) -> None:
        self._deadline = self._sleeps_until = 0.0
        self._crash_fd = -1
        self._bell = allocate_lock()
        self._bell.acquire()
        # The shift that is on: a thread leaves when it sees another, also if it was slow to hear that it was dismissed.
        self._shift = 0
        self._is_there = False

    def expect(self, timeout_s: float, crash_fd: int) -> None:
        """Dump into *crash_fd* and on stderr, and end with ``exits.HANG``, after *timeout_s* without another call."""
        self._crash_fd = crash_fd
        self._deadline = time.monotonic() + timeout_s
        if not self._is_there:
            self._is_there = True
            self._shift += 1
            start_new_thread(self._stand, (self._shift,))
        elif self._deadline < self._sleeps_until:
            self._ring()

    def dismiss(self) -> None:
        """Expect nothing more; the thread leaves."""
        if self._is_there:
            self._is_there = False
            self._ring()

    def _ring(self) -> None:
        if self._bell.locked():
            self._bell.release()

    def _stand(self, shift: int) -> None:
        while self._is_there and self._shift == shift:
            self._sleeps_until = self._deadline
            left_s = self._sleeps_until - time.monotonic()
            if left_s <= 0:
                self._end()
            self._bell.acquire(timeout=left_s)

    def _end(self) -> None:
        faulthandler.dump_traceback(self._crash_fd, all_threads=True)
        try:
            faulthandler.dump_traceback(STDERR, all_threads=True)
        finally:
            os._exit(exits.HANG)
