"""The ControlDoor port: the verbs' way into a running service, for its own account and for root."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
import time

import pytest

from stayon.errors import TemporaryError, UnavailableError
from stayon.platforms import door as door_module
from stayon.platforms.door import UnixDoor
from stayon.testing.control_door import FakeControlDoor

NOBODY = 65534


@pytest.fixture
def path(short_tmp) -> str:
    return str(short_tmp / "control")


@pytest.fixture(params=["unix", "fake"])
def control(request):
    return UnixDoor() if request.param == "unix" else FakeControlDoor()


@pytest.fixture
def unix():
    return UnixDoor()


def test_a_visitor_comes_in_and_talks(control, path, is_ready) -> None:
    """Open, connect, accept, and bytes go both ways; then both ends are closed, and the name is gone."""
    door = control.open(path)
    assert control.accept(door) is None
    visitor = control.connect(path, 5)
    assert is_ready(door.fileno())
    host = control.accept(door)
    assert control.accept(door) is None
    visitor.send(b"status\n")
    assert is_ready(host.fileno())
    assert host.recv(100) == b"status\n"
    host.send(b"RUNNING\n")
    assert visitor.recv(100) == b"RUNNING\n"
    host.close()
    assert visitor.recv(100) == b""
    visitor.close()
    door.close()
    control.remove(path)
    control.remove(path)
    with pytest.raises(UnavailableError):
        control.connect(path, 5)


def test_several_visitors_wait_in_line(control, path, is_ready) -> None:
    """The door stays readable until the last has been let in, in the order they came."""
    door = control.open(path)
    visitors = [control.connect(path, 5) for _ in range(3)]
    for number, visitor in enumerate(visitors):
        visitor.send(bytes([number]))
    for number in range(3):
        assert is_ready(door.fileno())
        host = control.accept(door)
        assert is_ready(host.fileno())
        assert host.recv(1) == bytes([number])
        host.close()
    assert not is_ready(door.fileno(), 0)
    for closable in (*visitors, door):
        closable.close()


def test_what_the_host_reads_does_not_block(control, path) -> None:
    """A visitor who says nothing can't stop the host's loop."""
    door = control.open(path)
    visitor = control.connect(path, 5)
    host = control.accept(door)
    with pytest.raises(BlockingIOError):
        host.recv(1)
    for closable in (visitor, host, door):
        closable.close()


def test_a_visitor_waits_for_an_answer_only_so_long(control, path) -> None:
    """A hung service: the verb ends after its timeout."""
    door = control.open(path)
    visitor = control.connect(path, 0.05)
    with pytest.raises(TimeoutError):
        visitor.recv(1)
    visitor.close()
    door.close()


def test_nobody_listens(control, path) -> None:
    """Exit code 69, the path and a question that leads on."""
    with pytest.raises(UnavailableError, match="Is the service running") as caught:
        control.connect(path, 5)
    assert (caught.value.code, caught.value.where) == ("control.nobody", path)


def test_a_door_in_use_is_not_taken(control, path) -> None:
    """Another instance listens: it keeps its door, and the second is told."""
    first = control.open(path)
    with pytest.raises(TemporaryError) as caught:
        control.open(path)
    assert caught.value.code == "control.in-use"
    control.connect(path, 5).close()
    first.close()


def test_a_door_can_be_opened_again(control, path) -> None:
    """Closed without having removed the name (a crash does that): the next start replaces it."""
    control.open(path).close()
    door = control.open(path)
    control.connect(path, 5).close()
    door.close()


# -- the real one ----------------------------------------------------------------------------------------------------


def test_a_killed_service_leaves_no_obstacle(unix, path, run_python) -> None:
    """kill -9 leaves a socket at which nobody listens: it is replaced."""
    program = """
import sys
from stayon.platforms.door import UnixDoor
door = UnixDoor().open(sys.argv[1])
print(flush=True)
sys.stdin.read()
"""
    child = run_python(program, path, stdin=-1)
    child.stdout.readline()
    with pytest.raises(TemporaryError):
        unix.open(path)
    os.kill(child.pid, signal.SIGKILL)
    child.wait(5)
    assert os.path.exists(path)
    unix.open(path).close()


def test_only_its_owner_can_reach_it(unix, path) -> None:
    """Mode 0600, whatever the umask."""
    before = os.umask(0)
    door = unix.open(path)
    os.umask(before)
    assert os.stat(path).st_mode & 0o777 == 0o600
    door.close()


def test_something_else_at_its_place_is_left_alone(unix, path) -> None:
    """A file that is no socket may be anybody's: it is never removed."""
    with open(path, "w") as file:
        file.write("precious")
    with pytest.raises(UnavailableError) as caught:
        unix.open(path)
    assert caught.value.code == "control.not-a-socket"
    with open(path) as file:
        assert file.read() == "precious"


VISIT = """
import os, sys
from stayon.platforms.door import UnixDoor
from stayon.errors import StayonError
os.setuid(int(sys.argv[2]))
try:
    visitor = UnixDoor().connect(sys.argv[1], 5)
    print("connected", flush=True)
    print(visitor.recv(10))
except StayonError as error:
    print(error.code, error.exit_code, flush=True)
"""


@pytest.mark.needs_root
def test_another_account_is_kept_out_by_the_mode(unix, path, short_tmp, run_python) -> None:
    """It gets no connection, and is told whose account to use."""
    short_tmp.chmod(0o755)
    door = unix.open(path)
    assert run_python(VISIT, path, str(NOBODY)).communicate()[0] == "control.not-permitted 77\n"
    door.close()


@pytest.mark.needs_root
def test_another_account_is_turned_away_if_the_mode_fails(unix, path, short_tmp, run_python, is_ready) -> None:
    """Somebody loosened the mode: the kernel still tells who is there, and he gets nothing but the end."""
    short_tmp.chmod(0o755)
    door = unix.open(path)
    os.chmod(path, 0o666)  # noqa: S103  # that is the case
    child = run_python(VISIT, path, str(NOBODY))
    assert child.stdout.readline() == "connected\n"
    assert is_ready(door.fileno())
    assert unix.accept(door) is None
    assert child.stdout.readline() == "b''\n"
    door.close()


@pytest.mark.needs_root
def test_root_may_visit_every_account_s_service(path, short_tmp, run_python) -> None:
    """The administrator manages a service that runs as somebody else."""
    short_tmp.chmod(0o777)
    program = """
import os, select, sys
from stayon.platforms.door import UnixDoor
os.setuid(int(sys.argv[2]))
control = UnixDoor()
door = control.open(sys.argv[1])
print("open", flush=True)
select.select([door], [], [], 10)
control.accept(door).send(b"hello")
"""
    child = run_python(program, path, str(NOBODY))
    assert child.stdout.readline() == "open\n"
    visitor = UnixDoor().connect(path, 5)
    assert visitor.recv(10) == b"hello"
    visitor.close()


def test_the_fake_turns_foreign_accounts_away() -> None:
    """A test says which account the visitor has."""
    fake = FakeControlDoor()
    door = fake.open("/run/x/control")
    fake.visitor_uid = 4711
    visitor = fake.connect("/run/x/control", 5)
    assert fake.accept(door) is None
    assert visitor.recv(1) == b""
    fake.visitor_uid = 0
    root = fake.connect("/run/x/control", 5)
    host = fake.accept(door)
    assert host is not None
    for closable in (visitor, root, host, door):
        closable.close()


@pytest.mark.linux
def test_a_long_path_is_no_obstacle_on_linux(unix, short_tmp, open_files) -> None:
    """Longer than a socket's address can be: it goes by way of the directory, for opening, connecting and replacing."""
    folder = short_tmp / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True)
    path, before = str(folder / "control"), open_files()
    for _ in range(2):
        door = unix.open(path)
        unix.connect(path, 5).close()
        door.close()
    unix.remove(path)
    assert not os.path.exists(path)
    assert open_files() == before + 1  # the spare one


def test_a_path_that_is_too_long_is_told(unix, short_tmp) -> None:
    """Where there is no way around it, the error says what to do."""
    with pytest.raises(UnavailableError) as caught:
        unix.open(str(short_tmp / ("c" * 120)))
    assert caught.value.code == "control.path-too-long"


@pytest.mark.parametrize("where", ["missing/control", "file/control"])
def test_a_missing_directory_is_told(unix, short_tmp, where: str) -> None:
    """One line with the path and the cause."""
    (short_tmp / "file").write_text("")
    with pytest.raises(UnavailableError) as caught:
        unix.open(str(short_tmp / where))
    assert (caught.value.code, caught.value.where) == ("control.unavailable", str(short_tmp / where))


@pytest.mark.needs_root
def test_a_directory_without_rights_is_told(short_tmp, run_python) -> None:
    """Exit code 77."""
    short_tmp.chmod(0o755)
    program = """
import os, sys
from stayon.platforms.door import UnixDoor
from stayon.errors import StayonError
os.setuid(int(sys.argv[2]))
try:
    UnixDoor().open(sys.argv[1])
except StayonError as error:
    print(error.code, error.exit_code)
"""
    child = run_python(program, str(short_tmp / "control"), str(NOBODY))
    assert child.communicate()[0] == "control.not-permitted 77\n"


def test_a_full_queue_is_waited_for_only_so_long(unix, path) -> None:
    """A hung service lets nobody in: the verb says so after its timeout, and waits in the kernel, asking only once."""
    door = unix.open(path)
    visitors: list[socket.socket] = []
    before = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        visitors.extend(unix.connect(path, 0.1) for _ in range(10 * door_module.BACKLOG))
    assert caught.value.code == "control.busy"
    assert 0.1 <= time.monotonic() - before < 2
    with pytest.raises(TemporaryError):
        unix.open(path)
    for closable in (*visitors, door):
        closable.close()


def test_out_of_descriptors_visitors_are_turned_away(unix, path, is_ready) -> None:
    """Somebody's leak must not make the loop spin on a door that it can't open: the visitor gets the end, the door
    rests.
    """
    door = unix.open(path)
    visitor = unix.connect(path, 5)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    leak = [os.open("/dev/null", os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (leak[0] + 20, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            leak.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(30))
        assert unix.accept(door) is None
        assert visitor.recv(1) == b""
        assert not is_ready(door.fileno(), 0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in leak:
            os.close(fd)
    visitor.close()
    again = unix.connect(path, 5)
    unix.accept(door).close()
    again.close()
    door.close()


def test_a_visitor_who_left_at_once_is_no_trouble(unix, path) -> None:
    """Connected and gone before he was let in: what he left is the end of the stream."""
    door = unix.open(path)
    unix.connect(path, 5).close()
    host = unix.accept(door)
    assert host.recv(1) == b""
    host.close()
    door.close()


def test_a_blocked_thread_can_connect_while_the_host_accepts(unix, path) -> None:
    """connect from one thread, accept on another, as verbs and host do."""
    door = unix.open(path)
    said: list[bytes] = []

    def visit() -> None:
        visitor = unix.connect(path, 5)
        said.append(visitor.recv(2))
        visitor.close()

    thread = threading.Thread(target=visit)
    thread.start()
    door.settimeout(5)
    host = unix.accept(door)
    host.send(b"ok")
    thread.join(5)
    assert said == [b"ok"]
    host.close()
    door.close()


def test_descriptors_are_not_inherited(unix, path) -> None:
    """No child gets the door, or a visitor."""
    door = unix.open(path)
    visitor = unix.connect(path, 5)
    host = unix.accept(door)
    assert [os.get_inheritable(each.fileno()) for each in (door, visitor, host)] == [False] * 3
    for closable in (visitor, host, door):
        closable.close()


@pytest.mark.macos
def test_the_visitor_s_account_on_macos(unix, path) -> None:
    """LOCAL_PEERCRED tells who is there, and our own account is let in."""
    door = unix.open(path)
    visitor = unix.connect(path, 5)
    host = unix.accept(door)
    assert host is not None
    for closable in (visitor, host, door):
        closable.close()
