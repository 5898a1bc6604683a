"""What systemd is told: the table of reports and messages, and what holds for any life."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core import states
from stayon.core.events import Report
from stayon.platforms.systemd.notify import STATUS_BYTES, Told, message

NOW_US = 1_234_567
NEW = Told()
STARTING = Told(status="starting")
READY = Told(is_ready=True)
RELOADING = Told(is_ready=True, is_reloading=True)
STOPPING = Told(is_ready=True, is_stopping=True, status="stopping")

TABLE = [
    # what it knows, what it is told, what that says
    (NEW, Report("START_PENDING", wait_hint_s=15.0), "STATUS=starting\nEXTEND_TIMEOUT_USEC=15000000"),
    (STARTING, Report("START_PENDING", wait_hint_s=16.0), "EXTEND_TIMEOUT_USEC=16000000"),
    (STARTING, Report("START_PENDING", "connecting"), "STATUS=starting: connecting"),
    (STARTING, Report("RUNNING"), "READY=1\nSTATUS="),
    (STARTING, Report("RUNNING", "3 prices"), "READY=1\nSTATUS=3 prices"),
    (READY, Report("RUNNING"), ""),
    (READY, Report("RUNNING", "3 prices"), "STATUS=3 prices"),
    # systemd has no limit for these, and no word
    (READY, Report("PAUSE_PENDING", wait_hint_s=15.0), "STATUS=pausing"),
    (READY, Report("PAUSED"), "STATUS=paused"),
    (READY.replace(status="paused"), Report("CONTINUE_PENDING", wait_hint_s=15.0), "STATUS=going on"),
    (READY.replace(status="going on"), Report("RUNNING"), "STATUS="),
    # a report that was lost is made up for
    (STARTING, Report("PAUSED"), "READY=1\nSTATUS=paused"),
    (READY, Report("RUNNING", reloading=True), f"RELOADING=1\nMONOTONIC_USEC={NOW_US}"),
    (RELOADING, Report("RUNNING", reloading=True), ""),
    (RELOADING, Report("RUNNING"), "READY=1"),
    (STARTING, Report("RUNNING", reloading=True), "READY=1\nSTATUS="),
    (RELOADING, Report("STOP_PENDING"), "STOPPING=1\nSTATUS=stopping"),
    (READY, Report("STOP_PENDING", wait_hint_s=15.0), "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=15000000"),
    (STOPPING, Report("STOP_PENDING"), ""),
    (STOPPING, Report("STOPPED", why="asked"), "STATUS=asked\nEXIT_STATUS=0"),
    (
        STOPPING,
        Report("STOPPED", exit_code=69, why="run: away", error_number=111),
        "STATUS=run: away\nEXIT_STATUS=69\nERRNO=111",
    ),
    (NEW, Report("STOPPED", exit_code=78, why="bad"), "STOPPING=1\nSTATUS=bad\nEXIT_STATUS=78"),
    # What begins like one of our states would be read back as that.
    (READY, Report("RUNNING", "paused at noon"), "STATUS=running: paused at noon"),
    (READY, Report("PAUSED", "at noon"), "STATUS=paused: at noon"),
]


@pytest.mark.parametrize(
    ("told", "report", "wanted"), TABLE, ids=[f"{row[1].state}-{i}" for i, row in enumerate(TABLE)]
)
def test_what_is_new_is_said(told: Told, report: Report, wanted: str) -> None:
    """Only what systemd does not know yet, in its words."""
    assert message(told, report, NOW_US)[0] == wanted


@pytest.mark.parametrize("state", states.STATES)
def test_each_message_of_a_living_service_is_a_sign_of_life(state: str) -> None:
    """Where systemd wants one; never at the end, and also when there is nothing else to say."""
    _, told = message(NEW, Report(state), NOW_US)
    lines = message(told, Report(state), NOW_US, watchdog=True)[0].split("\n")
    assert ("WATCHDOG=1" in lines) == (state != states.STOPPED)


REPORTS = st.lists(
    st.builds(
        Report,
        state=st.sampled_from(states.STATES),
        status=st.text(),
        wait_hint_s=st.sampled_from([0.0, 15.0]),
        exit_code=st.integers(0, 255),
        why=st.text(),
        reloading=st.booleans(),
        error_number=st.integers(0, 133),
    ),
    max_size=12,
)


def told_of(reports: list[Report]) -> list[list[str]]:
    """The lines of each message, empty ones left out."""
    told, found = NEW, []
    for report in reports:
        text, told = message(told, report, NOW_US)
        if text:
            found.append(text.split("\n"))
    return found


@given(REPORTS)
def test_a_life_is_told_in_order(reports: list[Report]) -> None:
    """READY first and once, but after each RELOADING once more; STOPPING once, and neither of the others behind it."""
    letters = {"READY=1": "R", "RELOADING=1": "L", "STOPPING=1": "S"}
    said = "".join(letters.get(line, "") for lines in told_of(reports) for line in lines)
    assert re.fullmatch("(R(LR)*L?)?S?", said)


@given(REPORTS)
def test_a_text_can_never_say_more_than_a_status(reports: list[Report]) -> None:
    """Whatever the service's texts are: each line is one of ours, STATUS is one line of UTF-8, and none is too long."""
    known = {
        "READY",
        "RELOADING",
        "MONOTONIC_USEC",
        "STOPPING",
        "STATUS",
        "EXTEND_TIMEOUT_USEC",
        "EXIT_STATUS",
        "ERRNO",
    }
    for lines in told_of(reports):
        names = [line.partition("=")[0] for line in lines]
        assert set(names) <= known
        assert len(set(names)) == len(names)
        assert all(len(line.encode()) <= STATUS_BYTES + len("STATUS=") for line in lines)


def test_a_status_is_cut_between_letters() -> None:
    """systemd drops a message that is too long, and one whose status is no UTF-8."""
    text, _ = message(READY, Report("RUNNING", "ä" * STATUS_BYTES), NOW_US)
    assert text == "STATUS=" + "ä" * (STATUS_BYTES // 2)


def test_a_status_is_one_line() -> None:
    """A line break would begin a line of its own for systemd; a lone surrogate can't be sent."""
    text, _ = message(READY, Report("RUNNING", "a\nREADY=1\r\0b\u2028c\udc80"), NOW_US)
    assert text == "STATUS=a READY=1  b c"
