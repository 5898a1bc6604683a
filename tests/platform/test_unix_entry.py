"""What a manager on Unix runs, with a real socket as the manager's end: start, reload, stop, and each way to fail."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if sys.platform == "win32":
    pytest.skip("Windows has an entry of its own", allow_module_level=True)

from stayon import exits
from stayon.machine import Program as Wanted
from stayon.platforms import current
from stayon.platforms.unix_command import reload_command, service_command
from stayon.runtime.control_client import ControlClient

if TYPE_CHECKING:
    from tests.platform.conftest import Program, Started

PATIENCE_S = 15.0

AWAY = """
from stayon import UnavailableError
service = Service("s")
service.every("1h")(print)

@service.on_start
def begin(ctx):
    raise UnavailableError("it is away") from OSError(111, "refused")
"""


class Manager:
    """Who started it: its socket, and what it has been told so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def wait(self, line: str) -> list[str]:
        """Wait for *line*; gives the whole message that has it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            lines = self._socket.recv(4096).decode().split("\n")
            self.told += lines
            if line in lines:
                return lines

    def rest(self) -> list[str]:
        """All it was told up to now."""
        self._socket.settimeout(0)
        try:
            while True:
                self.told += self._socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            return self.told

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """Somebody who wants to be told."""
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


def begin(program: Program, manager: Manager | None, text: str | None = None, *options: str, **more) -> Started:
    """Start the program as its manager does."""
    command = service_command(Wanted(more.pop("name", program.name), str(program.file), options=options))
    environment = {} if manager is None else {"NOTIFY_SOCKET": str(manager.path)}
    return program.start(
        text, command=list(command), environment={**environment, **more.pop("environment", {})}, **more
    )


def test_it_is_ready_and_it_stops(program: Program, manager: Manager) -> None:
    """READY once it is RUNNING, STOPPING before it ends, and 0 for a stop that was asked for."""
    started = begin(program, manager, program.eight_lines)
    manager.wait("READY=1")
    assert started.stop() == exits.DONE
    told = manager.rest()
    assert [line for line in told if line in ("READY=1", "STOPPING=1")] == ["READY=1", "STOPPING=1"]
    assert "EXIT_STATUS=0" in told


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_program_that_closes_its_streams_still_stops_well(program: Program, manager: Manager, stream: str) -> None:
    """There is nothing to flush then, and the exit code is that of the stop."""
    started = begin(program, manager, f"import sys; sys.{stream}.close()\n{program.eight_lines}")
    manager.wait("READY=1")
    assert started.stop() == exits.DONE


def test_a_stop_before_it_is_ready_is_no_failure(program: Program, manager: Manager) -> None:
    """The manager wanted it so: 0, where a console would have 143."""
    started = begin(
        program,
        manager,
        """
        service = Service("s")

        @service.run
        def run(ctx):
            ctx.status("waiting")
            ctx.stopping.wait()
        """,
    )
    manager.wait("STATUS=starting: waiting")
    assert started.stop() == exits.DONE
    assert "READY=1" not in manager.rest()


def test_jobs_run_beside_the_host_on_the_main_thread(program: Program, manager: Manager) -> None:
    """With jobs only, the main thread is the host's: signals reach it there, and a long job keeps nobody waiting."""
    started = begin(
        program,
        manager,
        """
        import threading
        service = Service("s", stop_timeout="10s")

        @service.every("1h")
        def job(ctx):
            ctx.log.info("in the job", threads=sorted(thread.name for thread in threading.enumerate()))
            ctx.stopping.wait()
        """,
    )
    threads = started.wait_log("in the job")["fields"]["threads"]
    assert "host" not in threads
    started.send(signal.SIGHUP)
    manager.wait("RELOADING=1")
    manager.wait("READY=1")
    assert started.stop() == exits.DONE


def test_signs_of_life_come_in_time(program: Program, manager: Manager) -> None:
    """Three in the limit, which is told by WATCHDOG_USEC."""
    started = begin(program, manager, program.eight_lines, environment={"WATCHDOG_USEC": "300000"})
    manager.wait("READY=1")
    for _ in range(4):
        began = time.monotonic()
        manager.wait("WATCHDOG=1")
        assert time.monotonic() - began < 0.3
    assert started.stop() == exits.DONE


def test_a_reload_is_waited_for(program: Program, manager: Manager) -> None:
    """The words that ask for it end with 0 when it is applied, and with the reason and its code where it is refused."""
    program.config.write_text('[stayon.log]\nlevel = "info"\n')
    started = begin(program, manager, program.eight_lines)
    manager.wait("READY=1")
    command = reload_command(service_command(Wanted(program.name, str(program.file))))
    assert program.call(*command).code == exits.DONE
    program.config.write_text('[stayon.log]\nlevel = "loud"\n')
    answer = program.call(*command)
    assert answer.code == exits.BAD_CONFIG
    assert "stayon.log.level" in answer.err
    assert started.stop() == exits.DONE
    gone = program.call(*command)
    assert gone.code == exits.UNAVAILABLE


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ("raise OSError(28, 'full')", exits.FAILED, "full"),
        ("service = Service('other')", exits.USAGE, "other"),
        ("service = 1", exits.USAGE, "no service"),
        (
            AWAY,
            exits.UNAVAILABLE,
            "it is away",
        ),
    ],
    ids=["import", "name", "none", "start"],
)
def test_a_failed_start_is_seen(program: Program, manager: Manager, text: str, code: int, word: str) -> None:
    """In the log, on standard error, by the exit code, and in what the manager is told; never READY."""
    started = begin(program, manager, text)
    assert started.wait() == code
    assert word in started.err
    assert any(word in str(record) for record in program.stored_log())
    told = manager.rest()
    assert f"EXIT_STATUS={code}" in told
    assert any(line.startswith("STATUS=") and word in line for line in told)
    assert "READY=1" not in told
    if "OSError" in text:
        assert any(line.startswith("ERRNO=") for line in told)


def test_a_failure_that_cannot_be_logged_is_on_standard_error(program: Program, manager: Manager) -> None:
    """Both: what happened, with its own code, and why it isn't in the log."""
    program.home.write_text("no directory")
    started = begin(program, manager, "raise OSError(28, 'full')")
    assert started.wait() == exits.FAILED
    assert "full" in started.err
    assert "could not be logged" in started.err


def test_options_of_run_hold(program: Program, manager: Manager, tmp_path: Path) -> None:
    """Those that were said at the installation, each start."""
    config = tmp_path / "other.toml"
    config.write_text('[stayon.log]\nlevel = "loud"\n')
    started = begin(program, manager, program.eight_lines, "--config", str(config))
    assert started.wait() == exits.BAD_CONFIG
    assert "stayon.log.level" in started.err


def test_it_is_for_managers(program: Program) -> None:
    """A person who runs it is told what to say instead."""
    answer = program.call(*service_command(Wanted("s", "p.py"))[:3])
    assert answer.code == exits.USAGE
    assert "python FILE.py" in answer.err


def test_children_do_not_speak_for_it(program: Program, manager: Manager) -> None:
    """What the manager has put into the environment for this process is not in its children's."""
    started = begin(
        program,
        manager,
        """
        import os
        service = Service("s")

        @service.every("1h")
        def job(ctx):
            ctx.log.info("environment", names=sorted(os.environ))
        """,
        environment={"WATCHDOG_USEC": "30000000", "LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "a"},
    )
    names = started.wait_log("environment")["fields"]["names"]
    assert not {name for name in names if name.startswith(("NOTIFY_", "WATCHDOG_", "LISTEN_"))}
    assert started.stop() == exits.DONE


def test_sockets_are_handed_over(program: Program, manager: Manager) -> None:
    """LISTEN_FDS reach ``ctx.sockets``, by their names."""
    program.write(
        """
        service = Service("s")

        @service.run
        def run(ctx):
            [server] = ctx.sockets["http"]
            ctx.log.info("listening", port=server.getsockname()[1], names=list(ctx.sockets))
            ctx.ready()
            ctx.stopping.wait()
        """
    )
    command = service_command(Wanted(program.name, str(program.file)))
    # systemd does it between fork and exec: the pid is then the service's.
    shell = 'exec 3<&"$1"; shift; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=http exec "$@"'
    with socket.create_server(("127.0.0.1", 0)) as server:
        os.set_inheritable(server.fileno(), True)
        started = program.start(
            None, command=["/bin/bash", "-c", shell, "bash", str(server.fileno()), *command],
            environment={"NOTIFY_SOCKET": str(manager.path)}, pass_fds=[server.fileno()],
        )  # fmt: skip
        record = started.wait_log("listening")
        assert record["fields"] == {"port": server.getsockname()[1], "names": ["http"]}
    assert started.stop() == exits.DONE


@pytest.mark.parametrize("how", ["entry", "run"])
def test_a_restart_is_left_to_the_manager(program: Program, manager: Manager, how: str) -> None:
    """The process ends with 75 and does not replace itself: its manager has heard STOPPING, and would end the next."""
    if how == "entry":
        started = begin(program, manager, program.eight_lines)
    else:
        started = program.start(program.eight_lines, environment={"NOTIFY_SOCKET": str(manager.path)})
    manager.wait("READY=1")
    ControlClient(current().control_door, str(program.place("run") / "s.sock")).ask("restart")
    assert started.wait() == exits.TEMPORARY
    assert manager.rest().count("READY=1") == 1
