"""Whose the sets of files are that launchers have put on disk, and the removal of those that are nobody's any more.

A root, such as /var/lib/stayon/runtime, has a directory for each set, called by what is in it; a file ``lock`` which
whoever changes something there holds; and ``users``, where each program that has put a set there, or was installed,
notes which it needs. Only verbs load this, and the start that puts a set there.
"""

from __future__ import annotations

import os
import sys

from stayon.core.record import Record
from stayon.platforms.onefile.holds import Alone, Locked
from stayon.platforms.onefile.program import here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from stayon.platforms.onefile.program import OneFile

USERS, LOCK = "users", "lock"

# The names of sets (``build.payload.set_name``), and those of notes.
_SET_DIGITS, _NOTE_DIGITS = 32, 16
_DIGITS = frozenset("0123456789abcdef")
_NOTE = ".json"
_IS_WINDOWS = sys.platform == "win32"
_NOTE_LIMIT_BYTES = 65536


class Collected(Record):
    """What is gone, and the sets that nobody notes but a running program holds: those go another time."""

    removed: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


def root_of(one_file: OneFile) -> str:
    """The directory that has the sets of *one_file*."""
    return os.path.dirname(one_file.sets[0])


def remember_this() -> None:
    """Note what this program needs, if it is one file."""
    one_file = here()
    if one_file is not None:
        remember(one_file.executable, one_file.sets)


def remember(executable: str, sets: Sequence[str]) -> bool:
    """Note that the program *executable* needs *sets*, by their paths. Gives whether that could be done: an account
    that may not put sets there may not note anything either, and has nothing there of its own.
    """
    # A service may do this, at the start that puts its sets there: ``json`` would stay with it, and is 1.6 MB.
    from _json import encode_basestring_ascii as quoted

    users = os.path.join(os.path.dirname(sets[0]), USERS)
    needed = ", ".join(quoted(os.path.basename(each)) for each in sets)
    path = _note_path(users, executable)
    new = f"{path}.{os.getpid()}"
    try:
        os.makedirs(users, exist_ok=True)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o644)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(f'{{"executable": {quoted(executable)}, "sets": [{needed}]}}')
        os.replace(new, path)
    except OSError:
        return False
    return True


def forget(one_file: OneFile) -> None:
    """Take its note away."""
    try:
        os.unlink(_note_path(os.path.join(root_of(one_file), USERS), one_file.executable))
    except OSError:
        return  # there is none, or it isn't ours


def collect(root: str) -> Collected:
    """Remove the sets below *root* that no program notes which is still there, and that no other process holds; and
    *root* itself if nothing is left in it. Blocks while a launcher changes something there.

    Raises ``OSError`` where this account may not.
    """
    if not os.path.isdir(root):
        return Collected()
    with Locked(os.path.join(root, LOCK)):
        used = _used(os.path.join(root, USERS))
        removed: list[str] = []
        held: list[str] = []
        for name in sorted(os.listdir(root)):
            path = os.path.join(root, name)
            if not _is_name(name, _SET_DIGITS) or name in used or not os.path.isdir(path) or os.path.islink(path):
                continue
            (removed if _remove(path) else held).append(path)
        if not used and not held:
            _remove_root(root)
    return Collected(tuple(removed), tuple(held))


def _used(users: str) -> set[str]:
    """The sets of all programs that are still there; notes of others are removed."""
    used: set[str] = set()
    for name in _listed(users):
        if not name.endswith(_NOTE) or not _is_name(name.removesuffix(_NOTE), _NOTE_DIGITS):
            continue
        path = os.path.join(users, name)
        executable, sets = _read(path)
        if os.path.isfile(executable):
            used.update(sets)
        else:
            os.unlink(path)
    return used


def _read(path: str) -> tuple[str, list[str]]:
    """The program of a note, and its sets; "" where it can't be understood."""
    import json

    try:
        with open(path, encoding="utf-8") as file:
            told = json.loads(file.read(_NOTE_LIMIT_BYTES))
        return str(told["executable"]), [str(each) for each in told["sets"]]
    except (ValueError, TypeError, LookupError):
        return "", []


def _remove(path: str) -> bool:
    """Remove a set; False if another process holds it."""
    with Alone(path) as is_alone:
        if not is_alone:
            return False
        # Nobody finds it half there. What has such a name is a leftover for launchers, too.
        aside = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{os.getpid()}")
        import shutil

        if not _IS_WINDOWS:
            os.rename(path, aside)
            shutil.rmtree(aside)
            return True
        try:
            _move_files(path, aside)
        except PermissionError:
            return False  # one has just been opened: that is how a set is held there
        shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)
        _remove_at_boot(aside)
    return True


def _move_files(path: str, aside: str) -> None:
    """All files of a set to another directory: those that this process has loaded can be renamed, but neither removed
    nor moved with their directory.
    """
    for at, _, names in os.walk(path):
        to = os.path.join(aside, os.path.relpath(at, path))
        os.makedirs(to, exist_ok=True)
        for name in names:
            os.rename(os.path.join(at, name), os.path.join(to, name))


def _remove_at_boot(path: str) -> None:
    """What is still in use there goes at the next start of the computer, or of a launcher, whichever is first."""
    windows: Any = __import__("stayon.platforms.windows.program_file", fromlist=["remove_at_boot"])
    for at, _, names in os.walk(path, topdown=False):
        for name in names:
            windows.remove_at_boot(os.path.join(at, name))
        windows.remove_at_boot(at)


def _remove_root(root: str) -> None:
    """What is left of it besides the lock, which we hold, and the directory of its maker, if they are empty."""
    for remove, path in (
        (os.rmdir, os.path.join(root, USERS)),
        (os.unlink, os.path.join(root, LOCK)),
        (os.rmdir, root),
        (os.rmdir, os.path.dirname(root)),
    ):
        try:
            remove(path)
        except FileNotFoundError:
            continue
        except OSError:
            return  # something is in it; on Windows the lock is open


def _note_path(users: str, executable: str) -> str:
    # FNV-1a: it tells paths apart, and ``hashlib`` would be as heavy as ``json``.
    number = 0xCBF29CE484222325
    for byte in os.path.normcase(executable).encode("utf-8", "surrogatepass"):
        number = (number ^ byte) * 0x100000001B3 % 2**64
    return os.path.join(users, f"{number:0{_NOTE_DIGITS}x}{_NOTE}")


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


def _is_name(name: str, digits: int) -> bool:
    return len(name) == digits and _DIGITS.issuperset(name)
