"""The Launcher port on Unix: PATH and modes, groups and signals, descriptors and zombies."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from stayon.errors import NotPermittedError, UnavailableError

pytestmark = [pytest.mark.linux, pytest.mark.macos]

LOST = 255


@pytest.fixture
def launcher():
    from stayon.platforms.launcher import UnixLauncher

    return UnixLauncher()


def read_all(child) -> bytes:
    found = b""
    while block := os.read(child.output, 65536):
        found += block
    os.close(child.output)
    return found


def test_asked_to_stop_it_ends_in_its_own_way(launcher) -> None:
    """SIGTERM comes to it and to those of its group; its exit code is its own."""
    child = launcher.spawn(["sh", "-c", "trap 'echo bye; exit 7' TERM; sleep 600 & echo up; wait"])
    assert os.read(child.output, 3) == b"up\n"
    before = time.monotonic()
    assert child.stop(30) == 7
    assert time.monotonic() - before < 10
    assert read_all(child) == b"bye\n"


def test_asked_to_stop_it_dies_of_the_signal(launcher) -> None:
    """One that has no handler for SIGTERM."""
    child = launcher.spawn(["sleep", "600"])
    assert child.stop(30) == -signal.SIGTERM
    os.close(child.output)


def test_no_shell_looks_at_the_arguments(launcher) -> None:
    """A list is a list."""
    child = launcher.spawn(["printf", "%s", "$HOME; `id` && *"])
    assert read_all(child) == b"$HOME; `id` && *"
    assert child.wait(5) == 0


def test_the_environment_is_ours_or_the_given_one(launcher, monkeypatch) -> None:
    """None: ours. Given: that and nothing else, but the mark by which it is known again."""
    monkeypatch.setenv("STAYON_TEST", "inherited")
    child = launcher.spawn(["printenv", "STAYON_TEST"])
    assert (read_all(child), child.wait(5)) == (b"inherited\n", 0)
    child = launcher.spawn(["/usr/bin/env"], env={"ONLY": "this"})
    only, mark = read_all(child).splitlines()
    assert only == b"ONLY=this"
    assert mark.startswith(b"STAYON_RUN=")
    assert child.wait(5) == 0


def test_a_file_that_may_not_be_run(launcher, tmp_path) -> None:
    """Exit code 77."""
    (tmp_path / "program").write_text("#!/bin/sh\n")
    with pytest.raises(NotPermittedError) as caught:
        launcher.spawn([str(tmp_path / "program")])
    assert caught.value.code == "launch.not-permitted"


@pytest.mark.parametrize("path", ["", ":/nowhere", "/nowhere:"])
def test_an_empty_entry_of_the_path_is_not_the_working_directory(launcher, tmp_path, monkeypatch, path) -> None:
    """A program that somebody has put where we happen to be isn't run for one that is nowhere else."""
    (tmp_path / "program").write_text("#!/bin/sh\n")
    (tmp_path / "program").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", path)
    with pytest.raises(UnavailableError) as caught:
        launcher.spawn(["program"])
    assert caught.value.code == "launch.failed"


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


# It forks twice with a session between, as daemons do, closes everything, says its number, and sleeps; what it is given
# happens right before.
DAEMON = """
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.write(1, b"%d " % os.getpid())
{}
time.sleep(600)
"""

GONE = {
    "forked": "os.closerange(0, 100)",
    "executed": "os.execvp('sleep', ['sleep', '600'])",
}


@pytest.mark.linux
@pytest.mark.parametrize("how", GONE)
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_what_has_become_a_daemon_ends_too(launcher, is_ready, how: str, end: str) -> None:
    """It has left the child, its group and its session, and the child has ended long since."""
    child = launcher.spawn([sys.executable, "-S", "-c", DAEMON.format(GONE[how])])
    daemon = os.pidfd_open(int(os.read(child.output, 100)))
    assert child.wait(10) == 0
    assert not is_ready(daemon, 0)
    if end == "kill":
        child.kill()
    else:
        assert child.stop(10) == 0
    assert is_ready(daemon)
    os.close(daemon)
    os.close(child.output)


@pytest.mark.linux
def test_the_daemon_of_another_child_lives_on(launcher, is_ready) -> None:
    """Each child's descendants have a mark of their own."""
    children = [launcher.spawn([sys.executable, "-S", "-c", DAEMON.format(GONE["executed"])]) for _ in range(2)]
    daemons = [os.pidfd_open(int(os.read(child.output, 100))) for child in children]
    for child in children:
        assert child.wait(10) == 0
    for child, daemon, other in zip(children, daemons, reversed(daemons), strict=True):
        assert not is_ready(daemon, 0)
        child.kill()
        assert is_ready(daemon)
        assert is_ready(other, 0) == (child is children[1])
    for fd in (*daemons, *(child.output for child in children)):
        os.close(fd)


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
    assert child.wait(5) == LOST
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
