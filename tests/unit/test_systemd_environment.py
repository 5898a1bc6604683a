"""What systemd puts into the environment: read once, and taken out, so that no child speaks for the service."""

from __future__ import annotations

import pytest

from stayon.platforms.systemd.sockets import listed
from stayon.platforms.systemd.starter import beat_s, starter_of

PID = 4711


@pytest.mark.parametrize(
    ("env", "wanted"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "4711"}, 10.0),
        ({"WATCHDOG_USEC": "30000000"}, 10.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon", "WATCHDOG_PID": "4711"}, 0.0),
        ({"WATCHDOG_USEC": "-1"}, 0.0),
    ],
)
def test_signs_of_life_are_three_in_the_limit(env: dict[str, str], wanted: float) -> None:
    """Where the limit is this process's; a text that is no number means none."""
    env["PATH"] = "/bin"
    assert beat_s(env, PID) == wanted
    assert env == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("env", "wanted"),
    [
        ({}, {}),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "4711"}, {"unknown": (3, 4)}),
        (
            {"LISTEN_FDS": "3", "LISTEN_PID": "4711", "LISTEN_FDNAMES": "http:admin:http"},
            {"http": (3, 5), "admin": (4,)},
        ),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "4711", "LISTEN_FDNAMES": "http"}, {"http": (3,), "unknown": (4,)}),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "4711", "LISTEN_FDNAMES": ":b"}, {"unknown": (3,), "b": (4,)}),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "1", "LISTEN_FDNAMES": "a:b"}, {}),
        ({"LISTEN_FDS": "2"}, {}),
        ({"LISTEN_FDS": "two", "LISTEN_PID": "4711"}, {}),
        ({"LISTEN_FDS": "0", "LISTEN_PID": "4711"}, {}),
    ],
)
def test_sockets_are_those_handed_to_this_process(env: dict[str, str], wanted: dict[str, tuple[int, ...]]) -> None:
    """By name, in order, from the descriptor 3 on; sd_listen_fds_with_names(3)."""
    env["PATH"] = "/bin"
    assert listed(env, PID) == wanted
    assert env == {"PATH": "/bin"}


def test_systemd_is_known_by_its_socket() -> None:
    """With NOTIFY_SOCKET it is told; without, nobody is, and sockets are there all the same. Nothing is left behind."""
    env = {"NOTIFY_SOCKET": "@stayon-test", "WATCHDOG_USEC": "3000000", "LISTEN_FDS": "1", "LISTEN_PID": str(PID)}
    starter, sockets = starter_of(env, PID)
    assert starter is not None
    assert (starter.name, starter.is_manager, starter.beat_s) == ("systemd", True, 1.0)
    assert env == {}
    starter, sockets = starter_of({"LISTEN_FDS": "0", "LISTEN_PID": str(PID)}, PID)
    assert starter is None
    assert sockets.inherited() == {}
    assert not sockets.keep("a", 0)
    sockets.forget("a")
