"""What the SCM's controls mean, and which are accepted when."""

from __future__ import annotations

import struct

import pytest

from stayon import exits
from stayon.core import states
from stayon.core.events import Event, Request
from stayon.platforms.windows import controls
from stayon.platforms.windows.api import ServiceStatus
from stayon.platforms.windows.controls import Powers, accepted, powers_of, understood

ALL, NONE = Powers(pause=True, events=True), Powers()
GUID = bytes.fromhex("00112233445566778899aabbccddeeff")


@pytest.mark.parametrize("powers", [ALL, NONE, Powers(pause=True), Powers(events=True)])
@pytest.mark.parametrize("state", states.STATES)
def test_what_is_accepted_in_each_state(state: str, powers: Powers) -> None:
    """Nothing at either end, only STOP while starting, and never SHUTDOWN beside PRESHUTDOWN; the rest as declared."""
    bits = accepted(state, powers)

    assert not bits & 0x4, "SHUTDOWN"
    if state in (states.STOPPED, states.STOP_PENDING):
        assert bits == 0
    elif state == states.START_PENDING:
        assert bits == controls.ACCEPT_STOP
    else:
        assert bits & controls.ACCEPT_STOP
        assert bits & controls.ACCEPT_PRESHUTDOWN
        at_rest = state in (states.RUNNING, states.PAUSED)
        assert bool(bits & controls.ACCEPT_PARAMCHANGE) == at_rest
        assert bool(bits & controls.ACCEPT_PAUSE_CONTINUE) == (at_rest and powers.pause)
        for bit in (0x10, 0x40, 0x80, 0x200, 0x400):
            assert bool(bits & bit) == powers.events


@pytest.mark.parametrize(
    ("kinds", "powers"),
    [
        (["run"], NONE),
        (["run", "on_pause"], Powers(pause=True)),
        (["every"], Powers(pause=True)),
        (["cron", "on_event"], ALL),
        (["task", "check", "on_stop", "on_event"], Powers(events=True)),
    ],
)
def test_powers_follow_what_is_declared(kinds: list[str], powers: Powers) -> None:
    """A service can be paused if it has jobs or an ``on_pause``; it hears events if it has an ``on_event``."""
    assert powers_of(kinds) == powers


@pytest.mark.parametrize(
    ("control", "request_"),
    [
        (1, Request("stop", "the SCM")),
        (5, Request("stop", "the SCM", "shutdown")),
        (15, Request("stop", "the SCM", "preshutdown")),
        (2, Request("pause", "the SCM")),
        (3, Request("resume", "the SCM")),
        (6, Request("reload", "the SCM")),
    ],
)
def test_controls_that_ask_for_something(control: int, request_: Request) -> None:
    """Each is a request of the table's."""
    assert understood(control, 0, b"", ALL) == request_


@pytest.mark.parametrize(
    ("control", "event_type", "data", "event"),
    [
        (7, 0, b"", Event("netbind", "add")),
        (8, 0, b"", Event("netbind", "remove")),
        (9, 0, b"", Event("netbind", "enable")),
        (10, 0, b"", Event("netbind", "disable")),
        (14, 5, struct.pack("<II", 8, 3), Event("session", "logon", 3)),
        (14, 8, struct.pack("<II", 8, 70_000), Event("session", "unlock", 70_000)),
        (14, 99, struct.pack("<II", 8, 1), Event("session", "99", 1)),
        (13, 4, b"", Event("power", "suspend")),
        (13, 0x12, b"", Event("power", "resume-automatic")),
        (
            13,
            0x8013,
            GUID + struct.pack("<II", 4, 1),
            Event("power-setting", "33221100-5544-7766-8899-aabbccddeeff", 1),
        ),
        (
            13,
            0x8013,
            GUID + struct.pack("<IB", 1, 7),
            Event("power-setting", "33221100-5544-7766-8899-aabbccddeeff", 7),
        ),
        (16, 0, struct.pack("<QQ", 133_000_000_050_000_000, 133_000_000_000_000_000), Event("time", "", 5_000)),
        (16, 0, struct.pack("<QQ", 133_000_000_000_000_000, 133_000_000_050_000_000), Event("time", "", -5_000)),
        (32, 0, b"", Event("trigger")),
        (11, 0x8000, struct.pack("<III", 12, 5, 0), Event("device", "arrival", 5)),
        (12, 0x18, b"", Event("hardware-profile", "config-changed")),
        (128, 0, b"", Event("custom", code=128)),
        (255, 0, b"", Event("custom", code=255)),
    ],
)
def test_events_are_decoded(control: int, event_type: int, data: bytes, event: Event) -> None:
    """Each is told in words, with its number; what Windows will think of later by its number."""
    assert understood(control, event_type, data, ALL) == event
    assert understood(control, event_type, data, NONE) is None


@pytest.mark.parametrize("control", [0, 17, 31, 33, 64, 0x60, 127, 256])
def test_what_nobody_knows_is_not_handled(control: int) -> None:
    """Then the SCM is answered ERROR_CALL_NOT_IMPLEMENTED."""
    assert understood(control, 0, b"", ALL) is None


@pytest.mark.parametrize("control", [controls.PAUSE, controls.CONTINUE])
def test_a_service_that_cannot_rest_does_not_handle_pause(control: int) -> None:
    """Though nobody should ask, as it isn't accepted."""
    assert understood(control, 0, b"", Powers(events=True)) is None


@pytest.mark.parametrize("state", states.STATES)
def test_the_handler_changes_the_state_only_where_that_is_sure(state: str) -> None:
    """A stop is pending at once in every living state; pause and continue only from where they begin; nothing else
    ever is.
    """
    changes = {control: to for control in range(256) if (to := controls.pending_after(control, state))}

    expected = {} if state == states.STOPPED else dict.fromkeys((1, 5, 15), states.STOP_PENDING)
    if state == states.RUNNING:
        expected[2] = states.PAUSE_PENDING
    if state == states.PAUSED:
        expected[3] = states.CONTINUE_PENDING
    assert changes == expected


def test_the_size_of_data_is_read_in_its_header() -> None:
    """What has a length of its own is copied whole, and what has none is not touched."""
    assert controls.data_size(14, 5, bytes(8)) == 8
    assert controls.data_size(16, 0, bytes(16)) == 16
    assert controls.data_size(13, 4, bytes(20)) == 0
    assert controls.data_size(13, 0x8013, GUID + struct.pack("<I", 4)) == 24
    assert controls.data_size(11, 0x8000, struct.pack("<III", 80, 5, 0)) == 80
    assert controls.data_size(128, 0, b"") == 0
    assert set(controls.HEADERS) == {11, 13, 14, 16}


@pytest.mark.parametrize(
    ("exit_code", "asked", "again", "told"),
    [
        (exits.DONE, False, False, (0, 0)),
        (exits.FAILED, False, False, (1066, 70)),
        (exits.BAD_CONFIG, False, False, (1066, 78)),
        # The SCM's recovery would start what somebody has just stopped.
        (exits.FAILED, True, False, (0, 0)),
        (exits.DONE, True, True, (1066, 75)),
    ],
)
def test_how_an_end_is_told(exit_code: int, *, asked: bool, again: bool, told: tuple[int, int]) -> None:
    """A failure has our exit code, so that recovery acts on it; who was asked to stop has none, however it went."""
    status = controls.last_status(exit_code, asked=asked, again=again)

    assert status == ServiceStatus(1, 0, *told)
