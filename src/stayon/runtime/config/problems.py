"""What is wrong with a configuration, all of it at once: one line for each problem."""

from __future__ import annotations

from stayon.core.record import Record
from stayon.errors import ConfigError
from stayon.runtime.config.key_paths import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stayon.runtime.config.key_paths import KeyPath

UNKNOWN_KEY = "config.unknown-key"
MISSING_KEY = "config.missing-key"
WRONG_TYPE = "config.wrong-type"
INVALID_VALUE = "config.invalid-value"
SECRET_UNAVAILABLE = "config.secret-unavailable"  # noqa: S105  # a code, not a secret

MASK = "***"


class Problem(Record):
    """One thing that is wrong: which key, where the value came from, what, and what to do. Never the value itself."""

    path: KeyPath
    what: str
    hint: str = ""
    code: str = INVALID_VALUE
    where: str = ""

    def __str__(self) -> str:
        line = ": ".join(part for part in (self.where, shown(self.path), self.what) if part)
        return f"{line}. {self.hint} [{self.code}]" if self.hint else f"{line} [{self.code}]"


class InvalidConfigError(ConfigError):
    """The configuration does not fit; ``problems`` has all that was found. ``str()`` gives one line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        if len(problems) == 1:
            super().__init__(f"{shown(first.path)}: {first.what}" if first.path else first.what, where=first.where)
            self.hint, self.code = first.hint, first.code
        else:
            super().__init__(f"{len(problems)} problems in the configuration", code="config.invalid")
            self.details = tuple(map(str, problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        return super().__str__()


def masked(text: str, secrets: Iterable[str]) -> str:
    """*text* without any of *secrets*; the longest goes first, so that no part of it is left standing."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text
