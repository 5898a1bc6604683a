"""The plan: one function for starting, stopping, reloading and rolling back, and the difference of two trees."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stayon.core.plan import ADDED, CHANGED, RELOAD, REMOVED, START, STOP, Change, Step, diff, plan

PARTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3) | st.booleans() | st.floats(0, 3))
LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "1"])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


def apply(steps, parts: dict) -> dict:
    """The parts after *steps*, each of which has to fit what is there."""
    result = dict(parts)
    for step in steps:
        assert (step.name in result) is (step.action != START), step
        if step.action == STOP:
            del result[step.name]
        else:
            result[step.name] = step.new
    return result


def exactly(parts: dict) -> dict:
    """The parts with their types, as 1 == True."""
    return {name: (type(value), value) for name, value in parts.items()}


@given(PARTS, PARTS, st.sets(st.integers(0, 3)))
def test_applying_a_plan_gives_what_is_wanted(current, wanted, stubborn) -> None:
    """plan(a, b) applied to a gives b, whatever can be reloaded."""
    steps = plan(current, wanted, lambda old, _new: old not in stubborn)

    assert exactly(apply(steps, current)) == exactly(wanted)


@given(PARTS, PARTS)
def test_the_plan_back_undoes_the_plan(current, wanted) -> None:
    """plan(b, a) after plan(a, b) gives a: rolling back is planning the other way."""
    there = apply(plan(current, wanted), current)

    assert exactly(apply(plan(wanted, current), there)) == exactly(current)


@given(PARTS)
def test_nothing_to_do_is_no_step(parts) -> None:
    """plan(a, a) is empty."""
    assert plan(parts, parts) == ()


def test_stops_come_first_and_in_reverse() -> None:
    """What was started last is stopped first, and before anything is started in its place."""
    steps = plan({"a": 1, "b": 2, "c": 3}, {"d": 4, "b": 5, "a": 6}, lambda old, _new: old != 2)

    assert steps == (
        Step(STOP, "c", 3, None),
        Step(STOP, "b", 2, None),
        Step(START, "d", None, 4),
        Step(START, "b", None, 5),
        Step(RELOAD, "a", 1, 6),
    )


@given(TREES)
def test_a_tree_does_not_differ_from_itself(tree) -> None:
    """Same = nothing."""
    assert diff(tree, tree) == ()


@given(TREES, TREES)
def test_the_difference_mirrors(one, other) -> None:
    """The other way round the same paths differ, with added and removed exchanged."""
    mirrored = {ADDED: REMOVED, REMOVED: ADDED, CHANGED: CHANGED}

    assert {(c.path, mirrored[c.kind]) for c in diff(one, other)} == {(c.path, c.kind) for c in diff(other, one)}
    assert bool(diff(one, other)) is (repr_of(one) != repr_of(other))


def repr_of(tree: object) -> object:
    """The tree without the order of keys, with types told apart."""
    if isinstance(tree, dict):
        return {key: repr_of(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [repr_of(value) for value in tree]
    return type(tree).__name__, tree


def test_paths_lead_to_the_leaf() -> None:
    """Tables are gone into, lists of one length too; lists of different lengths differ as a whole."""
    old = {"http": {"port": 1, "host": "x"}, "urls": [{"u": 1}, {"u": 2}], "names": [1], "gone": 0}
    new = {"http": {"port": True, "host": "x"}, "urls": [{"u": 1}, {"u": 3}], "names": [1, 2], "come": 0}

    assert diff(old, new) == (
        Change(("http", "port"), CHANGED),
        Change(("urls", 1, "u"), CHANGED),
        Change(("names",), CHANGED),
        Change(("gone",), REMOVED),
        Change(("come",), ADDED),
    )
