"""Files that appear whole, and together, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from types import TracebackType
from typing import Self

from stayon.errors import NotPermittedError, StayonError, UnavailableError

_EXECUTABLE, _PLAIN = 0o755, 0o644


class Output:
    """Files for the directory *folder*, written into one beside and renamed into it by ``commit``. A context manager:
    what hasn't been committed is gone afterwards, and so is *folder* if it was made for it.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._names: list[str] = []
        self._made = ""
        self.staging = ""

    def __enter__(self) -> Self:
        with _told(self._folder):
            self._made = _first_missing(self._folder)
            os.makedirs(self._folder, exist_ok=True)
            self.staging = tempfile.mkdtemp(prefix=".stayon-build-", dir=self._folder)
        return self

    def put(self, name: str, content: bytes, *, is_executable: bool = False) -> str:
        """Write a file; *name* may have directories in it. Gives where it is until ``commit``."""
        path = os.path.join(self.staging, *name.split("/"))
        with _told(os.path.join(self._folder, name)):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
            os.chmod(path, _EXECUTABLE if is_executable else _PLAIN)
        top = name.split("/", 1)[0]
        if top not in self._names:
            self._names.append(top)
        return path

    def commit(self) -> None:
        """Have all of it there. What was there by the same names is replaced."""
        for name in self._names:
            place = os.path.join(self._folder, name)
            with _told(place):
                staged = os.path.join(self.staging, name)
                if os.path.isdir(staged) and os.path.isdir(place):
                    os.rename(place, os.path.join(self.staging, f".old-{name}"))
                os.replace(staged, place)
        self._made = ""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.staging, ignore_errors=True)
        # Directories that were there before stay.
        if self._made:
            shutil.rmtree(self._made, ignore_errors=True)


def _first_missing(folder: str) -> str:
    """The topmost directory on the way to *folder* that isn't there; "" if all are."""
    path, missing = os.path.abspath(folder), ""
    while not os.path.lexists(path):
        path, missing = os.path.dirname(path), path
    return missing


class _told:  # noqa: N801  # it reads as a word: with _told(place)
    """What the system refuses at *place*, as an error of ours."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, OSError):
            return
        raise _refusal(self._place, error) from error


def _refusal(place: str, error: OSError) -> StayonError:
    why = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return NotPermittedError(
            "it cannot be written", where=place, why=why, hint="Name a directory that you may write: --output DIR.",
            code="build.output-rights",
        )  # fmt: skip
    hint = "Free some space, or name another directory: --output DIR."
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        hint = "Name another directory: --output DIR."
    return UnavailableError("it cannot be written", where=place, why=why, hint=hint, code="build.output")
