"""A service of ours on a simulated SCM: the real dispatcher and host, and what a real SCM would make of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from stayon import Service, exits
from stayon.platforms.windows.api import FailureActions, ScmError, ServiceConfig
from stayon.testing import sleep
from stayon.testing.scm import SimulatedScm
from stayon.testing.scm_service import ServiceProgram

STOPPED, START_PENDING, STOP_PENDING, RUNNING, CONTINUE_PENDING, PAUSE_PENDING, PAUSED = range(1, 8)
STOP, PAUSE, CONTINUE, INTERROGATE, SHUTDOWN, PARAMCHANGE = range(1, 7)
POWER, SESSION, TIME = 13, 14, 16

RESTART_TWICE = FailureActions(600, ((1, 5_000), (1, 60_000), (0, 0)))


@pytest.fixture
def scm() -> Iterator[SimulatedScm]:
    """A simulated SCM; whatever the test does, nothing may have been done there that a real one can't stand."""
    with SimulatedScm() as made:
        yield made
    assert made.record.flaws == []


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a service here may be configured with."""

    port: int = 80


def install(
    scm: SimulatedScm, service: Service, failure: FailureActions = RESTART_TWICE, **options: Any
) -> ServiceProgram:
    program = ServiceProgram(service, **options)
    scm.create(service.name, ServiceConfig("python.exe", start_type=3))
    scm.change(service.name, "failure", failure)
    scm.change(service.name, "failure_on_non_crash", True)
    scm.programs[service.name] = program
    return program


def code_of(call: Callable[..., object], *arguments: object) -> int:
    with pytest.raises(ScmError) as caught:
        call(*arguments)
    return caught.value.code


def ticking(**options: Any) -> Service:
    service = Service("ticker", **options)

    @service.every("10s")
    def tick(ctx: Any) -> None:
        pass

    return service


# -- starting ------------------------------------------------------------------------------------------------------


def test_it_starts_and_stops(scm: SimulatedScm) -> None:
    """START_PENDING, RUNNING, STOP_PENDING, STOPPED with 0; asked to stop, it is not started again."""
    install(scm, ticking())
    scm.start("ticker")
    scm.wait_for("ticker", RUNNING)
    scm.advance(60)
    scm.control("ticker", STOP)
    assert scm.status("ticker").state in (STOP_PENDING, STOPPED)
    scm.wait_for("ticker", STOPPED)
    scm.advance(3600)
    assert scm.record.states("ticker") == [START_PENDING, RUNNING, STOP_PENDING, STOPPED]
    assert scm.status("ticker").exit_code == 0
    assert scm.record.event_ids("ticker") == []


def test_arguments_reach_the_service(scm: SimulatedScm) -> None:
    """What StartService was given is in ``ctx.arguments``, without the name."""
    seen: list[tuple[str, ...]] = []
    service = Service("greeter")

    @service.on_start
    def note(ctx: Any) -> None:
        seen.append(tuple(ctx.arguments))

    install(scm, service)
    scm.start("greeter", ["hello", "a b"])
    scm.wait_for("greeter", RUNNING)
    assert seen == [("hello", "a b")]


def test_a_start_of_ten_minutes_never_looks_hung(scm: SimulatedScm) -> None:
    """Until ``ctx.ready()`` it is START_PENDING, and both its checkpoint and its hint grow again and again."""
    service = Service("slow", start_timeout="20m")

    @service.run
    def run(ctx: Any) -> None:
        ctx.stopping.wait(600)
        ctx.ready()
        ctx.stopping.wait()

    install(scm, service)
    scm.start("slow")
    began = scm.clock.monotonic()
    scm.wait_for("slow", RUNNING, 700)
    assert scm.clock.monotonic() - began == 600
    pending = [each for each in scm.record.statuses("slow") if each.state == START_PENDING][1:]
    assert len(pending) > 100
    for earlier, later in pairwise(pending):
        assert later.checkpoint > earlier.checkpoint
        assert later.wait_hint_ms > earlier.wait_hint_ms


def test_a_program_that_is_imported_slowly_does_not_look_hung(scm: SimulatedScm) -> None:
    """The dispatcher is connected first, and says that it is starting while modules are loaded."""
    install(scm, ticking(), import_s=50.0)
    scm.start("ticker")
    scm.wait_for("ticker", RUNNING)
    assert scm.record.states("ticker") == [START_PENDING, RUNNING]


def test_a_start_that_takes_too_long_is_a_failure(scm: SimulatedScm) -> None:
    """Who isn't ready within start_timeout has failed: 1066 with our code, and recovery."""
    service = Service("slow", start_timeout="2m")

    @service.run
    def run(ctx: Any) -> None:
        ctx.stopping.wait()

    install(scm, service, FailureActions(0))
    scm.start("slow")
    status = scm.wait_for("slow", STOPPED, 200)
    assert (status.exit_code, status.specific) == (1066, exits.FAILED)


def test_a_failed_start_is_tried_again_until_it_gives_up(scm: SimulatedScm) -> None:
    """Each failure is 1066 with our code; the SCM's recovery restarts it by the policy's delays, then no more."""
    service = Service("broken")

    @service.on_start
    def fail(ctx: Any) -> None:
        raise OSError("no such database")

    program = install(scm, service)
    began = scm.clock.monotonic()
    scm.start("broken")
    scm.advance(3600)
    starts = [round(run.process.started_at - began) for run in program.runs]
    assert starts == [0, 5, 65]
    assert scm.record.event_ids("broken") == [7024, 7031, 7024, 7031, 7024, 7034]
    status = scm.status("broken")
    assert (status.state, status.exit_code, status.specific) == (STOPPED, 1066, exits.FAILED)


def test_a_bad_configuration_says_so(scm: SimulatedScm) -> None:
    """A start that a file keeps it from ends with 1066 and 78, before RUNNING."""
    install(scm, ticking(), FailureActions(0), config="[stayon\nx = 1")
    scm.start("ticker")
    status = scm.wait_for("ticker", STOPPED)
    assert (status.exit_code, status.specific) == (1066, exits.BAD_CONFIG)
    assert RUNNING not in scm.record.states("ticker")


def test_a_failure_while_it_runs_is_recovered(scm: SimulatedScm) -> None:
    """A run that raises is a failure with our code; after the delay it runs again, and a long good run forgets it."""
    service = Service("worker")
    raising = [True]

    @service.run
    def run(ctx: Any) -> None:
        ctx.ready()
        if ctx.stopping.wait(30) or not raising:
            ctx.stopping.wait()
        else:
            raise ValueError("boom")

    program = install(scm, service)
    scm.start("worker")
    scm.advance(33)
    assert scm.status("worker").specific == exits.FAILED
    raising.clear()
    scm.advance(5)
    assert scm.status("worker").state == RUNNING
    assert len(program.runs) == 2


# -- being asked ---------------------------------------------------------------------------------------------------


def test_a_stop_during_the_start_is_clean(scm: SimulatedScm) -> None:
    """Stopped before it was ready, it ends with 0 and is not started again."""
    service = Service("slow")

    @service.run
    def run(ctx: Any) -> None:
        ctx.stopping.wait()

    install(scm, service)
    scm.start("slow")
    scm.advance(10)
    assert code_of(scm.control, "slow", PAUSE) == 1061
    scm.control("slow", STOP)
    assert scm.wait_for("slow", STOPPED).exit_code == 0
    scm.advance(600)
    assert scm.record.states("slow") == [START_PENDING, STOP_PENDING, STOPPED]


def test_a_stop_while_it_is_imported_is_kept(scm: SimulatedScm) -> None:
    """Asked to stop before the host is there, it says STOP_PENDING at once, and stops as soon as it can."""
    install(scm, ticking(), import_s=20.0)
    scm.start("ticker")
    scm.advance(1)
    scm.control("ticker", STOP)
    assert scm.status("ticker").state == STOP_PENDING
    assert scm.wait_for("ticker", STOPPED).exit_code == 0
    assert RUNNING not in scm.record.states("ticker")


def test_a_start_during_the_stop_is_refused(scm: SimulatedScm) -> None:
    """While it stops it can't be started (1056) or asked (1061); the next process comes after STOPPED."""
    service = Service("slow")

    @service.run
    def run(ctx: Any) -> None:
        ctx.ready()
        ctx.stopping.wait()
        sleep(5)

    program = install(scm, service)
    scm.start("slow")
    scm.wait_for("slow", RUNNING)
    scm.control("slow", STOP)
    assert code_of(scm.start, "slow") == 1056
    assert code_of(scm.control, "slow", STOP) == 1061
    scm.wait_for("slow", STOPPED)
    scm.start("slow")
    scm.wait_for("slow", RUNNING)
    assert len(program.runs) == 2


def test_a_long_stop_never_looks_hung(scm: SimulatedScm) -> None:
    """A stop of minutes is pulsed as a start is."""
    service = Service("slow", stop_timeout="10m")

    @service.run
    def run(ctx: Any) -> None:
        ctx.ready()
        ctx.stopping.wait()
        sleep(300)

    install(scm, service)
    scm.start("slow")
    scm.wait_for("slow", RUNNING)
    scm.control("slow", STOP)
    scm.wait_for("slow", STOPPED, 400)
    assert scm.status("slow").exit_code == 0


def test_it_pauses_and_goes_on(scm: SimulatedScm) -> None:
    """PAUSE and CONTINUE go through their pending states; while it is paused no job runs."""
    service, ticks = Service("ticker"), []

    @service.every("10s")
    def tick(ctx: Any) -> None:
        ticks.append(scm.clock.monotonic())

    install(scm, service)
    scm.start("ticker")
    scm.wait_for("ticker", RUNNING)
    scm.advance(25)
    scm.control("ticker", PAUSE)
    scm.wait_for("ticker", PAUSED)
    before = len(ticks)
    scm.advance(100)
    assert len(ticks) == before
    scm.control("ticker", CONTINUE)
    scm.wait_for("ticker", RUNNING)
    scm.advance(25)
    assert len(ticks) > before
    assert scm.record.states("ticker") == [
        START_PENDING, RUNNING, PAUSE_PENDING, PAUSED, CONTINUE_PENDING, RUNNING
    ]  # fmt: skip


def test_a_pause_that_fails_leaves_it_running(scm: SimulatedScm) -> None:
    """A pause hook that raises brings it back to RUNNING, for the SCM, too."""
    service = Service("stubborn")

    @service.on_pause
    def refuse(ctx: Any) -> None:
        raise RuntimeError("not now")

    install(scm, service)
    scm.start("stubborn")
    scm.wait_for("stubborn", RUNNING)
    scm.control("stubborn", PAUSE)
    scm.wait_for("stubborn", RUNNING)
    assert scm.record.states("stubborn") == [START_PENDING, RUNNING, PAUSE_PENDING, RUNNING]


def test_what_has_no_use_for_a_pause_is_not_asked(scm: SimulatedScm) -> None:
    """Without jobs and on_pause, PAUSE is not accepted: 1052. Without on_event no event is delivered."""
    service = Service("steady")

    @service.run
    def run(ctx: Any) -> None:
        ctx.ready()
        ctx.stopping.wait()

    install(scm, service)
    scm.start("steady")
    scm.wait_for("steady", RUNNING)
    assert code_of(scm.control, "steady", PAUSE) == 1052
    assert code_of(scm.control, "steady", CONTINUE) == 1052
    assert scm.tell(SESSION, 7, b"\0" * 8) == {}


def test_interrogate_changes_nothing(scm: SimulatedScm) -> None:
    """Whatever the state, INTERROGATE leaves status and state as they are."""
    install(scm, ticking())
    scm.start("ticker")
    scm.wait_for("ticker", RUNNING)
    before = scm.record.statuses("ticker")
    for _ in range(100):
        scm.control("ticker", INTERROGATE)
    assert scm.record.statuses("ticker") == before


def test_a_reload_is_asked_by_paramchange(scm: SimulatedScm) -> None:
    """PARAMCHANGE reads the configuration again; the state stays as it is."""
    program = install(scm, ticking(config=Settings), config={"port": 1})
    scm.start("ticker")
    scm.wait_for("ticker", RUNNING)
    host, write = program.run.host, program.run.write_config
    assert host is not None
    assert write is not None
    write({"port": 2})
    scm.control("ticker", PARAMCHANGE)
    scm.advance(5)
    assert host.config.current == Settings(2)
    assert scm.record.states("ticker") == [START_PENDING, RUNNING]


def test_events_reach_the_hooks(scm: SimulatedScm) -> None:
    """Session, power, time and own codes come decoded to on_event; their data is copied in the handler."""
    service, seen = Service("listener"), []

    @service.on_event
    def note(ctx: Any, event: Any) -> None:
        seen.append((event.kind, event.detail, event.code))

    install(scm, service)
    scm.start("listener")
    scm.wait_for("listener", RUNNING)
    assert scm.tell(SESSION, 7, (8).to_bytes(4, "little") + (3).to_bytes(4, "little")) == {"listener": 0}
    assert scm.tell(POWER, 18) == {"listener": 0}
    scm.tell(TIME, 0, (20_000_000).to_bytes(8, "little") + (10_000_000).to_bytes(8, "little"))
    scm.control("listener", 200)
    scm.control("listener", 7)
    scm.advance(1)
    assert seen == [
        ("session", "lock", 3), ("power", "resume-automatic", 0), ("time", "", 1000), ("custom", "", 200),
        ("netbind", "add", 0),
    ]  # fmt: skip


# -- the end of the process, and of the computer --------------------------------------------------------------------


def test_a_killed_process_is_recovered(scm: SimulatedScm) -> None:
    """Whoever dies without STOPPED has crashed: 1067, and a restart after the first delay."""
    program = install(scm, ticking())
    scm.start("ticker")
    scm.wait_for("ticker", RUNNING)
    scm.kill("ticker")
    assert scm.status("ticker").exit_code == 1067
    scm.advance(6)
    assert scm.status("ticker").state == RUNNING
    assert len(program.runs) == 2


def test_a_hanging_host_ends_as_a_crash(scm: SimulatedScm) -> None:
    """When the host's loop doesn't come round, the deadman ends the process, and the SCM restarts it."""
    program = install(scm, ticking(hang_timeout="60s"))
    scm.start("ticker")
    scm.wait_for("ticker", RUNNING)
    first = program.run
    assert first.host is not None
    first.host.loop.post(first.process.sleep, 1e6)
    scm.advance(100)
    assert first.process.exit_code == exits.HANG
    assert scm.record.event_ids("ticker") == [7031]
    assert scm.status("ticker").state == RUNNING


def test_a_worker_without_a_heartbeat_is_a_failure(scm: SimulatedScm) -> None:
    """A run that owes its heartbeat ends the service with 1066 and 86, and the SCM restarts it."""
    service = Service("hanger")

    @service.run(hang_timeout="30s")
    def run(ctx: Any) -> None:
        ctx.ready()
        sleep(1e6)

    program = install(scm, service)
    scm.start("hanger")
    scm.advance(34)
    status = scm.status("hanger")
    assert (status.state, status.exit_code, status.specific) == (STOPPED, 1066, exits.HANG)
    scm.advance(3)
    assert len(program.runs) == 2


def test_the_computer_shuts_down(scm: SimulatedScm) -> None:
    """PRESHUTDOWN gives it its time; it stops cleanly, and nobody is killed."""
    service = Service("slow", stop_timeout="60s")

    @service.run
    def run(ctx: Any) -> None:
        ctx.ready()
        ctx.stopping.wait()
        sleep(40)

    program = install(scm, service)
    scm.change("slow", "preshutdown_ms", 65_000)
    scm.start("slow")
    scm.wait_for("slow", RUNNING)
    scm.shut_down()
    assert scm.status("slow").exit_code == 0
    assert program.run.process.exit_code == 0
    assert [each.code for each in scm.record.controlled] == [15]


def test_who_does_not_stop_is_stopped_within_its_time(scm: SimulatedScm) -> None:
    """A service whose code refuses to stop ends by itself when stop_timeout is over, before the SCM would kill it."""
    service = Service("refuser", stop_timeout="20s")

    @service.run
    def run(ctx: Any) -> None:
        ctx.ready()
        sleep(1e6)

    program = install(scm, service)
    scm.change("refuser", "preshutdown_ms", 25_000)
    scm.start("refuser")
    scm.wait_for("refuser", RUNNING)
    scm.shut_down()
    assert scm.record.event_ids("refuser") == []
    assert program.run.process.exit_code is not None
