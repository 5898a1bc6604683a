"""launchd as the one who started us: what it asks by signals, and what it is told by a file."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stayon.core.events import UNHEARD, Event, Report
from tests.systemd.lab import wait_until

pytestmark = [pytest.mark.linux, pytest.mark.macos]
if sys.platform == "win32":
    pytest.skip("launchd's rooms are for Unix", allow_module_level=True)

from stayon.platforms.launchd import page  # noqa: E402  # it is not there on Windows
from stayon.platforms.launchd.sockets import LaunchdSockets, activated  # noqa: E402  # it is not there on Windows
from stayon.platforms.launchd.starter import LaunchdStarter, starter_of  # noqa: E402  # it is not there on Windows


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[LaunchdStarter]:
    """One that is told at ``tmp_path / "page"``."""
    made = LaunchdStarter(str(tmp_path / "page"))
    yield made
    made.detach()


@pytest.mark.parametrize(
    ("number", "event"),
    [
        (signal.SIGTERM, "stop"),
        (signal.SIGINT, "stop"),
        (signal.SIGHUP, "reload"),
        (signal.SIGUSR1, "reload"),
        (signal.SIGTSTP, "pause"),
        (signal.SIGCONT, "resume"),
        (signal.SIGUSR2, "dump"),
    ],
)
def test_what_signals_ask_for(starter, number, event) -> None:
    """launchctl can send nothing else; several of the same are one."""
    fd = starter.attach()
    os.kill(os.getpid(), number)
    os.kill(os.getpid(), number)

    assert select.select([fd], [], [], 5.0)[0]
    assert [request.event for request in starter.requests()] == [event]
    assert starter.requests() == []


def test_signals_are_given_back(starter) -> None:
    """As they were before, all of them."""
    numbers = (signal.SIGTERM, signal.SIGTSTP, signal.SIGCONT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]

    starter.attach()
    starter.detach()
    starter.detach()

    assert [signal.getsignal(number) for number in numbers] == before


def test_it_is_told_what_is_new(starter, tmp_path) -> None:
    """State, status and how it ended, of this process, for everybody to read; the same again writes nothing."""
    starter.report(Report("START_PENDING", checkpoint=1))
    starter.report(Report("RUNNING", "3 prices"))

    found = page.read(str(tmp_path / "page"))
    assert found is not None
    assert (found.state, found.pid, found.status) == ("RUNNING", os.getpid(), "3 prices")
    assert (tmp_path / "page").stat().st_mode & 0o777 == 0o644
    (tmp_path / "page").unlink()
    starter.report(Report("RUNNING", "3 prices", checkpoint=7))
    assert list(tmp_path.iterdir()) == []
    starter.report(Report("STOPPED", exit_code=70, why="run: ValueError\nwith two lines"))
    found = page.read(str(tmp_path / "page"))
    assert found is not None
    assert (found.state, found.exit_code, found.why) == ("STOPPED", 70, "run: ValueError with two lines")


def test_a_file_that_can_not_be_written_is_survived_and_told_once(tmp_path) -> None:
    """Until it can be again."""
    starter = LaunchdStarter(str(tmp_path / "gone" / "page"))
    fd = starter.attach()
    try:
        starter.report(Report("RUNNING"))
        starter.report(Report("PAUSE_PENDING"))

        assert select.select([fd], [], [], 5.0)[0]
        (event,) = starter.requests()
        assert isinstance(event, Event)
        assert event.kind == UNHEARD
        (tmp_path / "gone").mkdir()
        starter.report(Report("PAUSED"))
        assert starter.requests() == []
        assert page.read(str(tmp_path / "gone" / "page")) is not None
    finally:
        starter.detach()


def test_a_link_is_not_followed(tmp_path) -> None:
    """The file is in the service's own directory, and what stands there is replaced."""
    (tmp_path / "other").write_text("precious", "utf-8")
    (tmp_path / "page").symlink_to(tmp_path / "other")

    LaunchdStarter(str(tmp_path / "page")).report(Report("RUNNING"))

    assert (tmp_path / "other").read_text("utf-8") == "precious"
    assert not (tmp_path / "page").is_symlink()


@pytest.mark.parametrize(("exit_code", "leaves"), [(78, True), (70, False), (0, False)])
def test_what_a_restart_can_not_help_leaves_launchd(tmp_path, exit_code, leaves) -> None:
    """When all that the process has started is gone: at the end, once."""
    mark = tmp_path / "left"
    command = ("/bin/sh", "-c", f"echo left >> {mark}")
    starter = LaunchdStarter("", (64, 77, 78), command)
    starter.attach()

    starter.report(Report("STOPPED", exit_code=exit_code))
    assert not mark.exists()
    starter.detach()
    starter.detach()

    if leaves:
        wait_until(lambda: mark.exists() and mark.read_text("utf-8") == "left\n", "leaving")
    assert starter.is_manager
    assert mark.exists() is leaves


def test_what_fails_before_there_is_a_host_leaves_at_once(tmp_path) -> None:
    """Nobody attaches then."""
    mark = tmp_path / "left"

    LaunchdStarter("", (78,), ("/usr/bin/touch", str(mark))).report(Report("STOPPED", exit_code=78))

    wait_until(mark.exists, "leaving")


def test_what_is_meant_for_this_process_is_taken_out_of_the_environment(tmp_path) -> None:
    """Or its children would speak for it."""
    env = {
        "STAYON_STARTER": "launchd",
        "STAYON_PAGE": str(tmp_path / "page"),
        "STAYON_DIGEST": "abc",
        "STAYON_FINAL": "64 78",
        "STAYON_UNLOAD": "/bin/launchctl bootout gui/501/collector",
        "STAYON_SOCKETS": "http admin",
        "STAYON_HOME": "/srv",
    }

    starter, sockets = starter_of(env)

    assert env == {"STAYON_HOME": "/srv"}
    assert starter.name == "launchd"
    starter.report(Report("RUNNING"))
    assert page.read(str(tmp_path / "page")) is not None
    assert isinstance(sockets, LaunchdSockets)


def test_sockets_are_asked_for_once() -> None:
    """launchd hands them over once; the names are those of the property list."""
    asked: list[str] = []

    def activate(name: str) -> list[int]:
        asked.append(name)
        return [3, 4] if name == "http" else [5]

    sockets = LaunchdSockets(("http", "admin"), activate)

    assert sockets.inherited() == {"http": (3, 4), "admin": (5,)}
    assert sockets.inherited() == {"http": (3, 4), "admin": (5,)}
    assert asked == ["http", "admin"]
    assert not sockets.keep("x", 3)
    sockets.forget("x")
    assert LaunchdSockets(()).inherited() == {}


# As launch.h has it: an array that the caller frees.
LAUNCH = """
#include <stdlib.h>
#include <string.h>
#include <errno.h>
int launch_activate_socket(const char *name, int **fds, size_t *count) {
    if (strcmp(name, "http"))
        return ENOENT;
    *fds = malloc(3 * sizeof(int));
    *count = 3;
    for (int i = 0; i < 3; i++)
        (*fds)[i] = 10 + i;
    return 0;
}
"""


@pytest.mark.linux
def test_the_c_function_is_called_as_its_header_says(tmp_path, python) -> None:
    """Its array is read and given back, its error is raised; here on a function of our own making."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("test_the_c_function_is_called_as_its_header_says needs cc, which is missing (Debian: gcc)")
    source, library = tmp_path / "launch.c", tmp_path / "launch.so"
    source.write_text(LAUNCH, "utf-8")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    program = (
        "import os\n"
        "for fd in (10, 11, 12): os.dup2(1, fd)\n"
        "from stayon.platforms.launchd.sockets import activated\n"
        "print(activated('http'), [os.get_inheritable(fd) for fd in (10, 11, 12)])\n"
        "try: activated('other')\n"
        "except OSError as error: print(error.errno, error.filename)\n"
    )
    env = {**os.environ, "LD_PRELOAD": str(library)}
    done = subprocess.run([python, "-c", program], env=env, capture_output=True, text=True, check=True)

    assert done.stdout == "[10, 11, 12] [False, False, False]\n2 other\n"


@pytest.mark.skipif(sys.platform != "darwin", reason="test_sockets_of_nobody asks macOS' launchd")
def test_sockets_of_nobody() -> None:
    """launchd has not started this process, and says so."""
    with pytest.raises(OSError, match="http"):
        activated("http")
