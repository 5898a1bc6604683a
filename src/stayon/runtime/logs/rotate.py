"""Old log files: how they are named, and when there are too many.

``NAME.log`` is being written; ``NAME-000017.log`` and ``NAME-000016.log.gz`` are older ones. The number only grows, so
nothing is ever renamed twice, names sort by age, and ``zcat -f NAME-*.log* NAME.log`` prints all there is in order.
"""

from __future__ import annotations

import os

from stayon.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LIVE_SUFFIX = ".log"
PACKED_SUFFIX = ".log.gz"
UNFINISHED_SUFFIX = ".log.gz.tmp"

_DIGITS = 6


class Rotation(Record):
    """When a new file is begun, and how many old ones stay. ``max_age_s`` 0: no limit of age.

    ``keep_bytes`` is for all files of one log together, the one being written counted as full. One that is being
    compressed is there twice for a moment.
    """

    max_bytes: int = 10 * 1024 * 1024
    max_age_s: float = 7 * 86400.0
    keep_files: int = 10
    keep_bytes: int = 100 * 1024 * 1024
    compress: bool = True


class OldFile(Record):
    """A file that is not written any more. ``path`` ends in ``.log``, or in ``.log.gz`` if ``packed``."""

    number: int
    path: str
    packed: bool


def live_path(directory: str, name: str) -> str:
    """The file that the log called *name* is being written to."""
    return os.path.join(directory, name + LIVE_SUFFIX)


def old_path(directory: str, name: str, number: int) -> str:
    """What the live file becomes as the *number*-th one."""
    return os.path.join(directory, f"{name}-{number:0{_DIGITS}d}{LIVE_SUFFIX}")


def old_files(directory: str, name: str) -> list[OldFile]:
    """All old files of the log called *name*, oldest first; one that is there plain and packed appears once, packed.

    A directory that doesn't exist has none. Raises ``OSError`` for one that can't be read.
    """
    found: dict[int, OldFile] = {}
    for path, number, suffix in numbered(directory, name):
        if suffix == PACKED_SUFFIX or (suffix == LIVE_SUFFIX and number not in found):
            found[number] = OldFile(number, path, suffix == PACKED_SUFFIX)
    return [found[number] for number in sorted(found)]


def are_untidy(suffixes: Sequence[str], rotation: Rotation) -> bool:
    """Whether the last run left something to finish, to compress or to remove: old files have these *suffixes*."""
    if len(suffixes) > rotation.keep_files or UNFINISHED_SUFFIX in suffixes:
        return True
    return rotation.compress and LIVE_SUFFIX in suffixes


def numbered(directory: str, name: str) -> Iterator[tuple[str, int, str]]:
    """(path, number, suffix) of each file in *directory* that is named like an old one of *name*."""
    try:
        entries = os.listdir(directory)
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.startswith(name + "-"):
            digits, dot, rest = entry[len(name) + 1 :].partition(".")
            if len(digits) >= _DIGITS and digits.isascii() and digits.isdecimal():
                yield os.path.join(directory, entry), int(digits), dot + rest
