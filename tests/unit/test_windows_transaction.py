"""A change of a service is all or nothing, and only what differs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core.installation import Change
from stayon.errors import FailedError
from stayon.platforms.undo import Act
from stayon.platforms.windows import service_access, transaction
from stayon.platforms.windows.api import FailureActions, ScmError, ServiceConfig, Trigger
from stayon.platforms.windows.transaction import field_steps, perform

GUID = "4d36e96b-e325-11ce-bfc1-08002be10318"

configs = st.builds(
    ServiceConfig,
    command=st.sampled_from(["a", "b"]),
    display_name=st.sampled_from(["A", "B"]),
    account=st.sampled_from(["LocalSystem", ".\\alice"]),
    start_type=st.sampled_from([2, 3, 4]),
    delayed=st.booleans(),
    dependencies=st.sampled_from([(), ("Tcpip",), ("Tcpip", "+NDIS")]),
    description=st.sampled_from(["", "x"]),
    failure=st.builds(FailureActions, st.integers(0, 2)),
    preshutdown_ms=st.integers(0, 2),
    triggers=st.sampled_from([(), (Trigger(2, 1, GUID),)]),
    environment=st.sampled_from([(), ("A=1",)]),
    mark=st.sampled_from(["1", "2"]),
    unkept=st.sampled_from([(), ("failure", "delayed")]),
)


class Ground:
    """Things that acts make and take back; *fails* is where it ends, *undo_fails* what can't be taken back."""

    def __init__(self, fails: str = "", undo_fails: str = "") -> None:
        self.there: list[str] = []
        self.fails, self.undo_fails = fails, undo_fails

    def act(self, name: str, error: Exception | None = None, *, optional: bool = False) -> Act:
        def do():
            if name == self.fails:
                raise error or FailedError("no")
            self.there.append(name)
            return undo

        def undo() -> None:
            assert self.there.pop() == name, "taken back in another order"
            if name == self.undo_fails:
                raise OSError("gone")

        return Act(Change(name, "", name), do, optional)


def test_everything_is_done_in_order() -> None:
    """Each act is done once, and its change told."""
    ground = Ground()

    changes = perform([ground.act("a"), ground.act("b")])

    assert ground.there == ["a", "b"]
    assert [change.name for change in changes] == ["a", "b"]


@pytest.mark.parametrize("fails", ["a", "b", "c"])
def test_what_fails_midway_leaves_nothing(fails) -> None:
    """Wherever it fails, all before it is taken back, the last first, and the cause goes on."""
    ground = Ground(fails)

    with pytest.raises(FailedError):
        perform([ground.act("a"), ground.act("b"), ground.act("c")])

    assert ground.there == []


def test_what_can_not_be_taken_back_is_said() -> None:
    """A failing undo stops no other, and is told with the cause, of whichever kind that is."""
    ours, theirs = Ground("c", "b"), Ground("c", "b")

    with pytest.raises(FailedError) as caught:
        perform([ours.act("a"), ours.act("b"), ours.act("c")])
    with pytest.raises(ScmError) as other:
        perform([theirs.act("b"), theirs.act("c", ScmError(5, "X"))])

    assert caught.value.details == ("b could not be taken back: gone",)
    assert other.value.__notes__ == ["b could not be taken back: gone"]


@pytest.mark.parametrize("code", [87, 124, 1733])
def test_what_this_scm_does_not_know_is_a_warning(code) -> None:
    """It is left out, said, and everything else is done."""
    ground = Ground("b")

    changes = perform([ground.act("a"), ground.act("b", ScmError(code, "Call"), optional=True), ground.act("c")])

    assert ground.there == ["a", "c"]
    assert [bool(change.warning) for change in changes] == [False, True, False]
    assert str(code) in changes[1].warning


@pytest.mark.parametrize(("code", "optional"), [(5, True), (87, False)])
def test_what_is_refused_or_needed_is_no_warning(code, optional) -> None:
    """Access denied is never a missing feature, and without its account a service is not what was wanted."""
    ground = Ground("b")

    with pytest.raises(ScmError):
        perform([ground.act("a"), ground.act("b", ScmError(code, "Call"), optional=optional)])

    assert ground.there == []


def test_an_act_with_nothing_to_do_is_no_change() -> None:
    """Same = nothing."""
    assert perform([Act(Change("a", "", ""), lambda: None)]) == []


@given(configs, configs)
def test_the_steps_lead_to_what_is_wanted(current, wanted) -> None:
    """Every field is set to its wanted value, but those that this SCM doesn't keep; and then nothing is left to do."""
    after = current
    for step in field_steps(current, wanted):
        after = after.replace(**{step.name: step.new})

    assert after.replace(unkept=()) == wanted.replace(
        unkept=(), **{field: getattr(current, field) for field in current.unkept}
    )
    assert field_steps(after, wanted) == []


@given(configs, configs)
def test_the_account_is_changed_last_and_a_delay_with_an_automatic_start(current, wanted) -> None:
    """An old password is known to nobody, so nothing may fail after it; and only an automatic start can be delayed."""
    names = [(step.name, step.new) for step in field_steps(current, wanted)]
    order = [name for name, _ in names]

    assert "account" not in order[:-1]
    if "start_type" in order and ("delayed", True) in names:
        assert order.index("delayed") > order.index("start_type")
    if "start_type" in order and ("delayed", False) in names:
        assert order.index("delayed") < order.index("start_type")


def test_what_only_looks_different_is_left_alone() -> None:
    """Windows gives names and GUIDs in letters of its own size, and lists of rights in an order of its own."""
    old = ServiceConfig(
        "x", account="NT Authority\\LOCALSERVICE", dependencies=("TCPIP",), security=service_access.DEFAULT
    )
    old = old.replace(triggers=(Trigger(2, 1, GUID.upper()),))
    new = ServiceConfig(
        "x", account="NT AUTHORITY\\LocalService", dependencies=("Tcpip",), triggers=(Trigger(2, 1, GUID),)
    )

    assert field_steps(old, new) == []


def test_rights_that_an_administrator_gave_are_left_alone_and_ours_are_taken_back() -> None:
    """Without a group that may control, the list stays as it is, unless it is the one that we once set."""
    new = ServiceConfig("x")
    ours = new.replace(security=service_access.with_controllers("S-1-5-32-545"))
    theirs = new.replace(security="D:(A;;CCRP;;;WD)")

    assert [step.name for step in field_steps(ours, new)] == ["security"]
    assert field_steps(theirs, new) == []
    assert [step.name for step in field_steps(theirs, ours)] == ["security"]


def test_values_of_the_environment_are_not_shown() -> None:
    """They may be secret."""
    assert transaction.words("environment", ServiceConfig("x", environment=("TOKEN=hush", "TZ=UTC"))) == "TOKEN, TZ"


@pytest.mark.parametrize("field", ServiceConfig.__fields__)
def test_every_field_can_be_said(field) -> None:
    """A change of any field is a line that people can read."""
    config = ServiceConfig("x", triggers=(Trigger(2, 1, GUID),), failure=FailureActions(60, ((1, 5),)))

    assert "Record" not in transaction.words(field, config)
    assert "(" not in transaction.words(field, config)


def test_a_delayed_start_is_one_line() -> None:
    """It is two fields, but one difference."""
    old, new = ServiceConfig("x", start_type=3), ServiceConfig("x", start_type=2, delayed=True)
    changes = [transaction.field_change(step, old, new) for step in field_steps(old, new)]

    assert len(changes) == 2
    assert transaction.merged(changes) == [Change("start", "manual", "delayed")]
