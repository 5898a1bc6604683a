"""The ControlDoor port: the verbs' way into a running service. What only one system has is in a file of its own."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from stayon.errors import TemporaryError, UnavailableError
from stayon.testing.control_door import FakeControlDoor

if sys.platform == "win32":
    from stayon.platforms.windows.pipe import PipeDoor as RealDoor
else:
    from stayon.platforms.door import UnixDoor as RealDoor


@pytest.fixture
def path(short_tmp) -> str:
    return str(short_tmp / "control")


@pytest.fixture(params=["real", "fake"])
def control(request):
    return RealDoor() if request.param == "real" else FakeControlDoor()


@pytest.fixture
def real():
    return RealDoor()


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


def test_a_door_is_known_again(control, path) -> None:
    """Its mark stays the same as long as it is there; without it there is none, and another's is another."""
    assert control.mark(path) is None
    door = control.open(path)
    mark = control.mark(path)
    assert mark is not None
    assert control.mark(path) == mark
    control.remove(path)
    assert control.mark(path) is None
    other = control.open(path)
    assert control.mark(path) not in (None, mark)
    door.close()
    other.close()
    control.remove(path)


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


def test_a_visitor_who_left_at_once_is_no_trouble(control, path, is_ready) -> None:
    """Connected and gone before he was let in: what he left is the end of the stream, as often as one looks."""
    door = control.open(path)
    control.connect(path, 5).close()
    host = control.accept(door)
    assert is_ready(host.fileno())
    assert host.recv(1) == b""
    assert host.recv(1) == b""
    host.close()
    door.close()


def test_a_blocked_thread_can_connect_while_the_host_accepts(control, path, is_ready) -> None:
    """connect from one thread, accept on another, as verbs and host do."""
    door = control.open(path)
    said: list[bytes] = []

    def visit() -> None:
        visitor = control.connect(path, 5)
        said.append(visitor.recv(2))
        visitor.close()

    thread = threading.Thread(target=visit)
    thread.start()
    assert is_ready(door.fileno())
    host = control.accept(door)
    host.send(b"ok")
    thread.join(5)
    assert said == [b"ok"]
    host.close()
    door.close()


def test_last_words_are_heard(control, path) -> None:
    """What was sent can be read after the host has closed its end, and gone."""
    door = control.open(path)
    visitor = control.connect(path, 5)
    host = control.accept(door)
    host.send(b"last words")
    host.close()
    door.close()
    assert visitor.recv(100) == b"last words"
    assert visitor.recv(100) == b""
    visitor.close()


def test_long_questions_come_whole(control, path, is_ready) -> None:
    """More than fits into one reading, in pieces of any size, in their order."""
    door = control.open(path)
    visitor = control.connect(path, 5)
    host = control.accept(door)
    words, heard = os.urandom(20_000), b""
    unsent = words
    while unsent:
        unsent = unsent[visitor.send(unsent) :]
    visitor.close()
    while is_ready(host.fileno()) and (piece := host.recv(777)):
        assert len(piece) <= 777
        heard += piece
    assert heard == words
    host.close()
    door.close()


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


# -- the real one ----------------------------------------------------------------------------------------------------


def test_what_the_host_sends_does_not_block(real, path) -> None:
    """To a visitor who reads nothing it sends what there is room for; he misses nothing when he reads at last."""
    door = real.open(path)
    visitor = real.connect(path, 5)
    host = real.accept(door)
    words = os.urandom(1 << 20)
    unsent, heard = rest_of(words, host), b""
    assert unsent
    while len(heard) < len(words):
        heard += visitor.recv(65536)
        unsent = rest_of(unsent, host)
    assert heard == words
    for closable in (host, visitor, door):
        closable.close()


def rest_of(words: bytes, host) -> bytes:
    """What is left of *words* when *host* can't send more for now."""
    while words:
        try:
            words = words[host.send(words) :]
        except BlockingIOError:
            break
    return words


def test_a_host_who_speaks_to_nobody_is_told(real, path) -> None:
    """The visitor has gone: that is an OSError, not a wait."""
    door = real.open(path)
    visitor = real.connect(path, 5)
    host = real.accept(door)
    visitor.close()
    with pytest.raises(ConnectionError):
        host.send(b"hello")
    host.close()
    door.close()


def test_a_killed_service_leaves_no_obstacle(real, path, run_python) -> None:
    """Killed, it leaves a name at which nobody listens: that is told, and it is replaced."""
    program = f"""
import sys
from {RealDoor.__module__} import {RealDoor.__name__} as RealDoor
door = RealDoor().open(sys.argv[1])
print(flush=True)
sys.stdin.read()
"""
    child = run_python(program, path, stdin=-1)
    child.stdout.readline()
    with pytest.raises(TemporaryError):
        real.open(path)
    real.connect(path, 5).close()
    child.kill()
    child.wait(5)
    assert os.path.exists(path)
    with pytest.raises(UnavailableError) as caught:
        real.connect(path, 5)
    assert caught.value.code == "control.nobody"
    real.open(path).close()


def test_something_else_at_its_place_is_left_alone(real, path) -> None:
    """A file that is no socket may be anybody's: it is never removed."""
    with open(path, "w") as file:
        file.write("precious")
    with pytest.raises(UnavailableError) as caught:
        real.open(path)
    assert caught.value.code == "control.not-a-socket"
    with open(path) as file:
        assert file.read() == "precious"


@pytest.mark.parametrize("where", ["missing/control", "file/control"])
def test_a_missing_directory_is_told(real, short_tmp, where: str) -> None:
    """One line with the path and the cause."""
    (short_tmp / "file").write_text("")
    with pytest.raises(UnavailableError) as caught:
        real.open(str(short_tmp / where))
    assert (caught.value.code, caught.value.where) == ("control.unavailable", str(short_tmp / where))


def test_nothing_is_inherited(real, path) -> None:
    """No child gets the door, or a visitor."""
    door = real.open(path)
    visitor = real.connect(path, 5)
    host = real.accept(door)
    look = getattr(os, "get_handle_inheritable", os.get_inheritable)
    assert [look(each.fileno()) for each in (door, visitor, host)] == [False] * 3
    for closable in (visitor, host, door):
        closable.close()


def test_nothing_is_left_open(real, path, open_files) -> None:
    """A hundred visits, a door opened and closed ten times: as many descriptors as before."""
    real.open(path).close()  # what is kept for the next time is there then
    before = open_files()
    for _ in range(10):
        door = real.open(path)
        for _ in range(10):
            visitor = real.connect(path, 5)
            host = real.accept(door)
            host.send(b"x")
            assert visitor.recv(1) == b"x"
            visitor.close()
            host.close()
        door.close()
    assert open_files() == before
