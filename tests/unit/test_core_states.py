"""The state table has a cell for everything, and no way into a corner."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core import states
from stayon.core.states import (
    ALL_ENDED,
    EVENTS,
    FAILED,
    FORCE,
    HOOK_FAILED,
    INTERROGATE,
    READY,
    START,
    START_PENDING,
    STATES,
    STOP,
    STOP_PENDING,
    STOPPED,
    TABLE,
    TIMED_OUT,
    decide,
)

CELLS = list(itertools.product(STATES, EVENTS))
LIVING = [state for state in STATES if state not in (STOPPED, STOP_PENDING)]

# The two hooks whose failure leaves the service as it was: (state, state afterwards).
FORGIVEN = {(states.PAUSE_PENDING, states.RUNNING), (states.CONTINUE_PENDING, states.PAUSED)}


def walk(state: str, events: list[str]) -> str:
    """The state after *events*."""
    for event in events:
        state = decide(state, event).next
    return state


def test_the_table_is_total() -> None:
    """Every state has a row, and every row a cell for every event and nothing else."""
    assert tuple(TABLE) == STATES
    assert {(state, event) for state, row in TABLE.items() for event in row} == set(CELLS)
    assert sum(len(row) for row in TABLE.values()) == len(STATES) * len(EVENTS)


def test_no_name_stands_for_two_things() -> None:
    """States, events and actions are each named once, and every pending state is a state."""
    for names in (STATES, EVENTS, states.ACTIONS):
        assert len(set(names)) == len(names)
    assert set(states.REQUESTS).isdisjoint(states.REPORTS)
    assert set(STATES) > states.PENDING


def test_the_scm_has_a_number_for_every_state() -> None:
    """The seven of SERVICE_STATUS, each used once."""
    assert set(states.SCM_NUMBERS) == set(STATES)
    assert sorted(states.SCM_NUMBERS.values()) == list(range(1, len(STATES) + 1))


@pytest.mark.parametrize(("state", "event"), CELLS)
def test_every_cell_is_sound(state: str, event: str) -> None:
    """Action and next state are known; only a refusal has a reason; refusing or doing nothing changes nothing."""
    cell = decide(state, event)

    assert cell.action in states.ACTIONS
    assert cell.next in STATES
    assert bool(cell.why) == (cell.action == states.REFUSE)
    if cell.action in (states.REFUSE, states.NOTHING):
        assert cell.next == state


def test_every_action_and_state_is_used() -> None:
    """The table has no dead names: each action is asked for somewhere, each state entered from another."""
    cells = [(state, decide(state, event)) for state, event in CELLS]

    assert {cell.action for _, cell in cells} == set(states.ACTIONS)
    assert {cell.next for state, cell in cells if cell.next != state} == set(STATES)


def test_only_requests_are_refused() -> None:
    """What has happened cannot be refused, only what is asked for."""
    refused = {event for state, event in CELLS if decide(state, event).action == states.REFUSE}

    assert refused <= set(states.REQUESTS)


@pytest.mark.parametrize("state", STATES)
def test_interrogate_never_changes_the_state(state: str) -> None:
    """It is answered, always."""
    assert decide(state, INTERROGATE) == states.Cell(states.ANSWER, state)


@pytest.mark.parametrize("state", STATES)
def test_only_start_leaves_stopped_and_only_all_ended_returns(state: str) -> None:
    """A service is never STOPPED while something of it runs."""
    leaving = {event for event in EVENTS if decide(STOPPED, event).next != STOPPED}
    entering = {event for event in EVENTS if state != STOPPED and decide(state, event).next == STOPPED}

    assert leaving == {START}
    assert entering == ({ALL_ENDED} if state == STOP_PENDING else set())


@pytest.mark.parametrize("state", LIVING)
@pytest.mark.parametrize("event", [STOP, FORCE, states.FINISHED, FAILED])
def test_a_living_service_always_stops_when_it_must(state: str, event: str) -> None:
    """Being told, finishing and failing lead to STOP_PENDING from everywhere."""
    assert decide(state, event).next == STOP_PENDING


@pytest.mark.parametrize("state", [state for state in STATES if state != STOPPED])
@pytest.mark.parametrize("event", [FAILED, HOOK_FAILED, TIMED_OUT])
def test_a_failure_stops_the_service_but_for_two_hooks(state: str, event: str) -> None:
    """A failed pause leaves it running, a failed resume paused, also when it fails too late; all others end it."""
    after = decide(state, event).next

    if event == HOOK_FAILED and state in (states.RUNNING, states.PAUSED):
        assert after == state
    elif event != FAILED and state in dict(FORGIVEN):
        assert (state, after) in FORGIVEN
    else:
        assert after == STOP_PENDING


def test_a_failure_while_stopping_is_kept_and_a_timeout_forces() -> None:
    """How the stop went is never lost, and it never takes longer than it may."""
    assert decide(STOP_PENDING, FAILED).action == states.KEEP_FAILURE
    assert decide(STOP_PENDING, HOOK_FAILED).action == states.KEEP_FAILURE
    assert decide(STOP_PENDING, TIMED_OUT).action == states.FORCE_STOP


def test_ready_counts_only_while_starting() -> None:
    """A late or repeated ready changes nothing."""
    assert walk(STOPPED, [START, READY]) == states.RUNNING
    assert {state for state in STATES if decide(state, READY).next != state} == {START_PENDING}


@pytest.mark.parametrize(("state", "event"), [("RUNNING", "jump"), ("FLYING", START)])
def test_an_unknown_name_is_a_key_error(state: str, event: str) -> None:
    """Nothing is decided about what is not in the table."""
    with pytest.raises(KeyError):
        decide(state, event)


@given(st.lists(st.sampled_from(EVENTS)))
def test_whatever_happened_stop_and_all_ended_reach_stopped(events: list[str]) -> None:
    """There is no history from which a service cannot be stopped, and started again."""
    state = walk(STOPPED, events)

    assert walk(state, [STOP, ALL_ENDED]) == STOPPED
    assert walk(state, [FORCE, ALL_ENDED]) == STOPPED
    assert walk(state, [STOP, ALL_ENDED, START, READY]) == states.RUNNING


@given(st.lists(st.sampled_from([event for event in EVENTS if event != ALL_ENDED])))
def test_stopping_is_never_taken_back(events: list[str]) -> None:
    """Once STOP_PENDING, nothing but the end of all leads out of it."""
    assert walk(STOP_PENDING, events) == STOP_PENDING


@given(st.lists(st.sampled_from(EVENTS)))
def test_every_answer_to_a_pause_was_asked_for(events: list[str]) -> None:
    """PAUSED is reached only through PAUSE_PENDING or a failed resume."""
    state = STOPPED
    for event in events:
        before, state = state, decide(state, event).next
        if state == states.PAUSED != before:
            assert before in (states.PAUSE_PENDING, states.CONTINUE_PENDING)
