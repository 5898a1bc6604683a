"""When to reload: bursts become one, nothing overlaps, nothing starts while stopping."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stayon.runtime.config.pending import LONGEST_WAIT_S, QUIET_S, Pending


def test_a_burst_becomes_one_reload() -> None:
    """It waits for quiet, tells each source once, and is idle again."""
    pending = Pending()
    assert pending.due() is None
    for now in (0.0, 0.05, 0.1):
        assert pending.ask(now, "file") == ""
    pending.ask(0.1, "SIGHUP")

    assert pending.due() == 0.1 + QUIET_S
    assert pending.begin() == ("file", "SIGHUP")
    pending.finish(0.3)
    assert pending.due() is None


def test_a_storm_does_not_put_it_off_for_ever() -> None:
    """At most LONGEST_WAIT_S after the first request, however many follow."""
    pending = Pending()
    for count in range(100):
        pending.ask(count * 0.01, "file")

    assert pending.due() == LONGEST_WAIT_S


def test_requests_during_a_reload_become_one_more() -> None:
    """None is lost, and none runs at the same time."""
    pending = Pending()
    pending.ask(0.0, "file")
    pending.begin()
    for now in (0.2, 0.3, 5.0):
        pending.ask(now, "reload")
    assert pending.due() is None
    pending.finish(6.0)

    assert pending.due() == 6.0 + QUIET_S
    assert pending.begin() == ("reload",)
    pending.finish(7.0)
    assert pending.due() is None


def test_requests_while_stopping_are_refused_with_the_reason() -> None:
    """And what was asked for before is forgotten."""
    pending = Pending()
    pending.ask(0.0, "file")
    pending.close()

    assert pending.due() is None
    assert pending.ask(1.0, "SIGHUP") == "it is stopping"
    assert pending.due() is None


@given(st.lists(st.tuples(st.floats(0, 0.4), st.sampled_from(["ask", "turn"])), max_size=40))
def test_every_request_is_followed_by_a_reload_in_time(steps) -> None:
    """Whatever the rhythm, a request is served within the longest wait after it, or after the reload that runs."""
    pending, now, unserved, running = Pending(), 0.0, None, False
    for wait, act in steps:
        now += wait
        if act == "ask":
            pending.ask(now, "file")
            unserved = now if unserved is None else unserved
        elif running:
            pending.finish(now)
            running = False
            unserved = now if unserved is not None else None
        due = pending.due()
        assert (due is None) is (running or unserved is None)
        if due is not None:
            assert unserved is not None
            assert unserved + QUIET_S <= due <= unserved + LONGEST_WAIT_S
            if due <= now:
                pending.begin()
                running, unserved = True, None
