"""What the contract suites share: children that are really processes, and patience that ends."""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import stayon
from tests.contract import scm_computers
from tests.contract.scm_computers import Computer, LabComputer, OneFileComputer, SimulatedComputer

if TYPE_CHECKING:
    from tests.windows.lab import Lab

SOURCE = str(Path(stayon.__file__).parents[1])

Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def run_python() -> Iterator[Run]:
    """Call it with a program's text to have it run by a Python of its own; those left are killed at the end."""
    children = []

    def run(program: str, *arguments: str, **options) -> subprocess.Popen[str]:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
        environment = {**os.environ, "PYTHONPATH": SOURCE}
        child = subprocess.Popen([sys.executable, "-c", program, *arguments], text=True, env=environment, **options)
        children.append(child)
        return child

    yield run
    for child in children:
        if child.poll() is None:
            child.kill()
        with child:
            pass


@pytest.fixture
def is_ready() -> Callable[[int, float], bool]:
    """Call it with a descriptor and a number of seconds to wait until there is something to read."""

    def wait(fd: int, limit_s: float = 5.0) -> bool:
        from stayon.platforms.windows import win32

        if isinstance(fd, win32.Handle):
            kernel32 = win32.Library("kernel32.dll", WaitForSingleObject="PI>I")
            return bool(kernel32.WaitForSingleObject(fd, int(limit_s * 1000)) == 0)
        return bool(select.select([fd], [], [], limit_s)[0])

    return wait


@pytest.fixture
def open_files() -> Callable[[], int]:
    """Call it for how many descriptors (Windows: handles) this process has open."""
    return handles if sys.platform == "win32" else lambda: len(os.listdir("/dev/fd"))


def handles() -> int:
    """How many this process has, by the system's list of all (GetProcessHandleCount of Wine says 0)."""
    from stayon.platforms.windows import win32

    ntdll = win32.Library("ntdll.dll", NtQuerySystemInformation="IPIP>I")
    size = 1 << 20
    while True:
        array: Any = win32.BYTE
        room = (array * size)()
        # SystemExtendedHandleInformation: their number, then 40 bytes for each, the owner's pid at 8.
        status = ntdll.NtQuerySystemInformation(64, room, size, None)
        if status != 0xC0000004:  # STATUS_INFO_LENGTH_MISMATCH
            break
        size *= 2
    assert status == 0
    data = bytes(memoryview(room))
    count = int.from_bytes(data[:8], sys.byteorder)
    return sum(owner == os.getpid() for _, owner, _, _ in struct.iter_unpack("QQQ16s", data[16 : 16 + 40 * count]))


class Line:
    """A way for bytes from one end to the other, whose descriptors a poller takes."""

    def __init__(self, kind: str) -> None:
        self._sockets: tuple[socket.socket, ...] = ()
        if kind == "pipe":
            self.reader, self.writer = os.pipe()
        else:
            self._sockets = socket.socketpair()
            self.reader, self.writer = (end.fileno() for end in self._sockets)

    def write(self, data: bytes) -> None:
        """Send from the writer's end."""
        if self._sockets:
            self._sockets[1].send(data)
        else:
            os.write(self.writer, data)

    def read(self, size: int) -> bytes:
        """Take at the reader's end."""
        return self._sockets[0].recv(size) if self._sockets else os.read(self.reader, size)

    def close_writer(self) -> None:
        """Hang up. Twice is harmless."""
        self._close("writer", 1)

    def close_reader(self) -> None:
        """Leave the writer alone. Twice is harmless."""
        self._close("reader", 0)

    def _close(self, name: str, index: int) -> None:
        if self._sockets:
            self._sockets[index].close()
        elif getattr(self, name) != -1:
            os.close(getattr(self, name))
            setattr(self, name, -1)


# Windows can't wait for its pipes.
@pytest.fixture(params=["socket"] if sys.platform == "win32" else ["pipe", "socket"])
def line(request) -> Iterator[Line]:
    """Two ends that are connected."""
    line = Line(request.param)
    yield line
    line.close_writer()
    line.close_reader()


@pytest.fixture(scope="session")
def scm_lab(lab: Lab) -> Iterator[LabComputer]:
    """The lab's computer."""
    made = LabComputer(lab)
    yield made
    made.close()


@pytest.fixture(scope="session")
def one_file_lab(lab: Lab) -> Iterator[OneFileComputer]:
    """The lab's computer, with programs of one file."""
    made = OneFileComputer(lab)
    yield made
    made.close()


@pytest.fixture(params=scm_computers.names())
def computer(request: pytest.FixtureRequest) -> Iterator[Computer]:
    """A computer with an SCM: simulated ones, and a real one where it can be had."""
    if request.param.startswith("simulated"):
        made = SimulatedComputer(wine="Wine" in request.param)
        with made.scm:
            yield made
            made.tidy()
            assert made.scm.record.flaws == []
    else:
        one_file = request.param == scm_computers.ONE_FILE
        real: Computer = request.getfixturevalue("one_file_lab" if one_file else "scm_lab")
        yield real
        real.tidy()
