"""Where a daemon's standard output and error go: a file beside its log, for what neither logs nor was meant to be."""

from __future__ import annotations

import errno
import os
import stat

from stayon.errors import NotPermittedError, UnavailableError

_MODE = 0o640
# What is there at a start and larger becomes the older one, of which one is kept.
_ROTATE_BYTES = 1024 * 1024
_SHOWN_BYTES = 16 * 1024


class Output:
    """The file NAME.err in the directory of the logs, open for appending. What was written from now on is ``news``."""

    def __init__(self, directory: str, name: str) -> None:
        self.path = os.path.join(directory, f"{name}.err")
        try:
            self._rotate()
            self.fd = os.open(
                self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, _MODE
            )
            os.set_blocking(self.fd, True)
        except OSError as error:
            raise self._not_opened(error) from error
        found = os.fstat(self.fd)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            # The directory may be another account's, and root would write where that one can't.
            os.close(self.fd)
            raise self._not_opened(OSError(errno.EPERM, "it is no regular file, or has a second name"))
        self._began = found.st_size

    def give_to(self, uid: int, gid: int) -> None:
        """Have the file belong to another account."""
        os.fchown(self.fd, uid, gid)

    def news(self) -> tuple[str, ...]:
        """The last lines that were written since it was opened; none where they can't be read."""
        try:
            with open(self.path, "rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(self._began, end - _SHOWN_BYTES))
                return tuple(file.read(_SHOWN_BYTES).decode("utf-8", "backslashreplace").splitlines())
        except OSError:
            return ()

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)

    def _rotate(self) -> None:
        try:
            if os.stat(self.path, follow_symlinks=False).st_size > _ROTATE_BYTES:
                os.replace(self.path, f"{self.path}.1")
        except FileNotFoundError:
            return

    def _not_opened(self, error: OSError) -> NotPermittedError | UnavailableError:
        what, why = "the file for its output can't be written", error.strerror or str(error)
        hint = "Correct its owner and permissions, or take it away."
        if error.errno in (errno.EACCES, errno.EPERM, errno.ELOOP):
            return NotPermittedError(what, where=self.path, why=why, hint=hint, code="daemon.output")
        return UnavailableError(what, where=self.path, why=why, hint=hint, code="daemon.output")
