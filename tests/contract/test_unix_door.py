"""The ControlDoor port on Unix: modes, accounts, queues and paths of a Unix socket."""

from __future__ import annotations

import os
import socket
import time

import pytest

from stayon.errors import TemporaryError, UnavailableError
from stayon.platforms import door as door_module
from stayon.platforms.door import UnixDoor

pytestmark = [pytest.mark.linux, pytest.mark.macos]

NOBODY = 65534


@pytest.fixture
def path(short_tmp) -> str:
    return str(short_tmp / "control")


@pytest.fixture
def unix():
    return UnixDoor()


def test_only_its_owner_can_reach_it(unix, path) -> None:
    """Mode 0600, whatever the umask."""
    before = os.umask(0)
    door = unix.open(path)
    os.umask(before)
    assert os.stat(path).st_mode & 0o777 == 0o600
    door.close()


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
    import resource

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


@pytest.mark.macos
def test_the_visitor_s_account_on_macos(unix, path) -> None:
    """LOCAL_PEERCRED tells who is there, and our own account is let in."""
    door = unix.open(path)
    visitor = unix.connect(path, 5)
    host = unix.accept(door)
    assert host is not None
    for closable in (visitor, host, door):
        closable.close()
