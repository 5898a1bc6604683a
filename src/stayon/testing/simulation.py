"""A service in simulated time: the real host, jobs and hooks on a computer that is not there. A year passes in a
second.
"""

from __future__ import annotations

import math
from _thread import allocate_lock
from datetime import UTC, datetime
from pathlib import Path

from stayon.core import states
from stayon.core.duration import seconds
from stayon.core.events import Event
from stayon.errors import UsageError
from stayon.runtime import view
from stayon.runtime.stacks import all_stacks
from stayon.testing.log_book import LogBook
from stayon.testing.machine import FakeMachine
from stayon.testing.rig import Rig, Setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any, Self

    from stayon.core.health import Verdict
    from stayon.runtime.host import Host
    from stayon.runtime.jobs import Job
    from stayon.runtime.service import Service
    from stayon.runtime.status import Status
    from stayon.testing.faults import Faults
    from stayon.testing.log_book import LogRecord
    from stayon.testing.rig import Config

# ``advance`` goes so far beyond the moment, so that all that is due at it has happened, whatever its sum was rounded
# to.
BEYOND_S = 5e-7
# What ``kill -9`` makes of an exit code, as ``subprocess`` has it.
KILLED = -9
# How long, in real time, nothing may move before we say so, and how often we look meanwhile.
PATIENCE_S = 10.0
LOOKS = 10


def simulate(  # noqa: PLR0913  # a test's keywords
    service: Service,
    *,
    config: Config = None,
    start: str = "2026-01-01T00:00:00Z",
    folder: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    seed: int = 0,
    faults: Faults | None = None,
    keep_records: int = 10_000,
) -> Simulation:
    """A simulation of *service*, to be used in ``with``: it starts there, and is stopped at the end.

    *config* is a mapping (kept as a JSON file), the text of a TOML file, or the path of a file. *start* is the time on
    the wall clock at the beginning. *folder* is where the service's directories are: give the same one twice to let the
    second find what the first has left; None is a new one, removed afterwards. *environment* is what the configuration
    sees of it; None is empty. *seed* decides every chance. *faults* counts, and lets fail, what is asked of the
    computer. ``log`` has the last *keep_records* records.
    """
    moment = datetime.fromisoformat(start)
    setting = Setting(config, None if folder is None else Path(folder), environment or {}, seed, faults)
    return Simulation(service, setting, moment.replace(tzinfo=moment.tzinfo or UTC), LogBook(keep_records))


class Simulation:
    """One life of a service in virtual time. Every method is for the test's thread.

    No time passes but by ``advance``, and as far as ``start``, ``pause``, ``resume``, ``reload`` and ``stop`` need it;
    when a method returns, everything that was due has happened. An error of the host itself is raised by the next call.
    """

    def __init__(self, service: Service, setting: Setting, start: datetime, book: LogBook) -> None:
        self._service, self._setting, self._book = service, setting, book
        self._arrived = allocate_lock()
        self._arrived.acquire()
        self._is_there: Callable[[], bool] = lambda: True
        self._fault: BaseException | None = None
        self._ended = self._killed = False
        self.machine = FakeMachine(autojump=False)
        self._clock = self.machine.clock
        self._clock.jump(start.timestamp() - self._clock.time())
        self._began = self._moment = self._clock.monotonic()
        self._rig: Rig | None = None
        self.states: list[str] = [states.STOPPED]

    # -- what it is like now -----------------------------------------------------------------------

    @property
    def host(self) -> Host:
        """The real host, to look into. What it has is the framework's own, and may change."""
        return self._built().host

    @property
    def state(self) -> str:
        """One of the seven: ``"RUNNING"``, ``"PAUSED"`` ... ``states`` has all that were, in order."""
        return self.host.state

    @property
    def exit_code(self) -> int | None:
        """The process's exit code: None before it has ended, -9 after ``kill``."""
        return self._code() if self._rig is not None and self._ended else None

    @property
    def why(self) -> str:
        """Why it ended, in words."""
        return self.host.outcome.why

    @property
    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.fromtimestamp(round(self._clock.time(), 6), UTC)

    @property
    def elapsed_s(self) -> float:
        """Virtual seconds since the beginning; the service's own functions may ask, too."""
        return (self._floor() if self._clock.autojump else self._moment) - self._began

    @property
    def log(self) -> list[LogRecord]:
        """The last records, oldest first."""
        return self._book.records()

    @property
    def metrics(self) -> str:
        """What ``/metrics`` would say."""
        return self.host.metrics.text()

    @property
    def status(self) -> Status:
        """What the verb ``status`` would say."""
        return view.status(self.host, process="simulated", pid=0, probes=self.host.spec.probes)

    @property
    def is_ready(self) -> bool:
        """Whether ``/readyz`` would say yes."""
        return view.answers(self.host).ready().code == 200

    @property
    def config(self) -> Any:
        """What ``ctx.config`` gives now."""
        return self.host.config.current

    @property
    def state_dir(self) -> Path:
        """What ``ctx.state_dir`` is."""
        return Path(self.host.places.state)

    def job(self, name: str) -> Job:
        """A job: ``counts`` ("success", "failure", "timeout", "skipped", "missed"), ``runs`` under way, ``degraded``
        ...
        """
        return self.host.jobs[name]

    def check(self, name: str) -> Verdict:
        """A health check's verdict: ``status``, ``streak``, ``why``."""
        return self.host.checks.verdicts[name]

    # -- what may happen to it ---------------------------------------------------------------------

    def advance(self, duration: str | float) -> None:
        """Let time pass (``"365d"``, ``"1h30m"``, seconds). What falls due, at the end as well, is done when it
        returns.
        """
        self._reach(self._moment + seconds(duration, allow_zero=True))

    def advance_until(self, condition: Callable[[], bool], limit: str | float = "1d") -> None:
        """Let time pass, a second at a time, until *condition* is true. Raises ``TimeoutError`` when *limit* is
        over.
        """
        end = self._moment + seconds(limit)
        while not condition():
            if self._moment >= end:
                raise TimeoutError(f"it was not so within {limit}; {self.state}")
            self._reach(min(self._moment + 1.0, end))

    def jump_clock(self, step: str | float) -> None:
        """Set the wall clock forward, or back (``-3600``, ``"-1h"``). No time passes. The service notices at once, a
        real one within a minute.
        """
        if isinstance(step, str):
            step = -seconds(step[1:]) if step.startswith("-") else seconds(step)
        self._clock.jump(step)
        self._on_loop(self.host.jobs.look_again)

    def freeze(self, duration: str | float) -> None:
        """Let time pass in which the process does not run: the computer sleeps, or the process is stopped."""
        self._clock.stall(seconds(duration))
        self._moment = self._floor()
        self._on_loop(self.host.jobs.look_again)

    def pause(self) -> None:
        """Pause it, and wait until it is PAUSED. Raises what the verb would fail with."""
        self._verb(states.PAUSE)

    def resume(self) -> None:
        """Let it go on, and wait until it is RUNNING. Raises what the verb would fail with."""
        self._verb(states.RESUME)

    def reload(self, config: Config = None) -> dict[str, Any]:
        """Write *config* (None: leave the file as it is), reload it, and give the answer: outcome, generation, changed.

        Raises what the verb would fail with. A mapping takes the place of a mapping, text that of text.
        """
        if config is not None:
            self.write_config(config)
        return self._verb(states.RELOAD)

    def write_config(self, config: Config) -> None:
        """Replace the configuration file, and tell nobody."""
        self._built().write_config(config)

    def stop(self) -> int:
        """Stop it, wait until it is STOPPED, and give its exit code. Stopping it again gives the same one."""
        if not self._ended:
            self.ask(states.STOP)
        return self.join()

    def join(self) -> int:
        """Let time pass until it has stopped by itself; gives its exit code."""
        self._pass_time(lambda: self._ended)
        return self._code()

    def ask(self, event: str, *, exit_code: int = 0, source: str = "test") -> None:
        """Ask as a signal or a manager does, and don't wait for time to pass: "stop", "force", "pause", "resume" ..."""
        if not self._ended:
            self.machine.starter.ask(event, exit_code=exit_code, source=source)
        self._settle()

    def tell(self, kind: str, detail: str = "", code: int = 0) -> None:
        """Tell it what a platform tells besides requests, for ``on_event``: ``"continued"``, power, session ..."""
        self._on_loop(self.host.tell, Event(kind, detail, code))

    def kill(self) -> None:
        """End it as ``kill -9`` does: no hook, no last word. What it has written stays."""
        if not self._ended:
            self._settle()
            self._abandon()
            self._killed = True

    # -- with --------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Start it. Raises what keeps it from starting: a ``UsageError``, a ``ConfigError``."""
        try:
            self._rig = Rig(self._service, self._setting, self.machine, self._book)
            tell = self._rig.host.on_change
            self._rig.host.on_change = lambda host: (tell(host), self._changed(host))
            self._rig.start(self._end)
            self._settle()
        except BaseException:
            self._leave()
            self._rig = None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it; after an error in the test itself, kill it."""
        try:
            if error is None:
                self.stop()
        finally:
            self._leave()

    def _abandon(self) -> None:
        self._ended = True
        if self._rig is not None:
            self._rig.crew.abandon()
            self.machine.wake()

    def _leave(self) -> None:
        if not self._ended:
            self._abandon()
        self.machine.close()

    # -- inside ------------------------------------------------------------------------------------

    def _code(self) -> int:
        return KILLED if self._killed else self.host.outcome.exit_code

    def _built(self) -> Rig:
        if self._rig is None:
            raise UsageError(
                "the simulation has not begun",
                hint="Use it in with: with simulate(service) as sim.",
                code="testing.begin",
            )
        return self._rig

    def _changed(self, host: Host) -> None:
        if host.state != self.states[-1]:
            self.states.append(host.state)
        self._look()

    def _end(self, error: BaseException | None) -> None:
        """The host's loop has ended; on its thread."""
        self._fault = self._fault or error
        self._ended = True
        self._look()

    def _on_loop(self, function: Callable[..., object], *arguments: Any) -> None:
        if not self._ended:
            self._built().host.loop.post(function, *arguments)
        self._settle()

    def _verb(self, verb: str) -> dict[str, Any]:
        answer = _Answer(self._look)
        rig = self._built()
        rig.host.loop.post(rig.hosted.answer, verb, {"source": "test"}, answer)
        self._pass_time(lambda: answer.is_there or self._ended)
        if answer.error is not None:
            raise answer.error
        return answer.fields

    def _reach(self, moment: float) -> None:
        if self._ended:
            self._clock.stall(max(0.0, moment - self._clock.monotonic()))
        else:
            moment = round(moment, 6)
            cancel = self._clock.call_at(moment + BEYOND_S, self._look)
            self._pass_time(lambda: self._clock.monotonic() >= moment)
            cancel()
        self._moment = max(moment, self._moment)

    def _pass_time(self, is_there: Callable[[], bool]) -> None:
        """Let time pass until *is_there*: it is asked whenever ``_look`` is called, which may be on any thread."""
        self._settle()
        if not is_there():
            self._is_there = is_there
            self._clock.autojump = True
            # We aren't among those who are busy; leaving once more is the push that makes time move, if all rest.
            self._clock.leave()
            self._wait_patiently()
            self._settle()
        self._moment = max(self._moment, self._floor())

    def _look(self) -> None:
        if self._clock.autojump and self._is_there():
            self._clock.autojump = False
            self._arrived.release()

    def _wait_patiently(self) -> None:
        seen, quiet_looks = self._progress(), 0
        while not self._arrived.acquire(timeout=PATIENCE_S / LOOKS):
            before, seen = seen, self._progress()
            quiet_looks = quiet_looks + 1 if seen == before else 0
            if quiet_looks == LOOKS:
                self._clock.autojump = False
                raise RuntimeError(
                    "time can't pass: somebody works without end, or waits for what is outside of the simulation\n"
                    + all_stacks(self.host.equipment.async_room.loop)
                )

    def _progress(self) -> tuple[float, int]:
        return self._clock.monotonic(), self.host.loop.turns

    def _settle(self) -> None:
        """Let everything happen for which no time has to pass."""
        self._clock.advance(0)
        fault = self._fault or self._built().fault
        if fault is not None:
            self._fault = self._built().fault = None
            raise fault

    def _floor(self) -> float:
        """The moment that ``advance`` aimed at when it came here, or the one now, in whole microseconds."""
        return math.floor((self._clock.monotonic() + BEYOND_S / 2) * 1e6) / 1e6


class _Answer:
    """What a verb answers."""

    def __init__(self, on_answer: Callable[[], object]) -> None:
        self._on_answer = on_answer
        self.is_there = False
        self.fields: dict[str, Any] = {}
        self.error: BaseException | None = None

    def progress(self, text: str) -> None:
        """Nobody listens."""

    def done(self, **fields: Any) -> None:
        """It is done."""
        self._set(fields, None)

    def fail(self, error: BaseException) -> None:
        """It failed, or was refused."""
        self._set({}, error)

    def _set(self, fields: dict[str, Any], error: BaseException | None) -> None:
        if not self.is_there:
            self.is_there, self.fields, self.error = True, fields, error
            self._on_answer()
