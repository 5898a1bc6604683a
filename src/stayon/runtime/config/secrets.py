"""Values that no message, log or display may show."""

from __future__ import annotations

from _operator import _compare_digest

from stayon.runtime.config.key_paths import shown
from stayon.runtime.config.problems import MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from stayon.runtime.config.key_paths import KeyPath

_TELLING = (
    *("password", "passwd", "passphrase", "secret", "token", "credential", "pwd", "dsn", "connection_string"),
    *("apikey", "api_key", "private_key", "access_key", "signing_key", "encryption_key"),
)


class Secret:
    """A text that only ``reveal()`` shows. Immutable; equal to a Secret of the same text; can't be pickled."""

    __slots__ = ("_hidden",)
    __secret__ = True
    _hidden: bytes

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_hidden", text.encode("utf-8", "surrogatepass"))

    def reveal(self) -> str:
        """The text itself. Don't keep it longer than needed."""
        return self._hidden.decode("utf-8", "surrogatepass")

    def __setattr__(self, name: str, _value: object) -> NoReturn:
        raise AttributeError(f"a Secret is immutable: {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Secret is immutable: {name!r} cannot be deleted")

    def __repr__(self) -> str:
        return MASK

    def __format__(self, _spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._hidden)

    def __eq__(self, other: object) -> bool:
        """In a time that doesn't tell how much of the text was right."""
        if not isinstance(other, Secret):
            return NotImplemented
        return _compare_digest(self._hidden, other._hidden)

    def __hash__(self) -> int:
        return hash((Secret, self._hidden))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: object) -> Secret:
        return self

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: it would be readable in the pickle")

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> Any:
        """How pydantic makes one of a text (https://docs.pydantic.dev/latest/concepts/types/#custom-types)."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True))


def looks_secret(key: object) -> bool:
    """Whether the name of a key says that its value should not be shown."""
    name = str(key).lower().replace("-", "_")
    return any(word in name for word in _TELLING)


def gives_away(name: str, value: str) -> bool:
    """Whether *value*, of the variable or key *name*, looks like a secret; where one is read from is none."""
    words = name.lower().replace("-", "_").replace(".", "_").split("_")
    if words[-1] == "file" or value.lstrip().startswith("{") or not value:
        return False
    return "key" in words or MASK in displayed((name,), value)


def displayed(path: KeyPath, value: object) -> str:
    """*value* for a display or a log: masked where it, its key or a key above says secret, and passwords within
    addresses.
    """
    if getattr(value, "__secret__", False) or any(map(looks_secret, path)):
        return MASK
    if isinstance(value, dict):
        return "{" + ", ".join(f"{shown((str(key),))} = {displayed((*path, key), value[key])}" for key in value) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(displayed((*path, index), inner) for index, inner in enumerate(value)) + "]"
    return _without_password(value) if isinstance(value, str) else str(value)


def _without_password(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    user, at, place = rest.rpartition("@")
    return repr(f"{scheme}://{user.partition(':')[0]}:{MASK}@{place}" if separator and at and ":" in user else text)


def reference_in(value: object) -> tuple[str, str] | None:
    """``("env", name)`` or ``("file", path)`` if *value* is a table that refers to a secret, else None."""
    if isinstance(value, dict) and len(value) == 1:
        (kind, name), *_ = value.items()
        if kind in ("env", "file") and isinstance(name, str):
            return kind, name
    return None
