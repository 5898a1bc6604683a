"""Who may read and who may change a file, by owners and modes on the way to it. Pure, so it can be tested anywhere.

What access control lists say besides isn't known here; whoever has one is told that it may be otherwise.
"""

from __future__ import annotations

import os
import stat

from stayon.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = 0

# As many as Linux follows (path_resolution(7)).
LINKS_LIMIT = 40

# The bits of a mode, for others; shifted by 3 for the group, and by 6 for the owner.
READ, WRITE, ENTER = 4, 2, 1


class Entry(Record):
    """What lstat(2) says of a file, where a link leads ("" for all else), and whether it has an access control list."""

    mode: int
    uid: int
    gid: int
    link: str = ""
    has_list: bool = False

    @property
    def is_directory(self) -> bool:
        """Whether it is one."""
        return stat.S_ISDIR(self.mode)

    @property
    def permissions(self) -> str:
        """As ls(1) shows them: drwx------."""
        return stat.filemode(self.mode)


class Person(Record):
    """Who runs something: *uid* None is an account that does not exist yet, and owns nothing."""

    name: str
    uid: int | None
    groups: tuple[int, ...] = ()


class Obstacle(Record):
    """The *path* that is in the way, and how its *entry* is (None: it isn't there)."""

    path: str
    entry: Entry | None


def way(path: str, look: Callable[[str], Entry | None]) -> Iterator[tuple[str, Entry | None]]:
    """Everything that is passed on the way from / to *path*, links and where they lead too, and it itself last.

    Ends with the first that isn't there, whose entry is None.
    """
    left = [part for part in path.split("/") if part][::-1]
    links = 0
    here = "/"
    yield here, look(here)
    while left:
        part = left.pop()
        if part in (".", ".."):
            here = os.path.dirname(here) if part == ".." else here
            continue
        step = os.path.join(here, part)
        entry = look(step)
        yield step, entry
        if entry is None:
            return
        if not entry.link:
            here = step
            continue
        links += 1
        if links > LINKS_LIMIT:
            return
        left += [each for each in entry.link.split("/") if each][::-1]
        if entry.link.startswith("/"):
            here = "/"


def may(person: Person, entry: Entry, right: int) -> bool:
    """Whether *person* has *right* (bits of ``READ``, ``WRITE``, ``ENTER``) there: the first class that fits counts."""
    if person.uid == ROOT:
        return True
    shift = 6 if person.uid == entry.uid else 3 if entry.gid in person.groups else 0
    return (entry.mode >> shift) & right == right


def obstacle(path: str, person: Person, look: Callable[[str], Entry | None], right: int = READ) -> Obstacle | None:
    """What keeps *person* from using *path* with *right*; None if nothing does. A directory must be entered, too."""
    passed = [(step, entry) for step, entry in way(path, look) if entry is None or not entry.link]
    for step, entry in passed[:-1]:
        if entry is None or (entry.is_directory and not may(person, entry, ENTER)):
            return Obstacle(step, entry)
    step, entry = passed[-1]
    if entry is None or not may(person, entry, right | ENTER if entry.is_directory else right):
        return Obstacle(step, entry)
    return None


class Trust(Record):
    """Whose hands may change what a service runs: accounts by number, and who is in a group."""

    uids: Sequence[int]
    members: Callable[[int], Sequence[int]]


def meddler(path: str, trust: Trust, look: Callable[[str], Entry | None]) -> tuple[Obstacle, str] | None:
    """Where on the way to *path* somebody else could change what is found there, and who; None if nobody can.

    A sticky directory keeps others from moving what is in it, so it may be passed, but is no place to run from.
    """
    passed = list(way(path, look))
    for number, (step, entry) in enumerate(passed):
        if entry is None:
            return None
        if entry.link:
            continue  # a link's own mode means nothing; who may change it is who may write to its directory
        who = _who_may_change(entry, trust, is_last=number == len(passed) - 1)
        if who:
            return Obstacle(step, entry), who
    return None


def _who_may_change(entry: Entry, trust: Trust, *, is_last: bool) -> str:
    is_sticky = entry.is_directory and entry.mode & stat.S_ISVTX and not is_last
    if entry.uid not in trust.uids:
        return f"the account with the number {entry.uid}"
    if is_sticky:
        return ""
    if entry.mode & stat.S_IWOTH:
        return "everybody"
    if entry.mode & stat.S_IWGRP and entry.gid != ROOT:
        others = [uid for uid in trust.members(entry.gid) if uid not in trust.uids]
        if others:
            return f"the group with the number {entry.gid}"
    return ""
