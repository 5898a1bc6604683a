"""Compressing old log files, and throwing away the oldest; a crash at any moment costs nothing but doing it again."""

from __future__ import annotations

import os
from _thread import allocate_lock

from stayon.runtime.logs.rotate import LIVE_SUFFIX, PACKED_SUFFIX, UNFINISHED_SUFFIX, numbered, old_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stayon.runtime.logs.rotate import OldFile, Rotation

_CHUNK = 65536

# Two sinks of one log, while one takes over from the other, must not compress the same file at the same time.
_ONE_AT_A_TIME = allocate_lock()


def tidy(directory: str, name: str, rotation: Rotation) -> None:
    """Finish what a crash left, compress what is plain, and remove what is beyond *rotation*. Blocks; may take seconds.

    Raises ``OSError`` after having done all that could be done; calling again goes on from there.
    """
    failures: list[OSError] = []
    with _ONE_AT_A_TIME:
        _clear_leftovers(directory, name, failures)
        _keep(old_files(directory, name), rotation.keep_files, None, failures)
        if rotation.compress:
            for old in old_files(directory, name):
                if not old.packed:
                    _attempt(failures, pack, old.path)
        _keep(old_files(directory, name), rotation.keep_files, rotation.keep_bytes - rotation.max_bytes, failures)
    if failures:
        raise failures[0]


def pack(path: str) -> None:
    """Replace the file at *path* by ``path.gz``: whole or not at all, whenever the computer stops. Blocks."""
    import zlib  # with wbits 31 it writes gzip's format, and ``gzip`` itself needn't be loaded

    unfinished = path + ".gz.tmp"
    try:
        with open(path, "rb", buffering=0) as source, open(unfinished, "wb", opener=_private) as target:
            packer = zlib.compressobj(6, zlib.DEFLATED, 31)
            while chunk := source.read(_CHUNK):
                target.write(packer.compress(chunk))
            target.write(packer.flush())
            target.flush()
            os.fsync(target.fileno())
            times = os.fstat(source.fileno())
        os.utime(unfinished, ns=(times.st_atime_ns, times.st_mtime_ns))
        os.replace(unfinished, path + ".gz")
    except BaseException:
        _unlink(unfinished)
        raise
    os.unlink(path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o640)


def _leftovers(directory: str, name: str) -> list[str]:
    """What a crash while compressing left: half a ``.gz.tmp``, or the plain file beside its finished ``.gz``."""
    files = list(numbered(directory, name))
    packed = {number for _, number, suffix in files if suffix == PACKED_SUFFIX}
    return [
        path
        for path, number, suffix in files
        if suffix == UNFINISHED_SUFFIX or (suffix == LIVE_SUFFIX and number in packed)
    ]


def _clear_leftovers(directory: str, name: str, failures: list[OSError]) -> None:
    for path in _leftovers(directory, name):
        _attempt(failures, _unlink, path)


def _keep(olds: Sequence[OldFile], files: int, room: int | None, failures: list[OSError]) -> None:
    """Remove the oldest of *olds* until at most *files* stay, and *room* bytes are enough for them."""
    used = 0
    for age, old in enumerate(reversed(olds)):
        if room is not None:
            used += _size(old.path)
        if age >= files or (room is not None and used > room):
            _attempt(failures, _unlink, old.path)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _attempt(failures: list[OSError], act: Callable[[str], object], path: str) -> None:
    try:
        act(path)
    except OSError as error:
        failures.append(error)


def _unlink(path: str) -> None:
    try:  # noqa: SIM105  # contextlib is not loaded for this
        os.unlink(path)
    except FileNotFoundError:
        pass
