"""Changes in directories, told by the kernel: inotify(7)."""

from __future__ import annotations

import errno
import os
from _struct import Struct

from stayon.platforms import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# inotify(7), <sys/inotify.h>
_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
_CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0x100, 0x200, 0x400, 0x800
_OVERFLOW, _IGNORED = 0x4000, 0x8000
_ONLY_DIRECTORIES, _ADD_TO_MASK = 0x1000000, 0x20000000

_CHANGES = _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_ENDS = _DELETE_SELF | _MOVE_SELF
_TRIES = 8
_EVENT = Struct("iIII")  # wd, mask, cookie, length of the name that follows


class InotifyWatch:
    """Tells that something in some directories changed. One that is missing, or goes, is waited for from above.

    Where the kernel gives no instance (fs.inotify.max_user_instances) ``fileno`` is -1, and where it gives no further
    watch (max_user_watches) that directory is not watched: the caller's slow poll is the net under both.
    """

    def __init__(self) -> None:
        self._libc = libc.Library()
        self._fd: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wanted: tuple[str, ...] = ()
        self._changes = _CHANGES
        self._watched: dict[int, str] = {}
        self._anchors: set[int] = set()

    def watch(self, directories: Sequence[str], *, writes: bool = False) -> None:
        """Replace the set of watched directories. One that does not exist (yet) is waited for.

        *writes*: tell every single write to a file in them as well, not only its end.
        """
        self._wanted = tuple(directories)
        self._changes = _CHANGES | _MODIFY if writes else _CHANGES
        self._settle()

    def fileno(self) -> int:
        """The descriptor that becomes readable on a change, or -1 where the kernel gave none."""
        return self._fd

    def drain(self) -> set[str]:
        """The names of entries that changed since the last call (empty string: unknown, look at everything).

        Never blocks.
        """
        if self._fd == -1:
            return {""}
        names: set[str] = set()
        settled = True
        for wd, mask, name in self._events():
            if mask & (_OVERFLOW | _IGNORED | _ENDS):
                settled = False
                if wd in self._watched or mask & _OVERFLOW:
                    names.add("")
            elif wd in self._watched:
                names.add(name)
            if wd in self._anchors:
                settled = False
        if not settled and self._settle():
            names.add("")
        return names

    def close(self) -> None:
        """Give the descriptor back; calling it twice is harmless."""
        if self._fd != -1:
            os.close(self._fd)
            self._fd = -1

    def _events(self) -> Iterator[tuple[int, int, str]]:
        while True:
            try:
                block = os.read(self._fd, 65536)
            except BlockingIOError:
                return
            offset = 0
            while offset < len(block):
                wd, mask, _cookie, length = _EVENT.unpack_from(block, offset)
                offset += _EVENT.size + length
                name = block[offset - length : offset].rstrip(b"\0")
                yield wd, mask, os.fsdecode(name)

    def _settle(self) -> bool:
        """Make the kernel's watches those wanted: we want paths, it knows inodes. True if a directory came or went."""
        before, self._watched = self._watched, {}
        anchors_before, self._anchors = self._anchors, set()
        for directory in self._wanted:
            self._follow(directory)
        for wd in (before.keys() | anchors_before) - self._watched.keys() - self._anchors:
            self._libc.inotify_rm_watch(self._fd, wd)
        return self._watched != before

    def _follow(self, directory: str) -> None:
        """Watch *directory* or, while it is missing, the nearest one above, where the way to it will appear."""
        for _ in range(_TRIES):
            wd = self._add(directory, self._changes | _ENDS)
            if wd != -1:
                self._watched[wd] = directory
                return
            below, above = directory, os.path.dirname(directory)
            while libc.errno() in (errno.ENOENT, errno.ENOTDIR) and above != below:
                wd = self._add(above, _CREATE | _MOVED_TO | _ENDS | _ADD_TO_MASK)
                if wd != -1:
                    self._anchors.add(wd)
                    break
                below, above = above, os.path.dirname(above)
            if wd == -1 or not os.path.isdir(below):
                return
            # It appeared between the two looks: look again.

    def _add(self, directory: str, mask: int) -> int:
        wd: int = self._libc.inotify_add_watch(self._fd, os.fsencode(directory), mask | _ONLY_DIRECTORIES)
        return wd
