"""The configuration of a living service: however its file is changed, all of it holds, or none of it."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.platform.conftest import Program

TYPED = """
from dataclasses import dataclass, field

@dataclass
class Config:
    left: int = 0
    right: int = 0
    listen: str = field(default="here", metadata={"restart": True})

service = Service("s", config=Config, stop_timeout="2s")

@service.on_reload
def told(ctx, new, old):
    ctx.log.info("told", left=new.left, before=old.left)
"""

WATCHING = (
    TYPED
    + """
@service.every("60s")
def work(ctx):
    ctx.log.info("begun", left=ctx.config.left)
"""
)


def document(left: int, more: str = "") -> str:
    """A file in which both numbers are the same."""
    return f"left = {left}\nright = {left}\n{more}"


def replace(path: Path, text: str) -> None:
    """Write *path* as one should: another name, then rename."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def test_an_atomic_rename_is_applied_within_400_ms(program: Program, note: Callable[[object], object]) -> None:
    """A new file in place of the old one is applied by itself, and soon: the time is printed."""
    program.config.write_text(document(1))
    started = program.run(WATCHING)
    times = []
    for left in range(2, 7):
        begun = time.monotonic()
        replace(program.config, document(left))
        applied = started.wait_log("configuration applied", left - 1)
        times.append(time.monotonic() - begun)
        assert applied["fields"] == {"generation": left, "changed": ["left", "right"]}
    note(f"write -> applied: {', '.join(f'{took * 1000:.0f}' for took in times)} ms")
    assert sorted(times)[1] < 0.4


def test_what_is_half_written_is_not_applied(program: Program) -> None:
    """A file that is being written is left alone until it is whole; who asks for a reload meanwhile is told why not."""
    program.config.write_text(document(1))
    started = program.run(WATCHING)
    with program.config.open("w") as file:
        file.write("left = 2\nright = [")
        file.flush()
        asked = program.verb("reload")
        file.seek(0)
        file.write(document(3).ljust(40))
    started.wait_log("configuration applied")
    assert (asked.code, asked.err.count("\n")) == (78, 1)
    assert f"{program.config}:2" in asked.err
    assert [record["fields"]["left"] for record in started.records("told")] == [3]


def test_deleted_and_made_again(program: Program) -> None:
    """Without its file a living service keeps what it has, and says so; when the file is back, that is read."""
    program.config.write_text(document(1))
    started = program.run(WATCHING)
    program.config.unlink()
    assert "the file is gone" in started.wait_log("configuration not applied")["fields"]["why"]
    program.config.write_text(document(2))
    assert started.wait_log("told")["fields"] == {"left": 2, "before": 1}


def test_a_file_that_comes_later(program: Program) -> None:
    """A service that was started without a file takes the one that appears in its place, directory and all."""
    started = program.run(WATCHING)
    program.config.write_text(document(1))
    assert started.wait_log("told")["fields"] == {"left": 1, "before": 0}


def test_a_mounted_config_map_is_swapped_twice(program: Program) -> None:
    """Kubernetes changes a mounted ConfigMap by renaming a link (``..data``): each swap is seen, the second as well."""
    folder = program.config.parent
    for number in (1, 2, 3):
        (folder / f"..{number}").mkdir()
        (folder / f"..{number}" / "s.toml").write_text(document(number))
    (folder / "..data").symlink_to("..1")
    program.config.symlink_to("..data/s.toml")
    started = program.run(WATCHING)
    assert started.wait_log("begun")["fields"] == {"left": 1}
    for count, number in enumerate((2, 3), 1):
        (folder / "..new").symlink_to(f"..{number}")
        os.replace(folder / "..new", folder / "..data")
        assert started.wait_log("told", count)["fields"] == {"left": number, "before": number - 1}


def test_a_thousand_quick_writes(program: Program, note: Callable[[object], object]) -> None:
    """A burst of writes becomes few reloads, and the last value is the one that holds."""
    program.config.write_text(document(0))
    started = program.run(WATCHING, "run", "--level", "debug")
    for number in range(1, 1001):
        replace(program.config, document(number)) if number % 2 else program.config.write_text(document(number))
    program.config.write_text(document(1001))
    begun = time.monotonic()
    while started.wait_log("told", len(started.records("told")) or 1)["fields"]["left"] != 1001:
        assert time.monotonic() - begun < 5
        time.sleep(0.01)
    reads = len(started.records("reading the configuration"))
    note(f"1,001 writes: {reads} reloads")
    assert reads <= 20


def test_a_storm_of_signals(program: Program, note: Callable[[object], object]) -> None:
    """500 times SIGHUP, sent as fast as can be, are a few reloads; the service answers at once afterwards."""
    started = program.run(WATCHING, "run", "--level", "debug")
    for _ in range(500):
        started.send(signal.SIGHUP)
    assert program.verb("reload").code == 0
    reads = len(started.records("reading the configuration"))
    note(f"500 signals: {reads} reloads")
    assert 1 <= reads <= 20
    assert started.stop() == 0


SLOW_HOOK = """
@service.on_reload
def slow(ctx, new, old):
    ctx.log.info("preparing", left=new.left)
    while not os.path.exists(f"go{new.left}"):
        time.sleep(0.005)
    yield
    ctx.log.info("committed", left=new.left)

@service.every("60s")
def work(ctx):
    pass
"""


def test_a_reload_during_a_reload(program: Program) -> None:
    """What changes while a reload is under way gets a reload of its own, afterwards: never two at once, none lost."""
    program.config.write_text(document(1))
    started = program.run("import os, time\n" + TYPED + SLOW_HOOK)
    replace(program.config, document(2))
    started.wait_log("preparing")
    replace(program.config, document(3))
    started.send(signal.SIGHUP)
    (program.folder / "go3").touch()
    (program.folder / "go2").touch()
    started.wait_log("configuration applied", 2)
    order = [
        (record["message"], record["fields"]["left"]) for record in started.log() if "left" in record.get("fields", {})
    ]
    steps = [step for step in order if step[0] in ("preparing", "committed")]
    assert steps == [("preparing", 2), ("committed", 2), ("preparing", 3), ("committed", 3)]


def test_a_reload_during_stop(program: Program) -> None:
    """One that stops takes no new configuration; a reload under way is not waited for longer than stop_timeout."""
    program.config.write_text(document(1))
    started = program.run("import os, time\n" + TYPED + SLOW_HOOK)
    replace(program.config, document(2))
    started.wait_log("preparing")
    started.send(signal.SIGTERM)
    started.wait_log("STOP_PENDING")
    reload = program.verb("reload")
    assert (reload.code, reload.err.count("\n")) == (75, 1)
    assert "it is stopping" in reload.err
    (program.folder / "go2").touch()
    assert started.wait() == 0


@pytest.mark.parametrize(
    ("when", "outcome"),
    [("before", "refused"), ("after", "rolled-back")],
)
def test_a_hook_that_raises(program: Program, when: str, outcome: str) -> None:
    """In prepare: refused; in commit: taken back, and every hook that had finished is told of the old one again."""
    program.config.write_text(document(1))
    started = program.run(
        TYPED
        + f"""
@service.on_reload
def odd(ctx, new, old):
    if new.left == 2 and "{when}" == "before":
        raise ValueError("two is odd")
    yield
    if new.left == 2 and "{when}" == "after":
        raise ValueError("two is odd")

@service.every("20ms")
def work(ctx):
    ctx.log.info("seen", left=ctx.config.left)
"""
    )
    replace(program.config, document(2))
    refused = started.wait_log("configuration not applied, the old one holds")
    assert refused["fields"]["outcome"] == outcome
    assert "two is odd" in refused["fields"]["why"]
    assert [record["fields"]["left"] for record in started.records("told")] == [2, 1]
    started.wait_log("seen", len(started.records("seen")) + 2)
    assert started.records("seen")[-1]["fields"]["left"] == 1
    replace(program.config, document(3))
    assert started.wait_log("configuration applied")["fields"]["generation"] == 2
    assert started.stop() == 0


def test_no_reader_ever_sees_a_mix(program: Program, note: Callable[[object], object]) -> None:
    """Jobs that read two fields which always change together never see one of the old and one of the new."""
    program.config.write_text(document(0))
    started = program.run(
        TYPED
        + """
@service.task
def reader(ctx):
    reads = mixed = 0
    seen = set()
    while not ctx.stopping:
        config = ctx.config
        mixed += config.left != config.right
        seen.add(config.left)
        reads += 1
    ctx.log.info("read", reads=reads, mixed=mixed, seen=len(seen))
"""
    )
    for number in range(1, 6):
        replace(program.config, document(number))
        started.wait_log("configuration applied", number)
    assert started.stop() == 0
    fields = started.records("read")[-1]["fields"]
    note(fields)
    assert fields["mixed"] == 0
    assert fields["seen"] >= 5, "the last one may come too shortly before the end"
    assert fields["reads"] > 1000


def test_a_field_that_needs_a_restart(program: Program) -> None:
    """Its change is refused as a whole, and the message says which field and what to do; after a restart it holds."""
    program.config.write_text(document(1))
    started = program.run(WATCHING)
    replace(program.config, document(2, 'listen = "there"\n'))
    why = started.wait_log("configuration not applied")["fields"]
    assert why["outcome"] == "restart-required"
    assert "listen changed, which a running service cannot take; nothing was applied" in why["why"]
    assert not started.records("told")
    assert program.verb("restart").code == 0
    assert started.wait_log("begun", 2)["fields"] == {"left": 2}


def test_the_host_takes_its_settings_live(program: Program) -> None:
    """Level, intervals and the switch of a job change while it runs, without touching the user's hooks."""
    program.config.write_text("")
    started = program.run("""
        service = Service("s")

        @service.every("60s")
        def work(ctx):
            ctx.log.debug("quiet")
            ctx.log.info("worked")
        """)
    started.wait_log("worked")
    replace(program.config, '[stayon.jobs.work]\nevery = "20ms"\n')
    started.wait_log("worked", 4)
    assert not started.records("quiet")
    replace(program.config, '[stayon.jobs.work]\nevery = "20ms"\n[stayon.log]\nlevel = "debug"\n')
    started.wait_log("quiet", 2)
    replace(program.config, '[stayon.jobs.work]\nenabled = false\n[stayon.log]\nlevel = "debug"\n')
    started.wait_log("configuration applied", 3)
    count = len(started.records("worked"))
    assert program.verb("status").code == 0
    assert len(started.records("worked")) <= count + 1
    assert started.stop() == 0


def test_random_edits_never_break_it(program: Program, note: Callable[[object], object]) -> None:
    """Whatever is written in whatever way, the service lives, and takes the good one at the end."""
    seed = random.randrange(2**32)
    note(f"seed {seed}")
    chance = random.Random(seed)
    program.config.write_text(document(0))
    started = program.run(WATCHING)
    for _ in range(60):
        text = chance.choice(
            [document(chance.randrange(9)), "left = [", "", "\x00\xff", "unknown = 1\n", "left = 'x'\n"]
        )
        how = chance.randrange(4)
        if how == 0:
            replace(program.config, text)
        elif how == 1:
            program.config.write_text(text)
        elif how == 2:
            program.config.unlink(missing_ok=True)
        else:
            started.send(signal.SIGHUP)
        time.sleep(chance.random() * 0.02)
    replace(program.config, document(77))
    told = len(started.records("told"))
    while not any(record["fields"]["left"] == 77 for record in started.records("told")):
        told += 1
        started.wait_log("told", told)
    assert program.verb("reload", "--json").json["outcome"] == "unchanged"
    assert started.stop() == 0


FORMATS = {
    "toml": "left = 1\n[stayon.log]\nlevel = 'debug'\n",
    "json": json.dumps({"left": 1, "stayon": {"log": {"level": "debug"}}}),
    "yaml": "left: 1\nstayon:\n  log:\n    level: debug\n",
}


@pytest.mark.parametrize("ending", FORMATS)
def test_toml_yaml_and_json(program: Program, ending: str) -> None:
    """The same configuration in each language is the same, at the start and when it changes."""
    if ending == "yaml":
        pytest.importorskip("yaml", reason="stayon[yaml] is not installed")
    file = program.config.with_suffix(f".{ending}")
    file.write_text(FORMATS[ending])
    started = program.run(WATCHING)
    assert started.wait_log("begun")["fields"] == {"left": 1}
    replace(file, FORMATS[ending].replace("1", "2", 1))
    assert started.wait_log("told")["fields"] == {"left": 2, "before": 1}
    replace(file, FORMATS[ending].replace("left", "lefd", 1))
    assert 'Did you mean "left"?' in started.wait_log("configuration not applied")["fields"]["why"]
