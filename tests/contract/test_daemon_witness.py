"""The process between a daemon and who starts it, with real children: it stays for as long as it is needed."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

if sys.platform == "win32":
    pytest.skip("there are no daemons on Windows", allow_module_level=True)

from stayon.platforms.daemon.witness import Limits, Witness, hear
from stayon.platforms.daemon.words import Outcome, outcome_of

PATIENT = Limits(20.0, 20.0)


def _witness(daemon, limits, *, on_sigterm=signal.SIG_DFL):
    """A witness in a process of its own, whose child runs *daemon*(the descriptor on which it reports)."""
    tell_read, tell_write = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    witness = os.fork()
    if witness == 0:
        try:
            os.close(tell_read)
            bell = hear()
            report_read, report_write = os.pipe()
            child = os.fork()
            if child == 0:
                os.setpgid(0, 0)
                for fd in (tell_write, report_read, *bell):
                    os.close(fd)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGTERM, on_sigterm)
                signal.signal(signal.SIGUSR1, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_SETMASK, ())
                daemon(report_write)
                os._exit(3)
            os.close(report_write)
            Witness(child, (report_read, tell_write, bell[0]), limits).attend()
        finally:
            os._exit(0)
    os.close(tell_write)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return witness, tell_read


def _outcome(witness: int, tell_fd: int) -> Outcome:
    told = b""
    while said := os.read(tell_fd, 4096):
        told += said
    os.close(tell_fd)
    assert os.waitpid(witness, 0)[1] == 0
    return outcome_of(told)


def _first_line(tell_fd: int, wanted: bytes) -> bytes:
    told = b""
    while wanted not in told:
        said = os.read(tell_fd, 4096)
        assert said, told
        told += said
    return told


def _idle(_fd: int) -> None:
    signal.pause()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_leaves_when_the_daemon_is_running() -> None:
    """Then nobody is between the daemon and the system any more."""

    def daemon(fd):
        os.write(fd, b"WAIT 15\nRUNN")
        os.write(fd, b"ING\n")
        signal.pause()

    outcome = _outcome(*_witness(daemon, PATIENT))
    assert outcome.is_running
    os.kill(outcome.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("end", "code"), [(lambda _fd: None, 3), (lambda _fd: os.kill(os.getpid(), signal.SIGUSR1), -signal.SIGUSR1)]
)
def test_it_knows_how_the_daemon_ended(end, code) -> None:
    """Its exit code, or the signal that ended it."""
    assert _outcome(*_witness(end, PATIENT)).exit_code == code


def test_what_was_said_last_is_not_lost() -> None:
    """What is in the pipe when the daemon ends is passed on, though its end is known already."""

    def daemon(fd):
        os.write(fd, b"WAIT 1\n" * 1000 + b"STOPPED 70 why\n")
        os._exit(70)

    assert _outcome(*_witness(daemon, PATIENT)) == Outcome(_any_pid(), exit_code=70, why="why")


def test_a_pipe_that_somebody_else_has_open_changes_nothing() -> None:
    """A child that the daemon left behind holds the pipe; the daemon's end counts."""
    end_fd, our_fd = os.pipe()

    def daemon(_fd):
        if os.fork() == 0:
            os.read(end_fd, 1)  # until the test is over
        os._exit(4)

    assert _outcome(*_witness(daemon, PATIENT)).exit_code == 4
    os.write(our_fd, b"x")
    os.close(end_fd)
    os.close(our_fd)


def test_one_that_gives_no_sign_of_life() -> None:
    """At its limit it is asked to stop, and that is told."""
    outcome = _outcome(*_witness(_idle, Limits(0.05, 20.0)))
    assert (outcome.is_late, outcome.exit_code) == (True, -signal.SIGTERM)


def test_one_that_does_not_stop_either() -> None:
    """Then it is killed, with what it has started."""
    read_fd, write_fd = os.pipe()

    def daemon(_fd):
        if os.fork() == 0:
            os.close(read_fd)
        signal.pause()

    witness, tell_fd = _witness(daemon, Limits(0.5, 0.05), on_sigterm=signal.SIG_IGN)
    os.close(write_fd)
    outcome = _outcome(witness, tell_fd)
    assert (outcome.is_late, outcome.exit_code) == (True, -signal.SIGKILL)
    assert os.read(read_fd, 1) == b"", "a child of it is still there"
    os.close(read_fd)


def test_signs_of_life_give_it_time() -> None:
    """With one, its limit is that of the sign; where the limit is fixed, they don't count."""

    def daemon(fd):
        os.write(fd, b"WAIT 20\n")
        time.sleep(0.3)  # it takes its time
        os.write(fd, b"RUNNING\n")
        signal.pause()

    outcome = _outcome(*_witness(daemon, Limits(0.1, 20.0)))
    assert (outcome.is_running, outcome.is_late) == (True, False)
    os.kill(outcome.pid, signal.SIGKILL)
    assert _outcome(*_witness(daemon, Limits(0.1, 20.0, is_fixed=True))).is_late


def test_it_passes_a_stop_on() -> None:
    """SIGTERM stops the daemon; one that becomes RUNNING just then is stopped all the same."""

    def daemon(fd):
        heard = []
        signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
        os.write(fd, b"WAIT 15\n")
        while not heard:
            signal.pause()
        os.write(fd, b"RUNNING\n")
        os._exit(0)

    witness, tell_fd = _witness(daemon, PATIENT)
    _first_line(tell_fd, b"WAIT")
    os.kill(witness, signal.SIGTERM)
    assert _outcome(witness, tell_fd).exit_code == 0


def test_it_goes_on_when_nobody_listens() -> None:
    """Who waited is gone: the daemon isn't touched, and the witness stays until it is RUNNING."""
    read_fd, write_fd = os.pipe()

    def daemon(fd):
        os.write(fd, b"WAIT 15\n")
        os.read(read_fd, 1)
        os.write(fd, b"RUNNING\n")
        signal.pause()

    witness, tell_fd = _witness(daemon, PATIENT)
    pid = int(_first_line(tell_fd, b"WAIT").split()[1])
    os.close(tell_fd)
    os.write(write_fd, b"x")
    assert os.waitpid(witness, 0)[1] == 0
    assert _lives(pid)
    os.kill(pid, signal.SIGKILL)
    os.close(read_fd)
    os.close(write_fd)


class _any_pid(int):  # noqa: N801  # reads as a value
    def __eq__(self, other: object) -> bool:
        return isinstance(other, int) and other > 0

    __hash__ = int.__hash__
