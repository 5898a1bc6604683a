"""The simulated SCM itself: rights, recovery, hangs, shutdown, triggers - what no Wine has, and Windows does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stayon.platforms.windows.api import FailureActions, ScmError, ServiceConfig, ServiceStatus, Trigger
from stayon.testing import puppet
from stayon.testing.scm import SimulatedScm
from stayon.testing.scm_database import USER
from stayon.testing.scm_process import SimulatedProcess
from stayon.testing.scm_rules import DEFAULT_SECURITY, RESET_NEVER, Failures, after_failure

STOPPED, START_PENDING, STOP_PENDING, RUNNING, CONTINUE_PENDING, PAUSE_PENDING, PAUSED = range(1, 8)
STOP, INTERROGATE = 1, 4
NETWORK_UP = Trigger(2, 1, "4f27f2de-14e2-430b-a549-7cd48cbc8245")
GROUP = "S-1-5-21-1-2-3-1001"


@pytest.fixture
def scm() -> Iterator[SimulatedScm]:
    """A simulated SCM with a puppet in it."""
    with SimulatedScm() as made:
        install(made)
        yield made


def install(scm: SimulatedScm, name: str = "puppet", program=puppet.play, **fields: object) -> None:
    scm.create(name, ServiceConfig("puppet.exe", start_type=3))
    scm.programs[name] = program
    for field, value in fields.items():
        scm.change(name, field, value)


def code_of(call: Callable[..., object], *arguments: object) -> int:
    with pytest.raises(ScmError) as caught:
        call(*arguments)
    return caught.value.code


def speaking(*statuses: tuple[float, ServiceStatus]):
    """A program that reports each status when so many seconds have passed since the one before."""

    def program(process: SimulatedProcess) -> int:
        def main(_arguments: object) -> None:
            handle = process.register(process.name, lambda *_: 0)
            for delay_s, status in statuses:
                if delay_s:
                    process.sleep(delay_s)
                process.set_status(handle, status)

        return process.dispatch(process.name, main)

    return program


# -- rights --------------------------------------------------------------------------------------------------------


def test_a_user_may_look_and_no_more(scm: SimulatedScm) -> None:
    """Without rights: status, configuration, INTERROGATE and own codes go; all else is error 5."""
    scm.start("puppet")
    scm.wait_for("puppet", RUNNING)
    scm.callers = USER
    assert scm.status("puppet").state == RUNNING
    assert scm.read("puppet").command == "puppet.exe"
    assert scm.names("puppet") == []
    scm.control("puppet", INTERROGATE)
    assert code_of(scm.control, "puppet", STOP) == 5
    assert code_of(scm.start, "puppet") == 5
    assert code_of(scm.change, "puppet", "description", "mine") == 5
    assert code_of(scm.delete, "puppet") == 5
    assert code_of(scm.create, "other", ServiceConfig("x.exe")) == 5


def test_a_group_may_be_let_control_it(scm: SimulatedScm) -> None:
    """Who is in the group of the service's list starts and stops it, and still changes nothing."""
    scm.change("puppet", "security", f"{DEFAULT_SECURITY}(A;;CCLCSWRPWPDTLOCRRC;;;{GROUP})")
    scm.callers = USER | {GROUP}
    scm.start("puppet")
    scm.wait_for("puppet", RUNNING)
    scm.control("puppet", STOP)
    assert code_of(scm.change, "puppet", "start_type", 2) == 5


def test_a_wrong_password_is_seen_at_the_start(scm: SimulatedScm) -> None:
    """The SCM keeps any password, and says 1069 when the account can't log on with it."""
    scm.accounts["PLANT\\worker"] = "right"
    scm.change("puppet", "account", "PLANT\\worker", "wrong")
    assert code_of(scm.start, "puppet") == 1069
    scm.change("puppet", "account", "PLANT\\worker", "right")
    scm.start("puppet")


# -- starting ------------------------------------------------------------------------------------------------------


def test_who_does_not_connect_is_given_up_after_30_s(scm: SimulatedScm) -> None:
    """A program that is no service, or too late, is ended: 1053, and no recovery, as it never was one."""
    install(scm, "late", lambda process: process.sleep(100), failure=FailureActions(0, ((1, 0),)))
    began = scm.clock.monotonic()
    assert code_of(scm.start, "late") == 1053
    assert scm.clock.monotonic() - began == 30
    assert scm.status("late").state == STOPPED
    scm.advance(100)
    assert scm.record.event_ids("late") == [7009, 7000]


def test_who_ends_before_it_connects_is_1053_at_once(scm: SimulatedScm) -> None:
    """A process that is gone is not waited for."""
    install(scm, "brief", lambda _process: 3)
    began = scm.clock.monotonic()
    assert code_of(scm.start, "brief") == 1053
    assert scm.clock.monotonic() == began


def test_a_missing_program_is_2(scm: SimulatedScm) -> None:
    """An interpreter that was moved away is error 2."""
    del scm.programs["puppet"]
    assert code_of(scm.start, "puppet") == 2


def test_a_dependency_that_fails_is_1068(scm: SimulatedScm) -> None:
    """Who needs one that can't be started isn't started."""
    install(scm, "second", dependencies=("puppet",))
    del scm.programs["puppet"]
    assert code_of(scm.start, "second") == 1068


def test_a_circle_is_1059(scm: SimulatedScm) -> None:
    """Two that need each other start neither."""
    install(scm, "second", dependencies=("puppet",))
    scm.change("puppet", "dependencies", ("second",))
    assert code_of(scm.start, "second") == 1059


def test_a_group_needs_one_that_runs(scm: SimulatedScm) -> None:
    """A group is there when one of its members is; an empty one is no hindrance."""
    install(scm, "second", dependencies=("+plant",))
    scm.start("second")
    scm.wait_for("second", RUNNING)
    scm.control("second", STOP)
    scm.wait_for("second", STOPPED)
    scm.change("puppet", "group", "plant")
    scm.start("second")
    assert scm.status("puppet").state == RUNNING


def test_booting_starts_what_starts_by_itself(scm: SimulatedScm) -> None:
    """Automatic ones first, the delayed two minutes later, manual ones not at all."""
    install(scm, "auto", start_type=2)
    install(scm, "later", start_type=2, delayed=True)
    began = scm.clock.monotonic()
    scm.boot()
    scm.wait_for("later", RUNNING)
    found = {one.service: round(one.at - began) for one in scm.record.reported if one.status.state == RUNNING}
    assert found == {"auto": 0, "later": 120}


def test_a_trigger_starts_and_tells(scm: SimulatedScm) -> None:
    """What is stopped is started by its trigger, whoever has none is left alone."""
    install(scm, "triggered", triggers=(NETWORK_UP,))
    scm.pull(NETWORK_UP)
    scm.wait_for("triggered", RUNNING)
    assert scm.status("puppet").state == STOPPED


# -- pending -------------------------------------------------------------------------------------------------------


def test_who_is_silent_beyond_its_hint_is_noted(scm: SimulatedScm) -> None:
    """No new checkpoint within the wait hint: a flaw, at that moment; a new one in time is none."""
    pending = [ServiceStatus(START_PENDING, checkpoint=n, wait_hint_ms=10_000 + n) for n in range(4)]
    install(scm, "fine", speaking((0, pending[0]), (9, pending[1]), (9, pending[2]), (9, ServiceStatus(RUNNING))))
    install(scm, "mute", speaking((0, pending[0]), (9, pending[1]), (11, ServiceStatus(RUNNING))))
    for name in ("fine", "mute"):
        scm.start(name)
        scm.wait_for(name, RUNNING)
    assert scm.record.flaws_of("fine") == []
    assert scm.record.flaws_of("mute") == ["no new checkpoint within its wait hint, 10.001 s"]


def test_a_hint_has_to_grow(scm: SimulatedScm) -> None:
    """For a minute without a larger hint, growing checkpoints don't help."""
    statuses = [(5.0 * (n > 0), ServiceStatus(START_PENDING, checkpoint=n, wait_hint_ms=10_000)) for n in range(20)]
    install(scm, "flat", speaking(*statuses, (0, ServiceStatus(RUNNING))))
    scm.start("flat")
    scm.wait_for("flat", RUNNING, 200)
    assert scm.record.flaws_of("flat") == ["no larger wait hint for 60 s"]


@pytest.mark.parametrize(
    "wrong",
    [
        (ServiceStatus(RUNNING), ServiceStatus(START_PENDING, wait_hint_ms=1000)),
        (ServiceStatus(START_PENDING, wait_hint_ms=1000), ServiceStatus(PAUSED)),
        (ServiceStatus(STOP_PENDING, wait_hint_ms=1000), ServiceStatus(RUNNING)),
        (ServiceStatus(RUNNING, checkpoint=3),),
        (ServiceStatus(RUNNING, exit_code=5),),
    ],
)
def test_a_wrong_status_is_noted(scm: SimulatedScm, wrong: tuple[ServiceStatus, ...]) -> None:
    """Transitions that there are not, and fields that don't belong to a state, are flaws."""
    install(scm, "wrong", speaking(*[(0, status) for status in wrong]))
    scm.start("wrong")
    scm.advance(0.1)
    assert len(scm.record.flaws_of("wrong")) == 1


def test_nothing_is_said_after_stopped(scm: SimulatedScm) -> None:
    """A status after STOPPED is error 6, and changes nothing."""
    errors: list[int] = []

    def program(process: SimulatedProcess) -> int:
        def main(_arguments: object) -> None:
            handle = process.register(process.name, lambda *_: 0)
            errors.extend(process.set_status(handle, ServiceStatus(state)) for state in (RUNNING, STOPPED, RUNNING))

        return process.dispatch(process.name, main)

    install(scm, "chatty", program)
    scm.start("chatty")
    scm.advance(0.1)
    assert errors == [0, 0, 6]
    assert scm.record.states("chatty") == [START_PENDING, RUNNING, STOPPED]


# -- recovery ------------------------------------------------------------------------------------------------------

Moments = some.lists(some.floats(0, 1000), max_size=12)


@given(
    some.lists(some.tuples(some.sampled_from([0, 1]), some.integers(0, 10_000)), max_size=5),
    some.one_of(some.integers(0, 300), some.just(RESET_NEVER)),
    Moments,
)
def test_the_nth_failure_has_the_nth_action(actions, reset_s: int, gaps: list[float]) -> None:
    """Failures in a row go through the actions, the last one repeats; a long good time begins anew."""
    failures, now, count = Failures(), 0.0, 0
    for gap in gaps:
        now += gap
        count = 1 if failures.count and reset_s != RESET_NEVER and now - failures.at > reset_s else count + 1
        failures, action = after_failure(failures, FailureActions(reset_s, tuple(actions)), now)
        assert failures == Failures(count, now)
        assert action == (actions[min(count, len(actions)) - 1] if actions else (0, 0))


def test_a_clean_exit_code_is_no_failure_and_a_bad_one_only_with_the_flag(scm: SimulatedScm) -> None:
    """STOPPED with an error is recovered from only where failure_on_non_crash says so; a crash always."""
    scm.change("puppet", "failure", FailureActions(600, ((1, 1_000),)))
    scm.start("puppet")
    scm.wait_for("puppet", RUNNING)
    scm.control("puppet", puppet.BREAK)
    scm.advance(10)
    assert scm.status("puppet").state == STOPPED
    scm.change("puppet", "failure_on_non_crash", True)
    scm.start("puppet")
    scm.wait_for("puppet", RUNNING)
    scm.control("puppet", puppet.FINISH)
    scm.advance(10)
    assert scm.status("puppet").state == STOPPED
    scm.start("puppet")
    scm.wait_for("puppet", RUNNING)
    scm.control("puppet", puppet.BREAK)
    scm.advance(10)
    assert scm.status("puppet").state == RUNNING
    scm.change("puppet", "failure_on_non_crash", False)
    scm.kill("puppet")
    scm.advance(10)
    assert scm.status("puppet").state == RUNNING


def test_who_was_disabled_meanwhile_is_not_restarted(scm: SimulatedScm) -> None:
    """A recovery that can't be done is said: 7032."""
    scm.change("puppet", "failure", FailureActions(600, ((1, 5_000),)))
    scm.start("puppet")
    scm.wait_for("puppet", RUNNING)
    scm.kill("puppet")
    scm.change("puppet", "start_type", 4)
    scm.advance(10)
    assert scm.record.event_ids("puppet") == [7031, 7032]
    assert scm.status("puppet").state == STOPPED


# -- deletion, shutdown --------------------------------------------------------------------------------------------


def test_an_open_handle_keeps_what_is_deleted(scm: SimulatedScm) -> None:
    """Somebody's open window keeps the name taken (1072), unchangeable and unstartable, until it is closed."""
    with scm.handle("puppet"):
        scm.delete("puppet")
        for call in (scm.delete, scm.start):
            assert code_of(call, "puppet") == 1072
        assert code_of(scm.change, "puppet", "description", "x") == 1072
        assert code_of(scm.create, "puppet", ServiceConfig("x.exe")) == 1072
    assert code_of(scm.status, "puppet") == 1060


def test_a_shutdown_ends_everybody(scm: SimulatedScm) -> None:
    """Who doesn't stop in time is killed, which is no crash; nothing is started any more."""
    scm.change("puppet", "failure", FailureActions(600, ((1, 0),)))
    scm.start("puppet")
    scm.wait_for("puppet", RUNNING)
    began = scm.clock.monotonic()
    scm.shut_down()
    assert scm.clock.monotonic() - began == 5
    assert scm.status("puppet").state == STOPPED
    assert scm.record.event_ids("puppet") == [7043]
    assert code_of(scm.start, "puppet") == 1115


def test_two_starts_at_once_make_one_process(scm: SimulatedScm) -> None:
    """Of two who start it at the same time one gets 1056."""
    results: list[int] = []
    helper = SimulatedProcess(scm, "helper", 0)

    def start() -> None:
        try:
            scm.start("puppet")
        except ScmError as error:
            results.append(error.code)
        else:
            results.append(0)

    for _ in range(2):
        helper.start_thread(start, "starter")
    scm.advance(5)
    assert sorted(results) == [0, 1056]
    assert len(scm.processes) == 1
