"""From a tree to ``Settings``, for a service that declares no type; and what every conversion does alike."""

from __future__ import annotations

from stayon.errors import StayonError
from stayon.runtime.config.problems import (
    INVALID_VALUE,
    SECRET_UNAVAILABLE,
    WRONG_TYPE,
    InvalidConfigError,
    Problem,
    masked,
)
from stayon.runtime.config.secrets import Secret, looks_secret, reference_in
from stayon.runtime.config.settings import Settings
from stayon.runtime.config.values import Text, kind_of, literal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon.runtime.config.key_paths import KeyPath
    from stayon.runtime.config.sources import Origins


class _Invalid:
    """Stands where a value would be, had it been valid."""


INVALID = _Invalid()


def convert_untyped(tree: dict[str, Any], origins: Origins) -> Settings:
    """*tree* as ``Settings``, references to secrets resolved. Raises ``InvalidConfigError`` with every problem."""
    conversion = Conversion(origins)
    settings = Settings(conversion.untyped(tree, ()))
    if conversion.problems:
        raise InvalidConfigError(conversion.finished_problems())
    return settings


class Conversion:
    """One conversion: collects ``problems`` instead of raising them, and the ``secrets`` that messages must not
    show.
    """

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self.problems: list[Problem] = []
        self.secrets: list[str] = []

    def finished_problems(self) -> list[Problem]:
        """The problems with their places, and without a word of any secret."""
        return [
            problem.replace(what=masked(problem.what, self.secrets), where=self._origins.place_of(problem.path))
            for problem in self.problems
        ]

    def report(self, path: KeyPath, what: str, hint: str = "", code: str = INVALID_VALUE) -> Any:
        """Note a problem; gives ``INVALID``."""
        self.problems.append(Problem(path, what, hint, code))
        return INVALID

    def note_secret(self, value: object, path: KeyPath) -> None:
        """Remember a text under a key that sounds secret, whatever type it has: no message may show it."""
        if isinstance(value, str) and path and looks_secret(path[-1]):
            self.secrets.append(str(value))

    def mismatch(self, path: KeyPath, expected: str, value: object, hint: str = "") -> Any:
        """Note that *value* is not what was expected, without showing it."""
        return self.report(path, f"expected {expected}, found {kind_of(value)}", hint, WRONG_TYPE)

    def free(self, value: Any) -> Any:
        """*value* as it is; text from outside by its looks."""
        return literal(value) if isinstance(value, Text) else value

    def untyped(self, value: Any, path: KeyPath) -> Any:
        """*value* where no type is given: text from outside by its looks, references to secrets resolved."""
        secret = bool(path) and looks_secret(path[-1])
        if secret and isinstance(value, Text):
            return str(value)
        if secret and reference_in(value):
            return self.secret(value, path)
        if isinstance(value, dict):
            return {key: self.untyped(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.untyped(inner, (*path, index)) for index, inner in enumerate(value)]
        return self.free(value)

    def secret(self, value: Any, path: KeyPath) -> Any:
        """A ``Secret`` of plain text, of ``{ env = "NAME" }`` or of ``{ file = "/run/secrets/name" }``."""
        reference = reference_in(value)
        if reference is not None:
            try:
                value = self._origins.sources.read(*reference)
            except StayonError as error:
                what = f"{error.where}: {error.what}" if error.where else error.what
                return self.report(path, f"its secret is not there: {what}", error.hint, SECRET_UNAVAILABLE)
        if not isinstance(value, str):
            return self.mismatch(path, "a secret", value, 'Write it as text, { env = "NAME" } or { file = "/path" }.')
        self.secrets.append(str(value))
        return Secret(str(value))
