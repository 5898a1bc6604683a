"""Memory that only the start has needed: pages of the interpreter's and the libraries' files, given back.

They stay in the system's cache, and whatever is needed again is mapped again, without reading it. See
proc_pid_smaps(5) and madvise(2).
"""

from __future__ import annotations

import os

from stayon.platforms.libc import Library, Pointer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SMAPS = "/proc/self/smaps"
# What isn't in the mapping's file (any more).
_WRITTEN = ("Anonymous:", "Swap:")
_MADV_DONTNEED = 4  # <bits/mman-linux.h>


def give_back() -> None:
    """Let the system have what it holds in files anyway. Harmless at any time, from any thread; takes some
    milliseconds. Does nothing where there is no such list.
    """
    try:
        fd = os.open(_SMAPS, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    with open(fd, encoding="utf-8", errors="replace") as file:
        found = unchanged(file)
    libc = Library()
    for begin, end in found:
        libc.madvise(Pointer(begin), Pointer(end - begin), _MADV_DONTNEED)


def unchanged(lines: Iterable[str]) -> list[tuple[int, int]]:
    """Where, by the *lines* of smaps, programs and libraries are mapped of which no page was written to: the mapping's
    begin and end. What was written to is in no file, so that it can't be had again.
    """
    found: list[tuple[int, int, str]] = []
    programs = set()
    is_candidate = False
    for line in lines:
        name, _, rest = line.rstrip("\n").partition(" ")
        if name.endswith(":"):
            if is_candidate and name in _WRITTEN and rest.split()[0] != "0":
                found.pop()
                is_candidate = False
            continue
        # Begin and end, access, offset, device, inode, path.
        begin, _, end = name.partition("-")
        access, _, _, _, path = (*rest.split(None, 4), "", "", "", "", "")[:5]
        is_candidate = path.startswith("/") and access in ("r--p", "r-xp")
        if is_candidate:
            found.append((int(begin, 16), int(end, 16), path))
        if "x" in access:
            programs.add(path)
    return [(begin, end) for begin, end, path in found if path in programs]
