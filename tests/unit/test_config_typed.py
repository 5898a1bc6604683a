"""Conversion to the user's type: strict, complete in its report, exact in its places."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, List, Literal, NewType, Optional, Union  # noqa: UP035  # users have them

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core.record import Record
from stayon.errors import UsageError
from stayon.runtime.config.problems import InvalidConfigError
from stayon.runtime.config.secrets import Secret
from stayon.runtime.config.settings import Settings
from stayon.runtime.config.shapes import as_tree, fields_of, needs_restart, restart_patterns, settable_paths
from stayon.runtime.config.sources import Origins, Sources
from stayon.runtime.config.typed import convert
from stayon.runtime.config.untyped import convert_untyped
from stayon.runtime.config.values import Text

Port = NewType("Port", int)


class Level(enum.Enum):
    LOW = "low"
    HIGH = 2


@dataclass(frozen=True)
class Endpoint:
    url: str
    every: datetime.timedelta = datetime.timedelta(seconds=5)
    codes: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Http:
    port: Port = field(default=Port(80), metadata={"restart": True})
    host: str = "localhost"


class Limits(Record):
    most: int
    least: Annotated[int, needs_restart] = 0


@dataclass(frozen=True)
class Config:
    kind: ClassVar[str] = "x"
    name: str
    ratio: float = 0.5
    on: bool = False
    http: Http = field(default_factory=Http)
    limits: Limits | None = None
    endpoints: tuple[Endpoint, ...] = ()
    labels: dict[str, int] = field(default_factory=dict)
    mode: Literal["fast", "slow", 3] = "fast"
    level: Level = Level.LOW
    where: Path = Path()
    pair: tuple[int, str] | None = None
    tags: frozenset[str] = frozenset()
    secret: Secret | None = None
    when: datetime.datetime | None = None
    either: Union[int, List[str], None] = None  # noqa: UP006, UP007  # the old spellings work as well
    maybe: Optional[str] = None  # noqa: UP045  # likewise
    some: Sequence[int] = ()
    map: Mapping[str, Any] = field(default_factory=dict)
    anything: Any = None
    derived: int = field(default=0, init=False)


def made(kind: Any, tree: dict, environment: dict | None = None) -> Any:
    origins = Origins(lambda path: "f.toml", Sources(environment or {}, ""))
    return convert_untyped(tree, origins) if kind is None else convert(tree, kind, origins)


def problems(kind: Any, tree: dict) -> list[str]:
    with pytest.raises(InvalidConfigError) as caught:
        made(kind, tree)
    return [str(problem).removeprefix("f.toml: ") for problem in caught.value.problems]


def test_everything_a_configuration_can_have() -> None:
    """All types at once, from a file's tree."""
    when = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
    config = made(
        Config,
        {
            "name": "x", "ratio": 1, "on": True, "http": {"port": 81}, "limits": {"most": 3},
            "endpoints": [{"url": "a", "every": "1m30s", "codes": [200]}, {"url": "b"}], "labels": {"a": 1}, "mode": 3,
            "level": 2, "where": "/x", "pair": [1, "b"], "tags": ["a", "b"], "secret": {"env": "S"}, "when": when,
            "either": ["a"], "maybe": "y", "some": [1, 2], "map": {"a": [1]}, "anything": {"b": [1]},
        },
        {"S": "hunter2"},
    )  # fmt: skip

    assert config == Config(
        name="x", ratio=1.0, on=True, http=Http(Port(81)), limits=Limits(3),
        endpoints=(Endpoint("a", datetime.timedelta(seconds=90), [200]), Endpoint("b")), labels={"a": 1}, mode=3,
        level=Level.HIGH, where=Path("/x"), pair=(1, "b"), tags=frozenset("ab"), secret=Secret("hunter2"), when=when,
        either=["a"], maybe="y", some=(1, 2), map={"a": [1]}, anything={"b": [1]},
    )  # fmt: skip
    assert type(config.ratio) is float


def test_defaults_are_the_types_own() -> None:
    """What isn't said keeps the default, made anew by a default_factory."""
    assert made(Config, {"name": "x"}) == Config("x")


UNIT_HINT = 'Write it with its unit, for example "5s" or "1m30s".'
SECRET_HINT = 'Write it as text, { env = "NAME" } or { file = "/path" }.'


def test_all_problems_are_told_together() -> None:
    """One line each: unknown with the nearest, missing with what it must be, wrong with what was found."""
    found = problems(
        Config,
        {
            "nmae": "x", "ratio": "0.5", "on": 1, "http": {"prot": 1, "port": True}, "limits": {},
            "endpoints": [{"url": "a"}, {"url": 1, "every": 5}, {"every": "5x", "codes": ["a", 1.5]}], "labels": [],
            "mode": "fats", "level": "medium", "pair": [1], "tags": "a", "secret": 5, "either": {"a": 1}, "where": 1,
        },
    )  # fmt: skip

    assert found == [
        'nmae: this key is not known. Did you mean "name"? [config.unknown-key]',
        "name: this key is missing. It must be text. [config.missing-key]",
        "ratio: expected a number, found text. Take the quotes away. [config.wrong-type]",
        "on: expected true or false, found a whole number [config.wrong-type]",
        'http.prot: this key is not known. Did you mean "port"? [config.unknown-key]',
        "http.port: expected a whole number, found true or false [config.wrong-type]",
        "limits.most: this key is missing. It must be a whole number. [config.missing-key]",
        "endpoints[1].url: expected text, found a whole number. Put it in quotes. [config.wrong-type]",
        f"endpoints[1].every: expected a duration, found a whole number. {UNIT_HINT} [config.wrong-type]",
        "endpoints[2].url: this key is missing. It must be text. [config.missing-key]",
        'endpoints[2].every: expected a duration, for example "5s", "250ms" or "1m30s", found text [config.wrong-type]',
        "endpoints[2].codes[0]: expected a whole number, found text [config.wrong-type]",
        "endpoints[2].codes[1]: expected a whole number, found a number with a fraction [config.wrong-type]",
        "labels: expected a table, found a list [config.wrong-type]",
        "mode: expected one of fast, slow, 3, found text [config.wrong-type]",
        "level: expected one of low, 2, found text [config.wrong-type]",
        "where: expected a path, found a whole number [config.wrong-type]",
        "pair: expected 2 values, found 1 [config.wrong-type]",
        "tags: expected a list, found text. Put it in [ ]. [config.wrong-type]",
        f"secret: expected a secret, found a whole number. {SECRET_HINT} [config.wrong-type]",
        "either: expected a whole number or a list or nothing, found a table [config.wrong-type]",
    ]


def test_a_single_problem_is_one_line() -> None:
    """With the file in front and the code behind; several have a headline."""
    with pytest.raises(InvalidConfigError) as one:
        made(Http, {"port": "80"})
    with pytest.raises(InvalidConfigError) as two:
        made(Http, {"port": "80", "host": 1})

    assert (
        str(one.value) == "f.toml: port: expected a whole number, found text. Take the quotes away. [config.wrong-type]"
    )
    assert (one.value.code, two.value.code, one.value.exit_code) == ("config.wrong-type", "config.invalid", 78)
    assert str(two.value).splitlines()[0] == "2 problems in the configuration [config.invalid]"
    assert len(str(two.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("ratio", "0.25", 0.25), ("on", "yes", True), ("on", "OFF", False), ("labels", '{"a": 1}', {"a": 1}),
        ("mode", "3", 3),
        ("level", "2", Level.HIGH), ("level", "LOW", Level.LOW), ("tags", "a, b", frozenset("ab")),
        ("some", "1,2", (1, 2)),
        ("some", "[1, 2]", (1, 2)), ("some", "", ()), ("secret", "s", Secret("s")), ("either", "5", 5),
        ("either", "a,b", ["a", "b"]),
        ("maybe", "5", "5"), ("maybe", "", None), ("anything", "5", 5), ("name", "5", "5"),
        ("pair", '[1, "b"]', (1, "b")),
        ("when", "2024-05-01T12:00:00+00:00", datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)),
        ("http", '{"port": 5}', Http(Port(5))),
    ],
)  # fmt: skip
def test_text_from_outside_is_read_by_its_type(name, text, value) -> None:
    """Environment and arguments can only say text, so the type says what it means."""
    assert getattr(made(Config, {"name": "x", name: Text(text)}), name) == value


@pytest.mark.parametrize(
    ("name", "text"), [("ratio", "x"), ("on", "2"), ("some", "1,x"), ("some", "[1"), ("labels", "a"), ("limits", "5")]
)
def test_text_from_outside_is_no_less_strict(name, text) -> None:
    """What doesn't read as its type is a problem."""
    assert len(problems(Config, {"name": "x", name: Text(text)})) == 1


@dataclass
class Picky:
    low: int
    password: str = ""

    def __post_init__(self) -> None:
        if self.low > 5:
            raise ValueError(f"low is too high for {self.password}")


@dataclass
class Nest:
    picky: list[Picky]


def test_post_init_validates_with_the_path() -> None:
    """A ValueError of the user's is a problem at its table, and masked."""
    assert problems(Nest, {"picky": [{"low": 1}, {"low": 6, "password": "hunter2"}]}) == [
        "picky[1]: low is too high for *** [config.invalid-value]"
    ]


def test_an_unfit_type_is_the_programs_mistake() -> None:
    """A field that no configuration can fill is a UsageError that names it, not the operator's fault."""

    @dataclass
    class Odd:
        thing: complex

    with pytest.raises(UsageError, match="complex cannot be in a configuration"):
        made(Odd, {"thing": 1})
    Odd.__dataclass_fields__["thing"].type = "Nowhere"  # as __future__ annotations leave it
    with pytest.raises(UsageError, match="'Nowhere' of a field"):
        made(Odd, {"thing": 1})


def test_without_a_type_secrets_are_resolved_and_text_read() -> None:
    """References under secret names become Secrets; text from outside is read by its looks unless it's secret."""
    settings = made(
        None,
        {
            "password": {"env": "S"},
            "place": {"env": "S"},
            "port": Text("80"),
            "token": Text("0123"),
            "list": [{"token": "x"}],
        },
        {"S": "hunter2"},
    )

    assert settings == Settings(
        {"password": Secret("hunter2"), "place": {"env": "S"}, "port": 80, "token": "0123", "list": [{"token": "x"}]}
    )
    assert problems(None, {"password": {"env": "NONE"}}) == [
        "password: its secret is not there: the environment variable NONE is not set [config.secret-unavailable]"
    ]


def test_the_type_tells_which_keys_there_are() -> None:
    """For environment variables, for restarts, and as a plain tree to compare."""
    assert settable_paths(Config)[:5] == (("name",), ("ratio",), ("on",), ("http", "port"), ("http", "host"))
    assert ("limits", "most") in settable_paths(Config)
    assert not any(path[0] == "endpoints" for path in settable_paths(Config))
    assert restart_patterns(Config) == (("http", "port"), ("limits", "least"))
    assert as_tree(Nest([Picky(1)])) == {"picky": [{"low": 1, "password": ""}]}


@dataclass
class Node:
    name: str = ""
    child: Optional[Node] = None  # noqa: UP045  # the spelling that a text can't hide
    children: list[Node] = field(default_factory=list)


def test_a_type_may_contain_itself() -> None:
    """Trees of tables convert, and listing the keys ends."""
    assert made(Node, {"child": {"children": [{"name": "x"}]}}).child.children[0].name == "x"
    assert settable_paths(Node) == (("name",), ("child",), ("children",))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.text(max_size=5).map(Text),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["url", "port", "env", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*Config.__dataclass_fields__, "x"]), JSON, max_size=6))
def test_any_tree_converts_or_is_refused(tree) -> None:
    """Whatever a file says, the result is a Config or an InvalidConfigError."""
    try:
        config = made(Config, tree)
    except InvalidConfigError:
        return
    assert isinstance(config, Config)


@pytest.mark.parametrize("kind", [dict, int, list[str]])
def test_what_has_no_fields_is_no_type_of_a_configuration(kind: object) -> None:
    """A type whose fields nobody knows is refused by name, with what to give instead."""
    with pytest.raises(UsageError, match="dataclass") as caught:
        fields_of(kind)

    assert caught.value.code == "config.no-type"
