"""The wiring closet: the only room that joins the ports to this computer, and the runtime to both."""

from __future__ import annotations

import os
import sys
import time

from stayon import platforms
from stayon.core import states
from stayon.core.levels import CRITICAL
from stayon.core.places import CONFIG_ENDINGS
from stayon.core.record import Record
from stayon.errors import ConfigError, NotPermittedError, StayonError, TemporaryError
from stayon.runtime import view
from stayon.runtime.calls import is_async
from stayon.runtime.config.live import LiveConfig
from stayon.runtime.config.store import Origin, Store
from stayon.runtime.control import ControlServer
from stayon.runtime.effective import effective_spec, host_defaults
from stayon.runtime.host import Equipment, Host
from stayon.runtime.hosted import Hosted
from stayon.runtime.log_setup import LogSetup
from stayon.runtime.logs.capture import Capture, enable_crash_file, leftovers
from stayon.runtime.logs.pipeline import Pipeline
from stayon.runtime.loop import Loop
from stayon.runtime.metrics import Metrics
from stayon.runtime.pool import Pool
from stayon.runtime.rooms import AsyncRoom, Seat
from stayon.runtime.status import StatusPage, StatusWriter
from stayon.runtime.threads import start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from stayon.core.places import Places
    from stayon.core.spec import ServiceSpec
    from stayon.machine import Machine
    from stayon.ports import FileLock, Starter
    from stayon.runtime.config.store import Loaded
    from stayon.runtime.logs.logger import Logger
    from stayon.runtime.probes import ProbeServer
    from stayon.runtime.service import Service

# How long a thread that computes may keep the GIL while others wait. With Python's 5 ms, a probe takes up to 22 ms
# while a job computes; so it takes up to 5 ms, and what that costs the job could not be told from noise.
SWITCH_S = 0.001

# How many of the processes that a service has left running are named.
NAMED = 20

# How long after the start, and then after RUNNING, its first jobs are under way and it has loaded what it needs.
SETTLED_AFTER_S = 1.0

# How long what is left of the main thread's work may take once the service has stopped.
GRACE_S = 5.0


class Options(Record):
    """How the service is to be run this time. *once*: only the job of this name, and only once."""

    config: str = ""
    settings: tuple[str, ...] = ()
    instance: str = ""
    level: str = ""
    arguments: tuple[str, ...] = ()
    start_reason: str = ""
    restarts: int = 0
    once: str = ""


class Ending(Record):
    """How a run ended, whether somebody asked it to, and whether to start it again. *lock* is still held: end the
    process, or release it.
    """

    exit_code: int
    why: str
    asked: bool
    restart: bool
    lock: FileLock


class Paths(Record):
    """The files of one service (or instance) in their places."""

    places: Places
    lock: str
    status: str
    control: str
    crash: str
    log_name: str


def here() -> Machine:
    """The ports of this computer."""
    return platforms.current()


def paths_of(machine: Machine, name: str, instance: str) -> Paths:
    """Where the files of the service *name* are. Nothing is made."""
    return paths_in(machine.places(f"{name}@{instance}" if instance else name, os.environ), name)


def paths_in(places: Places, name: str) -> Paths:
    """The files of the service *name* whose directories are *places*."""

    def join(directory: str, ending: str) -> str:
        return os.path.join(directory, f"{name}{ending}")

    return Paths(
        places, join(places.run, ".lock"), join(places.run, ".status"), join(places.run, ".sock"),
        join(places.state, ".crash"), name,
    )  # fmt: skip


def config_path(paths: Paths, name: str, given: str) -> str:
    """The configuration file: the given one, or the one that exists in its place, or where a TOML file would be."""
    if given:
        return os.path.abspath(given)
    stem = os.path.join(paths.places.config, name)
    found = [stem + ending for ending in CONFIG_ENDINGS if os.path.lexists(stem + ending)]
    if len(found) > 1:
        raise ConfigError(
            "there are several configuration files",
            where=paths.places.config,
            why=", ".join(os.path.basename(path) for path in found),
            hint="Keep one of them, or say --config FILE.",
            code="config.several",
        )
    return found[0] if found else f"{stem}.toml"


def is_locked(machine: Machine, paths: Paths) -> bool:
    """Whether a process holds the lock of the service at *paths*. Looks at who wrote it last before it tries the
    lock, so that asking after a service cannot keep it from starting.
    """
    try:
        with open(machine.open_shared(paths.lock), encoding="utf-8", errors="replace") as file:
            written = file.read(20).strip()
    except OSError:
        return False
    if not written.isdecimal() or not machine.process_identity(int(written)):
        return False
    lock = machine.file_lock(paths.lock)
    try:
        held = lock.acquire() != 0
    except NotPermittedError:
        return True  # another account's; whoever wrote it lives
    if not held:
        lock.release()
    return held


def store_of(service: Service, spec: ServiceSpec, paths: Paths, options: Options, machine: Machine) -> Store:
    """The configuration of *service*, ready to be loaded."""
    given = options.config or str(service.options.get("config_file") or "")
    return Store(
        Origin(
            service_name=spec.name,
            path=config_path(paths, spec.name, given),
            required=bool(given),
            kind=service.options.get("config"),
            arguments=options.settings,
            defaults=host_defaults(spec),
            jobs=tuple(job.name for job in spec.jobs),
            state_directory=paths.places.state,
        ),
        os.environ,
        machine.launcher if machine.parses_apart else None,
    )


def run(
    service: Service, options: Options, leave: Callable[[Ending], object], starter: Starter | None = None
) -> Ending:
    """Run *service* in this process until it ends. Blocks; on the main thread. *starter* asks and is told (None: a
    console).

    *leave* is for an end that cannot wait for the main thread: it gets the ending on another thread and must not
    return. The lock is held on return, so that a process that starts itself again is never without it. Raises
    ``StayonError`` if it could not be started.
    """
    name, service, spec, options = _meant(service, options)
    machine = platforms.current()
    if starter is not None:
        machine = machine.replace(starter=starter)
    machine.prepare()
    sys.setswitchinterval(SWITCH_S)
    paths = paths_in(paths_of(machine, spec.name, options.instance).places, name)
    lock = None
    try:
        for directory in (paths.places.state, paths.places.run, paths.places.logs):
            machine.make_directory(directory, 0o750)
        lock = _locked(machine, spec.name, paths)
        return _Run(service, spec, options, machine, paths).run(lock, leave)
    except BaseException as error:
        if isinstance(error, StayonError):
            # Standard error gets it as the command's last word, but often nobody reads that.
            logs = Pipeline(spec.name, options.instance)
            setup = LogSetup(logs, paths.places.logs, machine)
            error.is_said = setup.for_failed_start(is_ours=lock is not None)
            _log_last_word(logs, error)
        if lock is not None:
            lock.release()
        raise


def _meant(service: Service, options: Options) -> tuple[str, Service, ServiceSpec, Options]:
    """What is to be run, and what its files are called: one job has a lock and a log of its own, beside the service's.
    Raises ``UsageError``.
    """
    if not options.once:
        spec = service.spec()
        return spec.name, service, spec, options
    from stayon.runtime.once import SETTINGS, once

    service, spec = once(service, options.once)
    return f"{spec.name}.{options.once}", service, spec, options.replace(settings=(*options.settings, *SETTINGS))


def log_failed_start(machine: Machine, name: str, instance: str, error: BaseException) -> bool:
    """Log *error*, with its traceback, where the service *name* would have logged, had a manager got it so far. Gives
    whether that is where standard error goes, too.
    """
    paths = paths_of(machine, name, instance)
    machine.make_directory(paths.places.logs, 0o750)
    logs = Pipeline(name, instance)
    setup = LogSetup(logs, paths.places.logs, machine)
    is_said = setup.for_failed_start(is_ours=not is_locked(machine, paths), system="notice")
    _log_last_word(logs, error)
    return is_said


def _log_last_word(logs: Pipeline, error: BaseException) -> None:
    if isinstance(error, StayonError) and error.__cause__ is None:
        logs.logger().critical(str(error), event_id=12)
    else:
        logs.logger().failure("it could not be started", error, level=CRITICAL, event_id=12)
    logs.close()


def _locked(machine: Machine, name: str, paths: Paths) -> FileLock:
    lock = machine.file_lock(paths.lock)
    holder = lock.acquire()
    if holder:
        raise TemporaryError(
            f"{name} is running already" + (f", pid {holder}" if holder > 0 else ""),
            where=paths.lock,
            hint="Stop that one first, or say --instance NAME to run a further one.",
            code="lock.held",
        )
    return lock


class _Run:
    """One run of a service: everything that is opened, in order, and closed in reverse."""

    def __init__(self, service: Service, spec: ServiceSpec, options: Options, machine: Machine, paths: Paths) -> None:
        self._machine, self._paths = machine, paths
        self._logs = Pipeline(spec.name, options.instance)
        self._log = self._logs.logger()
        self._log_setup = LogSetup(self._logs, paths.places.logs, machine, level=options.level)
        self._log_setup.before_settings()
        self._capture = Capture(self._logs)
        self._store = store_of(service, spec, paths, options, machine)
        self._config = LiveConfig(self._load())
        self._seat = Seat()
        # No code of the user's wants the main thread: then the host may have it, as no terminal's signals come there,
        # and there is one thread less.
        self._hosts_on_main = machine.starter.is_manager and not any(
            one.kind == "run" or is_async(one.function) for one in service.declarations
        )
        self._endings: list[Ending] = []
        equipment = self._equipment(service, options)
        self._loop = equipment.loop
        self._host = Host(service, effective_spec(spec, self._config.loaded.host), equipment)
        self._hosted = Hosted(self._host, spec, self._store, self._log_setup.apply)

    def _load(self) -> Loaded:
        loaded = self._store.load_at_start()
        self._log_setup.apply(loaded.host)
        for warning in (*loaded.warnings, *self._kept(loaded)):
            self._log.warning(warning, event_id=32)
        return loaded

    def _kept(self, loaded: Loaded) -> tuple[str, ...]:
        """What is wrong with keeping *loaded* as the last good configuration; mostly nothing."""
        try:
            self._store.keep(loaded)
        except StayonError as error:
            return (str(error),)
        return ()

    def _equipment(self, service: Service, options: Options) -> Equipment:
        sync_run = any(one.kind == "run" and not is_async(one.function) for one in service.declarations)
        async_on_main = not sync_run and not self._hosts_on_main
        machine = self._machine
        return Equipment(
            machine=machine,
            loop=Loop(machine.clock, machine.poller(), self._fault),
            executor=Pool(1),
            seat=self._seat,
            async_room=AsyncRoom(self._seat.give if async_on_main else _on_a_thread, self._capture.asyncio_failure),
            logs=self._logs,
            metrics=Metrics(lambda error: self._log.failure("a metrics collector failed", error)),
            config=self._config,
            places=self._paths.places,
            chance=chance,
            crash_path=self._paths.crash,
            instance=options.instance,
            arguments=options.arguments,
            start_reason=options.start_reason,
            restarts=options.restarts,
        )

    def _fault(self, error: BaseException) -> None:
        self._hosted.fault(error)

    def run(self, lock: FileLock, leave: Callable[[Ending], object]) -> Ending:
        """Serve on a thread of its own, and sit on this one, the main thread, for what wants it; or serve here if it
        is free. Blocks.
        """
        self._lock = lock
        self._capture.install()
        crash = leftovers(self._paths.crash)
        if crash:
            self._log.error("the run before this one crashed or hung; its stacks:", event_id=15, stacks=crash)
        enable_crash_file(self._paths.crash)
        self._hosted.listen(self._machine.starter.attach())
        try:
            if self._hosts_on_main:
                self._serve(lock, leave)
            else:
                start_thread(lambda: self._serve(lock, leave), "host")
                self._seat.sit()
        finally:
            self._machine.starter.detach()
            self._capture.remove()
        return self._endings[0]

    # -- on the host's thread ----------------------------------------------------------------------

    def _serve(self, lock: FileLock, leave: Callable[[Ending], object]) -> None:
        opened = _Opened()
        try:
            self._open(opened)
            self._hosted.reloader.open()
            self._hosted.start()
            self._loop.run()
        except StayonError as error:
            self._host.outcome.fail(error, "start")
            self._log.critical(str(error), event_id=12)
        except BaseException as error:  # noqa: BLE001  # the host's own fault ends the service as any failure does: seen
            self._host.outcome.fail(error, "the host")
            self._hosted.report(error, "the host")
        finally:
            ending = self._close(opened, lock)
            self._endings.append(ending)
        if self._host.forced:
            leave(ending)
        self._host.equipment.executor.close()
        self._host.equipment.async_room.close()
        self._seat.leave()
        start_thread(lambda: _guard(ending, leave), "guard")

    def _open(self, opened: _Opened) -> None:
        """Everything through which the outside looks in: the status page, the probes, the control socket."""
        host, hosted, loop = self._host, self._hosted, self._loop
        opened.add(self._sweep)  # first, so that it comes last: all else is closed by then
        probes = self._probes()
        pid = os.getpid()
        process = self._machine.process_identity(pid)
        page = StatusWriter(
            loop,
            StatusPage(self._paths.status),
            lambda: view.status(host, process=process, pid=pid, probes=str(probes.address) if probes else ""),
        )
        opened.add(page.write_now)
        control = ControlServer(loop, self._machine.control_door, self._paths.control, hosted.answer)
        for server in (probes, control) if probes is not None else (control,):
            server.open()
            opened.add(server.close)
            if hasattr(os, "register_at_fork"):
                # A forked child has the listeners too, and after our death they would be in the next start's way.
                os.register_at_fork(after_in_child=server.leave_to_parent)
        hosted.on_change = _Showing(host, page).changed
        loop.call_later(view.BEAT_S, self._beat, page, control)
        loop.call_later(SETTLED_AFTER_S, self._settle)

    def _settle(self) -> None:
        if self._host.state == states.START_PENDING:
            self._loop.call_later(SETTLED_AFTER_S, self._settle)
        else:
            self._machine.settle()

    def _probes(self) -> ProbeServer | None:
        if not self._host.spec.probes:
            return None
        # With it come sockets, which a service without probes does not pay for.
        from stayon.runtime.probes import ProbeServer

        return ProbeServer(self._loop, self._host.spec.probes, view.answers(self._host))

    def _beat(self, page: StatusWriter, control: ControlServer) -> None:
        if not self._lock.is_intact():
            self._mend(control)
        elif not control.is_intact():
            self._log.error("the control socket was removed; it is made again", event_id=27, path=self._paths.control)
            control.reopen(self._log)
        page.write_now()
        self._loop.call_later(view.BEAT_S, self._beat, page, control)

    def _mend(self, control: ControlServer) -> None:
        """Somebody has removed the run directory: nobody would find this service, and a second one could start."""
        self._log.error("the run directory was removed; it is made again", event_id=27, path=self._paths.places.run)
        self._machine.make_directory(self._paths.places.run, 0o750)
        self._lock.release()
        holder = self._lock.acquire()
        if holder:
            error = TemporaryError(
                f"another instance has taken its place, pid {holder}",
                where=self._paths.lock,
                why="the run directory was removed",
                hint="Let nothing clean up the run directory.",
                code="lock.lost",
            )
            self._host.fail(error, "the lock")
            return
        control.reopen(self._log)

    def _sweep(self) -> None:
        """End what the service has started and left running."""
        left = self._machine.sweep()
        if left:
            self._log.warning(
                "ended what the service had left running", event_id=40, processes=list(left[:NAMED]), count=len(left)
            )

    def _close(self, opened: _Opened, lock: FileLock) -> Ending:
        opened.close(self._log)
        self._hosted.tell_starter()
        self._logs.close()
        outcome = self._host.outcome
        return Ending(outcome.exit_code, outcome.why, outcome.asked, outcome.again, lock)


class _Showing:
    """Shows a change of state at once, and anything else soon: who had it paused must not be told that it is
    RUNNING.
    """

    def __init__(self, host: Host, page: StatusWriter) -> None:
        self._host, self._page = host, page
        self._shown = host.state

    def changed(self) -> None:
        """There is something new."""
        if self._host.state == self._shown:
            self._page.mark()
        else:
            self._shown = self._host.state
            self._page.write_now()


class _Opened:
    """What was opened, to be closed in reverse; a failing close is told, and does not stop the others."""

    def __init__(self) -> None:
        self._closes: list[Callable[[], object]] = []

    def add(self, close: Callable[[], object]) -> None:
        self._closes.append(close)

    def close(self, log: Logger) -> None:
        while self._closes:
            close = self._closes.pop()
            try:
                close()
            except Exception as error:  # noqa: BLE001  # the rest must be closed as well
                log.failure("closing failed", error)


def chance() -> float:
    """An even random number in [0, 1), for jitter. (The ``random`` module costs 1 MB.)"""
    return int.from_bytes(os.urandom(6), "big") / (1 << 48)


def _guard(ending: Ending, leave: Callable[[Ending], object]) -> None:
    """The main thread has only to clean up and to end the process; what hangs there, or at exit, does not keep it."""
    time.sleep(GRACE_S)  # unless the process ends first, which ends this thread
    leave(ending.replace(asked=True, restart=False))


def _on_a_thread(function: Callable[[], None]) -> None:
    start_thread(function, "async")
