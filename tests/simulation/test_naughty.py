"""Services that misbehave, in simulated time and as real processes: each has the end it deserves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import stayon
from stayon import exits
from stayon.testing import naughty, simulate

SOURCE = str(Path(stayon.__file__).parents[1])
KILLED = -getattr(signal, "SIGKILL", 9)

unix = pytest.mark.skipif(os.name != "posix", reason="SIGTERM can be handled on Unix only")

ENDS = {
    "happy": exits.DONE,
    "finishes": exits.DONE,
    "fails-at-once": exits.FAILED,
    "fails-after-ready": exits.FAILED,
    "never-ready": exits.FAILED,
    "hangs": exits.HANG,
    "ignores-stop": exits.FAILED,
    "raises-on-stop": exits.FAILED,
    "exits": naughty.EXIT_CODE,
    "raises-in-hooks": exits.FAILED,
}


@pytest.mark.parametrize("mode", ENDS)
def test_each_personality_ends_with_its_code(mode: str) -> None:
    """Left alone for an hour and then stopped, each ends with the code that its kind of failure has."""
    with simulate(naughty.service(mode)) as sim:
        sim.advance("1h")
        assert sim.stop() == ENDS[mode]
        assert (sim.exit_code == exits.DONE) == (not any(record.event_id == 13 for record in sim.log) and mode in ENDS)


@pytest.fixture
def naughty_process() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Call it with a mode to have it run as a process of its own; what is left of them is killed."""
    children = []

    def run(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "stayon.testing.naughty", *words]
        environment = {**os.environ, "PYTHONPATH": SOURCE}
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        children.append(child)
        return child

    yield run
    for child in children:
        if child.poll() is None:
            child.kill()
        child.communicate()


def first_line(child: subprocess.Popen[str]) -> str:
    """The first line that *child* prints."""
    assert child.stdout is not None
    return child.stdout.readline().strip()


@unix
def test_a_happy_process_leaves_when_asked_to(naughty_process) -> None:
    """It prints ``ready``, and ends with 0 on SIGTERM."""
    child = naughty_process("happy")
    assert first_line(child) == "ready"
    child.terminate()
    assert child.wait(10) == 0


@unix
@pytest.mark.parametrize(
    ("mode", "code"),
    [("fails-at-once", 1), ("fails-after-ready", 1), ("exits", naughty.EXIT_CODE), ("kills-itself", KILLED)],
)
def test_a_process_that_ends_by_itself(naughty_process, mode: str, code: int) -> None:
    """Each ends with its code, without being asked."""
    assert naughty_process(mode).wait(10) == code


@unix
@pytest.mark.parametrize("mode", ["ignores-signals", "ignores-stop", "hangs-with-the-gil"])
def test_a_process_that_stays_must_be_killed(naughty_process, mode: str) -> None:
    """SIGTERM does not end it; SIGKILL does."""
    child = naughty_process(mode)
    assert first_line(child) == "ready"
    child.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.3)
    child.kill()
    assert child.wait(10) == KILLED


@unix
def test_a_grandchild_outlives_its_parents(naughty_process) -> None:
    """It is nobody's child any more, in a session of its own, and lives on when the process that wanted it has gone."""
    child = naughty_process("leaves-a-grandchild")
    word, pid = first_line(child).split()
    assert (word, first_line(child)) == ("grandchild", "ready")
    child.terminate()
    assert child.wait(10) == 0
    os.kill(int(pid), 0)
    os.kill(int(pid), -KILLED)


@unix
def test_a_process_that_prints_without_end_is_stopped_as_any_other(naughty_process) -> None:
    """While somebody reads, it prints; asked to leave, it leaves."""
    child = naughty_process("prints-without-end")
    assert first_line(child) == "ready"
    assert {first_line(child) for _ in range(1000)} == {"as much as it can"}
    child.terminate()
    child.communicate(timeout=10)
    assert child.returncode == 0


@unix
def test_a_process_without_its_handles_lives_on(naughty_process) -> None:
    """Its output ends while it lives, and it still leaves when asked to."""
    child = naughty_process("closes-its-handles")
    assert first_line(child) == "ready"
    assert child.stdout.read() == ""
    assert child.poll() is None
    child.terminate()
    assert child.wait(10) == 0


@unix
@pytest.mark.slow
def test_a_hosted_hang_ends_with_86_though_the_interpreter_is_locked(naughty_process, short_tmp, monkeypatch) -> None:
    """With a verb behind the mode it is a hosted service, and C code that holds the GIL does not save it."""
    monkeypatch.setenv("STAYON_HOME", str(short_tmp))

    assert naughty_process("hangs-with-the-gil", "run").wait(15) == exits.HANG


def test_an_unknown_mode_is_told() -> None:
    """The modes are named."""
    with pytest.raises(SystemExit, match="happy"):
        naughty.main(["nice"])


def test_every_mode_says_what_it_does() -> None:
    """Each mode has a sentence; those that are not simulated say that they are for real processes."""
    for mode, function in naughty.RUNS.items():
        assert function.__doc__, mode
    real = {mode for mode in naughty.MODES if "real processes only" in str(naughty.RUNS[mode].__doc__)}
    assert real == {"hangs-with-the-gil", "ignores-signals", "kills-itself"}
