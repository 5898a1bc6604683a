"""Types of msgspec and pydantic: the keys, secrets and texts from outside are ours to read, the rest is theirs to
judge.
"""

from __future__ import annotations

from stayon.errors import UsageError
from stayon.runtime.config.problems import MISSING_KEY, WRONG_TYPE
from stayon.runtime.config.secrets import Secret
from stayon.runtime.config.shapes import (
    MSGSPEC,
    arguments_of,
    family_of,
    fields_of,
    is_union,
    origin_of,
    unwrapped,
)
from stayon.runtime.config.untyped import INVALID
from stayon.runtime.config.values import MismatchError, Text, is_loaded_type, literal, reader_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon.runtime.config.key_paths import KeyPath
    from stayon.runtime.config.typed import Converter


def convert_by_library(converter: Converter, tree: dict[str, Any], kind: Any, path: KeyPath) -> Any:
    """*tree* as *kind*, a msgspec ``Struct`` or pydantic model; problems go to *converter*."""
    known_problems = len(converter.problems)
    prepared = _prepared(converter, tree, kind, path)
    if len(converter.problems) > known_problems:
        return INVALID
    if family_of(kind) == MSGSPEC:
        return _by_msgspec(converter, prepared, kind, path)
    return _by_pydantic(converter, prepared, kind, path)


def _prepared(converter: Converter, value: Any, kind: Any, path: KeyPath) -> Any:
    """*value* as the library takes it: keys checked, secrets fetched, text from outside read by its type."""
    kind, _ = unwrapped(kind)
    converter.note_secret(value, path)
    if is_union(kind):
        kinds = [argument for argument in kind.__args__ if argument is not type(None)]
        return _prepared(converter, value, kinds[0], path) if len(kinds) == 1 and value is not None else _free(value)
    if family_of(kind) and isinstance(value, dict):
        fields = {field.name: field.type for field in fields_of(kind)}
        converter.unknown_keys(value, list(fields), path)
        return {key: _prepared(converter, inner, fields.get(key, object), (*path, key)) for key, inner in value.items()}
    if is_loaded_type(kind, "pydantic", "SecretStr") or (isinstance(kind, type) and issubclass(kind, Secret)):
        secret = converter.secret(value, path)
        return secret.reveal() if isinstance(secret, Secret) else secret
    if origin_of(kind) in (list, tuple, set, frozenset) and isinstance(value, list) and arguments_of(kind):
        inner_kind = arguments_of(kind)[0]
        return [_prepared(converter, inner, inner_kind, (*path, index)) for index, inner in enumerate(value)]
    if origin_of(kind) is dict and isinstance(value, dict) and arguments_of(kind):
        inner_kind = arguments_of(kind)[1]
        return {key: _prepared(converter, inner, inner_kind, (*path, key)) for key, inner in value.items()}
    if isinstance(value, str) and (isinstance(value, Text) or is_loaded_type(kind, "datetime", "timedelta")):
        return _read(converter, value, kind, path)
    return value


def _read(converter: Converter, value: str, kind: Any, path: KeyPath) -> Any:
    read = reader_for(kind)
    if read is None:
        return converter.value(value, kind, path) if origin_of(kind) in (list, dict) else _free(value)
    try:
        result = read(value)
    except MismatchError as error:
        return converter.mismatch(path, error.expected, value, error.hint)
    return (
        result
        if isinstance(result, (bool, int, float, str, type(None))) or hasattr(result, "total_seconds")
        else str(value)
    )


def _free(value: Any) -> Any:
    return literal(value) if isinstance(value, Text) else value


def _by_msgspec(converter: Converter, tree: Any, kind: Any, path: KeyPath) -> Any:
    import msgspec

    try:
        return msgspec.convert(tree, kind, strict=True, dec_hook=_decoded)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        inner = _path_in(place.rstrip("`"))
        return converter.report((*path, *inner), what.replace("`", ""), code=WRONG_TYPE)


def _decoded(kind: type, value: Any) -> Any:
    """The types that msgspec leaves to its user."""
    if issubclass(kind, Secret):
        return Secret(value)
    read = reader_for(kind)
    if read is None:
        raise UsageError(
            f"a configuration cannot have a field of the type {kind.__name__}",
            hint="Use a type that msgspec or stayon can read.",
            code="config.unsupported-type",
        )
    try:
        return read(value)
    except MismatchError as error:
        raise ValueError(f"expected {error.expected}") from None


def _path_in(place: str) -> KeyPath:
    """From msgspec's ``.endpoints[2].url``; ``[...]`` is any key of a free table, and ends what is known."""
    path: list[str | int] = []
    for part in place.replace("[", ".[").split("."):
        if part.startswith("["):
            if not part[1:-1].isdecimal():
                break
            path.append(int(part[1:-1]))
        elif part:
            path.append(part)
    return tuple(path)


def _by_pydantic(converter: Converter, tree: Any, kind: Any, path: KeyPath) -> Any:
    """In pydantic's strict mode for JSON: text may mean a date, a path or an Enum's member, but never a number."""
    import json

    import pydantic

    text = json.dumps(tree, default=_as_json)
    try:
        return pydantic.TypeAdapter(kind).validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        for found in error.errors(include_url=False, include_context=False, include_input=False):
            code = MISSING_KEY if found["type"] == "missing" else WRONG_TYPE
            converter.report((*path, *found["loc"]), found["msg"][:1].lower() + found["msg"][1:], code=code)
        return INVALID


def _as_json(value: Any) -> str:
    """What JSON has no form for, dates, times and durations, as ISO 8601."""
    if hasattr(value, "total_seconds"):
        return f"PT{value.total_seconds():.6f}S"
    return str(value.isoformat())
