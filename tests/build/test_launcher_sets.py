"""What a Linux program's first start puts on disk: once, whole, in a place that nobody else can change."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stayon.build import payload
from stayon.build.payload import Payload
from tests.build import launcher_desk as desk

pytestmark = [pytest.mark.linux, pytest.mark.needs_gcc]

NOBODY = 65534
STARTS = 20


@pytest.fixture
def run(tmp_path: Path) -> desk.Runner:
    return desk.Runner(tmp_path)


@pytest.fixture
def carried() -> Payload:
    """A program with a set of its own beside the interpreter's: directories, an empty file, one to be executed."""
    own = (
        desk.stored("data/deep/empty", b""),
        desk.squeezed(desk.stored("data/text.txt", b"text " * 1000)),
        desk.stored("tool", b"#!/bin/sh\n", payload.EXECUTABLE),
    )
    plain = desk.program()
    return replace(plain, sets=(*plain.sets, own))


@pytest.fixture
def made(tmp_path: Path, carried: Payload) -> Path:
    return desk.executable(tmp_path / "program", carried)


@pytest.fixture
def unlucky(tmp_path: Path) -> Iterator[dict[str, object]]:
    """How to start as an account that is nobody's, which may reach the test's directory."""
    with contextlib.ExitStack() as stack:
        for folder in [tmp_path, *tmp_path.parents[:-1]]:
            mode = stat.S_IMODE(folder.stat().st_mode)
            if not mode & 0o001:
                folder.chmod(mode | 0o011)
                stack.callback(folder.chmod, mode)
        yield {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/"}


def tree(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file below *folder*: size, mode, time of its last change."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(folder))] = (status.st_size, stat.S_IMODE(status.st_mode), status.st_mtime_ns)
    return found


def test_first_start(run: desk.Runner, carried: Payload, made: Path) -> None:
    """The first start makes both sets, each under its name, with nothing else beside them but the lock."""
    assert run(made).stdout == "hello\n"
    names = sorted([payload.set_name(files) for files in carried.sets] + ["lock"])
    assert sorted(entry.name for entry in run.runtime.iterdir()) == names
    own = run.set_of(carried, 1)
    assert (own / "data/text.txt").read_bytes() == b"text " * 1000
    assert (own / "data/deep/empty").read_bytes() == b""
    assert os.access(own / "tool", os.X_OK)
    assert not os.access(own / "data/text.txt", os.X_OK)


def test_nothing_is_written_afterwards(run: desk.Runner, made: Path) -> None:
    """The second start writes nothing, nowhere below its root."""
    run(made)
    before = tree(made.parent)
    assert run(made).stdout == "hello\n"
    assert tree(made.parent) == before


def test_packed_interpreter(tmp_path: Path, run: desk.Runner, carried: Payload) -> None:
    """What was packed with the x86 filter is unpacked to what it was."""
    file = desk.squeezed(carried.sets[0][0], is_x86=True)
    packed = replace(carried, sets=((file,),))
    assert run(desk.executable(tmp_path / "packed", packed)).stdout == "hello\n"
    assert (run.set_of(packed) / file.name).read_bytes() == carried.sets[0][0].packed


def test_damaged_file(tmp_path: Path, run: desk.Runner, carried: Payload) -> None:
    """A file that unpacks to something else than was built is refused, and nothing of its set stays."""
    plain = desk.stored("text", b"text " * 1000)
    changed = desk.squeezed(desk.stored("text", b"tent " * 1000))
    files = (desk.stored("first", b"1"), replace(changed, digest=plain.digest))
    made = desk.executable(tmp_path / "damaged", replace(carried, sets=(carried.sets[0], files)))
    assert "its file text is not" in desk.refused(run(made), "launcher.damaged", 78)
    assert sorted(entry.name for entry in run.runtime.iterdir()) == sorted(["lock", payload.set_name(carried.sets[0])])


def test_first_starts_at_once(run: desk.Runner, carried: Payload, made: Path) -> None:
    """Twenty first starts at once: all run, each set was made once, and is there once."""
    boot = "import _stayon\ndef main():\n    print(_stayon.was_registered)\n"
    modules = (*carried.modules[:-1], desk.frozen("boot", boot))
    desk.executable(made, replace(carried, modules=modules))
    started = [
        subprocess.Popen([made], env=run.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(STARTS)
    ]
    said = [process.communicate(timeout=desk.PATIENCE_S)[0] for process in started]
    assert set(said) == {"False\n", "True\n"}
    assert said.count("True\n") <= len(carried.sets)  # not always the same one makes both
    assert len(list(run.runtime.iterdir())) == 3


def test_a_set_that_is_not_whole(run: desk.Runner, carried: Payload, made: Path) -> None:
    """A set with a file missing, or of another size, or that is a link, is made anew."""
    run(made)
    place = run.set_of(carried, 1)
    (place / "data/text.txt").unlink()
    assert run(made).stdout == "hello\n"
    (place / "data/text.txt").write_bytes(b"text")
    assert run(made).stdout == "hello\n"
    shutil.move(place / "tool", place.parent / "elsewhere")
    (place / "tool").symlink_to(place.parent / "elsewhere")
    assert run(made).stdout == "hello\n"
    assert (place / "data/text.txt").read_bytes() == b"text " * 1000
    assert not (place / "tool").is_symlink()
    assert not [entry for entry in run.runtime.iterdir() if entry.name.startswith(".")]


def test_what_a_dead_start_left(run: desk.Runner, made: Path) -> None:
    """The next start that registers something removes what one that was killed had begun."""
    left = run.runtime / ".0123.99"
    left.mkdir(parents=True)
    (left / "deep").mkdir()
    (left / "deep" / "file").write_bytes(b"half")
    (left / "link").symlink_to("/etc")
    assert run(made).stdout == "hello\n"
    assert not left.exists()
    assert Path("/etc/passwd").exists()


def test_another_start_has_the_lock(run: desk.Runner, carried: Payload, made: Path) -> None:
    """While another has the lock a first start waits, and goes on as soon as it is free."""
    run(made)
    shutil.rmtree(run.set_of(carried, 1))
    with open(run.runtime / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen([made], env=run.environment(), stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)  # the wait itself is what is looked at: longer than its timer's tick
        assert not run.set_of(carried, 1).exists()
    assert process.communicate(timeout=desk.PATIENCE_S)[0] == b"hello\n"


def test_held_while_it_runs(run: desk.Runner, carried: Payload, made: Path) -> None:
    """A running program holds a shared lock on each of its sets, and none afterwards."""
    boot = "import sys\ndef main():\n    print('up', flush=True)\n    sys.stdin.read()\n"
    desk.executable(made, replace(carried, modules=(*carried.modules[:-1], desk.frozen("boot", boot))))
    process = subprocess.Popen([made], env=run.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    for index in (0, 1):
        descriptor = os.open(run.set_of(carried, index), os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.close(descriptor)
    process.communicate(timeout=desk.PATIENCE_S)
    descriptor = os.open(run.set_of(carried), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)


def test_a_collector_has_the_set(run: desk.Runner, carried: Payload, made: Path) -> None:
    """A set that a collector has locked is as good as gone: it is made anew beside it."""
    run(made)
    place = run.set_of(carried, 1)
    descriptor = os.open(place, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    before = place.stat().st_ino
    assert run(made).stdout == "hello\n"
    assert place.stat().st_ino != before
    os.close(descriptor)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775])
def test_a_root_that_others_may_write(run: desk.Runner, carried: Payload, made: Path, mode: int) -> None:
    """Nothing is loaded from, or put into, a directory that others may write to."""
    run(made)
    run.runtime.chmod(mode)
    os.chown(run.runtime, -1, os.getgid() if mode & 0o002 else os.getgid() + 1)
    line = desk.refused(run(made), "launcher.no-place", 77)
    assert f"{run.runtime} can be written to by others" in line


def test_a_parent_that_others_may_write(run: desk.Runner, tmp_path: Path, made: Path) -> None:
    """Nor below a directory in which others may put another in its place; in a sticky one they may not."""
    parent = tmp_path / "parent"
    parent.mkdir()
    parent.chmod(0o777)
    environment = run.environment(STAYON_RUNTIME=str(parent / "runtime"))
    assert f"{parent} can be written to by others" in desk.refused(run(made, env=environment), "launcher.no-place", 77)
    parent.chmod(0o1777)
    assert run(made, env=environment).stdout == "hello\n"


def test_a_link_to_such_a_directory(run: desk.Runner, tmp_path: Path, made: Path) -> None:
    """A link is followed before it is judged."""
    bad, good, link = tmp_path / "bad", tmp_path / "good", tmp_path / "link"
    for folder, mode in ((bad, 0o777), (good, 0o700)):
        folder.mkdir()
        folder.chmod(mode)
    environment = run.environment(STAYON_RUNTIME=str(link / "runtime"))
    link.symlink_to(bad)
    assert f"{bad} can be written to by others" in desk.refused(run(made, env=environment), "launcher.no-place", 77)
    link.unlink()
    link.symlink_to(good)
    assert run(made, env=environment).stdout == "hello\n"
    assert (good / "runtime" / "lock").exists()


def test_a_set_that_others_may_write(run: desk.Runner, carried: Payload, made: Path) -> None:
    """A set itself is looked at, too: one that others may write to is replaced."""
    run(made)
    place = run.set_of(carried)
    place.chmod(0o777)
    assert run(made).stdout == "hello\n"
    assert stat.S_IMODE(place.stat().st_mode) & 0o022 == 0


@pytest.mark.needs_root
def test_of_another_account(run: desk.Runner, made: Path, unlucky: dict[str, object]) -> None:
    """Root takes nothing from a directory that is another account's."""
    run.runtime.mkdir()
    os.chown(run.runtime, NOBODY, NOBODY)
    assert "belongs to another account" in desk.refused(run(made), "launcher.no-place", 77)


@pytest.mark.needs_root
def test_ordinary_account(run: desk.Runner, tmp_path: Path, made: Path, unlucky: dict[str, object]) -> None:
    """An ordinary account's sets are in its own cache, and closed to others."""
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    environment = {"HOME": str(home), "LC_ALL": "C"}
    assert run(made, env=environment, **unlucky).stdout == "hello\n"
    root = home / ".cache/stayon/runtime"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (root, *root.parents[:2])} == {0o700}
    assert run(made, env=environment | {"XDG_CACHE_HOME": str(home / "other")}, **unlucky).stdout == "hello\n"
    assert (home / "other/stayon/runtime/lock").exists()


@pytest.mark.needs_root
def test_set_of_the_computer(run: desk.Runner, made: Path, unlucky: dict[str, object]) -> None:
    """Sets that root has made for all are used by an ordinary account, which writes nothing then."""
    desk.may_mount()
    script = (
        "mount -t tmpfs none /var/lib && $0 && "
        f"{sys.executable} -I -S -c 'import os, sys; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY}); "
        "os.execve(sys.argv[1], sys.argv[1:], {})' $0 && ls /var/lib/stayon/runtime | wc -l"
    )
    ended = run("unshare", "-m", "sh", "-c", script, made, env={"PATH": os.environ["PATH"]})
    assert ended.stdout.split() == ["hello", "hello", "3"], ended.stderr


@pytest.mark.needs_root
@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, "neither"),
        ({"STAYON_RUNTIME": "here"}, "is not absolute"),
        ({"HOME": "/proc"}, "/proc/.cache/stayon/runtime"),
    ],
)
def test_no_place(
    run: desk.Runner, made: Path, unlucky: dict[str, object], environment: dict[str, str], says: str
) -> None:
    """No place at all is a line that says what to set."""
    line = desk.refused(run(made, env=environment, **unlucky), "launcher.no-place", 77)
    assert says in line
    assert "STAYON_RUNTIME" in line


@pytest.mark.needs_root
def test_full_disk(run: desk.Runner, made: Path) -> None:
    """A disk that is full is named, and nothing half is left on it."""
    desk.may_mount()
    run.runtime.mkdir()
    script = 'mount -t tmpfs -o size=1m,mode=755 none "$1" && { "$0"; code=$?; ls -A "$1" >&2; exit $code; }'
    ended = run("unshare", "-m", "sh", "-c", script, made, run.runtime)
    assert ended.returncode == 69
    assert "No space left on device. [launcher.disk]\nlock\n" in ended.stderr
