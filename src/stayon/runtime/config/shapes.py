"""The fields of a configuration type, whichever library it is made with, without importing any of them.

Nothing here imports ``typing``, ``dataclasses``, msgspec or pydantic: whoever wrote a type with them has loaded them,
and the rest is read from the attributes that such types carry.
"""

from __future__ import annotations

import sys

from stayon.core.record import Record
from stayon.errors import UsageError
from stayon.runtime.config.key_paths import ANY
from stayon.runtime.config.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from stayon.runtime.config.key_paths import KeyPath

DATACLASS = "dataclass"
RECORD = "record"
MSGSPEC = "msgspec"
PYDANTIC = "pydantic"

_ABSTRACT = {"Sequence": tuple, "Iterable": tuple, "Collection": tuple, "Mapping": dict, "Set": frozenset}


class _NeedsRestart:
    """Marks a field whose change a running service can't take: ``Annotated[str, needs_restart]``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "needs_restart"


needs_restart = _NeedsRestart()


class Field(Record):
    """One key of a table: its *name* in the file and as an *attribute*, its type, and whether it must be there."""

    name: str
    attribute: str
    type: Any
    required: bool
    restart: bool


def family_of(kind: Any) -> str:
    """What a type of tables is made with; the empty string if it isn't one."""
    if not isinstance(kind, type):
        return ""
    if hasattr(kind, "__pydantic_validator__"):
        return PYDANTIC
    if hasattr(kind, "__struct_fields__"):
        return MSGSPEC
    if hasattr(kind, "__dataclass_fields__"):
        return DATACLASS
    return RECORD if issubclass(kind, Record) else ""


def fields_of(kind: Any) -> tuple[Field, ...]:
    """The fields of a type of tables, in order. Raises ``UsageError`` for what isn't one, or an annotation that isn't
    known.
    """
    if not family_of(kind):
        raise UsageError(
            f"a configuration can't be of the type {getattr(kind, '__qualname__', kind)}",
            hint="Give config= a dataclass, or a model of msgspec or pydantic; without it, keys and values are free.",
            code="config.no-type",
        )
    return {DATACLASS: _of_dataclass, RECORD: _of_record, MSGSPEC: _of_struct, PYDANTIC: _of_model}[family_of(kind)](
        kind
    )


def _of_dataclass(kind: Any) -> tuple[Field, ...]:
    import dataclasses

    return tuple(
        _field(
            (field.name, field.name),
            _resolved(field.type, kind),
            required=field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
            restart=bool(field.metadata.get("restart")),
        )
        for field in dataclasses.fields(kind)
        if field.init
    )


def _of_record(kind: Any) -> tuple[Field, ...]:
    owners = {name: cls for cls in reversed(kind.__mro__) for name in getattr(cls, "__annotations__", ())}
    return tuple(
        _field(
            (name, name), _resolved(owners[name].__annotations__[name], owners[name]), required=not hasattr(kind, name)
        )
        for name in kind.__fields__
    )


def _of_struct(kind: Any) -> tuple[Field, ...]:
    import msgspec

    return tuple(
        _field((field.encode_name, field.name), field.type, required=field.required)
        for field in msgspec.structs.fields(kind)
    )


def _of_model(kind: Any) -> tuple[Field, ...]:
    infos = getattr(kind, "__pydantic_fields__", None) or kind.model_fields
    return tuple(
        _field(
            (info.validation_alias if isinstance(info.validation_alias, str) else name, name),
            info.annotation,
            required=info.is_required(),
            restart=any(extra is needs_restart for extra in info.metadata),
        )
        for name, info in infos.items()
    )


def _field(names: tuple[str, str], kind: Any, *, required: bool, restart: bool = False) -> Field:
    plain, extras = unwrapped(kind)
    return Field(*names, plain, required, restart or any(extra is needs_restart for extra in extras))


def _resolved(annotation: Any, owner: type) -> Any:
    """The type that an annotation written as text means, in the module (and the class) where it stands."""
    if not isinstance(annotation, str):
        return annotation
    for cls in owner.__mro__:
        names = vars(sys.modules.get(cls.__module__, sys))
        try:
            return eval(annotation, dict(names), dict(vars(cls)))  # noqa: S307  # the program's own source
        except NameError:
            continue
    raise UsageError(
        f"the type {annotation!r} of a field of {owner.__qualname__} is not known in {owner.__module__}",
        hint="Define it at the top level of the module.",
        code="config.unknown-type",
    )


def unwrapped(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type inside ``Annotated``, ``NewType``, ``type X = ...``, ``Final`` and the like, and what ``Annotated``
    adds.
    """
    extras: tuple[Any, ...] = ()
    while True:
        if hasattr(kind, "__metadata__"):
            extras += kind.__metadata__
            kind = kind.__origin__
        elif hasattr(kind, "__supertype__"):
            kind = kind.__supertype__
        elif hasattr(kind, "__value__") and not isinstance(kind, type):
            kind = kind.__value__
        elif getattr(origin_of(kind), "_name", "") in ("Final", "ClassVar"):
            kind = kind.__args__[0]
        else:
            return kind, extras


def origin_of(kind: Any) -> Any:
    """``list`` of ``list[int]``; abstract collections count as the plain one that fits; None for a plain type."""
    origin = getattr(kind, "__origin__", None)
    subject = origin or kind
    if getattr(subject, "__module__", "") == "collections.abc":
        return _ABSTRACT.get(getattr(subject, "__name__", ""), origin)
    return origin


def arguments_of(kind: Any) -> tuple[Any, ...]:
    """``(int,)`` of ``list[int]``; ``Sequence[int]`` gives those of ``tuple[int, ...]``."""
    arguments = getattr(kind, "__args__", ()) or ()
    if origin_of(kind) is tuple and getattr(kind, "__origin__", None) is not tuple:
        return (*arguments, ...) if arguments else ()
    return tuple(arguments)


def is_union(kind: Any) -> bool:
    """``A | B``, ``Union[A, B]`` or ``Optional[A]``."""
    return (
        type(kind).__name__ in ("UnionType", "Union")
        or getattr(getattr(kind, "__origin__", None), "_name", "") == "Union"
    )


def is_literal(kind: Any) -> bool:
    """``Literal["a", "b"]``."""
    return getattr(getattr(kind, "__origin__", None), "_name", "") == "Literal"


def is_anything(kind: Any) -> bool:
    """``Any`` or ``object``."""
    return kind is object or kind is getattr(sys.modules.get("typing"), "Any", object)


def tables_in(kind: Any) -> Iterator[tuple[KeyPath, Any]]:
    """The types of tables within *kind*, with the path (``ANY`` for positions and free keys) that leads to each."""
    kind, _ = unwrapped(kind)
    if family_of(kind):
        yield (), kind
    elif is_union(kind):
        for argument in kind.__args__:
            yield from tables_in(argument)
    elif origin_of(kind) in (list, tuple, set, frozenset, dict):
        for argument in arguments_of(kind)[1:] if origin_of(kind) is dict else arguments_of(kind):
            if argument is not ...:
                yield from (((ANY, *path), table) for path, table in tables_in(argument))


def patterns_of(kind: Any, above: KeyPath = (), seen: tuple[Any, ...] = ()) -> Iterator[tuple[KeyPath, Field, bool]]:
    """``(pattern, field, has tables)`` of every field within a type of tables; one that contains itself is not
    followed.
    """
    for field in fields_of(kind):
        path = (*above, field.name)
        inner = [(more, table) for more, table in tables_in(field.type) if table not in seen and table is not kind]
        yield path, field, bool(inner)
        for more, table in inner:
            yield from patterns_of(table, (*path, *more), (*seen, kind))


def settable_paths(kind: Any) -> tuple[tuple[str, ...], ...]:
    """The keys that one environment variable can set: those that aren't tables, nor within a list."""
    return tuple(
        tuple(map(str, path)) for path, _field, has_tables in patterns_of(kind) if ANY not in path and not has_tables
    )


def restart_patterns(kind: Any) -> tuple[KeyPath, ...]:
    """The patterns of the keys that need a restart."""
    return tuple(path for path, field, _ in patterns_of(kind) if field.restart)


def as_tree(value: Any) -> Any:
    """A configuration object as plain dicts, lists and leaves, under the names of the file, to be compared."""
    if isinstance(value, Settings):
        return value.as_dict()
    if isinstance(value, dict):
        return {str(key): as_tree(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_tree(inner) for inner in value]
    if family_of(type(value)):
        return {field.name: as_tree(getattr(value, field.attribute)) for field in fields_of(type(value))}
    return value
