"""Installing, updating and uninstalling on a simulated SCM, where any call may fail: all of it happens, or nothing."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from stayon import Service, exits
from stayon.core import installation, restart, states
from stayon.errors import StayonError
from stayon.testing.scm_service import ServiceProgram
from tests.unit.scm_desk import NAME, WANTED, Desk, opened

ALICE = ".\\alice"
PASSWORD = "secret"
TRIGGERS = ["network-up", "device:4d36e96b-e325-11ce-bfc1-08002be10318"]

Wanted = some.fixed_dictionaries(
    {
        "display_name": some.sampled_from(["Collector", "Price Collector"]),
        "description": some.sampled_from(["", "Collects."]),
        "start": some.sampled_from(installation.START_TYPES),
        "restart": some.sampled_from([None, restart.never(), restart.backoff(max_attempts=3)]),
        "stop_timeout_s": some.sampled_from([5.0, 20.0]),
        "account": some.sampled_from(["", "NetworkService", f"NT SERVICE\\{NAME}", ALICE]),
        "after": some.sampled_from([(), ("RpcSs",)]),
        "groups": some.sampled_from([(), ("plant",)]),
        "triggers": some.lists(some.sampled_from(TRIGGERS), unique=True).map(tuple),
        "privileges": some.sampled_from([(), ("SeChangeNotifyPrivilege",)]),
        "controllers": some.sampled_from(["", "Operators"]),
        "environment": some.sampled_from([(), (("TZ", "UTC"),)]),
        "mark": some.sampled_from(["stayon 0.1.0", "stayon 0.2.0"]),
    }
)


def wanted_of(fields: dict[str, Any]) -> installation.Installation:
    return WANTED.replace(**fields, password=lambda: PASSWORD)


def everything(desk: Desk) -> tuple[object, ...]:
    """All that may be changed, passwords too."""
    kept = {entry.name: (entry.config, entry.password) for entry in desk.store.entries.values()}
    return kept, desk.world.snapshot()


@settings(max_examples=150)
@given(before=some.none() | Wanted, after=some.none() | Wanted, number=some.integers(1, 40))
def test_a_change_happens_wholly_or_not_at_all(before: Any, after: Any, number: int) -> None:
    """From any installation, or none, to any other, or none, with the SCM's nth call refused: all is as wanted, or as
    it was; and what was done is no difference any more.
    """
    with opened() as desk:
        if before is not None:
            desk.manager.change(NAME, wanted_of(before))
        as_it_was = everything(desk)
        desk.store.fail = {len(desk.store.calls) + number: 5}
        wanted = None if after is None else wanted_of(after)
        try:
            desk.manager.change(NAME, wanted)
        except StayonError:
            gone = after is None and NAME not in desk.store.entries
            assert gone or everything(desk) == as_it_was
            return
        finally:
            desk.store.fail = {}
        if wanted is None:
            assert NAME not in desk.store.entries
        else:
            assert desk.manager.change(NAME, wanted, dry_run=True) == []


def test_what_recovery_does_is_what_the_policy_says() -> None:
    """The delays that a policy gives are those after which the SCM starts it again; then it gives up, as it says."""
    service = Service(NAME)

    @service.on_start
    def fail(ctx: Any) -> None:
        raise OSError("no such database")

    policy = restart.backoff("2s", 3.0, "30s", max_attempts=4)
    with opened() as desk:
        desk.store.programs[NAME] = program = ServiceProgram(service)
        desk.manager.change(NAME, WANTED.replace(restart=policy))
        began = desk.store.clock.monotonic()
        with pytest.raises(StayonError):
            desk.ask("start")
        desk.store.advance(3600)
        starts = [run.process.started_at - began for run in program.runs]
        waits = [round(later - earlier, 3) for earlier, later in pairwise(starts)]
        assert waits == restart.delays(policy, 10)
        found = desk.manager.look(NAME)
        assert found is not None
        assert (found.state, found.exit_code) == (states.STOPPED, exits.FAILED)
        assert desk.store.record.flaws == []


def test_our_service_lives_under_our_manager() -> None:
    """Started, paused, resumed, reloaded, restarted and stopped by verbs; each is done when the verb returns."""
    service = Service(NAME)
    service.every("5s", name="job")(lambda ctx: None)
    with opened() as desk:
        desk.store.programs[NAME] = program = ServiceProgram(service)
        desk.manager.change(NAME, WANTED)
        lives = [desk.ask(verb).state for verb in ("start", "pause", "resume", "reload", "restart", "stop")]
        assert lives == [
            states.RUNNING, states.PAUSED, states.RUNNING, states.RUNNING, states.RUNNING, states.STOPPED
        ]  # fmt: skip
        assert len(program.runs) == 2
        desk.manager.change(NAME, None)
        assert desk.manager.look(NAME) is None
        assert desk.store.record.flaws == []
