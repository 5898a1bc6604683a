"""Storms of controls, kills and time on a service of ours: whatever comes in whatever order, the SCM's rules hold."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from stayon import Service
from stayon.platforms.windows.api import FailureActions, ScmError, ServiceConfig
from stayon.testing import sleep
from stayon.testing.scm import SimulatedScm
from stayon.testing.scm_rules import ACCEPTED_BY, PENDING
from stayon.testing.scm_service import ServiceProgram

STOPPED, START_PENDING, STOP_PENDING, RUNNING, CONTINUE_PENDING, PAUSE_PENDING, PAUSED = range(1, 8)
STOP, PAUSE, CONTINUE, INTERROGATE, SHUTDOWN, PARAMCHANGE = range(1, 7)

RESTART_S = 1

# What may be refused by whom, and still be right.
REFUSALS = {109, 1051, 1052, 1056, 1061, 1062}

Steps = some.lists(
    some.one_of(
        some.tuples(some.just("control"), some.sampled_from([*range(1, 11), 128, 200, 255])),
        some.tuples(some.just("tell"), some.sampled_from([13, 14, 16])),
        some.tuples(some.just("advance"), some.sampled_from([0.01, 0.5, 3.0, 20.0])),
        some.tuples(some.just("start"), some.just(0)),
        some.tuples(some.just("kill"), some.just(0)),
    ),
    max_size=25,
)


def stormy(*, pausable: bool, slow_s: float) -> Service:
    """A service with a bit of everything, that takes *slow_s* for each."""
    service = Service("stormy")

    def dawdle(ctx: Any, *_more: Any) -> None:
        if slow_s:
            sleep(slow_s)

    service.on_start(dawdle)
    service.on_stop(dawdle)
    service.on_event(dawdle)
    if pausable:
        service.on_pause(dawdle)
        service.on_resume(dawdle)
        service.every("7s", name="job")(dawdle)
    return service


@settings(max_examples=60)
@given(steps=Steps, pausable=some.booleans(), slow_s=some.sampled_from([0.0, 0.5, 4.0]))
def test_the_rules_hold_in_any_storm(steps: list[tuple[str, Any]], pausable: bool, slow_s: float) -> None:
    """Only transitions that there are; STOPPED last; INTERROGATE changes nothing; PAUSE only where it is declared; no
    handler is slow, and at the end a stop stops it.
    """
    program = ServiceProgram(stormy(pausable=pausable, slow_s=slow_s))
    with SimulatedScm() as scm:
        scm.create("stormy", ServiceConfig("python.exe", start_type=3))
        scm.change("stormy", "failure", FailureActions(60, ((1, RESTART_S * 1_000),)))
        scm.programs["stormy"] = program
        scm.start("stormy")
        for step, value in steps:
            walk(scm, step, value)
            check_now(scm, pausable=pausable)
        end(scm)
    check_afterwards(scm, pausable=pausable)


def walk(scm: SimulatedScm, step: str, value: Any) -> None:
    began = scm.clock.monotonic()
    try:
        if step == "control":
            before = scm.status("stormy")
            scm.control("stormy", value)
            if value == INTERROGATE:
                assert scm.status("stormy") == before
        elif step == "tell":
            scm.tell(value, 1, bytes(16))
        elif step == "advance":
            scm.advance(value)
        elif step == "start":
            scm.start("stormy")
        else:
            scm.kill("stormy")
    except ScmError as error:
        assert error.code in REFUSALS | ({87} if value == SHUTDOWN else set()), (step, value, error)  # noqa: PT017  # any other goes on
    if step != "advance":
        assert scm.clock.monotonic() - began < 0.001, f"{step} {value} took time"


def check_now(scm: SimulatedScm, *, pausable: bool) -> None:
    status = scm.status("stormy")
    if not pausable:
        assert not status.accepted & ACCEPTED_BY[PAUSE]
    if status.state in (STOPPED, STOP_PENDING):
        assert status.accepted == 0
    assert bool(status.wait_hint_ms) == (status.state in PENDING)


def end(scm: SimulatedScm) -> None:
    """Asked to stop, it is STOPPED before long, without an error, and stays so - once no recovery is under way."""
    scm.advance(RESTART_S + 1)
    scm.wait_until(lambda: scm.status("stormy").state not in PENDING, 120)
    if scm.status("stormy").state == STOPPED:
        return
    scm.control("stormy", STOP)
    assert scm.wait_for("stormy", STOPPED).exit_code == 0
    scm.advance(100)
    assert scm.status("stormy").state == STOPPED


def check_afterwards(scm: SimulatedScm, *, pausable: bool) -> None:
    assert scm.record.flaws == []
    states = scm.record.states("stormy")
    assert states[-1] == STOPPED
    if not pausable:
        assert not {PAUSE_PENDING, PAUSED, CONTINUE_PENDING} & set(states)


def test_a_thousand_interrogates_and_as_many_others() -> None:
    """It answers them all, and does in the end what was asked for last."""
    with SimulatedScm() as scm:
        program = ServiceProgram(stormy(pausable=True, slow_s=0.0))
        scm.create("stormy", ServiceConfig("python.exe", start_type=3))
        scm.programs["stormy"] = program
        scm.start("stormy")
        scm.wait_for("stormy", RUNNING)
        for _ in range(1000):
            scm.control("stormy", INTERROGATE)
        for round_ in range(200):
            scm.control("stormy", 128 + round_ % 128)
            for code in (PAUSE, CONTINUE, PARAMCHANGE):
                scm.wait_until(lambda: scm.status("stormy").state not in PENDING, 10)
                scm.control("stormy", code)
        scm.wait_until(lambda: scm.status("stormy").state not in PENDING, 10)
        assert scm.status("stormy").state == RUNNING
        end(scm)
        assert scm.record.flaws == []
