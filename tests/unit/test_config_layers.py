"""Layers: argument > environment > file > default, each value knowing where it came from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.errors import ConfigError
from stayon.runtime.config.key_paths import covers, environment_name, environment_prefix, parsed, shown
from stayon.runtime.config.layers import Layered, Outside, layered
from stayon.runtime.config.sources import Sources
from stayon.runtime.config.values import Text, literal

KNOWN = [("http", "port"), ("http", "host"), ("dsn",), ("log-level",), ("db", "password")]


def lay(tree=None, environment=None, arguments=(), *, known=KNOWN, free=False) -> Layered:
    outside = Outside("price-collector", arguments, Sources(environment or {}, ""))
    return layered(tree if tree is not None else {}, outside, known, free=free)


def test_the_environment_lies_over_the_file_and_arguments_over_both() -> None:
    """The one precedence, with the origin of each."""
    joined = lay(
        {"http": {"port": 1, "host": "file"}, "dsn": "file"},
        {"PRICE_COLLECTOR_HTTP_PORT": "2", "PRICE_COLLECTOR_DSN": "environment", "OTHER_DSN": "x"},
        ["http.port=3"],
    )

    assert joined.tree == {"http": {"port": "3", "host": "file"}, "dsn": "environment"}
    assert joined.origins == {("http", "port"): "argument --set", ("dsn",): "environment PRICE_COLLECTOR_DSN"}
    assert isinstance(joined.tree["http"]["port"], Text)
    assert joined.warnings == ()


def test_names_are_upper_case_with_underscores() -> None:
    """What is not a letter or digit becomes an underscore, in the service's name and in keys."""
    assert environment_prefix("price-collector.v2") == "PRICE_COLLECTOR_V2"
    assert environment_name("A", ("http", "max-size")) == "A_HTTP_MAX_SIZE"
    assert lay(environment={"PRICE_COLLECTOR_LOG_LEVEL": "x"}).tree == {"log-level": "x"}


def test_a_secret_comes_from_a_file_named_by_a_variable(tmp_path) -> None:
    """``NAME_FILE`` is read as containers' secrets are mounted: without the last line end."""
    (tmp_path / "secret").write_text("hunter2\n")
    name = "PRICE_COLLECTOR_DB_PASSWORD_FILE"
    joined = lay(environment={name: str(tmp_path / "secret")})

    assert joined.tree == {"db": {"password": "hunter2"}}
    assert joined.origins == {("db", "password"): f"environment {name}"}
    with pytest.raises(ConfigError, match=rf"environment {name} .*there is no such file"):
        lay(environment={name: str(tmp_path / "none")})
    with pytest.raises(ConfigError, match="is set as well"):
        lay(environment={name: "x", name.removesuffix("_FILE"): "y"})


def test_a_key_that_ends_in_file_is_itself() -> None:
    """A key's own name goes before the ``_FILE`` rule."""
    joined = lay(environment={"PRICE_COLLECTOR_LOG_FILE": "/x"}, known=[("log", "file"), ("log",)])

    assert joined.tree == {"log": {"file": "/x"}}


def test_a_mistyped_variable_is_warned_of() -> None:
    """A typo in a variable's name would be silent otherwise; what isn't near is somebody else's."""
    joined = lay(environment={"PRICE_COLLECTOR_HTTP_PROT": "2", "PRICE_COLLECTOR_HOME": "/x"})

    assert joined.tree == {}
    (warning,) = joined.warnings
    assert "PRICE_COLLECTOR_HTTP_PROT is nearly PRICE_COLLECTOR_HTTP_PORT (http.port), but not the same" in warning
    assert warning.endswith("is ignored")


def test_one_variable_for_two_keys_is_an_error() -> None:
    """``http.port`` and ``http_port`` have one variable, so it can't be used."""
    with pytest.raises(ConfigError, match=r"it could mean http\.port or http_port"):
        lay(environment={"PRICE_COLLECTOR_HTTP_PORT": "1"}, known=[("http", "port"), ("http_port",)])
    assert lay({"http_port": 2}, known=[("http", "port"), ("http_port",)]).tree == {"http_port": 2}


def test_without_a_type_a_variable_makes_a_key() -> None:
    """In the table that its name leads into; a name that sounds secret may end in ``_FILE``."""
    joined = lay(
        {"http": {"tls": {}}}, {"PRICE_COLLECTOR_HTTP_TLS_MIN_VERSION": "1.2", "PRICE_COLLECTOR_NEW": "x"}, free=True
    )

    assert joined.tree == {"http": {"tls": {"min_version": "1.2"}}, "new": "x"}


def test_without_a_type_only_a_secret_is_read_from_a_file(tmp_path) -> None:
    """``LOG_FILE`` may be anybody's; ``API_TOKEN_FILE`` is a secret's."""
    (tmp_path / "token").write_text("hunter2")
    environment = {"PRICE_COLLECTOR_API_TOKEN_FILE": str(tmp_path / "token"), "PRICE_COLLECTOR_LOG_FILE": "/var/log/x"}

    assert lay({}, environment, known=[], free=True).tree == {"api_token": "hunter2", "log_file": "/var/log/x"}


@pytest.mark.parametrize("free", [True, False])
def test_what_kubernetes_sets_for_a_service_of_our_name_is_left_alone(free) -> None:
    """A Kubernetes Service called price-collector gives every pod PRICE_COLLECTOR_PORT=tcp://..."""
    environment = {
        "PRICE_COLLECTOR_SERVICE_HOST": "10.0.0.1",
        "PRICE_COLLECTOR_SERVICE_PORT": "80",
        "PRICE_COLLECTOR_SERVICE_PORT_HTTP": "80",
        "PRICE_COLLECTOR_PORT": "tcp://10.0.0.1:80",
        "PRICE_COLLECTOR_PORT_80_TCP_ADDR": "10.0.0.1",
    }

    assert lay(environment=environment, known=[("port",)], free=free).tree == {}
    assert lay(environment={"PRICE_COLLECTOR_PORT": "80"}, known=[("port",)], free=free).tree == {"port": "80"}


@pytest.mark.parametrize(
    ("argument", "why"),
    [("port", "says no value"), ("=1", "not the path"), ("a..b=1", "not the path"), ("dsn.x=1", "dsn is not a table")],
)
def test_a_bad_argument_is_told(argument, why) -> None:
    """Each kind of a malformed --set is an error with its own words."""
    with pytest.raises(ConfigError, match=why):
        lay({"dsn": "x"}, arguments=[argument])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("false", False), ("0", 0), ("-12", -12), ("+3", 3), ("1.5", 1.5), ("1e3", 1000.0),
        ("-0.5", -0.5), ("007", "007"), ("1.2.3", "1.2.3"), ("1_000", "1_000"), ("", ""), ("yes", "yes"),
        ("True", "True"), ("nan", "nan"), ("inf", "inf"), ('"80"', "80"), ("'true'", "true"), ("1.", "1."), ("٣", "٣"),
        ("-", "-"), ("5s", "5s"),
    ],
)  # fmt: skip
def test_text_without_a_type_is_read_as_toml_would(text, value) -> None:
    """Whole numbers, fractions, true and false; everything else stays text."""
    assert literal(text) == value
    assert type(literal(text)) is type(value)


@given(st.text(max_size=30))
def test_any_text_can_be_a_literal(text) -> None:
    """No text from the environment makes the reader fail."""
    literal(text)


def test_paths_are_shown_as_written() -> None:
    """Positions in brackets, odd keys in quotes, control characters not at all."""
    assert shown(("endpoints", 2, "max-size", "a.b", "x\ny")) == 'endpoints[2].max-size."a.b"."x?y"'
    assert parsed("a.b") == ("a", "b")
    assert covers(("jobs", "*", "every"), ("jobs", "x", "every"))
    assert covers(("http",), ("http", "port"))
    assert covers(("http", "port"), ("http",))
    assert not covers(("http", "port"), ("http", "host"))
