"""A new configuration reaches a running service as a transaction: wholly, or not at all and with a reason."""

from __future__ import annotations

import dataclasses

import pytest

from stayon import ConfigError, Service, TemporaryError, UsageError, exits
from stayon.testing import simulate, sleep


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the services of these tests are configured with."""

    host: str = "localhost"
    port: int = 80


def configured(**options) -> Service:
    """A service with ``Settings`` and a job that does nothing."""
    service = Service("configured", config=Settings, hook_timeout="2s", stop_timeout="5s", **options)
    service.every("1h", name="job")(lambda ctx: None)
    return service


def test_a_new_configuration_holds_for_the_next_look() -> None:
    """After a reload ``ctx.config`` is the new object; the answer names what changed."""
    service = configured()
    seen = []
    service.every("1m", name="looks")(lambda ctx: seen.append(ctx.config.port))

    with simulate(service, config={"port": 8080}) as sim:
        answer = sim.reload({"port": 9090})
        sim.advance("1m")

        assert seen == [8080, 9090]
        assert answer["outcome"] == "applied"
        assert answer["changed"] == ["port"]
        assert answer["generation"] == sim.status.generation == 2


def test_the_same_configuration_is_no_change() -> None:
    """A reload of what holds already calls no hook and counts no generation."""
    service = configured()
    told = []
    service.on_reload(lambda ctx, new, old: told.append(new))

    with simulate(service, config={"port": 8080}) as sim:
        assert sim.reload({"port": 8080})["outcome"] == "unchanged"
        assert sim.reload()["outcome"] == "unchanged"

    assert told == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('port = "eighty"', "config.wrong-type"),
        ("prot = 80", "config.unknown-key"),
        ("port = ", "config.syntax"),
        ("", "config.empty"),
    ],
)
def test_a_bad_configuration_leaves_the_old_one(text: str, code: str) -> None:
    """A wrong, unknown, half-written or empty file is refused with its reason; the service runs on as before."""
    with simulate(configured(), config="port = 8080") as sim:
        with pytest.raises(ConfigError) as caught:
            sim.reload(text)

        assert caught.value.code == code
        assert sim.state == "RUNNING"
        assert sim.config.port == 8080
        assert any(record.event_id == 31 for record in sim.log)
        assert sim.reload("port = 9090")["outcome"] == "applied"


def test_a_bad_configuration_at_the_start_is_78() -> None:
    """It does not start, and the error says what, where and why; managers are told that restarting won't help."""
    with pytest.raises(ConfigError, match="port") as caught, simulate(configured(), config={"port": "eighty"}):
        pass

    assert caught.value.exit_code == exits.BAD_CONFIG


def test_hooks_prepare_then_the_swap_then_they_commit() -> None:
    """A generator hook sees the old configuration up to its ``yield`` and the new one behind it."""
    service = configured()
    seen = []

    @service.on_reload
    def connection(ctx, new, old):
        seen.append(("prepare", new.port, old.port, ctx.config.port))
        yield
        seen.append(("commit", new.port, old.port, ctx.config.port))

    with simulate(service, config={"port": 1}) as sim:
        sim.reload({"port": 2})

    assert seen == [("prepare", 2, 1, 1), ("commit", 2, 1, 2)]


def test_one_hook_that_refuses_undoes_the_others() -> None:
    """When a later hook raises, an earlier generator gets an exception at its ``yield``, and the old one holds."""
    service = configured()
    seen = []

    @service.on_reload
    def first(ctx, new, old):
        try:
            yield
        except BaseException:
            seen.append("undone")
            raise

    @service.on_reload
    def second(ctx, new, old):
        raise ValueError("not this port")

    with simulate(service, config={"port": 1}) as sim:
        with pytest.raises(ConfigError, match="not this port"):
            sim.reload({"port": 2})
        assert sim.config.port == 1

    assert seen == ["undone"]


def test_a_commit_that_fails_brings_the_old_one_back() -> None:
    """An error behind the ``yield`` rolls everything back."""
    service = configured()

    @service.on_reload
    def hook(ctx, new, old):
        yield
        if new.port == 2:
            raise OSError("bind")

    with simulate(service, config={"port": 1}) as sim:
        with pytest.raises(ConfigError, match="bind"):
            sim.reload({"port": 2})
        assert sim.config.port == 1
        assert sim.state == "RUNNING"


def test_a_hook_that_hangs_is_given_up() -> None:
    """A reload hook has ``hook_timeout``; then the reload is refused, and the service runs on."""
    service = configured()
    service.on_reload(lambda ctx, new, old: sleep("1h"))

    with simulate(service, config={"port": 1}) as sim:
        with pytest.raises(ConfigError, match="did not return within 2 s"):
            sim.reload({"port": 2})
        assert sim.elapsed_s < 3
        assert (sim.config.port, sim.state) == (1, "RUNNING")


def test_a_slow_hook_is_waited_for() -> None:
    """A hook that takes its time within the limit is not hurried."""
    service = configured()
    service.on_reload(lambda ctx, new, old: sleep("1.9s"))

    with simulate(service, config={"port": 1}) as sim:
        assert sim.reload({"port": 2})["outcome"] == "applied"
        assert sim.elapsed_s == pytest.approx(2.05)


def test_stopping_during_a_reload_refuses_it_and_waits_for_its_hook() -> None:
    """Whoever asked is told that it is stopping; the hook may finish; the stop is clean."""
    service = configured()
    sim = simulate(service, config={"port": 1})
    ends = []

    @service.on_reload
    def hook(ctx, new, old):
        sleep("1.5s")
        ends.append("hook")

    service.every("1h", name="stopper", delay="1s")(lambda ctx: sim.machine.starter.ask("stop"))

    with sim:
        with pytest.raises(TemporaryError, match="stopping"):
            sim.reload({"port": 2})
        assert sim.join() == exits.DONE

    assert ends == ["hook"]
    assert sim.elapsed_s == pytest.approx(1.65)


def test_a_reload_while_one_runs_comes_after_it() -> None:
    """Asked again during a reload, it reloads once more afterwards; what holds at the end is the last file."""
    service = configured()
    ports = []

    @service.on_reload
    def hook(ctx, new, old):
        ports.append(new.port)
        sleep("1s")

    with simulate(service, config={"port": 1}) as sim:
        for port in (2, 3):
            sim.write_config({"port": port})
            sim.ask("reload")
            sim.advance("0.5s")
        sim.advance("5s")

        assert ports == [2, 3]
        assert sim.config.port == 3


def test_reloading_while_it_starts_is_refused() -> None:
    """There is nothing to reload yet, and the answer says so."""
    service = configured()
    service.on_start(lambda ctx: sleep("1s"))

    with simulate(service, config={"port": 1}) as sim:
        with pytest.raises(TemporaryError, match="still starting"):
            sim.reload({"port": 2})
        sim.advance("1s")
        assert sim.reload()["outcome"] == "applied"


def test_the_operators_settings_change_jobs_while_it_runs() -> None:
    """``[stayon.jobs]`` changes an interval and switches a job off and on, without touching the others."""
    service = configured()
    service.every("10s", name="other")(lambda ctx: None)

    with simulate(service, config='[stayon.jobs.job]\nevery = "30m"') as sim:
        sim.advance("1h")
        assert sim.job("job").counts["success"] == 3
        sim.reload('[stayon.jobs.job]\nevery = "10m"')
        before = sim.job("job").counts["success"]
        sim.advance("1h")
        assert sim.job("job").counts["success"] - before in (6, 7)
        sim.reload("[stayon.jobs.job]\nenabled = false")
        before = sim.job("job").counts["success"]
        sim.advance("1d")
        assert sim.job("job").counts["success"] == before
        sim.reload("[stayon.jobs.job]\nenabled = true")
        sim.advance("1h")
        assert sim.job("job").counts["success"] > before
        assert sim.job("other").counts["skipped"] == 0


def test_the_level_of_the_log_changes_while_it_runs() -> None:
    """``log.level`` holds from the reload on, both ways."""
    service = configured()
    service.every("1m", name="talks")(lambda ctx: ctx.log.debug("detail"))

    with simulate(service, config={}) as sim:
        sim.advance("1m")
        assert not [record for record in sim.log if record.message == "detail"]
        sim.reload({"stayon": {"log": {"level": "debug"}}})
        sim.advance("1m")
        assert [record for record in sim.log if record.message == "detail"]


def test_a_change_that_needs_a_restart_is_refused_whole() -> None:
    """A key that a running service can't take refuses the reload, with the other changes in it, and says so."""
    with simulate(configured(), config={"port": 1}) as sim:
        with pytest.raises(ConfigError, match="running service cannot take") as caught:
            sim.reload({"port": 2, "stayon": {"probes": {"listen": "127.0.0.1:9"}}})
        assert caught.value.code == "config.restart-required"
        assert sim.config.port == 1


def test_a_mapping_cannot_replace_text() -> None:
    """The file has one form: what is given must fit it, and the error says what to give."""
    with simulate(configured(), config="port = 1") as sim, pytest.raises(UsageError, match="text"):
        sim.reload({"port": 2})


def test_a_crash_leaves_what_was_written_and_the_next_life_finds_it(tmp_path) -> None:
    """After ``kill`` no hook is called; a simulation in the same folder has the state and the configuration."""
    service = configured()
    service.on_stop(lambda ctx: stopped.append(1))
    stopped: list[int] = []

    @service.every("1h")
    def writes(ctx):
        with open(f"{ctx.state_dir}/runs", "a") as file:
            file.write("x")

    with simulate(service, config={"port": 7}, folder=tmp_path) as sim:
        sim.advance("2h")
        sim.kill()
        assert (sim.exit_code, sim.stop()) == (-9, -9)
        sim.advance("2h")

    with simulate(service, folder=tmp_path) as sim:
        assert sim.config.port == 7
        assert (sim.state_dir / "runs").read_text() == "xxxx"

    assert stopped == [1]
