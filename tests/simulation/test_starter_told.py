"""What whoever started the service is told besides its states: signs of life, reloads, and what it failed with."""

from __future__ import annotations

import errno
import socket

import pytest

from stayon import ConfigError, Service, UsageError
from stayon.core.events import UNHEARD, Event
from stayon.testing import simulate


def idle(**options) -> Service:
    """A service that does nothing but be there."""
    service = Service("idle", **options)
    service.every("1h", name="job")(lambda ctx: None)
    return service


def test_who_wants_signs_of_life_gets_them() -> None:
    """So often at least, also while nothing happens and while something is pending; none at the end."""
    sim = simulate(idle())
    starter = sim.machine.starter
    starter.beat_s = 10.0
    with sim:
        sim.advance("1s")
        before = len(starter.reports)
        sim.advance("60s")
        assert len(starter.reports) - before == 6
        assert {report.state for report in starter.reports[before:]} == {"RUNNING"}
        sim.stop()
    assert [report.state for report in starter.reports].count("STOPPED") <= 2


def test_who_wants_none_gets_none() -> None:
    """A console isn't woken for nothing."""
    with simulate(idle()) as sim:
        sim.advance("1s")
        before = len(sim.machine.starter.reports)
        sim.advance("30m")
        assert len(sim.machine.starter.reports) == before


def test_signs_of_life_come_while_a_start_takes_long() -> None:
    """Beside the pulse of the pending state, whichever is due first."""
    service = Service("slow", start_timeout="60s")

    @service.run
    def run(ctx):
        ctx.stopping.wait(20)
        ctx.ready()
        ctx.stopping.wait()

    sim = simulate(service)
    sim.machine.starter.beat_s = 2.0
    with sim:
        sim.advance("19s")
        reports = [report for report in sim.machine.starter.reports if report.state == "START_PENDING"]
        assert len(reports) >= 9
        assert all(report.wait_hint_s > 0 for report in reports)
        hints = [report.wait_hint_s for report in reports]
        assert hints == sorted(hints)


def test_a_host_that_hangs_falls_silent() -> None:
    """Its own loop gives the signs of life: frozen, it gives none."""
    sim = simulate(idle())
    sim.machine.starter.beat_s = 10.0
    with sim:
        sim.advance("1s")
        before = len(sim.machine.starter.reports)
        sim.freeze("1h")
        assert len(sim.machine.starter.reports) - before <= 1


@pytest.mark.parametrize("is_good", [True, False], ids=["applied", "refused"])
def test_a_reload_is_told_from_its_beginning_to_its_end(is_good: bool) -> None:
    """While the configuration is read the state stays as it is, and ``reloading`` is told; afterwards no more."""
    with simulate(idle(), config={"stayon": {"log": {"level": "info"}}}) as sim:
        reports = sim.machine.starter.reports
        before = len(reports)
        if is_good:
            sim.reload({"stayon": {"log": {"level": "debug"}}})
        else:
            with pytest.raises(ConfigError):
                sim.reload({"stayon": {"log": {"level": "loud"}}})
        told = [(report.state, report.reloading) for report in reports[before:]]
        assert told[0] == ("RUNNING", True)
        assert told[-1] == ("RUNNING", False)


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(errno.ENOSPC, "full"), errno.ENOSPC),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), errno.ECONNREFUSED),
        (OSError("no number"), 0),
        (ValueError("no"), 0),
    ],
)
def test_what_it_failed_with_is_told_by_number(error: Exception, number: int) -> None:
    """The errno of the failure, or of its cause; only at the end."""
    service = Service("fails")

    @service.run
    def run(ctx):
        ctx.ready()
        raise RuntimeError("it had to") from error

    with simulate(service) as sim:
        sim.join()
        reports = sim.machine.starter.reports
    assert reports[-1].state == "STOPPED"
    assert reports[-1].error_number == number
    assert all(report.error_number == 0 for report in reports if report.state != "STOPPED")


def test_a_starter_that_is_not_heard_is_logged() -> None:
    """As a warning; the service goes on, and its own hooks have nothing to do with it."""
    happened = []
    service = idle()
    service.on_event(lambda ctx, event: happened.append(event))
    with simulate(service) as sim:
        sim.machine.starter.tell(UNHEARD, "Connection refused", errno.ECONNREFUSED)
        sim.machine.starter.tell("power", "resumed")
        sim.advance("1s")
        assert sim.state == "RUNNING"
        [record] = [record for record in sim.log if record.event_id == 36]
        assert record.level == "WARNING"
        assert record.fields["error"] == "Connection refused"
    assert happened == [Event("power", "resumed")]


def test_sockets_of_the_manager_reach_the_service() -> None:
    """``ctx.sockets`` has those that were handed over, as real sockets, the same ones at each look; what is kept goes
    to the manager.
    """
    found = []
    service = Service("sockets")

    @service.run
    def run(ctx):
        found.extend([ctx.sockets["http"], ctx.sockets["http"], list(ctx.sockets), len(ctx.sockets)])
        found.append("https" in ctx.sockets)
        found.append(ctx.sockets.get("https"))
        ctx.sockets.keep("session", ctx.sockets["http"][0])
        ctx.ready()

    server = socket.create_server(("127.0.0.1", 0))
    port, fd = server.getsockname()[1], server.detach()
    sim = simulate(service)
    sim.machine.socket_store.hand_over("http", fd)
    with sim:
        sim.join()
        [listening], again, names, count, has_https, https = found
        assert again == [listening]
        assert isinstance(listening, socket.socket)
        assert listening.getsockname()[1] == port
        assert (names, count, has_https, https) == (["http"], 1, False, None)
        assert list(sim.machine.socket_store.kept) == ["session"]
        listening.close()


def test_sockets_that_are_not_there_are_named() -> None:
    """The error says which there are; a name that no kept socket can have is refused as well."""
    errors = []
    service = Service("sockets")

    @service.run
    def run(ctx):
        for look in (
            lambda: ctx.sockets["https"],
            lambda: ctx.sockets.keep("a:b", None),
            lambda: ctx.sockets.forget("ä"),
            lambda: ctx.sockets.forget("x" * 256),
        ):
            with pytest.raises(UsageError) as raised:
                look()
            errors.append(raised.value)
        ctx.ready()

    sim = simulate(service)
    server = socket.create_server(("127.0.0.1", 0))
    sim.machine.socket_store.hand_over("http", server.fileno())
    with sim, server:
        sim.join()
    assert [error.code for error in errors] == ["sockets.unknown", "sockets.name", "sockets.name", "sockets.name"]
    assert "there are http" in str(errors[0])
