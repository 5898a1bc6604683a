"""The testing kit itself: what a simulation promises."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime

import pytest

from stayon import ConfigError, Service, UsageError, exits, testing
from stayon.testing import simulate, simulation, sleep

YEAR_RUNS = 8760


def hourly(**options) -> Service:
    """A service with one job that runs every hour, first after an hour."""
    service = Service("hourly")
    service.every("1h", name="job", delay="1h", **options)(lambda ctx: None)
    return service


def test_a_year_passes_in_about_a_second() -> None:
    """A year of an hourly job, a daily one and a run that waits: each has exactly its runs, and it takes seconds."""
    service = hourly()
    service.cron("0 3 * * *", name="nightly")(lambda ctx: None)

    @service.run
    def run(ctx):
        ctx.ready()
        while not ctx.stopping.wait(86400):
            pass

    began = time.perf_counter()
    with simulate(service) as sim:
        sim.advance("365d")
        assert sim.job("job").counts["success"] == YEAR_RUNS
        assert sim.job("nightly").counts["success"] == 365
        assert sim.now == datetime(2027, 1, 1, tzinfo=UTC)
        assert sim.stop() == exits.DONE

    assert time.perf_counter() - began < 10  # 0.6 s on the computer it was written on


def test_what_is_due_at_the_end_is_done() -> None:
    """``advance`` includes its last moment, whatever the intervals' sum is rounded to, and time doesn't creep."""
    service = Service("tenths")
    service.every("100ms", name="job", delay="100ms")(lambda ctx: None)

    with simulate(service) as sim:
        for number in range(1, 1001):
            sim.advance("100ms")
            assert sim.job("job").counts["success"] == number
        assert sim.elapsed_s == pytest.approx(100, abs=1e-6)
        sim.advance(0)
        assert sim.elapsed_s == pytest.approx(100, abs=1e-6)


def test_no_time_passes_by_itself() -> None:
    """What happens at once takes no time; real time does not count."""
    with simulate(hourly()) as sim:
        before = sim.now
        sim.pause()
        sim.resume()
        assert sim.now == before == datetime(2026, 1, 1, tzinfo=UTC)


def test_the_start_is_where_the_test_wants_it() -> None:
    """*start* is the wall clock; without a zone it is UTC."""
    for start in ("2030-06-01T12:00:00Z", "2030-06-01T14:00:00+02:00", "2030-06-01T12:00:00"):
        with simulate(hourly(), start=start) as sim:
            assert sim.now == datetime(2030, 6, 1, 12, tzinfo=UTC)


def test_two_simulations_of_one_seed_are_the_same() -> None:
    """Same service, same seed: the same records at the same moments."""

    def told() -> list:
        service = Service("same")
        for number in range(5):
            service.every("7s", name=f"job-{number}", jitter="5s")(
                lambda ctx: (sleep("1s"), ctx.log.info("ran"), ctx.stopping.wait(2))
            )
        with simulate(service, seed=7) as sim:
            sim.advance("10m")
            return [(record.time, record.job, record.message) for record in sim.log]

    assert told() == told()


def test_asyncio_goes_by_virtual_time_too() -> None:
    """Sleeps, timeouts and concurrency of tasks take their virtual time, and hardly any real one."""
    service = Service("async")
    sim = simulate(service)
    moments = []

    @service.run
    async def run(ctx):
        ctx.ready()
        await asyncio.gather(*(asyncio.sleep(hours * 3600) for hours in (1, 2, 3)))
        moments.append(sim.elapsed_s)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 86400)
        moments.append(sim.elapsed_s)
        assert await ctx.stopping.wait_async()

    with sim:
        sim.advance("30d")
        assert sim.stop() == exits.DONE

    assert moments == pytest.approx([3 * 3600, 3 * 3600 + 86400])


def test_real_sockets_still_work_in_coroutines() -> None:
    """A task that talks to a real server on this computer gets its answer; virtual time waits a little for it."""
    service = Service("sockets")
    answers = []

    @service.every("1h")
    async def job(ctx):
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answers.append(await reader.readline())
        writer.close()
        await writer.wait_closed()
        server.close()

    async def answer(reader, writer):
        writer.write(b"hello\n")
        await writer.drain()
        writer.close()

    with simulate(service) as sim:
        sim.advance("2h")
        assert sim.job("job").last_error == ""

    assert answers == [b"hello\n"] * 3


def test_outside_of_a_simulation_sleep_is_real() -> None:
    """On a thread that is not a service's, ``sleep`` takes real time."""
    began = time.monotonic()
    sleep("20ms")

    assert time.monotonic() - began >= 0.02


def test_who_waits_for_what_never_comes_is_told(monkeypatch) -> None:
    """A job that blocks outside of virtual time: after a real while an error with its stack, instead of a hang."""
    monkeypatch.setattr(simulation, "PATIENCE_S", 0.3)
    service = Service("stuck")
    leave = threading.Event()
    service.every("1h", name="job", delay="1h")(lambda ctx: leave.wait(20))

    with pytest.raises(RuntimeError, match=r"time can't pass[\s\S]*leave.wait"), simulate(service) as sim:
        sim.advance("2h")
    leave.set()


def test_an_error_of_the_host_is_the_tests() -> None:
    """What goes wrong in the framework itself is raised by the next call, and the service has failed."""

    def bad() -> None:
        raise ZeroDivisionError("the host")

    with simulate(hourly()) as sim:
        sim.host.loop.post(bad)
        with pytest.raises(ZeroDivisionError, match="the host"):
            sim.advance("1s")
        assert sim.stop() == exits.FAILED
        assert sim.why == "the host: ZeroDivisionError: the host"


def test_an_error_in_the_test_itself_ends_it() -> None:
    """The simulation is left at once, and the error is the one of the test."""
    stopped = []
    service = hourly()
    service.on_stop(lambda ctx: stopped.append(1))

    with pytest.raises(KeyError, match="mine"), simulate(service):
        raise KeyError("mine")

    assert stopped == []


def test_what_keeps_it_from_starting_is_raised() -> None:
    """A wrong declaration, a wrong configuration: as the program itself would tell."""
    with pytest.raises(UsageError), simulate(Service("nothing")):
        pass
    with pytest.raises(ConfigError), simulate(hourly(), config={"stayon": {"log": {"level": "loud"}}}):
        pass


def test_a_simulation_is_for_with() -> None:
    """Asking it anything before is told."""
    with pytest.raises(UsageError, match="with"):
        _ = simulate(hourly()).state


def test_the_configuration_can_be_given_in_every_form(tmp_path) -> None:
    """A mapping, TOML text, or a file; arguments of the environment count only if they are given."""
    (tmp_path / "own.toml").write_text("answer = 3\n")
    for config, answer in (({"answer": 1}, 1), ("answer = 2\n", 2), (tmp_path / "own.toml", 3)):
        with simulate(hourly(), config=config) as sim:
            assert sim.config["answer"] == answer
    with simulate(hourly(), environment={"HOURLY_STAYON_LOG_LEVEL": "debug"}) as sim:
        assert sim.host.config.loaded.host["log.level"] == "debug"


def test_advance_until_stops_when_it_is_so() -> None:
    """It gives up with an error after its limit."""
    with simulate(hourly()) as sim:
        sim.advance_until(lambda: sim.job("job").counts["success"] == 2)
        assert sim.elapsed_s == pytest.approx(7200)
        with pytest.raises(TimeoutError):
            sim.advance_until(lambda: sim.state == "PAUSED", limit="1m")


def test_after_its_end_time_passes_without_it() -> None:
    """A service that has ended does nothing more; asking it is refused as by a process that is gone."""
    service = hourly()
    service.run(lambda ctx: ctx.ready())

    with simulate(service) as sim:
        assert sim.exit_code == exits.DONE
        sim.advance("1d")
        assert sim.elapsed_s == 86400
        assert sim.join() == sim.stop() == exits.DONE
        assert sim.job("job").counts["success"] == 0


def test_only_the_last_records_are_kept() -> None:
    """A year's log would not fit: ``log`` has the last *keep_records*."""
    service = Service("talks")
    service.every("1s", name="job")(lambda ctx: ctx.log.info("said"))

    with simulate(service, keep_records=10) as sim:
        sim.advance("1m")
        assert len(sim.log) == 10


def test_a_freeze_is_time_without_the_service() -> None:
    """Time passes, nothing runs, and the rhythm is kept afterwards."""
    with simulate(hourly()) as sim:
        sim.advance("30m")
        sim.freeze("10h")
        assert sim.elapsed_s == pytest.approx(37800)
        assert sim.job("job").counts["success"] == 0
        sim.advance("30m")
        assert sim.job("job").counts["success"] == 1


def test_the_public_names_are_these() -> None:
    """``__all__`` is the table of contents; what is not in it is not promised."""
    assert sorted(testing.__all__) == testing.__all__
    assert set(testing.__all__) == {
        "FakeMachine", "Faults", "LogRecord", "ManualClock", "Simulation", "every_fault", "simulate", "sleep",
    }  # fmt: skip
    for name in testing.__all__:
        assert getattr(testing, name).__doc__
