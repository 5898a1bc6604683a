"""What may bound a service: sizes, shares, counts, limits, directories and sockets, as an installation has them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core import bounds
from stayon.core.installation import ALLOWANCES, checked_options
from stayon.errors import UsageError


def _wrong(**said: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        checked_options(said)
    assert caught.value.code == "spec.installation"
    assert caught.value.hint, "what to do is said"
    return caught.value


def test_everything_is_unbound_unless_it_is_said() -> None:
    """Without a word there is no limit, nothing is allowed, and no socket is opened."""
    fields = checked_options({})

    assert (fields["memory_bytes"], fields["cpu_percent"], fields["tasks"]) == (0, 0.0, 0)
    assert fields["limits"] == fields["allow"] == fields["writes"] == fields["sockets"] == ()


@pytest.mark.parametrize(
    ("said", "size"),
    [("200M", 200 * 1024**2), ("1.5G", 1536 * 1024**2), ("64 MiB", 64 * 1024**2), ("2gb", 2 * 1024**3), (2**30, 2**30)],
)
def test_memory_is_a_size(said: str | int, size: int) -> None:
    """A number of bytes, or text with a unit, which is one of 1024 whatever it is called."""
    assert checked_options({"memory": said})["memory_bytes"] == size


@pytest.mark.parametrize("said", ["", "much", "200Q", -1, 0, True, 1.5, "1..5M", "M", "0M"])
def test_what_is_no_size_is_refused(said: Any) -> None:
    """The message has what was said."""
    assert repr(said) in str(_wrong(memory=said))


def test_a_size_without_its_unit_is_noticed() -> None:
    """memory=200 are 200 bytes, with which nothing can run: it asks whether MiB were meant."""
    assert '"200M"' in str(_wrong(memory=200))


@pytest.mark.parametrize(("said", "share"), [("50%", 50.0), ("150 %", 150.0), (25, 25.0), ("12.5", 12.5)])
def test_cpu_is_percent_of_a_processor(said: Any, share: float) -> None:
    """With or without the sign; more than 100 are more than one processor."""
    assert checked_options({"cpu": said})["cpu_percent"] == share


@pytest.mark.parametrize("said", [0.5, "0%", "half", -3, True, "5%%"])
def test_what_is_no_share_is_refused(said: Any) -> None:
    """0.5 may be meant as one half, so it is not taken for half a percent."""
    assert "50%" in str(_wrong(cpu=said))


@pytest.mark.parametrize("said", [0, -1, "many", 1.5, True])
def test_tasks_are_counted_from_one_on(said: Any) -> None:
    """As a number, or as text of one, which is how the command line has it."""
    assert checked_options({"tasks": "64"})["tasks"] == 64
    _wrong(tasks=said)


@pytest.mark.parametrize(
    ("name", "said", "limit"),
    [
        ("nofile", 65536, "65536"),
        ("nofile", "1024:65536", "1024:65536"),
        ("nofile", "unlimited", "infinity"),
        ("core", 0, "0"),
        ("memlock", "64M", "67108864"),
        ("stack", "8M:infinity", "8388608:infinity"),
        ("cpu", "1m30s", "90"),
        ("cpu", "60", "60"),
        ("rttime", "200000", "200000"),
    ],
)
def test_limits_are_in_the_units_of_setrlimit(name: str, said: Any, limit: str) -> None:
    """Bytes, seconds and numbers; one value is both the soft and the hard one."""
    assert checked_options({"limits": {name: said}})["limits"] == ((name, limit),)


def test_a_mistyped_limit_is_guessed() -> None:
    """Also where it is written as the C library or as systemd has it."""
    assert '"nofile"' in str(_wrong(limits={"nofiles": 1}))
    assert '"nofile"' in str(_wrong(limits={"RLIMIT_NOFILES": 1}))


@pytest.mark.parametrize("said", ["8:4", "1:2:3", "some", -1, True, "infinity:5", None])
def test_what_is_no_limit_is_refused(said: Any) -> None:
    """A soft one above the hard one too."""
    _wrong(limits={"nofile": said})


@pytest.mark.parametrize("option", ["limits", "sockets"])
def test_what_has_names_is_a_dict(option: str) -> None:
    """A list of pairs is not guessed at."""
    assert f"{option}=" in str(_wrong(**{option: [("nofile", 1)]}))


def test_what_may_be_allowed_has_names() -> None:
    """Each of them is taken; one that is mistyped is guessed."""
    assert checked_options({"allow": list(ALLOWANCES)})["allow"] == tuple(ALLOWANCES)
    assert '"devices"' in str(_wrong(allow=["devics"]))
    assert "list" in str(_wrong(allow="devices"))


def test_directories_are_written_in_full() -> None:
    """An absolute path without "..", none twice; a slash at the end means nothing."""
    assert checked_options({"writes": ["/srv/data/", "D:\\data"]})["writes"] == ("/srv/data", "D:\\data")
    for said in (["data"], ["~/data"], ["/srv/../etc"], ["/a", "/a/"], "/srv", [1], ["/a\nb"]):
        _wrong(writes=said)


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("0.0.0.0:80", "0.0.0.0:80"),
        ("[::1]:8080", "[::1]:8080"),
        ("localhost:8080", "127.0.0.1:8080"),
        (8080, "127.0.0.1:8080"),
        ("8080", "127.0.0.1:8080"),
        ("/run/prices.sock", "/run/prices.sock"),
    ],
)
def test_sockets_have_addresses(said: Any, address: str) -> None:
    """A port alone is on loopback, as for the probes."""
    assert checked_options({"sockets": {"http": said}})["sockets"] == (("http", address),)


@pytest.mark.parametrize(
    "said",
    ["::1:8080", "example.org:80", "127.0.0.1", "127.0.0.1:0", "1.2.3.4:99999", "300.1.1.1:80", "run.sock", True],
)
def test_what_is_no_address_is_refused(said: Any) -> None:
    """Names of computers too: a socket is made before there may be a network to ask."""
    assert "http" in str(_wrong(sockets={"http": said}))


def test_sockets_are_told_apart() -> None:
    """By names that a unit can have, and by addresses."""
    for name in ("", "a b", "-x", "a/b", "a:b", "ü", 7):
        _wrong(sockets={name: 8080})
    assert "twice" in str(_wrong(sockets={"a": 8080, "b": "127.0.0.1:8080"}))


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.binary()))
def test_whatever_is_said_is_taken_or_told(said: Any) -> None:
    """No value makes anything else than an answer or a ``UsageError``."""
    for check in (bounds.memory_bytes, bounds.cpu_percent, bounds.task_count):
        try:
            assert check(said) >= 0
        except UsageError as error:
            assert error.code == "spec.installation"  # noqa: PT017  # either way is right
    for name in bounds.LIMITS:
        try:
            bounds.limits({name: said})
        except UsageError as error:
            assert error.code in {"spec.installation", "spec.duration"}  # noqa: PT017  # as above
    for options in ({"http": said}, {said: 8080}):
        try:
            bounds.sockets(options)
        except UsageError as error:
            assert error.code == "spec.installation"  # noqa: PT017  # as above
