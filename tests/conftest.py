"""What all tests share: marks that say by name what can't run here, three fixtures, and seeds that can be given again.

A test that needs another system is skipped there. One that needs a program fails without it where ``CI`` or
``STAYON_REQUIRE`` is set, and is skipped elsewhere: the skip says what is missing and how to get it.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from tests.systemd.lab import Lab as SystemdLab
    from tests.windows.lab import Lab

SYSTEMS = {"linux": "linux", "windows": "win32", "macos": "darwin"}

# A mark, the program it stands for, and how to get that.
PROGRAMS = {
    "needs_promtool": ("promtool", "on Debian: apt-get install prometheus"),
    "needs_gcc": ("gcc", "on Debian: apt-get install gcc"),
    "needs_mingw": ("x86_64-w64-mingw32-gcc", "on Debian: apt-get install gcc-mingw-w64-x86-64"),
    "needs_go": ("go", "on Debian: apt-get install golang-go"),
    "needs_systemd": ("systemd-analyze", "on Debian: apt-get install systemd"),
    "needs_osslsigncode": ("osslsigncode", "on Debian: apt-get install osslsigncode"),
    "needs_openssl": ("openssl", "on Debian: apt-get install openssl"),
}

OTHER_MARKS = {
    "needs_root": "does what only the administrator's account may; skipped in any other",
    "slow": "takes more than a second; left out by `dev.py test --quick`",
}

hypothesis.settings.register_profile("stayon", print_blob=True, deadline=None)
hypothesis.settings.load_profile("stayon")


def pytest_configure(config: pytest.Config) -> None:
    """Define the marks, and choose the seed of this run unless ``--hypothesis-seed`` gave one."""
    for mark, system in SYSTEMS.items():
        config.addinivalue_line("markers", f"{mark}: runs where sys.platform is {system!r}, and is skipped elsewhere")
    for mark, (program, _) in PROGRAMS.items():
        config.addinivalue_line("markers", f"{mark}: runs the program {program}")
    for mark, meaning in OTHER_MARKS.items():
        config.addinivalue_line("markers", f"{mark}: {meaning}")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Choose the seed of this run, before hypothesis reads it."""
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(2**32))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """After a failure, say how to get the same random values again."""
    if exitstatus:
        terminalreporter.write_line(f"the same random values again: --hypothesis-seed={config.option.hypothesis_seed}")


def required() -> bool:
    """Whether a missing program is a failure."""
    return any(os.environ.get(name, "").lower() not in ("", "0", "false", "no") for name in ("CI", "STAYON_REQUIRE"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, by name, what can't run here."""
    marks = {mark.name for mark in item.iter_markers()}
    wanted = marks & SYSTEMS.keys()
    if wanted and sys.platform not in {SYSTEMS[mark] for mark in wanted}:
        pytest.skip(f"{item.name} runs on {' and '.join(sorted(wanted))} only")
    if "needs_root" in marks and (not hasattr(os, "geteuid") or os.geteuid() != 0):
        pytest.skip(f"{item.name} needs root: sudo python3 dev.py test -- -m needs_root")
    for mark in sorted(marks & PROGRAMS.keys()):
        program, cure = PROGRAMS[mark]
        if shutil.which(program) is None:
            refuse = pytest.fail if required() else pytest.skip
            refuse(f"{item.name} needs {program}, which is missing ({cure})")


@pytest.fixture(scope="session")
def refuse() -> Callable[[str], object]:
    """Call it with a reason: what can't be had is a skip, or a failure where that is required."""
    return pytest.fail if required() else pytest.skip


@pytest.fixture(scope="session")
def lab(refuse: Callable[[str], object]) -> Iterator[Lab]:
    """A computer with a Service Control Manager, made when it is first asked for, and one for all."""
    from tests.windows import lab as laboratory

    try:
        with laboratory.opened() as made:
            yield made
    except laboratory.NoLabError as error:
        refuse(f"the lab of Windows services can't be had: {error}")


@pytest.fixture(scope="session")
def systemd(refuse: Callable[[str], object]) -> Iterator[SystemdLab]:
    """A computer with systemd, booted when it is first asked for, and one for all. Only root can have one."""
    from tests.systemd import lab as laboratory

    try:
        with laboratory.opened() as made:
            yield made
    except laboratory.NoLabError as error:
        may_have = hasattr(os, "geteuid") and os.geteuid() == 0
        (refuse if may_have else pytest.skip)(f"the lab of systemd can't be had: {error}")


@pytest.fixture
def beyond_wine(request: pytest.FixtureRequest) -> None:
    """For what Windows does and Wine doesn't: skipped there, by name."""
    if sys.platform == "win32":
        from stayon.platforms.windows import win32

        if hasattr(win32.Library("ntdll.dll", wine_get_version=">P"), "wine_get_version"):
            pytest.skip(f"{request.node.name} asks more than Wine does")


@pytest.fixture
def python() -> str:
    """The interpreter that runs the tests, for starting a service as a process of its own."""
    return sys.executable


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """An empty directory with a short path, as a Unix socket's name has 107 bytes; gone after the test."""
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp" if os.name == "posix" else None) as folder:
        yield Path(folder)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Call it for a TCP port of 127.0.0.1 on which nobody listened a moment ago; never the same twice."""
    given: set[int] = set()

    def next_port() -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            if port not in given:
                given.add(port)
                return port

    return next_port
