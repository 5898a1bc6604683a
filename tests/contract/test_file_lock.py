"""The FileLock port: one holder on this computer, and the system frees it, however the holder ends."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from stayon.errors import UnavailableError
from stayon.testing.file_lock import FakeFileLock

if sys.platform == "win32":
    from stayon.platforms.windows.lock import WindowsLock as Lock
else:
    from stayon.platforms.lock import FlockLock as Lock

HOLDER = f"""
import os, subprocess, sys, time
from {Lock.__module__} import {Lock.__name__} as Lock
lock = Lock(sys.argv[1])
print(lock.acquire(), flush=True)
"""
WAIT = "sys.stdin.read()\n"


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "lock")


@pytest.fixture(params=["real", "fake"])
def new_lock(request, path):
    """Call it for one more lock of the same path, as another part of the same computer would have it."""
    holders: dict[str, int] = {}
    made = []

    def make():
        made.append(Lock(path) if request.param == "real" else FakeFileLock(path, holders))
        return made[-1]

    yield make
    for lock in made:
        lock.release()


def test_one_holds_it_at_a_time(new_lock) -> None:
    """The second is told the pid of the first, until that releases it."""
    first, second = new_lock(), new_lock()
    assert first.acquire() == 0
    assert second.acquire() == os.getpid()
    first.release()
    assert second.acquire() == 0


def test_acquiring_and_releasing_twice_is_harmless(new_lock) -> None:
    """Who has it has it; who hasn't can't take it from another by releasing."""
    first, second = new_lock(), new_lock()
    assert first.acquire() == 0
    assert first.acquire() == 0
    second.release()
    assert second.acquire() == os.getpid()
    first.release()
    first.release()
    assert second.acquire() == 0


def test_the_file_stays(path) -> None:
    """Releasing doesn't take the name away, or two could hold two files of one name; its owner's alone on Unix."""
    lock = Lock(path)
    lock.acquire()
    lock.release()
    assert sys.platform == "win32" or os.stat(path).st_mode & 0o777 == 0o600
    assert os.path.exists(path)


def test_anybody_can_read_who_holds_it(path) -> None:
    """The file's text is the holder's pid, readable while it is locked."""
    lock = Lock(path)
    lock.acquire()
    with open(path, encoding="utf-8") as file:
        assert int(file.read()) == os.getpid()
    assert lock.is_intact()
    lock.release()
    assert not lock.is_intact()


def test_another_process_is_named(path, run_python) -> None:
    """The pid is that of the process that holds it."""
    child = run_python(HOLDER + WAIT, path, stdin=-1)
    assert child.stdout.readline() == "0\n"
    assert Lock(path).acquire() == child.pid


def test_a_killed_holder_leaves_it_free(path, run_python) -> None:
    """kill -9: nobody cleans up, and nobody has to."""
    child = run_python(HOLDER + WAIT, path, stdin=-1)
    assert child.stdout.readline() == "0\n"
    child.kill()
    child.wait(5)
    lock = Lock(path)
    assert lock.acquire() == 0
    lock.release()


@pytest.mark.linux
@pytest.mark.macos
def test_a_forked_worker_does_not_keep_it(path, run_python) -> None:
    """The holder is killed while its forked worker lives on: it is free, or the service could not be restarted."""
    fork = """
if os.fork():
    sys.stdin.read()
else:
    lock.release()
    print(os.getpid(), flush=True)
    time.sleep(30)
"""
    child = run_python(HOLDER + fork, path, stdin=-1)
    assert child.stdout.readline() == "0\n"
    worker = int(child.stdout.readline())
    lock = Lock(path)
    assert lock.acquire() == child.pid
    os.kill(child.pid, signal.SIGKILL)
    child.wait(5)
    try:
        assert lock.acquire() == 0
        os.kill(worker, 0)
    finally:
        os.kill(worker, signal.SIGKILL)
        lock.release()


@pytest.mark.linux
@pytest.mark.macos
def test_a_started_program_does_not_keep_it(path) -> None:
    """A child that was executed has no descriptor of it."""
    lock = Lock(path)
    lock.acquire()
    own = [int(name) for name in os.listdir("/dev/fd") if os.path.realpath(f"/dev/fd/{name}") == os.path.realpath(path)]
    assert [os.get_inheritable(fd) for fd in own] == [False]
    lock.release()


@pytest.mark.linux
@pytest.mark.macos
def test_it_is_kept_across_an_exec(path, run_python) -> None:
    """A program that replaces itself never lets go of it, and the new one holds, and can release, the same lock."""
    again = "lock.keep_across_exec()\nos.execv(sys.executable, [sys.executable, '-c', sys.argv[2], *sys.argv[1:]])\n"
    release = "sys.stdin.readline()\nlock.release()\nprint('released', flush=True)\nsys.stdin.read()\n"
    child = run_python(HOLDER + again, path, HOLDER + release, stdin=-1)
    assert [child.stdout.readline(), child.stdout.readline()] == ["0\n", "0\n"]
    lock = Lock(path)
    assert lock.acquire() == child.pid
    child.stdin.write("go on\n")
    child.stdin.flush()
    assert child.stdout.readline() == "released\n"
    assert lock.acquire() == 0
    lock.release()


@pytest.mark.windows
def test_it_is_kept_for_a_successor(path, run_python) -> None:
    """A process that starts its successor and waits for it keeps the lock; the successor finds it its own, and has it
    for itself if the one before is killed. Its own children don't take it for theirs.
    """
    successor = """
sys.stdin.readline()
print(lock.is_intact(), flush=True)
child = [sys.executable, "-c", sys.argv[2], sys.argv[1]]
print(subprocess.run(child, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout.strip(), flush=True)
sys.stdin.readline()
"""
    start = """
lock.keep_across_exec()
child = subprocess.Popen([sys.executable, "-c", *sys.argv[2:3], sys.argv[1], sys.argv[3]])
print(child.pid, flush=True)
child.wait()
"""
    first = run_python(HOLDER + start, path, HOLDER + successor, HOLDER, stdin=-1)
    assert first.stdout.readline() == "0\n"
    second_pid = int(first.stdout.readline())
    assert first.stdout.readline() == "0\n"
    other = Lock(path)
    assert other.acquire() == second_pid
    first.kill()
    first.wait(5)
    first.stdin.write("\n")
    first.stdin.flush()
    assert first.stdout.readline() == "True\n"
    assert first.stdout.readline() == f"{second_pid}\n"
    assert other.acquire() == second_pid
    first.stdin.write("\n")


@pytest.mark.windows
def test_its_file_cannot_be_taken_away(path) -> None:
    """Who cleans up finds it in use."""
    lock = Lock(path)
    lock.acquire()
    with pytest.raises(PermissionError):
        os.unlink(path)
    with pytest.raises(PermissionError):
        os.rename(path, path + ".old")
    lock.release()


def test_the_same_pid_proves_nothing(path) -> None:
    """Two containers with one volume are both pid 1: who finds his own number in the file doesn't have the lock."""
    first, second = Lock(path), Lock(path)
    first.acquire()
    assert second.acquire() == os.getpid()
    first.release()


@pytest.mark.parametrize("content", [b"", b"garbage\n", b"-5\n"])
def test_an_unknown_holder_is_minus_one(path, content: bytes) -> None:
    """Somebody holds it, and the file doesn't tell who."""
    lock = Lock(path)
    lock.acquire()
    with open(path, "wb") as file:
        file.write(content)
    assert Lock(path).acquire() == -1
    lock.release()


def test_a_missing_directory_is_told(tmp_path) -> None:
    """One line with the path, the cause and a hint."""
    with pytest.raises(UnavailableError, match=r"(?i)no such file|path not found|cannot find") as caught:
        Lock(str(tmp_path / "missing" / "lock")).acquire()
    assert (caught.value.code, str(tmp_path) in str(caught.value)) == ("lock.unavailable", True)


@pytest.mark.linux
@pytest.mark.macos
def test_a_link_is_not_followed(path, tmp_path) -> None:
    """A link that somebody laid there is not opened, or a foreign file would be written to."""
    os.symlink(tmp_path / "victim", path)
    with pytest.raises(UnavailableError):
        Lock(path).acquire()
    assert not (tmp_path / "victim").exists()


@pytest.mark.needs_root
def test_a_foreign_file_is_not_permitted(short_tmp, run_python) -> None:
    """Another account is told that it may not, with exit code 77."""
    path = short_tmp / "lock"
    path.write_text("")
    path.chmod(0o600)
    program = """
import os, sys
from stayon.platforms.lock import FlockLock as Lock
from stayon.errors import NotPermittedError
os.setuid(65534)
try:
    Lock(sys.argv[1]).acquire()
except NotPermittedError as error:
    print(error.code, error.exit_code)
"""
    short_tmp.chmod(0o755)
    assert run_python(program, str(path)).communicate()[0] == "lock.not-permitted 77\n"


def test_the_fake_knows_imaginary_holders() -> None:
    """A test may put another process's pid into the table."""
    holders = {"/run/x/lock": 4711}
    assert FakeFileLock("/run/x/lock", holders).acquire() == 4711
    del holders["/run/x/lock"]
    assert FakeFileLock("/run/x/lock", holders).acquire() == 0
