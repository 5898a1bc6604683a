"""Errors across the control socket: as plain fields on one side, raised again as what they were on the other."""

from __future__ import annotations

from stayon.errors import (
    ConfigError,
    FailedError,
    NotPermittedError,
    StayonError,
    TemporaryError,
    UnavailableError,
    UsageError,
    exit_code_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_KINDS: dict[int, type[StayonError]] = {
    kind.exit_code: kind
    for kind in (UsageError, UnavailableError, FailedError, TemporaryError, NotPermittedError, ConfigError)
}
_TEXTS = ("what", "where", "why", "hint", "code")


def error_fields(error: BaseException) -> dict[str, Any]:
    """*error* as what, where, why, hint, code and exit_code. One that is not ours becomes its name and its message."""
    if isinstance(error, StayonError):
        fields: dict[str, Any] = {name: getattr(error, name) for name in _TEXTS}
        if error.details:
            fields["details"] = list(error.details)
    else:
        fields = {"what": type(error).__name__, "where": "", "why": str(error), "hint": "", "code": StayonError.code}
    return {**fields, "exit_code": exit_code_of(error)}


def error_from(fields: Mapping[str, Any]) -> StayonError:
    """The error that ``error_fields`` described: of the class its exit code has, with the same texts and exit code."""
    texts = {name: str(fields.get(name, "")) for name in _TEXTS}
    exit_code = fields.get("exit_code")
    kind = _KINDS.get(exit_code, StayonError) if isinstance(exit_code, int) else StayonError
    error = kind(texts.pop("what"), **texts)
    error.details = tuple(map(str, fields.get("details", ())))
    if isinstance(exit_code, int):
        error.exit_code = exit_code
    return error
