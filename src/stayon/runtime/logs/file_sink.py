"""The rotating log file: whole lines only, in a file that others may move, on a disk that may be full."""

from __future__ import annotations

import os
import time

from stayon.runtime.logs.rotate import Rotation, are_untidy, live_path, numbered, old_path
from stayon.runtime.logs.stamps import moment_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from stayon.core.entry import Entry

_CHECK_EVERY_S = 1.0
_ROTATE_AGAIN_AFTER_S = 60.0
_FOREVER = float("inf")
_UNKNOWN = -1
_TIME_KEY = b'{"time":"'
_BLOCK = 65536
_LONGEST_TAIL = 1024 * 1024


class FileSink:
    """Writes ``directory/name.log``, and rotates it when it would exceed *rotation*.

    Only one process may have it open: a second instance is kept out by the lock, and a forked child writes but never
    rotates. ``rotation`` may be replaced at any time; its age limit holds from the next file on.
    The age of a file is counted by the monotonic clock, so a jump of the wall clock rotates nothing; what it was when
    we opened it comes from its first record's time, by the wall clock, as nothing else survives a restart.
    *tell* gets (what failed, the error), on any thread, when rotating or compressing fails; writing goes on.
    """

    render: Callable[[Entry, bytes], bytes] | None = None

    def __init__(  # noqa: PLR0913  # three of them are the world, for tests
        self,
        directory: str,
        name: str,
        rotation: Rotation | None = None,
        *,
        tell: Callable[[str, Exception], object] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.rotation = Rotation() if rotation is None else rotation
        self._directory = directory
        self._name = name
        self._path = live_path(directory, name)
        self._tell = tell
        self._monotonic = monotonic
        self._now = now
        self._fd = -1
        self._identity: tuple[int, int] | None = None
        self._size = 0
        self._cut = False
        self._expires = _FOREVER
        self._next_check = 0.0
        self._next_rotation = 0.0
        self._number = _UNKNOWN
        self._owner = os.getpid()
        self._tidying: threading.Thread | None = None

    def open(self) -> None:
        """Open the file now, or raise ``OSError``, and finish what a crash left. Else the first line does that."""
        if self._fd < 0:
            self._open(self._monotonic())

    def write(self, data: bytes, level: int) -> None:  # noqa: ARG002  # other sinks look at the level
        """Append the line *data*, all of it or (raising ``OSError``) nothing."""
        moment = self._monotonic()
        if moment >= self._next_check:
            self._next_check = moment + _CHECK_EVERY_S
            self._close_if_moved()
        if self._fd < 0:
            self._open(moment)
        if not self._size:
            self._expires = self._expiry(moment)
        elif self._size + len(data) > self.rotation.max_bytes or moment >= self._expires:
            self._rotate(moment)
        if self._cut:
            data = b"\n" + data
        written = os.write(self._fd, data)
        if written != len(data):
            self._finish(data, written)
        self._size += len(data)
        self._cut = False

    def reopen(self) -> None:
        """Let the next line go to a file of our name, whatever has become of the one we have."""
        self._close()

    def close(self) -> None:
        """Give the file back. Compressing, if it is going on, is not waited for: the next start finishes it."""
        self._close()

    def wait_tidied(self, timeout_s: float) -> bool:
        """Whether no old file is being compressed, or none is within *timeout_s*. Blocks."""
        if self._tidying is not None:
            self._tidying.join(timeout_s)
        return self._tidying is None or not self._tidying.is_alive()

    def _finish(self, data: bytes, written: int) -> None:
        try:
            while written < len(data):
                written += os.write(self._fd, data[written:])
        except OSError:
            self._take_back(written)
            raise

    def _take_back(self, written: int) -> None:
        """Cut off the part of a line that found room, or, if that can't be done, begin the next line on a new one."""
        try:
            if os.fstat(self._fd).st_size == self._size + written:
                os.ftruncate(self._fd, self._size)
                return
        except OSError:
            pass
        self._size += written
        self._cut = True

    def _open(self, moment: float) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        try:
            fd = os.open(self._path, flags, 0o640)
        except FileNotFoundError:
            os.makedirs(self._directory, 0o750, exist_ok=True)
            fd = os.open(self._path, flags, 0o640)
        self._fd, self._identity, self._size = fd, None, os.lseek(fd, 0, os.SEEK_END)
        self._cut = False
        if self._size:
            self._expires = self._expiry(moment) - self._age_s(_first_bytes(fd))
            self._mend()
        if self._number == _UNKNOWN:
            self._find_number()

    def _find_number(self) -> None:
        """The number of the newest old file. Asked once: what is removed since must not give its number to another."""
        olds = list(numbered(self._directory, self._name))
        self._number = max((number for _, number, _ in olds), default=0)
        if are_untidy([suffix for _, _, suffix in olds], self.rotation):
            self._begin_tidying()

    def _expiry(self, moment: float) -> float:
        return moment + self.rotation.max_age_s if self.rotation.max_age_s else _FOREVER

    def _age_s(self, beginning: bytes) -> float:
        """How old a file is that begins with *beginning*; 0 if it doesn't say, or says it is from the future."""
        if not beginning.startswith(_TIME_KEY):
            return 0.0
        text = beginning[len(_TIME_KEY) :].partition(b'"')[0].decode("ascii", "replace")
        begun = moment_of(text)
        return 0.0 if begun is None else max(0.0, self._now() - begun)

    def _mend(self) -> None:
        """Remove the piece of a line that a crash left at the end."""
        end = _end_of_last_line(self._fd, self._size)
        if end is None:
            self._cut = True
        elif end < self._size:
            os.ftruncate(self._fd, end)
            self._size = end

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _close_if_moved(self) -> None:
        """Somebody may have renamed, deleted or truncated our file: then ours is the next of that name."""
        if self._fd < 0:
            return
        if self._identity is None:  # asked when it is needed: it would hold up the start
            self._identity = _identity(os.fstat(self._fd))
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            self._close()
            return
        if _identity(status) != self._identity:
            self._close()
        else:
            self._size = status.st_size

    def _rotate(self, moment: float) -> None:
        if moment < self._next_rotation or os.getpid() != self._owner:
            return
        self._close()  # Windows renames no open file
        try:
            os.rename(self._path, old_path(self._directory, self._name, self._number + 1))
            self._number += 1
        except OSError as error:
            self._next_rotation = moment + _ROTATE_AGAIN_AFTER_S
            self._number = _UNKNOWN
            self._report("the log file could not be rotated; it goes on growing", error)
        self._open(moment)
        self._begin_tidying()

    def _begin_tidying(self) -> None:
        import threading

        if self._tidying is not None and self._tidying.is_alive():
            return  # it sees the new file, or the next rotation does
        thread = threading.Thread(target=self._tidy, name="stayon-log-tidy", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads; the next rotation tries again
            self._report("old log files could not be compressed or removed", error)
            return
        self._tidying = thread

    def _tidy(self) -> None:
        from stayon.runtime.logs.tidy import tidy

        try:
            tidy(self._directory, self._name, self.rotation)
        except Exception as error:  # noqa: BLE001  # a thread has nobody to raise to
            self._report("old log files could not be compressed or removed", error)

    def _report(self, what: str, error: Exception) -> None:
        if self._tell is not None:
            self._tell(what, error)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _first_bytes(fd: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    return os.read(fd, 64)


def _end_of_last_line(fd: int, size: int) -> int | None:
    """The offset behind the last newline, 0 if there is none; None if it is farther back than our lines are long."""
    end = size
    while end > 0:
        begin = max(0, end - _BLOCK)
        os.lseek(fd, begin, os.SEEK_SET)
        newline = os.read(fd, end - begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        if size - begin > _LONGEST_TAIL:
            return None
        end = begin
    return 0
