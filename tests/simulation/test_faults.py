"""With every operation failing in its turn, nothing is lost in silence and every end is right."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from stayon import Service, StayonError, exits
from stayon.core import states
from stayon.runtime.config.documents import Document
from stayon.runtime.config.last_good import LastGood
from stayon.runtime.logs.file_sink import FileSink
from stayon.runtime.logs.pipeline import Pipeline
from stayon.runtime.logs.rotate import Rotation
from stayon.testing import simulate
from stayon.testing.faults import Faults, clock_jump, disk_full, every_fault, io_error, permission_denied, slow

LINES = 12


def log_lines(folder: Path) -> tuple[list[dict], int]:
    """All records in the files of *folder*, and how many lines they say were lost."""
    records = []
    for path in folder.iterdir():
        text = path.read_text()
        assert text == "" or text.endswith("\n"), f"a cut line in {path.name}"
        records += [json.loads(line) for line in text.splitlines()]
    return records, sum(
        record["fields"]["lost"]
        for record in records
        if record["logger"] == "stayon.log" and "lost" in record.get("fields", {})
    )


@pytest.mark.parametrize("action", [disk_full, permission_denied, io_error])
@pytest.mark.parametrize("lasting", [False, True])
def test_a_log_loses_no_line_in_silence(tmp_path, action, lasting: bool) -> None:
    """Whichever file operation fails while lines are written and files rotated: each line is there, or told as lost."""
    runs = iter(range(1000))

    def scenario(faults: Faults) -> None:
        folder = tmp_path / str(next(runs))
        folder.mkdir()
        logs = Pipeline("faults")
        sink = FileSink(str(folder), "faults", Rotation(max_bytes=400, compress=False, max_age_s=0))
        logs.use([sink])
        log = logs.logger()
        with faults.files(folder):
            for number in range(LINES):
                log.info("line", number=number)
            sink.wait_tidied(5)
        log.info("the end")
        logs.close()
        records, lost = log_lines(folder)
        there = {record["fields"]["number"] for record in records if record["message"] == "line"}
        assert len(there) + logs.lost() == LINES, "a line is neither there nor lost"
        assert lost == logs.lost(), "a loss was not told"

    assert every_fault(scenario, action, lasting=lasting) > LINES


@pytest.mark.parametrize("action", [disk_full, permission_denied])
def test_the_last_good_configuration_is_whole_or_the_one_before(tmp_path, action) -> None:
    """Whatever fails while the copy is replaced, what is read afterwards is one of the two, whole."""
    runs = iter(range(1000))

    def scenario(faults: Faults) -> None:
        folder = tmp_path / str(next(runs))
        kept = LastGood(str(folder))
        old, new = Document("x.toml", "toml", "port = 1\n"), Document("x.toml", "toml", "port = 2\n")
        kept.save(old)
        with faults.files(folder):
            try:
                kept.save(new)
            except StayonError as error:
                assert error.code == "config.last-good"  # noqa: PT017  # a save that succeeds is right, too
                expected = {old.text, new.text}
            else:
                expected = {new.text}
        found = kept.load("x.toml")
        assert found is not None
        assert found.text in expected

    assert every_fault(scenario, action) >= 3


def scenario_of_a_life(faults: Faults) -> None:
    """A short life with everything that asks the computer for something; right if its end is."""
    service = Service("faulty", stop_timeout="5s")
    service.every("1s", name="job")(lambda ctx: ctx.log.info("ran"))
    sim = simulate(service, config="", faults=faults)
    errors = []
    try:
        with sim:
            for step in (lambda: sim.advance("2s"), sim.pause, sim.resume, sim.reload, lambda: sim.metrics, sim.stop):
                try:
                    step()
                except (OSError, StayonError) as error:
                    errors.append(error)
    except (OSError, StayonError) as error:
        errors.append(error)
    if sim.exit_code is None:
        assert errors, "it has not even started, and nobody knows why"
        return
    assert sim.state == states.STOPPED
    if sim.exit_code == exits.DONE:
        assert not any(isinstance(error, OSError) for error in errors), "a fault was seen, and it ended well"
    else:
        assert errors
        assert any(record.level == "CRITICAL" for record in sim.log)


@pytest.mark.parametrize("lasting", [False, True])
def test_a_life_on_a_computer_that_fails_ends_rightly(lasting: bool) -> None:
    """Whichever port fails, once or from then on: it never hangs, and it never ends with 0 as if nothing were."""
    assert every_fault(scenario_of_a_life, permission_denied, lasting=lasting) > 10


def test_a_life_on_a_slow_computer_is_a_life() -> None:
    """Each operation taking four seconds in its turn hurts nobody."""

    def scenario(faults: Faults) -> None:
        service = Service("slow", stop_timeout="5s")
        service.every("1s", name="job")(lambda ctx: None)
        sim = simulate(service, config="", faults=faults)
        faults.action = slow(sim.machine.clock, 4)
        with sim:
            sim.advance("10s")
            sim.reload()
            assert sim.stop() == exits.DONE

    assert every_fault(scenario) >= 10


@pytest.mark.parametrize("step_s", [-86400.0, 86400.0])
def test_a_clock_that_jumps_in_the_midst_of_anything_hurts_nobody(step_s: float) -> None:
    """The wall clock is set at each operation in turn: fixed rates keep, nothing fails."""

    def scenario(faults: Faults) -> None:
        service = Service("jumps")
        service.every("1s", name="job")(lambda ctx: None)
        sim = simulate(service, config="", faults=faults)
        faults.action = clock_jump(sim.machine.clock, step_s)
        with sim:
            sim.advance("10s")
            assert sim.job("job").counts["success"] == 11
            assert sim.stop() == exits.DONE

    assert every_fault(scenario) > 5


def test_a_service_that_writes_state_can_be_tested_for_a_full_disk() -> None:
    """``Faults.files`` strikes the service's own files: a state file written in one step is the old or the new one."""

    def scenario(faults: Faults) -> None:
        service = Service("writes")

        @service.every("1h")
        def save(ctx):
            path = os.path.join(ctx.state_dir, "state")
            fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                os.write(fd, b"whole")
            finally:
                os.close(fd)
            os.replace(f"{path}.new", path)

        with simulate(service) as sim:
            with faults.files(sim.state_dir):
                sim.advance("1h")
            failures = sim.job("save").counts["failure"]
            assert failures == len(faults.happened)
            assert (sim.state_dir / "state").read_text() == "whole"

    assert every_fault(scenario) == 3


def test_a_fault_is_named_in_the_error() -> None:
    """What a run raises says which operation had been struck; a run that never comes to an end of faults is told."""

    def forgets(faults: Faults) -> None:
        faults.pass_by("opening")
        try:
            faults.pass_by("writing")
        except OSError:
            raise AssertionError("lost") from None

    with pytest.raises(OSError, match="No space") as caught:
        every_fault(forgets)
    assert caught.value.__notes__ == ["the fault: operation 1, opening"]

    def endless(faults: Faults) -> None:
        try:
            for _ in range(100):
                faults.pass_by("again")
        except OSError:
            return

    with pytest.raises(AssertionError, match="after 10 runs"):
        every_fault(endless, limit=10)


def test_os_is_itself_again_afterwards(tmp_path) -> None:
    """What ``files`` has replaced is put back, also after an error; other folders are not concerned."""
    before = os.open
    faults = Faults(1)

    with faults.files(tmp_path):
        os.stat("/")
        with pytest.raises(OSError, match="No space"):
            os.mkdir(tmp_path / "new")
        assert os.open is not before

    assert os.open is before
    assert faults.happened == ["os.mkdir new"]
