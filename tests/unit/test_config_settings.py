"""Settings: an untyped configuration, read-only all the way down."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from stayon.runtime.config.settings import Settings

TREE: dict[str, Any] = {"http": {"port": 80, "hosts": ["a", {"b": 1}]}, "keys": 1, "odd-name": 2}


def test_it_reads_in_both_ways() -> None:
    """Attributes and brackets; lists are tuples; a key called like a method is read with brackets."""
    settings = Settings(TREE)

    assert settings.http.port == settings["http"]["port"] == 80
    assert settings.http.hosts[1].b == 1
    assert isinstance(settings.http.hosts, tuple)
    assert settings["keys"] == 1
    assert settings["odd-name"] == settings.get("odd-name") == 2
    assert settings.get("none", 5) == 5
    assert list(settings) == list(settings.keys()) == ["http", "keys", "odd-name"]
    assert ("keys" in settings, "x" in settings, len(settings)) == (True, False, 3)
    assert dict(settings)["keys"] == 1
    assert list(settings.values())[1:] == [1, 2]
    assert "http" in dir(settings)


def test_it_cannot_be_changed() -> None:
    """Not by attribute, not by item, and not through the tree it was made of."""
    tree = copy.deepcopy(TREE)
    settings: Any = Settings(tree)
    tree["http"]["port"] = 81
    with pytest.raises(AttributeError, match="read-only"):
        settings.http = 1
    with pytest.raises(AttributeError, match="read-only"):
        del settings.http
    with pytest.raises(TypeError):
        settings["http"] = 1

    assert settings == Settings(TREE)
    assert hash(settings) == hash(Settings(dict(reversed(TREE.items()))))
    assert copy.deepcopy(settings) is copy.copy(settings) is settings
    assert settings.as_dict() == TREE
    assert settings != TREE


def test_a_mistyped_key_names_the_nearest() -> None:
    """The error helps, and asking with hasattr works."""
    settings = Settings(TREE)
    with pytest.raises(AttributeError, match=r"no key 'prot' here. Did you mean \"port\"\?"):
        _ = settings.http.prot

    assert not hasattr(settings, "prot")
    assert not hasattr(settings, "__array__")
