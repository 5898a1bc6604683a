"""Every error stayon raises on purpose: a stable code, what happened, where, why, and what to do next."""

from __future__ import annotations

from stayon import exits


class StayonError(Exception):
    """The root of all errors. One line says everything; ``code`` stays the same from release to release.

    *what* is a full clause without a full stop; *where* a path, a key or an address; *why* the cause as the system
    gave it;
    *hint* the next thing to do, as a sentence. Raised out of ``run`` or a start hook, ``exit_code`` becomes the
    process's.
    """

    exit_code = exits.FAILED
    code = "stayon.failed"
    # A line each for several causes; they are printed below the first line.
    details: tuple[str, ...] = ()
    # Whether it has been logged to where standard error goes, too.
    is_said = False

    def __init__(self, what: str, *, where: str = "", why: str = "", hint: str = "", code: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.why, self.hint = what, where, why, hint
        if code:
            self.code = code

    def __str__(self) -> str:
        line = self.what
        if self.where:
            line = f"{self.where}: {line}"
        if self.why:
            line = f"{line}: {self.why}"
        if self.hint:
            line = f"{line}. {self.hint}"
        return "\n".join([f"{line} [{self.code}]", *(f"  {detail}" for detail in self.details)])


class UsageError(StayonError):
    """stayon, or its API, was used wrongly. Exit code 64."""

    exit_code = exits.USAGE
    code = "usage"


class UnavailableError(StayonError):
    """A needed thing is not there: a port in use, a host that is down. Exit code 69; a restart may help."""

    exit_code = exits.UNAVAILABLE
    code = "unavailable"


class FailedError(StayonError):
    """The service failed. Exit code 70."""

    exit_code = exits.FAILED
    code = "failed"


class TemporaryError(StayonError):
    """It may work in a moment, so ask again. Exit code 75; another instance is running is one of these."""

    exit_code = exits.TEMPORARY
    code = "temporary"


class NotPermittedError(StayonError):
    """The account lacks a right. Exit code 77; managers do not restart."""

    exit_code = exits.NOT_PERMITTED
    code = "not-permitted"


class ConfigError(StayonError):
    """The configuration is wrong. Exit code 78; managers do not restart."""

    exit_code = exits.BAD_CONFIG
    code = "config"


class HangError(StayonError):
    """Something gave no sign of life for too long. Exit code 86."""

    exit_code = exits.HANG
    code = "hang"


def error_number_of(error: BaseException) -> int:
    """The errno of *error*, or of what caused it; 0 if there is none."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and isinstance(cause.errno, int):
            return cause.errno
        cause = cause.__cause__
    return 0


def exit_code_of(error: BaseException) -> int:
    """The exit code an exception asks for: its own where it is ours, ``SystemExit``'s, else 70."""
    if isinstance(error, StayonError):
        return error.exit_code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else exits.DONE if error.code is None else exits.FAILED
    return exits.FAILED
