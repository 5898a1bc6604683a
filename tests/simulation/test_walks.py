"""Random lives: whatever is asked of a service and whatever fails in it, it ends, and its end is the right one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stayon import Service, StayonError, exits
from stayon.core import states
from stayon.testing import Simulation, simulate, sleep

STOP_TIMEOUT_S = 5.0
WELL, RAISES, SLOW, HANGS = "well", "raises", "slow", "hangs"


class Habits:
    """What each part of a service does when its turn comes, drawn by chance, and what has gone wrong so far."""

    def __init__(self, behaviours: dict[str, str], run_for_s: float = 1e6) -> None:
        self.behaviours, self.run_for_s = behaviours, run_for_s
        self.failed: list[str] = []
        self.hung: list[str] = []
        self.states_of_jobs: set[str] = set()
        self.sim: Simulation | None = None

    def note_state(self) -> None:
        """A job runs: in which state?"""
        assert self.sim is not None
        self.states_of_jobs.add(self.sim.state)

    def act(self, part: str) -> None:
        """Behave as drawn: return, raise, take a second, or never return."""
        behaviour = self.behaviours.get(part, WELL)
        if behaviour == SLOW:
            sleep("1s")
        elif behaviour == HANGS:
            self.hung.append(part)
            sleep("1d")
        elif behaviour == RAISES:
            self.failed.append(part)
            raise RuntimeError(part)


def life_of(habits: Habits) -> Simulation:
    """A simulation of a service with one of everything."""
    service = Service("walk", start_timeout="10s", stop_timeout=STOP_TIMEOUT_S, hook_timeout="3s")
    for declare, part in (
        (service.on_start, "on_start"),
        (service.on_pause, "on_pause"),
        (service.on_resume, "on_resume"),
        (service.on_stop, "on_stop"),
    ):
        declare(lambda ctx, part=part: habits.act(part))
    service.on_reload(lambda ctx, new, old: habits.act("on_reload"))

    @service.run
    def run(ctx):
        ctx.ready()
        ctx.stopping.wait(habits.run_for_s)
        habits.act("run")
        ctx.stopping.wait()

    @service.every("7s", timeout="5s")
    def job(ctx):
        habits.note_state()
        habits.act("job")

    @service.every("11s", on_failure="fail", delay="20s")
    def vital(ctx):
        habits.note_state()
        habits.act("vital")

    @service.check(every="5s", timeout="2s")
    def check(ctx):
        habits.act("check")

    habits.sim = simulate(service, config="")
    return habits.sim


BEHAVIOURS = st.fixed_dictionaries(
    {},
    optional={
        part: st.sampled_from([RAISES, SLOW, HANGS])
        for part in ("on_start", "on_pause", "on_resume", "on_stop", "on_reload", "run", "job", "vital", "check")
    },
)
ACTIONS = st.lists(
    st.one_of(
        st.sampled_from(["pause", "resume", "reload", "bad reload", "interrogate", "dump", "start", "stop"]),
        st.floats(0, 30, allow_nan=False).map(lambda length_s: round(length_s, 1)),
        st.sampled_from(["freeze", "clock back", "clock forward"]),
    ),
    max_size=12,
)


def take(sim, action: str | float) -> None:
    """Do one thing to the service; a refusal is an answer, too."""
    if isinstance(action, float):
        sim.advance(action)
    elif action == "freeze":
        sim.freeze("1h")
    elif action.startswith("clock"):
        sim.jump_clock("-2h" if action.endswith("back") else "2h")
    elif action == "bad reload":
        sim.write_config("not = [toml")
        sim.ask("reload")
    elif action == "reload":
        sim.write_config(f"generation = {sim.elapsed_s}")
        sim.ask("reload")
    else:
        sim.ask(action)


def right_codes(habits: Habits, actions: list, *, forced: bool) -> set[int]:
    """The exit codes that are right for what has happened."""
    if set(habits.failed) & {"on_start", "on_stop", "run", "vital"}:
        return {exits.FAILED}
    late = habits.hung or (SLOW in habits.behaviours.values() and "freeze" in actions)
    return {exits.INTERRUPTED if forced else exits.DONE} | ({exits.FAILED} if late else set())


@settings(max_examples=120)
@given(
    behaviours=BEHAVIOURS,
    run_for_s=st.sampled_from([0.0, 15.0, 1e6]),
    actions=ACTIONS,
    ending=st.sampled_from(["stop", "stop twice", "force"]),
)
def test_a_life_always_ends_and_rightly(
    behaviours: dict[str, str], run_for_s: float, actions: list, ending: str
) -> None:
    """It is STOPPED within ``stop_timeout``, a failure is never a clean stop, and no job starts outside RUNNING."""
    habits = Habits(behaviours, run_for_s)

    with life_of(habits) as sim:
        for action in actions:
            take(sim, action)
        was_over = sim.exit_code is not None
        asked_at = sim.elapsed_s
        if ending == "force":
            sim.ask("force", exit_code=exits.INTERRUPTED)
        elif ending == "stop twice":
            sim.ask("stop")
        code = sim.stop()

        assert sim.state == states.STOPPED
        assert sim.elapsed_s - asked_at <= STOP_TIMEOUT_S + 0.001

    assert code in right_codes(habits, actions, forced=ending == "force" and not was_over), sim.why
    assert not habits.states_of_jobs & {states.START_PENDING, states.PAUSED, states.CONTINUE_PENDING, states.STOPPED}


@settings(max_examples=60)
@given(actions=ACTIONS)
def test_what_is_asked_of_a_well_service_never_breaks_it(actions: list) -> None:
    """Whatever is asked in whatever order: a service in which nothing fails ends with 0 when it is told to stop."""
    habits = Habits({})

    with life_of(habits) as sim:
        for action in actions:
            take(sim, action)
        assert sim.stop() == exits.DONE
        assert sim.job("job").counts["failure"] == 0


@settings(max_examples=60)
@given(verbs=st.lists(st.sampled_from(["pause", "resume", "reload", "advance"]), max_size=12))
def test_a_verb_does_what_it_says_or_says_why_not(verbs: list[str]) -> None:
    """After ``pause`` it is PAUSED, after ``resume`` RUNNING, or the verb has raised one of our own errors."""
    habits = Habits({})
    wanted = {"pause": states.PAUSED, "resume": states.RUNNING}

    with life_of(habits) as sim:
        for verb in verbs:
            if verb == "advance":
                sim.advance("10s")
                continue
            error = None
            try:
                getattr(sim, verb)()
            except StayonError as caught:
                error = caught
            assert sim.state == wanted.get(verb, sim.state) if error is None else error.code.startswith("control.")


@pytest.mark.parametrize("part", ["on_start", "on_stop", "run", "vital"])
@pytest.mark.parametrize("behaviour", [RAISES, HANGS])
def test_each_vital_part_alone(part: str, behaviour: str) -> None:
    """A vital part that raises or hangs is a failure, whichever it is, and its name is in the reason or the log."""
    habits = Habits({part: behaviour}, 15.0)

    with life_of(habits) as sim:
        sim.advance("1m")
        code = sim.stop()
        late = [record.fields["who"] for record in sim.log if record.event_id == 14]

    assert code == exits.FAILED
    assert part in sim.why or part in str(late)
