"""Secrets: nothing but ``reveal`` shows them, wherever they come from and whatever goes wrong."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core.plan import diff
from stayon.errors import ConfigError, StayonError
from stayon.runtime.config.secrets import Secret, displayed, looks_secret, reference_in
from stayon.runtime.config.settings import Settings
from stayon.runtime.config.sources import Sources
from stayon.runtime.config.store import Origin, Store

# No word of any message has this in it.
SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=20).map(
    lambda text: f"q9{text}9q"
)


@given(SECRETS)
def test_nothing_but_reveal_shows_it(text) -> None:
    """repr, str, format, f-strings, and a dataclass around it show three asterisks."""
    secret = Secret(text)

    assert [repr(secret), str(secret), f"{secret}", f"{secret:>40}", "%s" % secret] == ["***"] * 5  # noqa: UP031  # that too
    assert secret.reveal() == text
    assert text not in repr(secret.__reduce_ex__) + repr(dir(secret))
    assert secret.__secret__ is True


def test_a_secret_is_a_value() -> None:
    """Equal by its text, hashable, copied as itself, immutable, and true if there is something in it."""
    secret: Any = Secret("x")

    assert secret == Secret("x")
    assert secret != Secret("y")
    assert secret != "x"
    assert len({secret, Secret("x")}) == 1
    assert copy.deepcopy(secret) is secret
    assert copy.copy(secret) is secret
    assert not Secret("")
    with pytest.raises(AttributeError):
        secret.text = "y"
    with pytest.raises(AttributeError):
        del secret.__secret__
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(secret)


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("password", True),
        ("db-password", True),
        ("API_KEY", True),
        ("auth_token", True),
        ("port", False),
        ("keep", False),
    ],
)
def test_some_names_sound_secret(key, secret) -> None:
    """Without a type, a key's name is what tells."""
    assert looks_secret(key) is secret


def test_displays_are_masked() -> None:
    """By type, by the key's name, by a key above, and within addresses."""
    assert displayed(("x",), Secret("s")) == "***"
    assert displayed(("db", "password"), "s") == "***"
    assert displayed(("secrets", "a"), "s") == "***"
    assert displayed(("url",), "postgres://me:hunter2@host/db") == "'postgres://me:***@host/db'"
    assert displayed(("x",), {"token": "s", "list": [1, {"pwd": "s"}]}) == "{token = ***, list = [1, {pwd = ***}]}"
    assert "hunter2" not in repr(Settings({"a": {"password": "hunter2", "b": [{"token": "hunter2"}]}}))


def test_references_are_tables_of_one_key() -> None:
    """``{ env = "X" }`` and ``{ file = "/x" }`` refer; anything else is itself."""
    assert reference_in({"env": "X"}) == ("env", "X")
    assert reference_in({"file": "/x"}) == ("file", "/x")
    assert [reference_in(other) for other in ({"env": 1}, {"env": "X", "y": 1}, {"key": "X"}, "env", {})] == [None] * 5


def test_sources_notice_a_changed_secret(tmp_path) -> None:
    """A rotated secret is a change though the configuration's file is the same."""
    (tmp_path / "s").write_text("one\n")
    sources = Sources({"A": "x"}, str(tmp_path))

    assert (sources.read("file", "s"), sources.read("env", "A")) == ("one", "x")
    assert sources.unchanged()
    (tmp_path / "s").write_text("two\n")
    assert not sources.unchanged()
    (tmp_path / "s").unlink()
    assert not sources.unchanged()
    assert sources.files() == (str(tmp_path / "s"),)
    with pytest.raises(ConfigError, match="variable B is not set"):
        sources.read("env", "B")


@dataclasses.dataclass
class Database:
    password: Secret
    port: int = 1

    def __post_init__(self) -> None:
        if self.port == 13:
            raise ValueError(f"I don't like {self.password.reveal()}")


@dataclasses.dataclass
class Typed:
    database: Database
    token: str = ""


@given(
    SECRETS,
    st.sampled_from(["'x'", "13", "1\nextra = 1", "true"]),
    st.sampled_from(["'''{0}'''", "{{ env = 'S' }}", "{{ env = 'NONE' }}", "[ '''{0}''' ]"]),
)
def test_no_secret_is_in_any_error_or_display(tmp_path_factory, secret, port, way) -> None:
    """Whatever is wrong beside, above or with it, the text of a secret is in no message, repr, row or difference."""
    plain = secret.replace("'", "").replace("\\", "")
    written = "".join(character for character in way.format(plain) if character.isprintable())
    plain = "".join(character for character in plain if character.isprintable())
    folder = tmp_path_factory.mktemp("s")
    (folder / "a.toml").write_text(f"token = '''{plain}'''\n[database]\npassword = {written}\nport = {port}\n", "utf-8")
    said = []
    for kind in (Typed, None):
        store = Store(Origin("svc", str(folder / "a.toml"), kind=kind), {"S": plain})
        try:
            loaded = store.load()
        except StayonError as error:
            said.append(str(error) + repr(error))
        else:
            said.append(f"{loaded.rows()} {loaded.origins} {diff(loaded.tree, {})}")
            said.append(repr(loaded.config) if kind is None else repr(loaded.config.database))

    assert plain not in "\n".join(said)
