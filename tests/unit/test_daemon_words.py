"""What a daemon's start is told in, and what else is decided without a process: births, limits, environments."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

if sys.platform == "win32":
    pytest.skip("there are no daemons on Windows", allow_module_level=True)

from stayon.platforms.daemon import words
from stayon.platforms.daemon.account import Account, environment_of
from stayon.platforms.daemon.birth import Birth, birth_of
from stayon.platforms.daemon.limits import numbers_of
from stayon.platforms.daemon.words import Outcome, outcome_of

MAYBE_LINES = st.sampled_from(
    [b"PID 7\n", b"RUNNING\n", b"EXIT -9\n", b"AGAIN 1.5\n", b"WAIT x\n", b"EXIT", b"STOPPED\n", b"LATE\n", b"\xff\n"]
)


def test_a_start_that_goes_well() -> None:
    """The pid, and that it is RUNNING; signs of life say nothing more."""
    told = b"PID 4711\n" + words.wait(15.0) + words.running()
    assert outcome_of(told) == Outcome(pid=4711, is_running=True)


def test_a_start_that_fails() -> None:
    """The exit code of the process is the last word, also over that of the run; the run's reason stays, on one line."""
    told = b"PID 7\n" + words.stopped(70, "run: ValueError:\nno database") + b"EXIT 1\n"
    assert outcome_of(told) == Outcome(pid=7, exit_code=1, why="run: ValueError: no database")
    assert outcome_of(b"PID 7\nRUNNING\nEXIT 0\n") == Outcome(pid=7, exit_code=0)


def test_a_start_that_is_tried_again() -> None:
    """When, and what it failed with."""
    told = words.stopped(70, "why") + words.again(0.25)
    assert outcome_of(told) == Outcome(exit_code=70, why="why", again_s=0.25)


def test_a_reason_of_any_length_is_one_line() -> None:
    """What fits into a pipe at once, even of characters that UTF-8 doesn't have."""
    line = words.stopped(70, "\ud800é" * 10_000)
    assert len(line) <= 4096
    assert line.count(b"\n") == 1
    assert outcome_of(line).exit_code == 70


@given(st.lists(MAYBE_LINES), st.binary(max_size=50))
def test_nothing_that_is_told_breaks_the_one_who_listens(lines: list[bytes], torn: bytes) -> None:
    """Unknown and torn lines say nothing."""
    outcome_of(b"".join(lines) + torn)


@given(st.integers(1), st.integers(-1, 99), st.integers(-1, 99), st.text(st.characters(exclude_characters="\0")))
def test_a_birth_is_read_as_it_was_written(pid: int, report_fd: int, pid_file_fd: int, path: str) -> None:
    """By the process that it is for, whatever the path; by no other."""
    birth = Birth(pid, report_fd, pid_file_fd, path)
    assert birth_of(birth.text(), pid) == birth
    assert birth_of(birth.text(), pid + 1) is None


@pytest.mark.parametrize("text", ["", "1", "1 2", "a b c d", "1 2 x "])
def test_what_is_no_birth(text: str) -> None:
    """A foreign text is none."""
    assert birth_of(text, 1) is None


def test_limits() -> None:
    """One number is both limits; infinity is the system's."""
    assert numbers_of("100", -1) == (100, 100)
    assert numbers_of("100:200", -1) == (100, 200)
    assert numbers_of("0:infinity", -1) == (0, -1)


def test_the_environment_of_another_account() -> None:
    """Who it is and where its home is; nothing of the session that it was started from; all else stays."""
    account = Account("web", 7, 7, (7,), "/srv/web", "/bin/false")
    before = {"HOME": "/root", "XDG_RUNTIME_DIR": "/run/user/0", "SSH_AUTH_SOCK": "x", "TZ": "UTC"}
    assert environment_of(account, before) == {
        "HOME": "/srv/web", "LOGNAME": "web", "SHELL": "/bin/false", "TZ": "UTC", "USER": "web",
    }  # fmt: skip
