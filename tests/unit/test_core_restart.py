"""One pure function decides about a service that ended."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon import exits
from stayon.core import restart
from stayon.core.restart import Done, Ended, GiveUp, History, Policy, Restart, backoff, decide, delays, immediate, never
from stayon.errors import UsageError

chances = st.floats(0, 1, exclude_max=True)
moments = st.floats(-1e9, 1e9)
limits = st.fixed_dictionaries(
    {},
    optional={
        "on": st.sampled_from(["failure", "always"]),
        "reset_after": st.floats(0.1, 1e5),
        "max_attempts": st.none() | st.integers(1, 50),
        "budget": st.none() | st.integers(1, 50),
        "half_life": st.floats(0.1, 1e5),
    },
)
backoffs = st.builds(
    lambda first, factor, longer, jitter, more: backoff(first, factor, max(first, 0.1) + longer, jitter=jitter, **more),
    st.floats(0.001, 1e4),
    st.floats(1, 1_000),
    st.floats(0, 1e6),
    st.booleans(),
    limits,
)
policies = st.just(never()) | st.builds(lambda more: immediate(**more), limits) | backoffs
ends = st.builds(Ended, st.sampled_from([0, 1, 64, 70, 75, 78, 86, 130, -9]), moments, moments)
histories = st.builds(History, st.integers(0, 10**6), st.floats(0, 1e6), moments)


# Of no type, as far as a type checker knows: what a user without one may write.
ANY_TEXT: Any = "2"
ANY_FRACTION: Any = 1.5
ANY_CODE: Any = 78
ANY_LIST: Any = ["78"]


def no_chance() -> float:
    """For decisions in which chance has no part."""
    raise AssertionError("chance was asked for")


def crash(policy: Policy, times: int, *, lived_s: float = 0.0, exit_code: int = exits.FAILED) -> list[float | str]:
    """What is decided about *times* runs in a row, each of *lived_s* seconds: the waits, or why it gave up."""
    now, history, story = 0.0, History(), list[float | str]()
    for _ in range(times):
        started_at, now = now, now + lived_s
        match decide(policy, history, Ended(exit_code, now, started_at), lambda: 0.5):
            case Restart(in_s, history, _):
                now += in_s
                story.append(round(in_s, 6))
            case GiveUp(why):
                return [*story, why]
    return story


def test_never_starts_once() -> None:
    """A failure is given up with the reason; a finished service is done."""
    failed = decide(never(), History(), Ended(70, 5.0, 0.0), no_chance)

    assert failed == GiveUp("exit code 70 (failed): its restart policy is 'never'")
    assert decide(never(), History(), Ended(0, 5.0, 0.0), no_chance) == Done()


@pytest.mark.parametrize("policy", [never(), immediate(), backoff()])
def test_a_finished_service_is_not_restarted(policy: Policy) -> None:
    """Exit code 0 means that the work is done."""
    assert decide(policy, History(3, 2.0, 1.0), Ended(0, 5.0, 0.0), no_chance) == Done()


@pytest.mark.parametrize("policy", [immediate(on="always"), backoff(jitter=False, on="always", budget=1)])
def test_always_restarts_a_finished_service_too(policy: Policy) -> None:
    """It backs off like any other, so that a program with nothing to do does not spin; but it is not a failure."""
    decision = decide(policy, History(2, 0.0, 4.0), Ended(0, 5.0, 5.0), no_chance)

    assert isinstance(decision, Restart)
    assert decision.history == History(3, 0.0, 5.0)
    assert decision.in_s >= restart.FLOOR_S


def test_immediate_is_at_once_and_then_ten_times_a_second() -> None:
    """The first crash costs nothing, a crash loop does not eat the machine."""
    assert crash(immediate(), 4) == [0.0, 0.1, 0.1, 0.1]


def test_backoff_doubles_up_to_the_cap() -> None:
    """1, 2, 4 … seconds, never more than the cap."""
    assert crash(backoff("1s", 2, "10s", jitter=False), 6) == [1, 2, 4, 8, 10, 10]


def test_jitter_is_full_with_a_floor() -> None:
    """Each wait is drawn evenly from the floor to its full length."""
    policy, ended = backoff("4s"), Ended(70, 1.0, 0.0)
    drawn = [decide(policy, History(), ended, iter([chance]).__next__) for chance in (0.0, 0.5, 0.999)]

    assert [getattr(decision, "in_s", None) for decision in drawn] == pytest.approx([0.1, 2.05, 3.9961])


def test_a_first_wait_below_the_floor_is_kept_as_it_is() -> None:
    """Who asks for 10 ms gets 10 ms, once; what follows is at least the floor."""
    assert crash(backoff("10ms", 2, "1s"), 3) == [0.01, 0.1, 0.1]


def test_the_defaults_are_those_promised() -> None:
    """The numbers stand in the documentation."""
    assert backoff() == Policy("backoff", "failure", 1.0, 2.0, 300.0, True, 600.0, None, None, 600.0, (64, 77, 78))


def test_a_stable_run_resets_the_waits() -> None:
    """A run of reset_after counts as stable, one a little shorter does not."""
    policy = backoff("1s", 2, "1m", jitter=False, reset_after="10s")

    assert crash(policy, 3, lived_s=10) == [1, 1, 1]
    assert crash(policy, 3, lived_s=9.9) == [1, 2, 4]


def test_max_attempts_gives_up() -> None:
    """After so many restarts in a row it stays down, and the reason says so."""
    story = crash(backoff("1s", 2, jitter=False, max_attempts=3), 9)

    assert story == [1, 2, 4, "exit code 70 (failed): tried again 3 times in a row, the most allowed"]


def test_a_stable_run_gives_back_the_attempts() -> None:
    """Only restarts in a row count against max_attempts."""
    assert crash(backoff("1s", max_attempts=1, reset_after="5s"), 9, lived_s=6) == [0.55] * 9


def test_over_budget_it_retries_slowly() -> None:
    """A crash just after each stable run never reaches the cap by doubling; the budget sees it, and slows it down."""
    policy = backoff("1s", 2, "5m", jitter=False, reset_after="10s", budget=3, half_life="1h")

    assert crash(policy, 6, lived_s=10) == [1, 1, 1, 300, 300, 300]


def test_a_budget_may_be_used_up() -> None:
    """Three failures at one moment are within a budget of three, a fourth is not."""
    policy, ended = backoff("1s", 1, jitter=False, budget=3), Ended(70, 5.0, 5.0)
    within = decide(policy, History(2, 2.0, 5.0), ended, no_chance)
    beyond = decide(policy, History(3, 3.0, 5.0), ended, no_chance)

    assert within == Restart(1.0, History(3, 3.0, 5.0), "exit code 70 (failed)")
    assert isinstance(beyond, Restart)
    assert beyond.in_s == 300.0


def test_over_budget_with_max_attempts_it_gives_up() -> None:
    """Who set a limit wants to be told."""
    policy = backoff("1s", reset_after="10s", budget=2, half_life="1h", max_attempts=5)

    assert crash(policy, 6, lived_s=10)[2:] == [
        "exit code 70 (failed): more than 2 failures, fading by half in 1h",
    ]


def test_failures_fade_by_half_in_a_half_life() -> None:
    """Four failures on the books count one after two half-lives, and the new one joins them."""
    policy = backoff(budget=10, half_life="10s")
    decision = decide(policy, History(4, 4.0, 100.0), Ended(70, 120.0, 119.0), lambda: 0.5)

    assert isinstance(decision, Restart)
    assert decision.history == History(5, 2.0, 120.0)


@pytest.mark.parametrize("code", exits.FINAL)
@pytest.mark.parametrize("policy", [never(), immediate(on="always"), backoff()])
def test_final_codes_never_restart(policy: Policy, code: int) -> None:
    """Starting again cannot help, under no policy."""
    decision = decide(policy, History(), Ended(code, 5.0, 0.0), no_chance)

    assert decision == GiveUp(f"exit code {code} ({exits.meaning(code)}): starting it again cannot help")


def test_what_is_final_can_be_chosen() -> None:
    """A list of one's own replaces ours."""
    policy = immediate(final=[3])

    assert isinstance(decide(policy, History(), Ended(3, 5.0, 0.0), no_chance), GiveUp)
    assert isinstance(decide(policy, History(), Ended(78, 5.0, 0.0), no_chance), Restart)


def test_a_signal_is_a_failure_with_a_reason() -> None:
    """The reason of a restart is for the log."""
    decision = decide(immediate(), History(), Ended(-9, 5.0, 0.0), no_chance)

    assert decision == Restart(0.0, History(1, 1.0, 5.0), "exit code -9 (killed by signal 9)")


@given(policies, histories, ends, chances)
def test_every_wait_is_within_its_limits(policy: Policy, history: History, ended: Ended, chance: float) -> None:
    """Never negative, never above the cap, never below the floor but for the first; whatever the clock did."""
    decision = decide(policy, history, ended, lambda: chance)

    if isinstance(decision, Restart):
        assert 0 <= decision.in_s <= policy.cap_s
        assert decision.history.attempts == 1 or decision.in_s >= restart.FLOOR_S
        assert decision.history.attempts <= history.attempts + 1
        assert 0 <= decision.history.failures <= history.failures + 1
        assert decision.history.failures_at == ended.at


@given(policies, histories, ends, chances)
def test_what_must_not_restart_does_not(policy: Policy, history: History, ended: Ended, chance: float) -> None:
    """Final codes and the policy never give up on a failure, and 0 is done unless it is always."""
    decision = decide(policy, history, ended, lambda: chance)

    if ended.exit_code == 0 and policy.on == "failure":
        assert decision == Done()
    elif ended.exit_code in policy.final or policy.name == "never":
        assert isinstance(decision, GiveUp)
    elif policy.max_attempts is None:
        assert isinstance(decision, Restart)


@given(backoffs, histories, st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_clock_that_goes_back_only_fades_and_resets_nothing(
    policy: Policy, history: History, back_s: float, lived_s: float
) -> None:
    """The run looks short and no failure fades: the same as if no time had passed."""
    at = history.failures_at - back_s
    stepped = decide(policy, history, Ended(70, at, at + lived_s), lambda: 0.5)
    still = decide(policy, history, Ended(70, history.failures_at, history.failures_at), lambda: 0.5)

    assert type(stepped) is type(still)
    if isinstance(stepped, Restart) and isinstance(still, Restart):
        assert stepped.in_s == still.in_s
        assert stepped.history == still.history.replace(failures_at=at)


@given(st.integers(1, 5), st.integers(1, 40), st.floats(1, 1e4))
def test_a_budget_is_never_exceeded_for_ever(budget: int, crashes: int, half_life_s: float) -> None:
    """However many failures there were, after enough quiet half-lives the waits are short again."""
    policy = backoff("1s", 2, "5m", jitter=False, reset_after="1s", budget=budget, half_life=half_life_s)
    history = History()
    for _ in range(crashes):
        decision = decide(policy, history, Ended(70, 0.0, 0.0), no_chance)
        assert isinstance(decision, Restart)
        history = decision.history

    quiet_s = 20 * half_life_s
    rested = decide(policy, history, Ended(70, quiet_s, 0.0), no_chance)
    assert isinstance(rested, Restart)
    assert rested.in_s == (1.0 if budget > 1 or history.failures == 0 else 300.0)


@given(backoffs, st.integers(0, 50))
def test_delays_are_the_waits_without_jitter(policy: Policy, count: int) -> None:
    """They grow, end at the cap, and are what deciding gives when chance is at its highest."""
    waits = delays(policy, count)

    assert len(waits) == (count if policy.max_attempts is None else min(count, policy.max_attempts))
    assert waits == sorted(waits)
    for attempt, wait_s in enumerate(waits):
        decision = decide(policy.replace(budget=None), History(attempt), Ended(70, 0.0, 0.0), lambda: 1.0)
        assert isinstance(decision, Restart)
        assert decision.in_s == pytest.approx(wait_s)


def test_delays_of_the_simple_policies() -> None:
    """never has none, immediate the floor."""
    assert delays(never(), 3) == []
    assert delays(immediate(), 3) == [0.0, 0.1, 0.1]
    assert delays(backoff("1s", 10, "1m", max_attempts=2), 3) == [1.0, 10.0]


def test_thousands_of_attempts_do_not_overflow() -> None:
    """Growth beyond what a float holds is the cap."""
    decision = decide(backoff(jitter=False), History(100_000), Ended(70, 0.0, 0.0), no_chance)

    assert isinstance(decision, Restart)
    assert decision.in_s == 300.0


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (lambda: backoff("soon"), "spec.duration", "first: 'soon' is not a usable duration"),
        (lambda: backoff(cap=0), "spec.duration", "cap: 0 is not a usable duration"),
        (
            lambda: backoff("10s", cap="5s"),
            "spec.restart",
            "cap='5s' is too short. Give at least first, 10s, and 100ms.",
        ),
        (lambda: backoff("1ms", cap="50ms"), "spec.restart", "cap='50ms' is too short"),
        (lambda: backoff(factor=0.5), "spec.restart", "factor=0.5 is not usable. Give a number from 1 to 1000."),
        (lambda: backoff(factor=float("nan")), "spec.restart", "factor=nan is not usable"),
        (lambda: backoff(factor=ANY_TEXT), "spec.restart", "factor='2' is not usable"),
        (lambda: immediate(on="monday"), "spec.choice", "on='monday' is not known"),
        (lambda: immediate(reset_after=-1), "spec.duration", "reset_after: -1 is not a usable duration"),
        (lambda: immediate(half_life="1"), "spec.duration", "half_life: '1' is not a usable duration"),
        (lambda: immediate(max_attempts=0), "spec.restart", "max_attempts=0 is not usable"),
        (lambda: immediate(max_attempts=True), "spec.restart", "max_attempts=True is not usable"),
        (lambda: immediate(budget=ANY_FRACTION), "spec.restart", "budget=1.5 is not usable"),
        (lambda: immediate(final=ANY_CODE), "spec.restart", "final=78 is not usable"),
        (lambda: immediate(final=ANY_LIST), "spec.restart", r"final=\['78'\] is not usable"),
    ],
)
def test_a_wrong_policy_is_refused(make, code: str, message: str) -> None:
    """The error names the option and what it may be."""
    with pytest.raises(UsageError, match=f"^{message}") as caught:
        make()

    assert caught.value.code == code


def test_an_unknown_option_is_a_type_error() -> None:
    """As of any function, and it lists what there is."""
    with pytest.raises(
        TypeError, match="no option 'attempts'; it has on, reset_after, max_attempts, budget, half_life, final"
    ):
        immediate(attempts=3)  # type: ignore[call-arg]  # what is tested
