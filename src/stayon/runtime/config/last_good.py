"""A copy of the last configuration file that was applied, for a start that finds a bad one."""

from __future__ import annotations

import os

from stayon.errors import ConfigError, UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.runtime.config.documents import Document

_STEM = "last-good"


class LastGood:
    """Keeps the text of a file as it was written: references to secrets stay references, resolved ones are never in
    it.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def path_of(self, path: str) -> str:
        """Where the copy of the file at *path* is, or would be; it ends as the file does."""
        return os.path.join(self._directory, _STEM + os.path.splitext(path)[1].lower())

    def save(self, document: Document) -> None:
        """Replace the copy, in one step, readable by this account only. Blocks. Raises ``UnavailableError``."""
        path = self.path_of(document.path)
        temporary = f"{path}.new"
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
            with open(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(document.text)
                file.flush()
                os.fsync(descriptor)
            os.replace(temporary, path)
        except OSError as error:
            raise UnavailableError(
                "the last good configuration cannot be kept",
                where=path,
                why=str(error.strerror),
                hint="Free space or change the directory's owner; a bad file will stop the next start.",
                code="config.last-good",
            ) from error

    def load(self, path: str) -> Document | None:
        """The copy of the file at *path*, under that path's name; None if there is none that can be read."""
        from stayon.runtime.config.documents import read_document

        copy = self.path_of(path)
        try:
            return read_document(copy) if os.path.exists(copy) else None
        except ConfigError:
            return None

    def discard(self, path: str) -> None:
        """Take the copy away; a missing one is ignored."""
        copy = self.path_of(path)
        if os.path.exists(copy):
            os.unlink(copy)
