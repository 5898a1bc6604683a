"""The ControlDoor port on Windows: names of named pipes, their places, and who is let in."""

from __future__ import annotations

import os
import time

import pytest

from stayon.errors import UnavailableError
from stayon.platforms.windows import win32

pytestmark = pytest.mark.windows


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "collector.sock")


@pytest.fixture
def pipes():
    from stayon.platforms.windows.pipe import PipeDoor

    return PipeDoor()


def name_in(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_a_pipe_s_name_can_not_be_foreseen(pipes, path) -> None:
    """It tells whose it is, and is another one each time: nobody can have taken it before us."""
    names = set()
    for _ in range(3):
        pipes.open(path).close()
        names.add(name_in(path))
    assert len(names) == 3
    assert all(name.startswith("\\\\.\\pipe\\stayon-collector-") for name in names)


def test_a_name_that_is_no_pipe_of_ours_is_not_opened(pipes, path) -> None:
    """What stands in the file leads to a pipe of ours, or to nobody: not to a file, nor to another computer."""
    for name in ("\\\\server\\pipe\\stayon-x", "C:\\Windows\\win.ini", "", "\0"):
        with open(path, "w", encoding="utf-8") as file:
            file.write(name)
        with pytest.raises(UnavailableError) as caught:
            pipes.connect(path, 1)
        assert caught.value.code == "control.nobody"


def test_a_full_queue_is_waited_for_only_so_long(pipes, path) -> None:
    """A hung service lets nobody in: the verb says so after its timeout."""
    door = pipes.open(path)
    visitors: list = []
    before = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        visitors.extend(pipes.connect(path, 0.1) for _ in range(100))
    assert caught.value.code == "control.busy"
    assert 0.1 <= time.monotonic() - before < 2
    for closable in (*visitors, door):
        closable.close()


def test_without_room_visitors_are_turned_away(pipes, path, is_ready, monkeypatch) -> None:
    """No further pipe can be made: the visitor gets the end, the door rests, and who comes later is let in again."""
    from stayon.platforms.windows import pipe_ends
    from stayon.platforms.windows.pipe import BACKLOG

    monkeypatch.setattr(pipe_ends, "UNLIMITED_INSTANCES", BACKLOG + 1)
    door = pipes.open(path)
    first, second = pipes.connect(path, 5), pipes.connect(path, 5)
    host = pipes.accept(door)
    assert is_ready(door.fileno())
    assert pipes.accept(door) is None
    assert second.recv(1) == b""
    assert not is_ready(door.fileno(), 0)
    for closable in (first, second, host):
        closable.close()
    third = pipes.connect(path, 5)
    assert is_ready(door.fileno())
    host = pipes.accept(door)
    for closable in (host, third, door):
        closable.close()


def test_what_is_refused_for_now_is_told_when_it_can_go_on(pipes, path, is_ready) -> None:
    """The event is not set while there is nothing to read, or no room to send; and it is when there is."""
    door = pipes.open(path)
    visitor = pipes.connect(path, 5)
    host = pipes.accept(door)
    assert isinstance(host.fileno(), win32.Handle)
    with pytest.raises(BlockingIOError):
        host.recv(1)
    assert not is_ready(host.fileno(), 0)
    visitor.send(b"ab")
    assert is_ready(host.fileno())
    assert host.recv(1) == b"a"
    assert is_ready(host.fileno(), 0)
    assert host.recv(1) == b"b"
    words = bytes(65536)
    assert host.send(words) == len(words)
    with pytest.raises(BlockingIOError):
        host.send(words)
    assert not is_ready(host.fileno(), 0)
    heard = 0
    while heard < len(words):
        heard += len(visitor.recv(65536))
    assert is_ready(host.fileno())
    assert host.send(words) == len(words)
    for closable in (host, visitor, door):
        closable.close()


def test_a_pipe_of_somebody_else_s_is_nobody(pipes, path, monkeypatch) -> None:
    """A process has left its name, and a stranger has made a pipe of it: verbs don't talk to that one, and it keeps no
    service from starting.
    """
    from stayon.platforms.windows import pipe_ends

    pipes.open(path).close()
    stranger = "O:S-1-5-21-1-2-3-1001D:P(A;;GA;;;WD)"
    with monkeypatch.context() as patched:
        patched.setattr(pipe_ends, "pipe_sddl", lambda _sids: stranger)
        try:
            foreign = pipe_ends.Listener(name_in(path), 4)
        except OSError:
            pytest.skip("here nobody can make what belongs to another")
    with pytest.raises(UnavailableError) as caught:
        pipes.connect(path, 1)
    assert caught.value.code == "control.nobody"
    door = pipes.open(path)
    assert name_in(path) != foreign.name
    pipes.connect(path, 1).close()
    for closable in (foreign, door):
        closable.close()


def test_a_name_that_is_being_read_can_be_replaced_and_removed(pipes, path) -> None:
    """A verb that reads it keeps no service from starting or ending."""
    with open(path, "w", encoding="utf-8"):
        door = pipes.open(path)
        pipes.connect(path, 5).close()
        door.close()
        pipes.remove(path)
    pipes.remove(path)
    assert not os.path.exists(path)
