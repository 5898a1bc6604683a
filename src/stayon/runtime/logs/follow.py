"""Reading a log while it is written: its last lines, and those that come, across rotation, deletion and truncation."""

from __future__ import annotations

import os

from stayon.runtime.logs.rotate import live_path, old_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Generator, Iterator

    from stayon.runtime.logs.rotate import OldFile
else:
    from _collections import deque  # the C half of ``collections``

POLL_S = 1.0
"""How long ``follow`` waits at most before it looks by itself: not every file system tells of changes."""

_CHUNK = 65536
_LONGEST_LINE = 1024 * 1024
_BEGINNING = 512
_SNAPSHOT_TRIES = 100
# Somebody may have removed one for good.
_GAP_TRIES = 3


def everything(_line: str) -> bool:
    """The ``wanted`` that wants all lines."""
    return True


def open_for_reading(path: str) -> int:
    """A descriptor of the file at *path*. (On Windows hand in one that shares deletion, or nothing can rotate.)"""
    return os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))


def read_last(
    directory: str,
    name: str,
    count: int,
    wanted: Callable[[str], bool] = everything,
    opener: Callable[[str], int] = open_for_reading,
) -> list[str]:
    """The last *count* lines of the log *name* that are *wanted*, oldest first, from old files too.

    A log that isn't there has none; a line without its newline isn't one yet. Raises ``OSError`` for the unreadable.
    """
    reader = _Reader(directory, name, opener)
    try:
        return reader.open_at_end(count, wanted)
    finally:
        reader.close()


def follow(  # noqa: PLR0913  # the last three have defaults that are nearly always right
    directory: str,
    name: str,
    wait: Callable[[float], object],
    last: int = 0,
    wanted: Callable[[str], bool] = everything,
    opener: Callable[[str], int] = open_for_reading,
) -> Generator[str, None, None]:
    """The *last* lines of the log *name*, then all that come, without a gap; the *wanted* ones of them.

    ``wait(timeout_s)`` blocks until something in *directory* has changed or the time is over; it ends all by raising.
    A log that isn't there yet is waited for. Files rotated away in between are read too, compressed or not, in order;
    only what was removed altogether before we came to it is missing.
    """
    reader = _Reader(directory, name, opener)
    try:
        yield from reader.open_at_end(last, wanted)
        while True:
            yield from filter(wanted, reader.new_lines())
            wait(POLL_S)
    finally:
        reader.close()


class _Reader:
    """The live file as far as it is read. It is kept open when it is moved away, for its writer may not know yet."""

    def __init__(self, directory: str, name: str, opener: Callable[[str], int]) -> None:
        self._directory = directory
        self._name = name
        self._opener = opener
        self._fd = -1
        self._piece = b""
        # The number of the newest old file at the moment the live one was opened: the live one becomes the next.
        self._number = 0

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def open_at_end(self, count: int, wanted: Callable[[str], bool]) -> list[str]:
        """Open the live file and read all there is; the last *count* wanted lines of it and of older files."""
        olds = self._open()
        kept = list(deque(filter(wanted, self._drain()), maxlen=count))
        for old in reversed(olds):
            missing = count - len(kept)
            if missing <= 0:
                break
            kept = [*deque(filter(wanted, self._lines_of(old)), maxlen=missing), *kept]
        return kept

    def new_lines(self) -> Iterator[str]:
        """What was written since, as far as it is there now."""
        yield from self._drain()
        if self._begin_again_if_truncated():
            yield from self._drain()
        while self._writer_moved_on():
            # Whoever writes the new file has finished with ours, so now its end is the end.
            yield from self._drain()
            if self._piece:
                yield _text(self._piece)
            beginning, before = self._forget()
            for old in self._open():
                if old.number > before and not (old.number == before + 1 and self._begins(old, beginning)):
                    yield from self._lines_of(old)
            yield from self._drain()

    def _begin_again_if_truncated(self) -> bool:
        if self._fd < 0 or os.fstat(self._fd).st_size >= os.lseek(self._fd, 0, os.SEEK_CUR):
            return False
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._piece = b""
        return True

    def _writer_moved_on(self) -> bool:
        """Whether the live file is not ours any more, and is being written."""
        try:
            status = os.stat(live_path(self._directory, self._name))
        except FileNotFoundError:
            return False
        if self._fd < 0:
            return True
        return _identity(status) != _identity(os.fstat(self._fd)) and status.st_size > 0

    def _forget(self) -> tuple[bytes, int]:
        """Close our file; how it begins, and the number before its own, tell it from the others afterwards."""
        beginning = b""
        if self._fd >= 0:
            os.lseek(self._fd, 0, os.SEEK_SET)
            beginning = os.read(self._fd, _BEGINNING)
            self.close()
        self._piece = b""
        return beginning, self._number

    def _open(self) -> list[OldFile]:
        """Open the live file, if there is one, at its beginning; gives the old files there were at that moment."""
        path = live_path(self._directory, self._name)
        for attempt in range(_SNAPSHOT_TRIES):
            try:
                self._fd = self._opener(path)
                before = _identity(os.fstat(self._fd))
            except FileNotFoundError:
                before = None
            olds = old_files(self._directory, self._name)
            try:
                after = _identity(os.stat(path))
            except FileNotFoundError:
                after = None
            self._number = max((old.number for old in olds), default=self._number)
            if before == after and (attempt >= _GAP_TRIES or _are_all_there(olds)):
                break
            self.close()  # it was rotated while we looked
        return olds

    def _drain(self) -> Iterator[str]:
        while self._fd >= 0 and (chunk := os.read(self._fd, _CHUNK)):
            *lines, self._piece = (self._piece + chunk).split(b"\n")
            for line in lines:
                yield _text(line)
            if len(self._piece) > _LONGEST_LINE:
                piece, self._piece = self._piece, b""
                yield _text(piece)

    def _lines_of(self, old: OldFile) -> Iterator[str]:
        piece = b""
        for chunk in self._chunks(old):
            *lines, piece = (piece + chunk).split(b"\n")
            for line in lines:
                yield _text(line)
        if piece:
            yield _text(piece)

    def _begins(self, old: OldFile, beginning: bytes) -> bool:
        """Whether *old* is the file that began with *beginning*, under the name it has now."""
        if not beginning:
            return False
        found = b""
        for chunk in self._chunks(old):
            found += chunk
            if len(found) >= len(beginning):
                break
        return found.startswith(beginning)

    def _chunks(self, old: OldFile) -> Iterator[bytes]:
        """The content of *old*; nothing if it was removed. It may have been compressed since it was listed."""
        packed = old.packed
        try:
            fd = self._opener(old.path)
        except FileNotFoundError:
            if packed:
                return
            packed = True
            try:
                fd = self._opener(old.path + ".gz")
            except FileNotFoundError:
                return
        import zlib

        unpacker = zlib.decompressobj(31)
        try:
            while chunk := os.read(fd, _CHUNK):
                yield unpacker.decompress(chunk) if packed else chunk
        except zlib.error:
            return  # not ours: we only ever show finished ones
        finally:
            os.close(fd)


def _identity(status: os.stat_result) -> int:
    # (In one directory the device tells nothing more; and Wine says 0 for it now and then, while a file is renamed.)
    return status.st_ino


def _are_all_there(olds: list[OldFile]) -> bool:
    """Whether no number is left out between them: a listing may miss a file that is replaced by its packed one."""
    return not olds or olds[-1].number - olds[0].number == len(olds) - 1


def _text(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")
