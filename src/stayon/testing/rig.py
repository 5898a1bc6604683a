"""The wiring of a simulated service: the runtime that ``app`` wires to this computer, wired to one that is not
there.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from stayon.core.levels import parse
from stayon.core.places import CONFIG_ENDINGS
from stayon.core.record import Record
from stayon.errors import UsageError
from stayon.platforms.places import HOME_VARIABLE
from stayon.runtime.config.live import LiveConfig
from stayon.runtime.config.store import Origin, Store
from stayon.runtime.effective import effective_spec, host_defaults
from stayon.runtime.host import Equipment, Host
from stayon.runtime.hosted import Hosted
from stayon.runtime.logs.capture import Capture
from stayon.runtime.logs.pipeline import Pipeline
from stayon.runtime.loop import Loop
from stayon.runtime.metrics import Metrics
from stayon.runtime.rooms import AsyncRoom, Seat
from stayon.testing.crew import Crew

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from typing import Any

    from stayon.core.places import Places
    from stayon.core.spec import ServiceSpec
    from stayon.machine import Machine
    from stayon.runtime.config.host_settings import HostSettings
    from stayon.runtime.config.store import Loaded
    from stayon.runtime.logs.sinks import Sink
    from stayon.runtime.service import Service
    from stayon.testing.faults import Faults
    from stayon.testing.machine import FakeMachine

    Config = Mapping[str, Any] | str | Path | None

# No wall clock is looked at again and again for having been set: the simulation tells when it sets it.
NEVER_S = 1e12


class Setting(Record):
    """What a service is simulated with; ``simulate`` says what each means. *arguments* are those of its start;
    *watchdog* is whether the loop's own hang ends it.
    """

    config: Config
    folder: Path | None
    environment: Mapping[str, str]
    seed: int
    faults: Faults | None
    arguments: tuple[str, ...] = ()
    watchdog: bool = False


class Rig:
    """One service, wired and not yet started. ``fault`` is the first error of the host itself, for the test to see."""

    def __init__(self, service: Service, setting: Setting, machine: FakeMachine, sink: Sink) -> None:
        self.fault: BaseException | None = None
        self._clock = machine.clock
        self._ports = machine.ports() if setting.faults is None else setting.faults.machine(machine.ports())
        self._declared = service.spec()
        if not setting.watchdog:
            # It would be fed three million times a year.
            self._declared = self._declared.replace(hang_timeout_s=None)
        self.crew = Crew(machine.clock)
        places = _made(self._ports, self._declared.name, setting.folder or machine.folder)
        self._config_path = _config_path(places, self._declared.name, setting.config)
        if not isinstance(setting.config, (Path, type(None))):
            self.write_config(setting.config)
        self.logs = Pipeline(self._declared.name, now=machine.clock.time)
        self.logs.use([sink])
        self._capture = Capture(self.logs)
        store = _store(service, self._declared, self._config_path, places, setting.environment)
        self._live = LiveConfig(self._loaded(store))
        self._apply_logs(self._live.loaded.host)
        spec = effective_spec(self._declared, self._live.loaded.host)
        self.host = Host(service, spec, self._equipment(places, setting))
        self.hosted = Hosted(self.host, self._declared, store, self._apply_logs)

    def start(self, on_end: Callable[[BaseException | None], object]) -> None:
        """Let the host's loop run, and the service start; *on_end* when the loop has ended, on its thread."""

        def ended(error: BaseException | None) -> None:
            if error is not None:
                self.host.abort(error, "the host")
            self.host.on_change(self.host)
            self.host.equipment.async_room.close()
            on_end(error)

        fd = self._ports.starter.attach()
        self.host.loop.post(self.hosted.start)
        # What was asked for before it has started is heard after that.
        self.host.loop.post(self.hosted.listen, fd)
        self.crew.lead(self.host.loop, ended)

    def write_config(self, config: Config) -> None:
        """Replace the configuration file, in one step: by a mapping where it is JSON, by text, or by a file's text."""
        path = self._config_path
        if isinstance(config, Path):
            config = config.read_text("utf-8")
        if config is not None and not isinstance(config, str):
            if path.suffix != ".json":
                raise UsageError(
                    "a mapping can't be written there",
                    where=str(path),
                    hint="Give the file's text.",
                    code="testing.config",
                )
            config = json.dumps(config, indent=1)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        new.write_text(config or "", "utf-8")
        new.replace(path)

    def _loaded(self, store: Store) -> Loaded:
        loaded = store.load_at_start()
        for warning in loaded.warnings:
            self.logs.logger().warning(warning, event_id=32)
        store.keep(loaded)
        return loaded

    def _equipment(self, places: Places, setting: Setting) -> Equipment:
        clock, ports = self._clock, self._ports

        def new_event_loop() -> asyncio.AbstractEventLoop:
            from stayon.testing.event_loop import VirtualEventLoop

            return VirtualEventLoop(clock)

        return Equipment(
            machine=ports.replace(clock=self.crew.host_clock),
            loop=Loop(self.crew.host_clock, ports.poller(), self._failed),
            executor=self.crew,
            seat=_Seats(self.crew),
            async_room=AsyncRoom(
                lambda run: self.crew.start_thread(run, "async"),
                self._capture.asyncio_failure,
                new_event_loop,
            ),
            logs=self.logs,
            metrics=Metrics(lambda error: self.logs.logger().failure("a metrics collector failed", error)),
            config=self._live,
            places=places,
            chance=random.Random(setting.seed).random,  # noqa: S311  # chance in a test is to be had again
            start_thread=self.crew.start_thread,
            look_again_s=NEVER_S,
            arguments=setting.arguments,
        )

    def _apply_logs(self, settings: HostSettings) -> None:
        self.logs.set_level(parse(settings["log.level"]))

    def _failed(self, error: BaseException) -> None:
        """A callback on the loop raised. That ends the service, as it does in earnest; here the test gets it, too."""
        self.fault = self.fault or error
        self.hosted.fault(error)


class _Seats(Seat):
    """What would run on the main thread runs on one of its own."""

    def __init__(self, crew: Crew) -> None:
        super().__init__()
        self._crew = crew

    def give(self, function: Callable[[], object]) -> None:
        self._crew.start_thread(function, "main")


def _made(ports: Machine, name: str, folder: Path) -> Places:
    places = ports.places(name, {HOME_VARIABLE: str(folder.absolute())})
    for directory in (places.state, places.run, places.logs):
        ports.make_directory(directory, 0o750)
    return places


def _config_path(places: Places, name: str, config: Config) -> Path:
    if isinstance(config, Path):
        return config.absolute()
    stem = Path(places.config) / name
    if config is None:
        found = [stem.with_name(name + ending) for ending in CONFIG_ENDINGS if stem.with_name(name + ending).exists()]
        return found[0] if found else stem.with_name(f"{name}.json")
    return stem.with_name(f"{name}.toml" if isinstance(config, str) else f"{name}.json")


def _store(service: Service, spec: ServiceSpec, path: Path, places: Places, environment: Mapping[str, str]) -> Store:
    return Store(
        Origin(
            service_name=spec.name,
            path=str(path),
            kind=service.options.get("config"),
            defaults=host_defaults(spec),
            jobs=tuple(job.name for job in spec.jobs),
            state_directory=places.state,
        ),
        environment,
    )
