"""Value objects without the import cost of ``dataclasses`` (which loads ``inspect``, ``re`` and ``typing``: 2.6 MB,
12 ms).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_options: object) -> object:
        """Nothing: only type checkers read it."""
        return lambda cls: cls


@dataclass_transform(frozen_default=True, eq_default=True)
class Record:
    """A frozen value: the fields are the class's annotations, in order; a class attribute is a field's default.

    Two records are equal when their classes and their fields are. Defaults are shared, so they must be immutable.
    Constructing with a missing, doubled or unknown field raises ``TypeError``, as a function call would.
    """

    __fields__: tuple[str, ...] = ()
    __match_args__: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        inherited = cls.__fields__
        own = tuple(name for name in cls.__annotations__ if name not in inherited and not name.startswith("__"))
        cls.__fields__ = inherited + own
        cls.__match_args__ = cls.__fields__  # type: ignore[misc]  # mypy takes it for final

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = self.__fields__
        if len(values) == len(fields) and not named:
            # All by position, as those do who make thousands a second.
            self.__dict__.update(zip(fields, values, strict=True))
            return
        if len(values) > len(fields):
            raise TypeError(f"{type(self).__name__} takes {len(fields)} fields, not {len(values)}")
        given = dict(zip(fields, values, strict=False))
        for name, value in named.items():
            if name not in fields:
                raise TypeError(f"{type(self).__name__} has no field {name!r}")
            if name in given:
                raise TypeError(f"{type(self).__name__} was given {name!r} twice")
            given[name] = value
        missing = [name for name in fields if name not in given and not hasattr(type(self), name)]
        if missing:
            raise TypeError(f"{type(self).__name__} needs {', '.join(missing)}")
        self.__dict__.update(given)

    def __setattr__(self, name: str, _value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name!r} cannot be deleted")

    def as_dict(self) -> dict[str, Any]:
        """Every field with its value, in the order of declaration."""
        return {name: getattr(self, name) for name in self.__fields__}

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return type(self)(**{**self.as_dict(), **changes})

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash((type(self), *self.as_dict().values()))

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.as_dict().items())
        return f"{type(self).__name__}({inside})"
