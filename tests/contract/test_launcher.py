"""The Launcher port: processes by list, with input, output, an exit code, and an end.

What only one system has is in a file of its own.
"""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

from stayon.errors import UnavailableError
from stayon.testing.clock import ManualClock
from stayon.testing.launcher import FakeLauncher, Play

if sys.platform == "win32":
    from stayon.platforms.windows.jobs import JobLauncher as RealLauncher
else:
    from stayon.platforms.launcher import UnixLauncher as RealLauncher

KILLED = -9


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-S", "-c", program, *arguments]


class Theatre:
    """A launcher, and commands that do the same on the real and on the fake one."""

    def __init__(self, kind: str) -> None:
        self.clock = ManualClock(autojump=True)
        self.fake = FakeLauncher(self.clock)
        self.launcher = self.fake if kind == "fake" else RealLauncher()

    def says(self, text: str, exit_code: int) -> list[str]:
        return self._plays(Play(exit_code, text.encode()), f"print({text!r}, end=''); raise SystemExit({exit_code})")

    def sleeps(self, seconds: float) -> list[str]:
        return self._plays(Play(0, b"", seconds), f"import time; time.sleep({seconds})")

    def refuses(self, seconds: float) -> list[str]:
        """It says "up" when it doesn't listen to any wish that it end."""
        return self._plays(
            Play(0, b"up", seconds, stop_s=seconds),
            "import signal, time; signal.signal(getattr(signal, 'SIGBREAK', signal.SIGTERM), signal.SIG_IGN)\n"
            f"print('up', end='', flush=True); time.sleep({seconds})",
        )

    def _plays(self, play: Play, program: str) -> list[str]:
        self.fake.plays[sys.executable] = play
        return python(program)


@pytest.fixture(params=["real", "fake"])
def theatre(request):
    return Theatre(request.param)


@pytest.fixture
def launcher():
    return RealLauncher()


def read_all(child) -> bytes:
    found = b""
    while block := os.read(child.output, 65536):
        found += block
    os.close(child.output)
    return found


def test_it_runs_and_tells_how_it_ended(theatre: Theatre) -> None:
    """What it prints comes through the pipe, to its end; the exit code is told as often as it is asked for."""
    child = theatre.launcher.spawn(theatre.says("hello", 3))
    assert child.pid > 0
    assert read_all(child) == b"hello"
    assert child.wait(5) == 3
    assert child.wait() == 3
    child.kill()
    assert child.wait(0) == 3


def test_a_wait_has_a_limit(theatre: Theatre) -> None:
    """None means: it is still running. Killed, its exit code is the signal."""
    child = theatre.launcher.spawn(theatre.sleeps(3600))
    assert child.wait(0) is None
    assert child.wait(0.02) is None
    child.kill()
    assert child.wait(5) == KILLED
    child.kill()
    assert read_all(child) == b""


def test_a_program_that_is_not_there(theatre: Theatre) -> None:
    """Exit code 69, with the program's name and a hint; nothing was started."""
    with pytest.raises(UnavailableError, match="full path") as caught:
        theatre.launcher.spawn(["no-such-program"])
    assert (caught.value.code, caught.value.where) == ("launch.failed", "no-such-program")


def test_the_fake_notes_what_it_was_given() -> None:
    """Command, input and environment of every child."""
    theatre = Theatre("fake")
    child = theatre.launcher.spawn(theatre.says("x", 0), stdin=b"input", env={"A": "1"})
    os.close(child.output)
    noted = theatre.fake.children[0]
    assert (noted.command[0], noted.stdin, noted.env) == (sys.executable, b"input", {"A": "1"})


def test_the_fake_ends_in_virtual_time() -> None:
    """An hour's work takes an hour, and no time."""
    theatre = Theatre("fake")
    child = theatre.launcher.spawn(theatre.sleeps(3600))
    before = theatre.clock.monotonic()
    assert child.wait() == 0
    assert theatre.clock.monotonic() == before + 3600
    os.close(child.output)


def test_one_that_refuses_to_stop_is_killed(theatre: Theatre) -> None:
    """It is asked, waited for as long as it was given, and not longer; then it ends."""
    child = theatre.launcher.spawn(theatre.refuses(3600))
    assert os.read(child.output, 2) == b"up"
    assert child.stop(0.05) == KILLED
    assert child.stop(5) == KILLED
    assert read_all(child) == b""


def test_one_that_has_ended_is_stopped(theatre: Theatre) -> None:
    """Its exit code stays what it was."""
    child = theatre.launcher.spawn(theatre.says("bye", 3))
    assert read_all(child) == b"bye"
    assert child.wait(5) == 3
    assert child.stop(5) == 3


def test_the_fake_stops_as_its_play_says() -> None:
    """In virtual time: within the grace with its own exit code, or killed after it."""
    theatre = Theatre("fake")
    command = theatre.sleeps(3600)
    theatre.fake.plays[command[0]] = Play(0, b"", 3600, stop_s=7, stop_exit_code=5)
    before = theatre.clock.monotonic()
    for grace_s, exit_code, took_s in ((10, 5, 7), (2, KILLED, 9)):
        child = theatre.launcher.spawn(command)
        assert child.stop(grace_s) == exit_code
        assert theatre.clock.monotonic() == before + took_s
        os.close(child.output)


# -- the real one ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"a line\n", b"\0" * 65536])
def test_its_input_comes_whole_and_ends(launcher, data: bytes) -> None:
    """Up to 64 KiB, without blocking us, though the child reads late."""
    late = "import sys, time; time.sleep(0.02); print(len(sys.stdin.buffer.read()))"
    child = launcher.spawn(python(late), stdin=data)
    assert int(read_all(child)) == len(data)
    assert child.wait(5) == 0


def test_a_long_output_comes_whole(launcher) -> None:
    """More than a pipe holds."""
    child = launcher.spawn(python("import sys; sys.stdout.write('x' * 3_000_000)"))
    assert len(read_all(child)) == 3_000_000
    assert child.wait(5) == 0


def test_errors_come_with_the_output(launcher) -> None:
    """stdout and stderr are one stream."""
    child = launcher.spawn(python("import sys; print('out', flush=True); print('err', file=sys.stderr)"))
    assert read_all(child).split() == [b"out", b"err"]
    assert child.wait(5) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["$HOME; `id` && *"],
        ["%PATH%", "^&|<>"],
        ["", " ", "a b\tc"],
        ['"', '\\"', 'a"b c"'],
        ["\\", "a\\", "a b\\\\"],
        ["\xfc\u20ac"],
    ],
)
def test_arguments_arrive_as_they_were_given(launcher, arguments: list[str]) -> None:
    """A list is a list: no shell looks at it, and nothing gets lost on the way."""
    child = launcher.spawn(python("import sys; print(ascii(sys.argv[1:]))", *arguments))
    assert read_all(child).decode().strip() == ascii(arguments)
    assert child.wait(5) == 0


def test_the_environment_is_ours_or_the_given_one(launcher, monkeypatch) -> None:
    """None: ours. Given: that and nothing else (but what the system adds to it)."""
    program = "import os; print(os.environ.get('STAYON_TEST'), os.environ.get('ONLY'))"
    monkeypatch.setenv("STAYON_TEST", "inherited")
    child = launcher.spawn(python(program))
    assert (read_all(child).split(), child.wait(5)) == ([b"inherited", b"None"], 0)
    needed = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    child = launcher.spawn(python(program), env={"ONLY": "this", **needed})
    assert (read_all(child).split(), child.wait(5)) == ([b"None", b"this"], 0)


# It starts one that sleeps and prints something ever and again, says its number, and goes on as it is told.
PARENT = """
import subprocess, sys, time
child = "import time\\nwhile True: print('alive', flush=True); time.sleep(0.05)"
print(subprocess.Popen([sys.executable, "-S", "-c", child]).pid, flush=True)
if sys.argv[1:]: time.sleep(600)
"""


def test_it_dies_with_everything_it_started(launcher) -> None:
    """The child and what it started in the background: both end, and with them the pipe that they print to."""
    child = launcher.spawn(python(PARENT, "and stay"))
    assert os.read(child.output, 100)
    child.kill()
    assert child.wait(5) == KILLED
    read_all(child)  # ends only when nobody has it any more


def test_what_the_child_left_behind_can_still_be_killed(launcher, is_ready) -> None:
    """It ended by itself, its background process did not: kill ends that, and never a stranger who got its number."""
    child = launcher.spawn(python(PARENT))
    assert child.wait(10) == 0
    while b"alive" not in os.read(child.output, 100):
        pass
    child.kill()
    read_all(child)


def test_stopping_leaves_nothing_behind(launcher) -> None:
    """What it started is ended too, though it did not listen."""
    child = launcher.spawn(python(PARENT))
    assert child.wait(10) == 0
    assert child.stop(5) == 0
    read_all(child)


def test_many_at_once(launcher) -> None:
    """From several threads: each child has its own input and its own output, and none keeps another's open."""
    said: list[bytes] = []

    def run(number: int) -> None:
        child = launcher.spawn(python("print(input() * 2)"), stdin=b"%d\n" % number)
        said.append(read_all(child).strip())
        assert child.wait(10) == 0

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(said) == sorted(b"%d%d" % (number, number) for number in range(8))


def test_nothing_is_left_open(launcher, open_files) -> None:
    """Good ends, bad ends and failed starts: as many descriptors as before once the object is gone."""

    def run() -> None:
        for command in (python("0"), python("1/0"), ["no-such-program"]) * 2:
            try:
                child = launcher.spawn(command, stdin=b"x")
            except UnavailableError:
                continue
            assert child.wait(5) in (0, 1)
            os.close(child.output)

    run()  # what is kept for the next time is there then
    before = open_files()
    run()
    assert open_files() == before


def test_an_exit_code_is_told_at_once(launcher) -> None:
    """The wait ends with the process, not at the next look."""
    child = launcher.spawn(python("input(); import time; print(time.time(), flush=True)"), stdin=b"\n")
    assert child.wait(10) == 0
    assert time.time() - float(read_all(child)) < 0.5
