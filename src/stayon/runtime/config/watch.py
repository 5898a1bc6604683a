"""What to watch so that no change of a file is missed, however it is made: written, renamed over, or a link swapped."""

from __future__ import annotations

import os

from stayon.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

LINK_LIMIT = 40  # as Linux has it: more links in a row are a loop

# Not the inode's time of access, which reading changes.
_GONE = (0, 0, 0, 0)


class Watched(Record):
    """What a set of files hangs on: *directories* to watch, *names* in them that matter, and a *signature*.

    A watched file reports nothing after an atomic rename or a Kubernetes ``..data`` swap, so directories are watched:
    the one of each file, and of each link on the way. Signatures differ when anything on the way has changed.
    """

    directories: tuple[str, ...]
    names: frozenset[str]
    signature: tuple[tuple[int, ...], ...]

    def concerned(self, names: Iterable[str]) -> bool:
        """Whether a change of entries with these *names* may matter; the empty name may be anything."""
        return any(not name or os.path.normcase(name) in self.names for name in names)


def watched(paths: Iterable[str]) -> Watched:
    """What to watch for *paths* as they lead today. Blocks for some calls of stat. Ask again after every change."""
    directories: dict[str, None] = {}
    names: set[str] = set()
    signature: list[tuple[int, ...]] = []
    for path in paths:
        for place in chain(path):
            directory, name = os.path.split(place)
            directories[directory] = None
            names.add(os.path.normcase(name))  # where case doesn't count, a name is told as it was given first
            signature.append(_signature(place))
    return Watched(tuple(directories), frozenset(names), tuple(signature))


def chain(path: str) -> list[str]:
    """Every place on which it depends what *path* leads to: each link on the way, and the file at its end.

    Where something on the way does not exist, the first missing entry is the end: its directory does exist.
    """
    places: list[str] = []
    drive, rest = os.path.splitdrive(os.path.abspath(path))
    current, parts = drive + os.sep, _parts(rest)
    links = 0
    while parts:
        current = os.path.join(current, parts.pop(0)) if parts[0] != os.pardir else _up(current, parts)
        # (Asked singly, as all that ``lstat`` tells takes Windows ten times as long.)
        target = _target_of(current) if os.path.islink(current) else ""
        is_there = bool(target) or os.path.lexists(current)
        if not is_there or target or not parts:
            places.append(current)
        if not is_there:
            break
        if target and links < LINK_LIMIT:
            links += 1
            drive, target = os.path.splitdrive(target)
            current = drive + os.sep if drive or target.startswith(os.sep) else os.path.dirname(current)
            parts = _parts(target) + parts
    return list(dict.fromkeys(places))


def _up(current: str, parts: list[str]) -> str:
    del parts[0]
    return os.path.dirname(current)


def _parts(path: str) -> list[str]:
    return [part for part in path.replace(os.altsep or os.sep, os.sep).split(os.sep) if part not in ("", os.curdir)]


def _target_of(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:  # it was taken away meanwhile; whoever took it is about to be reported
        return ""


def _signature(place: str) -> tuple[int, ...]:
    try:
        status = os.lstat(place)
    except OSError:
        return _GONE
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
