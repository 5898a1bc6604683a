"""A tree to the user's type, strictly: unknown keys, missing keys and wrong types are all found, and told together."""

from __future__ import annotations

from stayon.errors import UsageError
from stayon.runtime.config.key_paths import shown
from stayon.runtime.config.problems import (
    MISSING_KEY,
    UNKNOWN_KEY,
    WRONG_TYPE,
    InvalidConfigError,
)
from stayon.runtime.config.secrets import Secret
from stayon.runtime.config.shapes import (
    MSGSPEC,
    PYDANTIC,
    arguments_of,
    family_of,
    fields_of,
    is_anything,
    is_literal,
    is_union,
    origin_of,
    unwrapped,
)
from stayon.runtime.config.untyped import INVALID, Conversion
from stayon.runtime.config.values import (
    MismatchError,
    Text,
    choice_reader,
    is_loaded_type,
    reader_for,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stayon.runtime.config.key_paths import KeyPath
    from stayon.runtime.config.sources import Origins


_COLLECTIONS = (list, tuple, set, frozenset)


def convert(tree: dict[str, Any], kind: Any, origins: Origins) -> Any:
    """*tree* as an object of *kind*: a dataclass, a ``Record``, a msgspec ``Struct`` or a pydantic model.

    No message shows a value. Raises ``InvalidConfigError`` with every problem, ``UsageError`` for a type that a
    configuration cannot have.
    """
    converter = Converter(origins)
    result = converter.value(tree, kind, ())
    if converter.problems:
        raise InvalidConfigError(converter.finished_problems())
    return result


class Converter(Conversion):
    """A conversion by type."""

    def value(self, value: Any, kind: Any, path: KeyPath) -> Any:
        """*value* as *kind*, or ``INVALID`` with at least one problem noted."""
        kind, _ = unwrapped(kind)
        self.note_secret(value, path)
        if is_anything(kind):
            return self.free(value)
        if is_union(kind):
            return self._union(value, kind.__args__, path)
        if family_of(kind):
            return self._table(value, kind, path)
        if isinstance(kind, type) and issubclass(kind, Secret):
            return self.secret(value, path)
        read = choice_reader(kind.__args__) if is_literal(kind) else reader_for(kind)
        if read is not None:
            return self._plain(value, read, path)
        return self._collection(value, kind, path)

    def _plain(self, value: Any, read: Callable[[Any], Any], path: KeyPath) -> Any:
        try:
            return read(value)
        except MismatchError as error:
            return self.mismatch(path, error.expected, value, error.hint)

    def _union(self, value: Any, kinds: tuple[Any, ...], path: KeyPath) -> Any:
        """The first alternative that fits. Text from outside is tried as ``str`` last, since that would always fit."""
        if isinstance(value, Text):
            kinds = tuple(sorted(kinds, key=lambda kind: kind is str))
        attempts = []
        for kind in kinds:
            attempt = Converter(self._origins)
            result = attempt.value(value, kind, path)
            self.secrets += attempt.secrets
            if not attempt.problems:
                return result
            attempts.append((kind, attempt.problems))
        meant = [problems for kind, problems in attempts if kind is not type(None) and _may_mean(value, kind)]
        if len(meant) == 1 or (len(kinds) == 2 and type(None) in kinds):
            self.problems += meant[0] if meant else next(found for kind, found in attempts if kind is not type(None))
            return INVALID
        return self.mismatch(path, " or ".join(name_of(kind) for kind in kinds), value)

    def _table(self, value: Any, kind: Any, path: KeyPath) -> Any:
        if isinstance(value, Text):
            value = self._structure(value, path, dict)
        if not isinstance(value, dict):
            return INVALID if value is INVALID else self.mismatch(path, "a table", value)
        if family_of(kind) in (MSGSPEC, PYDANTIC):
            from stayon.runtime.config.libraries import convert_by_library

            return convert_by_library(self, value, kind, path)
        fields = fields_of(kind)
        known_problems = len(self.problems)
        self.unknown_keys(value, [field.name for field in fields], path)
        given = {}
        for field in fields:
            if field.name in value:
                given[field.attribute] = self.value(value[field.name], field.type, (*path, field.name))
            elif field.required:
                self.report(
                    (*path, field.name), "this key is missing", f"It must be {name_of(field.type)}.", MISSING_KEY
                )
        if len(self.problems) > known_problems:
            return INVALID
        try:
            return kind(**given)
        except Exception as error:  # noqa: BLE001  # __post_init__ is the user's validation, and says no as it likes
            return self.report(path, str(error) or type(error).__name__)

    def unknown_keys(self, table: dict[str, Any], known: list[str], path: KeyPath) -> None:
        """Report every key of *table* that isn't *known*, with the nearest that is."""
        for key in table:
            if key not in known:
                from stayon.core.nearest import did_you_mean

                self.report((*path, key), "this key is not known", did_you_mean(str(key), known), UNKNOWN_KEY)

    def _collection(self, value: Any, kind: Any, path: KeyPath) -> Any:
        origin, arguments = origin_of(kind) or kind, arguments_of(kind)
        if origin is dict:
            return self._dict(value, arguments, path)
        if origin not in _COLLECTIONS:
            raise UsageError(
                f"the type {name_of(kind)} cannot be in a configuration",
                where=shown(path),
                hint="Use text, numbers, Path, timedelta, datetime, Enum, Literal, Secret, list, dict or a dataclass.",
                code="config.unsupported-type",
            )
        items = self._structure(value, path, list) if isinstance(value, Text) else value
        if not isinstance(items, list):
            return INVALID if items is INVALID else self.mismatch(path, "a list", value, "Put it in [ ].")
        if origin is tuple and arguments and arguments[-1] is not ...:
            if len(items) != len(arguments):
                return self.report(path, f"expected {len(arguments)} values, found {len(items)}", code=WRONG_TYPE)
            kinds: tuple[Any, ...] = arguments
        else:
            kinds = (arguments[0] if arguments else object,) * len(items)
        converted = [self.value(item, kinds[index], (*path, index)) for index, item in enumerate(items)]
        if INVALID in converted:
            return INVALID
        try:
            return origin(converted)
        except TypeError:
            return self.report(path, "a set cannot have lists or tables in it", code=WRONG_TYPE)

    def _dict(self, value: Any, arguments: tuple[Any, ...], path: KeyPath) -> Any:
        table = self._structure(value, path, dict) if isinstance(value, Text) else value
        if not isinstance(table, dict):
            return INVALID if table is INVALID else self.mismatch(path, "a table", value)
        key_kind, value_kind = arguments or (str, object)
        result = {}
        for key, inner in table.items():
            converted_key = self.value(Text(key), key_kind, (*path, key))
            converted = self.value(inner, value_kind, (*path, key))
            if converted is INVALID or converted_key is INVALID:
                result[INVALID] = INVALID
            else:
                result[converted_key] = converted
        return INVALID if INVALID in result else result

    def _structure(self, text: Text, path: KeyPath, kind: type) -> Any:
        """A list or table that came as text: JSON, or for a list also ``a, b, c``."""
        if kind is list and not text.lstrip().startswith("["):
            return [Text(part.strip()) for part in text.split(",")] if text.strip() else []
        import json

        try:
            structure = json.loads(text)
        except ValueError:
            structure = None
        if isinstance(structure, kind):
            return structure
        return self.mismatch(path, "a list, as JSON or a, b, c" if kind is list else "a table, as JSON", text)


def _may_mean(value: Any, kind: Any) -> bool:
    """Whether someone who wrote *value* was thinking of *kind*: tables for tables, lists for lists, the rest for the
    rest.
    """
    kind, _ = unwrapped(kind)
    if isinstance(value, dict):
        return bool(family_of(kind)) or (origin_of(kind) or kind) is dict
    is_list = (origin_of(kind) or kind) in _COLLECTIONS
    return is_list if isinstance(value, list) else not is_list and not family_of(kind) and reader_for(kind) is not None


_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list", dict: "a table"}


def name_of(kind: Any) -> str:
    """What a type asks for, in words."""
    kind, _ = unwrapped(kind)
    if kind is type(None) or kind is None:
        return "nothing"
    if is_union(kind):
        return " or ".join(name_of(argument) for argument in kind.__args__ if argument is not type(None))
    if is_literal(kind):
        return f"one of {', '.join(map(str, kind.__args__))}"
    if family_of(kind):
        return "a table"
    plain = origin_of(kind) or kind
    if plain in _COLLECTIONS:
        return "a list"
    if is_loaded_type(kind, "datetime", "timedelta"):
        return "a duration"
    return _NAMES.get(plain) or getattr(plain, "__name__", str(plain)).lower()
