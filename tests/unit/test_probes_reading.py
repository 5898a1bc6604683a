"""What the probes read: an address to listen on, and a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.errors import UnavailableError, UsageError
from stayon.runtime.http_message import HttpRequest, is_alone, parse_request
from stayon.runtime.probe_address import listening_socket, parse_address


@pytest.mark.parametrize(
    ("listen", "shown"),
    [
        (9100, "127.0.0.1:9100"),
        ("9100", "127.0.0.1:9100"),
        ("localhost:1", "127.0.0.1:1"),
        ("[::1]:9100", "[::1]:9100"),
        ("0.0.0.0:0", "0.0.0.0:0"),
        ("[::]:65535", "[::]:65535"),
    ],
)
def test_an_address_is_understood(listen: str | int, shown: str) -> None:
    """A port alone is on loopback; anything wider has to be written out."""
    assert str(parse_address(listen)) == shown


@pytest.mark.parametrize(
    "listen",
    ["", ":9100", "*:9100", "example.org:80", "127.0.0.1:65536", "127.0.0.1:", "127.0.0.1", "1:2:3", -1, "1:\u0662"],
)
def test_what_is_no_address_is_refused(listen: str | int) -> None:
    """A name that would need DNS, a missing part or a port that can't be is an error that shows how to write it."""
    with pytest.raises(UsageError) as caught:
        parse_address(listen)

    assert caught.value.code == "probes.address"


def test_an_address_of_another_computer_is_refused() -> None:
    """An address that isn't here is said to be none of this computer's."""
    with pytest.raises(UnavailableError) as caught:
        listening_socket(parse_address("192.0.2.1:9100"))

    assert caught.value.code == "probes.address-unavailable"


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(head: bytes) -> None:
    """The parser never raises, and decides by what is complete: a request, an error, or wait."""
    request = parse_request(head, 200)
    if request is None:
        assert len(head) <= 200
        assert b"\n\n" not in head
    else:
        assert bool(request.error) != bool(request.method)


@given(st.sampled_from(["GET", "HEAD", "POST"]), st.from_regex(r"/[a-z/]*", fullmatch=True), st.binary(max_size=20))
def test_a_whole_request_is_read_wherever_it_is_cut(method: str, path: str, rest: bytes) -> None:
    """Every shorter piece waits for more; what follows the request is noticed and changes nothing."""
    head = f"{method} {path}?q HTTP/1.1\r\nHost: x\r\n\r\n".encode()

    assert all(parse_request(head[:cut], 8192) is None for cut in range(len(head)))
    assert parse_request(head + rest, 8192) == HttpRequest(method, path, "q")
    assert is_alone(head + rest) == (rest == b"")
