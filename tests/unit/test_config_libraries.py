"""msgspec and pydantic as the types of a configuration: the same strictness, their own validation."""

from __future__ import annotations

import datetime
import enum
from pathlib import Path
from typing import Annotated, Any, Optional

import pytest

from stayon.errors import UsageError
from stayon.runtime.config.problems import InvalidConfigError
from stayon.runtime.config.secrets import Secret
from stayon.runtime.config.shapes import as_tree, needs_restart, restart_patterns, settable_paths
from stayon.runtime.config.sources import Origins, Sources
from stayon.runtime.config.typed import convert
from stayon.runtime.config.values import Text

pytest.importorskip("msgspec", reason="msgspec isn't installed: pip install stayon[msgspec]")
pytest.importorskip("pydantic", reason="pydantic isn't installed: pip install stayon[pydantic]")

import msgspec  # skipped without it
import pydantic  # skipped without it


class Level(enum.Enum):
    LOW = "low"


class StructEndpoint(msgspec.Struct):
    url: str
    every: datetime.timedelta = datetime.timedelta(seconds=5)


class StructConfig(msgspec.Struct, frozen=True):
    name: str
    port: Annotated[int, msgspec.Meta(ge=1), needs_restart] = 80
    endpoints: list[StructEndpoint] = []  # msgspec copies it
    secret: Optional[Secret] = None  # noqa: UP045  # msgspec evaluates it
    where: Path = Path()
    level: Level = Level.LOW
    labels: dict[str, int] = {}  # msgspec copies it
    tags: list[str] = []  # msgspec copies it
    when: Optional[datetime.datetime] = None  # noqa: UP045  # msgspec evaluates it


class ModelEndpoint(pydantic.BaseModel):
    url: str
    every: datetime.timedelta = datetime.timedelta(seconds=5)


class ModelConfig(pydantic.BaseModel, frozen=True):
    name: str
    port: Annotated[int, pydantic.Field(ge=1), needs_restart] = 80
    endpoints: list[ModelEndpoint] = []  # pydantic copies it
    secret: Optional[Secret] = None  # noqa: UP045  # pydantic evaluates it
    where: Path = Path()
    level: Level = Level.LOW
    labels: dict[str, int] = {}  # pydantic copies it
    tags: list[str] = []  # pydantic copies it
    when: Optional[datetime.datetime] = None  # noqa: UP045  # pydantic evaluates it

    @pydantic.field_validator("name")
    @classmethod
    def _check(cls, name: str) -> str:
        if name == "bad":
            raise ValueError("the name is bad")
        return name


BOTH = pytest.mark.parametrize("kind", [StructConfig, ModelConfig])


def made(kind: Any, tree: dict) -> Any:
    return convert(tree, kind, Origins(lambda path: "f.toml", Sources({"S": "hunter2"}, "")))


def problems(kind: Any, tree: dict) -> list[str]:
    with pytest.raises(InvalidConfigError) as caught:
        made(kind, tree)
    return [str(problem).removeprefix("f.toml: ") for problem in caught.value.problems]


@BOTH
def test_a_good_tree_converts(kind) -> None:
    """Durations as text, dates as TOML has them, secrets by reference, paths and enums."""
    when = datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC)
    config = made(
        kind,
        {
            "name": "x", "port": 81, "endpoints": [{"url": "a", "every": "1m"}], "secret": {"env": "S"}, "where": "/x",
            "level": "low", "labels": {"a": 1}, "tags": ["a"], "when": when,
        },
    )  # fmt: skip

    assert (config.name, config.port, config.endpoints[0].every) == ("x", 81, datetime.timedelta(minutes=1))
    assert (config.secret, config.where, config.level, config.labels) == (
        Secret("hunter2"),
        Path("/x"),
        Level.LOW,
        {"a": 1},
    )
    assert (config.tags, config.when) == (["a"], when)
    assert as_tree(config)["endpoints"] == [{"url": "a", "every": datetime.timedelta(minutes=1)}]


@BOTH
def test_text_from_outside_is_read_by_its_type(kind) -> None:
    """Environment and arguments, as for dataclasses."""
    config = made(kind, {"name": Text("5"), "port": Text("81"), "tags": Text("a,b"), "secret": Text("s")})

    assert (config.name, config.port, config.tags, config.secret) == ("5", 81, ["a", "b"], Secret("s"))


@BOTH
def test_unknown_keys_are_refused(kind) -> None:
    """Though neither library refuses them by itself; nested ones, too."""
    assert problems(kind, {"name": "x", "prot": 1, "endpoints": [{"url": "a", "evry": 1}]}) == [
        'prot: this key is not known. Did you mean "port"? [config.unknown-key]',
        'endpoints[0].evry: this key is not known. Did you mean "every"? [config.unknown-key]',
    ]


@BOTH
@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"name": 5}, "name"),
        ({"name": "x", "port": "80"}, "port"),
        ({"name": "x", "port": 0}, "port"),
        ({"name": "x", "port": True}, "port"),
        ({"name": "x", "endpoints": [{"url": "a"}, {"url": 1}]}, "endpoints[1].url"),
        ({"name": "x", "level": "none"}, "level"),
        ({"name": "x", "port": Text("x")}, "port"),
        ({"name": "x", "endpoints": [{"url": "a", "every": "5x"}]}, "endpoints[0].every"),
        ({"name": "x", "secret": {"env": "NONE"}}, "secret"),
    ],
)
def test_a_wrong_value_is_told_with_its_path(kind, tree, path) -> None:
    """No silent conversion, and the library's reason in our form."""
    (problem,) = problems(kind, tree)

    assert problem.startswith(f"{path}: ")


def test_the_libraries_words_are_kept() -> None:
    """What only the library knows, it says."""
    assert problems(StructConfig, {"name": "x", "port": 0}) == ["port: Expected int >= 1 [config.wrong-type]"]
    assert problems(ModelConfig, {"name": "bad", "port": 0}) == [
        "name: value error, the name is bad [config.wrong-type]",
        "port: input should be greater than or equal to 1 [config.wrong-type]",
    ]
    assert problems(ModelConfig, {}) == ["name: field required [config.missing-key]"]


@BOTH
def test_the_type_tells_which_keys_there_are(kind) -> None:
    """Keys for environment variables, and those that need a restart."""
    assert ("port",) in settable_paths(kind)
    assert restart_patterns(kind) == (("port",),)


def test_a_type_that_nobody_can_read_is_told_by_name() -> None:
    """The program is wrong there, not the file: a UsageError, and not what msgspec makes of it."""

    class Odd:
        pass

    kind = msgspec.defstruct("Config", [("odd", Odd)])
    with pytest.raises(UsageError, match=r"type Odd.*\[config.unsupported-type\]"):
        convert({"odd": "x"}, kind, Origins(lambda _path: "f.toml", Sources({}, "")))
