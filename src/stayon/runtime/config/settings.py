"""A configuration without a type: a tree that can be read in both ways, ``config.http.port`` and
``config["http"]["port"]``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
    from typing import Any, NoReturn


class Settings:
    """A read-only mapping, all the way down: tables are ``Settings``, lists are tuples.

    Attributes are for keys that are names; ``keys``, ``items``, ``values``, ``get`` and ``as_dict`` are methods, so a
    key of such a name is read with brackets. ``repr`` masks what its name says is secret.
    """

    __slots__ = ("_tree",)
    _tree: dict[str, Any]

    def __init__(self, tree: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_tree", {key: _frozen(value) for key, value in tree.items()})

    def __getattr__(self, name: str) -> Any:
        try:
            return self._tree[name]
        except KeyError:
            if name.startswith("__"):  # asked by the interpreter and copy, not by a person
                raise AttributeError(name) from None
            from stayon.core.nearest import did_you_mean

            raise AttributeError(
                f"the configuration has no key {name!r} here. {did_you_mean(name, self._tree)}", name=name, obj=None
            ) from None

    def __setattr__(self, name: str, _value: object) -> NoReturn:
        raise AttributeError(f"the configuration is read-only: {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"the configuration is read-only: {name!r} cannot be deleted")

    def __getitem__(self, key: str) -> Any:
        return self._tree[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree)

    def __len__(self) -> int:
        return len(self._tree)

    def __contains__(self, key: object) -> bool:
        return key in self._tree

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Settings):
            return self._tree == other._tree
        return NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self._tree.items()))

    def __repr__(self) -> str:
        from stayon.runtime.config.secrets import displayed, looks_secret

        inside = ", ".join(
            f"{key}={value!r}"
            if isinstance(value, Settings) and not looks_secret(key)
            else f"{key}={displayed((key,), value)}"
            for key, value in self._tree.items()
        )
        return f"Settings({inside})"

    def __copy__(self) -> Settings:
        return self

    def __deepcopy__(self, _memo: object) -> Settings:
        return self

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *filter(str.isidentifier, self._tree)]

    def get(self, key: str, default: Any = None) -> Any:
        """The value of *key*, or *default*."""
        return self._tree.get(key, default)

    def keys(self) -> KeysView[str]:
        """The keys, in the order of the file."""
        return self._tree.keys()

    def values(self) -> ValuesView[Any]:
        """The values."""
        return self._tree.values()

    def items(self) -> ItemsView[str, Any]:
        """Pairs of key and value."""
        return self._tree.items()

    def as_dict(self) -> dict[str, Any]:
        """A copy in plain dicts and lists, which may be changed."""
        return {key: _thawed(value) for key, value in self._tree.items()}


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return Settings(value)
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(inner) for inner in value)
    return value


def _thawed(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.as_dict()
    if isinstance(value, tuple):
        return [_thawed(inner) for inner in value]
    return value
