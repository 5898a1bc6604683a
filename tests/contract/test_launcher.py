"""The Launcher port: processes by list, with input, output, an exit code, and an end."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from stayon.errors import NotPermittedError, UnavailableError
from stayon.platforms import launcher as launcher_module
from stayon.platforms.launcher import UnixLauncher
from stayon.testing.clock import ManualClock
from stayon.testing.launcher import FakeLauncher, Play


class Theatre:
    """A launcher, and commands that do the same on the real and on the fake one."""

    def __init__(self, kind: str) -> None:
        self.clock = ManualClock(autojump=True)
        self.fake = FakeLauncher(self.clock)
        self.launcher = self.fake if kind == "fake" else UnixLauncher()

    def says(self, text: str, exit_code: int) -> list[str]:
        self.fake.plays["sh"] = Play(exit_code, text.encode())
        return ["sh", "-c", f"printf {text}; exit {exit_code}"]

    def sleeps(self, seconds: float) -> list[str]:
        self.fake.plays["sleep"] = Play(0, b"", seconds)
        return ["sleep", str(seconds)]


@pytest.fixture(params=["unix", "fake"])
def theatre(request):
    return Theatre(request.param)


@pytest.fixture
def launcher():
    return UnixLauncher()


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
    assert child.wait(5) == -signal.SIGKILL
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
    assert (noted.command[0], noted.stdin, noted.env) == ("sh", b"input", {"A": "1"})


def test_the_fake_ends_in_virtual_time() -> None:
    """An hour's work takes an hour, and no time."""
    theatre = Theatre("fake")
    child = theatre.launcher.spawn(theatre.sleeps(3600))
    before = theatre.clock.monotonic()
    assert child.wait() == 0
    assert theatre.clock.monotonic() == before + 3600
    os.close(child.output)


# -- the real one ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"a line\n", b"\0" * 65536])
def test_its_input_comes_whole_and_ends(launcher, data: bytes) -> None:
    """Up to 64 KiB, without blocking us, though the child reads late."""
    child = launcher.spawn(["sh", "-c", "sleep 0.02; wc -c"], stdin=data)
    assert int(read_all(child)) == len(data)
    assert child.wait(5) == 0


def test_errors_come_with_the_output(launcher) -> None:
    """stdout and stderr are one stream."""
    child = launcher.spawn(["sh", "-c", "echo out; echo err >&2"])
    assert read_all(child) == b"out\nerr\n"
    assert child.wait(5) == 0


def test_no_shell_looks_at_the_arguments(launcher) -> None:
    """A list is a list."""
    child = launcher.spawn(["printf", "%s", "$HOME; `id` && *"])
    assert read_all(child) == b"$HOME; `id` && *"
    assert child.wait(5) == 0


def test_the_environment_is_ours_or_the_given_one(launcher, monkeypatch) -> None:
    """None: ours. Given: that and nothing else."""
    monkeypatch.setenv("STAYON_TEST", "inherited")
    child = launcher.spawn(["printenv", "STAYON_TEST"])
    assert (read_all(child), child.wait(5)) == (b"inherited\n", 0)
    child = launcher.spawn(["/usr/bin/env"], env={"ONLY": "this"})
    assert (read_all(child), child.wait(5)) == (b"ONLY=this\n", 0)


def test_a_file_that_may_not_be_run(launcher, tmp_path) -> None:
    """Exit code 77."""
    (tmp_path / "program").write_text("#!/bin/sh\n")
    with pytest.raises(NotPermittedError) as caught:
        launcher.spawn([str(tmp_path / "program")])
    assert caught.value.code == "launch.not-permitted"


def test_a_closed_directory_in_the_path_is_passed_over(launcher, tmp_path, monkeypatch) -> None:
    """What is not there is not there, and what comes after it is found; a directory of that name is no program."""
    (tmp_path / "file").write_text("")
    (tmp_path / "true").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'file'}:{tmp_path}:{os.environ['PATH']}")
    child = launcher.spawn(["true"])
    assert child.wait(5) == 0
    os.close(child.output)
    with pytest.raises(UnavailableError):
        launcher.spawn(["file/no-such-program"])


def test_no_shell_runs_what_is_no_program(launcher, tmp_path) -> None:
    """A text without #! is not started, as a shell would do that for us."""
    (tmp_path / "text").write_text("echo started")
    (tmp_path / "text").chmod(0o755)
    with pytest.raises(UnavailableError, match="Exec format error"):
        launcher.spawn([str(tmp_path / "text")])


@pytest.mark.linux
def test_it_dies_with_everything_it_started(launcher, is_ready) -> None:
    """The child and its background grandchild share a group: both end, and the pipe with them."""
    child = launcher.spawn(["sh", "-c", "sleep 600 & echo $!; wait"])
    grandchild = os.pidfd_open(int(os.read(child.output, 100)))
    child.kill()
    assert child.wait(5) == -signal.SIGKILL
    assert is_ready(grandchild)
    assert read_all(child) == b""
    os.close(grandchild)


@pytest.mark.linux
def test_what_the_child_left_behind_can_still_be_killed(launcher, is_ready) -> None:
    """It ended by itself, its background process did not: kill ends that, and never a stranger who got its number."""
    child = launcher.spawn(["sh", "-c", "sleep 600 & echo $!"])
    grandchild = os.pidfd_open(int(os.read(child.output, 100)))
    assert child.wait(5) == 0
    assert not is_ready(grandchild, 0)
    child.kill()
    assert is_ready(grandchild)
    assert read_all(child) == b""
    os.close(grandchild)


def test_it_is_not_in_our_group(launcher) -> None:
    """Ctrl-C at our terminal is for us, not for it."""
    child = launcher.spawn(["sleep", "600"])
    assert os.getpgid(child.pid) == child.pid
    child.kill()
    child.wait(5)
    os.close(child.output)


@pytest.mark.linux
def test_signals_are_as_a_program_expects_them(launcher) -> None:
    """SIGPIPE, which Python ignores, ends it again; nothing is blocked."""
    child = launcher.spawn(["sh", "-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status"])
    lines = dict(line.split(":") for line in read_all(child).decode().splitlines())
    # Only the ordinary 31: how a harness treats those of libc is not ours.
    assert {name: int(bits, 16) & 0x7FFFFFFF for name, bits in lines.items()} == {"SigBlk": 0, "SigIgn": 0}
    assert child.wait(5) == 0


@pytest.mark.linux
def test_it_gets_no_descriptor_of_ours(launcher) -> None:
    """Only 0, 1 and 2 (and the listing's own), also of those that C code left inheritable."""
    leak = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leak, True)
    child = launcher.spawn(["ls", "/proc/self/fd"])
    assert sorted(map(int, read_all(child).split())) == [0, 1, 2, 3]
    assert child.wait(5) == 0
    os.close(leak)


def test_nothing_is_left_open_and_nobody_unburied(launcher, open_files) -> None:
    """Good ends, bad ends and failed starts: as many descriptors as before, and no zombie once the object is gone."""
    before, pids = open_files(), []
    for command in (["true"], ["false"], ["no-such-program"]) * 3:
        try:
            child = launcher.spawn(command, stdin=b"x")
        except UnavailableError:
            continue
        assert child.wait(5) in (0, 1)
        os.close(child.output)
        pids.append(child.pid)
        del child
    assert open_files() == before
    for pid in pids:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


@pytest.mark.linux
def test_its_number_is_kept_until_nobody_can_mean_it_any_more(launcher) -> None:
    """An ended child stays a zombie, so that kill can't hit a stranger's group; kill buries it."""
    child = launcher.spawn(["true"])
    assert child.wait(5) == 0
    os.killpg(child.pid, 0)
    child.kill()
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)
    os.close(child.output)


def test_a_child_that_somebody_else_reaped(launcher) -> None:
    """A library waited for all children: the exit code is lost, and that is said; nobody waits for ever, or kills a
    stranger.
    """
    child = launcher.spawn(["true"])
    os.waitpid(child.pid, 0)
    assert child.wait(5) == launcher_module.LOST
    child.kill()
    os.close(child.output)


def test_without_pidfd_it_looks_again_and_again(launcher, monkeypatch) -> None:
    """Old kernels, seccomp filters and macOS: slower, but the same answers."""
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    child = launcher.spawn(["sh", "-c", "read line; exit 4"], stdin=b"x\n")
    assert child.wait(5) == 4
    os.close(child.output)
    child = launcher.spawn(["sleep", "600"])
    before = time.monotonic()
    assert child.wait(0.03) is None
    assert time.monotonic() - before >= 0.03
    child.kill()
    assert child.wait() == -signal.SIGKILL
    os.close(child.output)


def test_without_waitid_it_reaps_at_once(launcher, monkeypatch) -> None:
    """macOS before Python 3.13: no zombie is kept, so what is left of its group can't be killed safely, and isn't."""
    monkeypatch.delattr(os, "waitid")
    child = launcher.spawn(["false"])
    assert child.wait(5) == 1
    child.kill()
    os.close(child.output)


def test_without_memfd_the_input_comes_by_pipe(launcher, monkeypatch) -> None:
    """Not Linux: the same input."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    child = launcher.spawn(["cat"], stdin=b"by pipe")
    assert (read_all(child), child.wait(5)) == (b"by pipe", 0)


def test_an_exit_code_is_told_at_once(launcher) -> None:
    """The wait ends with the process, not at the next look."""
    child = launcher.spawn(
        [sys.executable, "-S", "-c", "input(); import time; print(time.monotonic(), flush=True)"], stdin=b"\n"
    )
    assert child.wait(10) == 0
    assert time.monotonic() - float(read_all(child)) < 0.5
