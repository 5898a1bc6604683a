"""Every cell of the state table, met by the real host: what it does is what the table says."""

from __future__ import annotations

import pytest

from stayon import Service, exits
from stayon.core import states
from stayon.runtime.host import Occurrence
from stayon.testing import simulate, sleep

FAILURES = (states.HOOK_FAILED, states.FAILED, states.TIMED_OUT)


def slow_service() -> Service:
    """A service whose every hook takes a second, so that each pending state can be met."""
    service = Service("cells", stop_timeout="5s")
    for declare in (service.on_start, service.on_pause, service.on_resume, service.on_stop):
        declare(lambda ctx: sleep("1s"))
    service.every("1h", name="job")(lambda ctx: None)
    return service


def bring(sim, state: str) -> None:
    """Lead a service that has just been started to *state*."""
    if state == states.START_PENDING:
        return
    sim.advance("1s")
    if state in (states.PAUSE_PENDING, states.PAUSED, states.CONTINUE_PENDING):
        sim.ask("pause")
    if state in (states.PAUSED, states.CONTINUE_PENDING):
        sim.advance("1s")
    if state == states.CONTINUE_PENDING:
        sim.ask("resume")
    if state == states.STOP_PENDING:
        sim.ask("stop")
    if state == states.STOPPED:
        sim.stop()


def expected_code(state: str, event: str) -> int:
    """The exit code after *event* in *state*, and a stop."""
    action = states.decide(state, event).action
    if state == states.STOPPED:
        return exits.DONE
    if event in FAILURES and action in (states.BEGIN_STOP, states.KEEP_FAILURE, states.FORCE_STOP):
        return exits.FAILED
    return exits.INTERRUPTED if event == states.FORCE else exits.DONE


@pytest.mark.parametrize("event", states.EVENTS)
@pytest.mark.parametrize("state", states.STATES)
def test_the_host_does_what_the_cell_says(state: str, event: str) -> None:
    """In each state each event leads to the cell's state, and the life that follows ends with the right code."""
    cell = states.decide(state, event)
    error = ValueError("of the test") if event in FAILURES else None
    met = []

    with simulate(slow_service()) as sim:
        bring(sim, state)
        assert sim.state == state
        if state == states.STOPPED and event != states.START:
            met.append(sim.host.handle(Occurrence(event, error, "test")))
        elif state != states.STOPPED:
            before = len(sim.states) - 1
            sim.host.loop.post(lambda: met.append(sim.host.handle(Occurrence(event, error, "test"))))
            sim.advance(0)
            assert cell.next in sim.states[before:]
            after = sim.states[before + (cell.next != state) :]
            assert after[0] == cell.next
        assert sim.stop() == expected_code(state, event)

    assert met == [cell] or (state, event) == (states.STOPPED, states.START)
    assert ("of the test" in sim.why) == (sim.exit_code == exits.FAILED)


def test_every_action_of_the_table_is_one_of_the_hosts() -> None:
    """For each action there is a method ``do_<action>``, and the host has no other."""
    from stayon.runtime.host import Host

    assert {name.removeprefix("do_") for name in dir(Host) if name.startswith("do_")} == set(states.ACTIONS)
