"""The SocketStore port: what was handed over, and what is kept. systemd's is asked through a real datagram socket."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stayon.machine import NoSockets
from stayon.testing.socket_store import FakeSocketStore

if sys.platform != "win32":
    import array
    import fcntl

    from stayon.platforms.systemd.notify import NotifySocket
    from stayon.platforms.systemd.sockets import SystemdSockets


class Keeper:
    """systemd's end of FDSTORE=: takes what it is sent, and keeps it."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self._socket.settimeout(0)

    def kept(self) -> dict[str, tuple[int, ...]]:
        """What it has after all messages so far."""
        kept: dict[str, tuple[int, ...]] = {}
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(4096, socket.CMSG_LEN(4 * 16))
            except BlockingIOError:
                return kept
            fields = dict(line.split("=", 1) for line in data.decode().split("\n"))
            fds = array.array("i", b"".join(payload for _, _, payload in ancillary))
            if fields.get("FDSTORE") == "1":
                kept[fields["FDNAME"]] = (*kept.get(fields["FDNAME"], ()), *fds)
            elif fields.get("FDSTOREREMOVE") == "1":
                for fd in kept.pop(fields["FDNAME"], ()):
                    os.close(fd)

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@pytest.fixture(params=["fake", "systemd"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple]:
    """A store that was handed "http", what it was handed, and a function that tells what is kept."""
    if sys.platform == "win32":
        pytest.skip("sockets are handed over on Unix only: Windows passes no descriptors on")
    there = socket.create_server(("127.0.0.1", 0))
    fd = there.detach()
    os.set_inheritable(fd, True)
    if request.param == "fake":
        fake = FakeSocketStore()
        fake.hand_over("http", fd)
        yield fake, fd, lambda: fake.kept
        fake.close()
    else:
        keeper = Keeper(str(tmp_path / "notify"))
        sock = NotifySocket(str(tmp_path / "notify"))
        yield SystemdSockets({"http": (fd,)}, sock), fd, keeper.kept
        sock.close()
        keeper.close()
    os.close(fd)


def test_what_was_handed_over_is_there(world) -> None:
    """By name, and the same at every call."""
    store, fd, _ = world
    assert dict(store.inherited()) == {"http": (fd,)}
    assert dict(store.inherited()) == {"http": (fd,)}


def test_what_is_kept_outlives_its_owner(world) -> None:
    """The keeper has the same socket, also when the service has closed its own; several of a name stay apart."""
    store, _, kept = world
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as server:
            assert store.keep("web", server.fileno())
            port = server.getsockname()[1]
    first, second = kept()["web"]
    assert first != second
    with socket.socket(fileno=second) as again:
        assert again.getsockname()[1] == port
    os.close(first)
    if isinstance(store, FakeSocketStore):
        store.kept.clear()


def test_what_is_forgotten_is_kept_no_more(world) -> None:
    """All of the name; forgetting again is harmless."""
    store, _, kept = world
    with socket.create_server(("127.0.0.1", 0)) as server:
        store.keep("web", server.fileno())
        store.keep("web", server.fileno())
    store.forget("web")
    store.forget("web")
    assert "web" not in kept()


def test_what_is_no_socket_is_an_error(world) -> None:
    """A closed descriptor can't be kept: OSError."""
    store, _, _ = world
    store.forget("nothing")  # so that what it needs itself is open
    with socket.socket() as sock:
        closed = sock.fileno()
    with pytest.raises(OSError, match="Bad file descriptor"):
        store.keep("web", closed)


def test_where_nobody_keeps_any() -> None:
    """There are none, and it is told that they are not kept."""
    store = NoSockets()
    assert store.inherited() == {}
    assert not store.keep("web", 0)
    store.forget("web")


@pytest.mark.skipif(sys.platform == "win32", reason="systemd: Windows passes no descriptors on")
def test_no_child_gets_what_was_handed_over() -> None:
    """From the first look on, the descriptors are this process's alone."""
    read_fd, write_fd = os.pipe()
    for fd in (read_fd, write_fd):
        os.set_inheritable(fd, True)
    store = SystemdSockets({"a": (read_fd,), "b": (write_fd,)}, None)
    store.inherited()
    assert [bool(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC) for fd in (read_fd, write_fd)] == [True, True]
    os.close(read_fd)
    os.close(write_fd)


@pytest.mark.skipif(sys.platform == "win32", reason="systemd: Windows passes no descriptors on")
def test_a_keeper_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """Whoever keeps a socket must know that it isn't."""
    sock = NotifySocket(str(tmp_path / "nobody"))
    store = SystemdSockets({}, sock)
    with pytest.raises(FileNotFoundError):
        store.keep("web", 0)
    sock.close()
