"""Processes that only pretend."""

from __future__ import annotations

import os

from stayon.core.record import Record
from stayon.errors import UnavailableError

KILLED = -9  # as a real one ends, by signal 9, and on Windows too

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stayon.testing.clock import ManualClock


class Play(Record):
    """What a program does when it is started: prints *output* (at most 64 KiB), takes *duration_s*, ends with
    *exit_code*. Asked to end, it takes *stop_s* more, and ends with *stop_exit_code* (SIGTERM's, if it is not
    handled).
    """

    exit_code: int = 0
    output: bytes = b""
    duration_s: float = 0.0
    stop_s: float = 0.0
    stop_exit_code: int = -15


class FakeLauncher:
    """Starts what ``plays`` has under the program's name; others are not there.

    ``children`` has all that were started.
    """

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.plays: dict[str, Play] = {}
        self.children: list[FakeChild] = []

    def spawn(self, command: Sequence[str], *, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> FakeChild:
        """Start *command*. Raises ``UnavailableError`` if ``plays`` doesn't have its first word."""
        play = self.plays.get(command[0])
        if play is None:
            raise UnavailableError(
                "it can't be started",
                where=command[0],
                why="No such file or directory",
                hint="Give the program's full path, or add its directory to PATH.",
                code="launch.failed",
            )
        child = FakeChild(self._clock, len(self.children) + 100_001, play)
        child.command, child.stdin, child.env = tuple(command), stdin, None if env is None else dict(env)
        self.children.append(child)
        return child


class FakeChild:
    """A process that ends when its time is over in virtual time, or when it is killed."""

    command: tuple[str, ...] = ()
    stdin = b""
    env: Mapping[str, str] | None = None

    def __init__(self, clock: ManualClock, pid: int, play: Play) -> None:
        self.pid = pid
        self._play = play
        self.exit_code: int | None = None
        self._clock = clock
        self._ended = clock.gate()
        self._ended.acquire()
        self.output, self._write_fd = os.pipe()
        os.write(self._write_fd, play.output)
        self._cancel: Callable[[], None] = lambda: None
        if play.duration_s > 0:
            self._cancel = clock.call_at(clock.monotonic() + play.duration_s, lambda: self._end(play.exit_code))
        else:
            self._end(play.exit_code)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Its exit code, or None if *timeout_s* of virtual time was over first."""
        if self.exit_code is None and self._clock.wait(self._ended, timeout_s):
            self._ended.release()
        return self.exit_code

    def kill(self) -> None:
        """End it. Calling it twice is harmless."""
        self._cancel()
        self._end(KILLED)

    def stop(self, grace_s: float) -> int | None:
        """Let it end as its ``Play`` says, or kill it after *grace_s* of virtual time."""
        if self.exit_code is None:
            self._cancel()
            due = self._clock.monotonic() + self._play.stop_s
            self._cancel = self._clock.call_at(due, lambda: self._end(self._play.stop_exit_code))
        self.wait(grace_s)
        self.kill()
        return self.exit_code

    def _end(self, exit_code: int) -> None:
        if self.exit_code is None:
            self.exit_code = exit_code
            os.close(self._write_fd)
            self._ended.release()
