"""``--pid-file``: for those who start and stop daemons from outside. The lock counts, not the number."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.platform import daemons as rooms

if TYPE_CHECKING:
    from tests.platform.conftest import Program
    from tests.platform.daemons import Daemons

pytestmark = pytest.mark.linux  # daemons are looked at in /proc; the code is the same on every Unix


@pytest.fixture
def daemons(program: Program, until: Callable[..., Any]) -> Iterator[Daemons]:
    """The program as a daemon, which is gone after the test."""
    made = rooms.Daemons(program, until)
    yield made
    made.close()


@pytest.fixture
def file(program: Program) -> Path:
    """Where the pid file is to be."""
    folder = program.folder / "pids"
    folder.mkdir()
    return folder / "x y.pid"


def test_it_is_there_before_the_prompt(daemons: Daemons, file: Path) -> None:
    """The pid, on a line, readable for all, and locked; gone after the stop. A relative name is where it was said."""
    answer = daemons.detach(rooms.PATIENT, "--pid-file", f"pids/{file.name}")
    assert answer.code == 0, answer.err
    assert file.read_text() == f"{daemons.pid}\n"
    assert file.stat().st_mode & 0o777 == 0o644
    assert rooms.is_locked(file)
    assert daemons.program.verb("stop").code == 0
    assert not file.exists()


def test_it_outlives_a_restart(daemons: Daemons, file: Path) -> None:
    """The process stays the same, and so do the file and its lock."""
    daemons.detach(rooms.PATIENT, "--pid-file", str(file))
    inode = file.stat().st_ino
    assert daemons.program.verb("restart").code == 0
    assert (file.read_text(), file.stat().st_ino) == (f"{daemons.pid}\n", inode)
    assert rooms.is_locked(file)
    os.kill(daemons.pid, signal.SIGTERM)
    daemons.until(lambda: not file.exists(), "its removal")


@pytest.mark.parametrize("left", ["{stranger}\n", "", "999999999\n", "{stranger}"])
def test_what_a_crash_has_left_is_replaced(daemons: Daemons, file: Path, left: str) -> None:
    """A number in a file that nobody has locked means nothing, even if a process has that number now."""
    file.write_text(left.format(stranger=os.getpid()))
    answer = daemons.detach(rooms.PATIENT, "--pid-file", str(file))
    assert answer.code == 0, answer.err
    assert file.read_text() == f"{daemons.pid}\n"


def test_a_crash_leaves_it_unlocked(daemons: Daemons, file: Path) -> None:
    """Killed, it can't take its file away, but the next start can have it."""
    daemons.detach(rooms.PATIENT, "--pid-file", str(file))
    pid = daemons.pid
    os.kill(pid, signal.SIGKILL)
    daemons.wait_gone(pid)
    assert file.read_text() == f"{pid}\n"
    daemons.until(lambda: not rooms.is_locked(file), "the end of its last thread")
    assert daemons.program.verb("run", "--detach", "--pid-file", str(file)).code == 0
    assert file.read_text() == f"{daemons.pid}\n"


def test_a_failed_start_leaves_none(daemons: Daemons, file: Path) -> None:
    """Neither one that the service ends, nor one that is refused before it is a service."""
    daemons.program.config.write_text("[stayon.log]\nlevl = 1\n")
    answer = daemons.detach(rooms.PATIENT, "--pid-file", str(file))
    assert answer.code == 78
    assert not file.exists()


def test_one_that_is_held(daemons: Daemons, file: Path) -> None:
    """Another daemon's file is not taken: 75, with the pid of who has it, which keeps it."""
    daemons.detach(rooms.PATIENT, "--pid-file", str(file))
    pid = daemons.pid
    answer = daemons.program.verb("run", "--detach", "--instance", "two", "--pid-file", str(file))
    assert answer.code == 75
    assert f"another process holds the pid file, pid {pid}" in answer.err
    assert "[daemon.pid-file-held]" in answer.err
    assert file.read_text() == f"{pid}\n"


def _link(file: Path, other: Path) -> None:
    other.write_text("1\n")
    file.symlink_to(other)


def _second_name(file: Path, other: Path) -> None:
    other.write_text("1\n")
    file.hardlink_to(other)


def _writable(file: Path, _other: Path) -> None:
    file.write_text("1\n")
    file.chmod(0o666)


def _text(file: Path, _other: Path) -> None:
    file.write_text("root:x:0:0:root:/root:/bin/bash\n")


def _pipe(file: Path, _other: Path) -> None:
    os.mkfifo(file)


def _folder(file: Path, _other: Path) -> None:
    file.mkdir()


def _open_folder(file: Path, _other: Path) -> None:
    file.parent.chmod(0o777)


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (_link, 77, "it is a symbolic link"),
        (_second_name, 77, "it has a second name"),
        (_writable, 77, "others may write to it"),
        (_open_folder, 77, "everybody may write to its directory"),
        (_text, 64, "there is something else than a number in it"),
        (_pipe, 64, "it is no regular file"),
        (_folder, 64, "it is no regular file"),
    ],
)
def test_what_is_no_safe_pid_file(
    daemons: Daemons, file: Path, make: Callable[[Path, Path], None], code: int, said: str
) -> None:
    """Refused by name, left as it is, and nothing is started."""
    other = daemons.program.folder / "other"
    daemons.write()
    make(file, other)
    before = file.read_text() if file.is_file() else ""
    answer = daemons.program.verb("run", "--detach", "--pid-file", str(file))
    assert answer.code == code, answer.err
    assert said in answer.err
    assert str(file) in answer.err
    assert (file.read_text() if file.is_file() else "") == before
    assert daemons.pid == 0


def test_a_directory_that_is_missing(daemons: Daemons, file: Path) -> None:
    """69, naming the file; a directory is not made by mistake."""
    answer = daemons.detach(rooms.PATIENT, "--pid-file", str(file.parent / "no" / "x.pid"))
    assert answer.code == 69
    assert "[daemon.pid-file]" in answer.err
