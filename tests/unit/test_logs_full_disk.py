"""A log file on a disk that is full: lines are lost and counted, none is cut, and the service goes on."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

import pytest

from stayon.runtime.logs import tidy
from stayon.runtime.logs.file_sink import FileSink
from stayon.runtime.logs.pipeline import Pipeline
from stayon.runtime.logs.rotate import Rotation


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux":
        pytest.skip("tmpfs is Linux's")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.needs_root
def test_a_full_disk_costs_lines_not_the_service(small_disk):
    """No line is cut, the loss is counted and told first when there is room again, and nothing had to be restarted."""
    moment = [1763908560.0]
    pipeline = Pipeline("price", now=lambda: moment[0])
    sink = FileSink(str(small_disk), "price")
    pipeline.use([sink])
    log = pipeline.logger()
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 40_000)
    written = 0
    while not pipeline.lost():
        log.info("x" * 777, n=written)
        written += 1
    for n in range(9):
        log.info("x" * 777, n=written + n)
    data = (small_disk / "price.log").read_bytes()
    assert data.endswith(b"\n")
    assert [json.loads(line)["fields"]["n"] for line in data.splitlines()] == list(range(written - 1))
    lost = pipeline.lost()
    assert lost == 10
    moment[0] += 100
    filler.unlink()
    log.info("back")
    records = [json.loads(line) for line in (small_disk / "price.log").read_bytes().splitlines()]
    assert [record["message"] for record in records[written - 1 :]] == ["10 log lines were lost (disk full)", "back"]
    assert records[-2]["fields"] == {"lost": 10, "since": "2025-11-23T14:36:00.000Z", "why": "disk full"}
    sink.close()


@pytest.mark.needs_root
def test_small_lines_that_still_fit_tell_of_the_large_ones(small_disk):
    """Each time the disk takes something again."""
    pipeline = Pipeline("price", now=lambda: 0.0)
    sink = FileSink(str(small_disk), "price")
    pipeline.use([sink])
    log = pipeline.logger()
    (small_disk / "filler").write_bytes(b"x" * 50_000)
    for _ in range(20):
        log.info("x" * 9000)
        log.info("small")
    records = [json.loads(line) for line in (small_disk / "price.log").read_bytes().splitlines()]
    told = sum(record["fields"]["lost"] for record in records if "fields" in record)
    outlet_lost = pipeline.lost() - told
    assert told > 0
    assert outlet_lost >= 0
    assert len([record for record in records if "fields" not in record]) == 40 - pipeline.lost()
    sink.close()


@pytest.mark.needs_root
def test_compressing_on_a_full_disk_leaves_no_half_file(small_disk):
    """It fails, says so, and the plain file stays."""
    (small_disk / "price-000001.log").write_bytes(os.urandom(20_000))
    (small_disk / "filler").write_bytes(b"x" * 40_000)
    with pytest.raises(OSError, match="No space"):
        tidy.tidy(str(small_disk), "price", Rotation())
    assert sorted(os.listdir(small_disk)) == ["filler", "price-000001.log"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_short_write_is_taken_back(tmp_path):
    """Without root: a limit on the file's size, in a process of its own, makes write(2) stop in the midst of a line."""
    code = f"""
import resource, signal
from stayon.runtime.logs.file_sink import FileSink
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
sink = FileSink({str(tmp_path)!r}, "price")
failed = 0
for n in range(20):
    try:
        sink.write(b"%02d" % n + b"x" * 27 + b"\\n", 20)
    except OSError:
        failed += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
sink.write(b"back\\n", 20)
print(failed)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=child_environment()
    )
    assert ran.stdout == "17\n"
    lines = (tmp_path / "price.log").read_bytes().splitlines()
    assert lines == [b"%02d" % n + b"x" * 27 for n in range(3)] + [b"back"]


def child_environment() -> dict[str, str]:
    """The environment with the place where ``stayon`` is."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_a_line_that_cannot_be_taken_back_is_ended_first(tmp_path):
    """Where somebody else appended in between, cutting would cut theirs."""
    sink = FileSink(str(tmp_path), "price")
    sink.write(b"a\n", 20)
    real = os.write
    state = {"step": 0}

    def short(fd: int, data: bytes) -> int:
        state["step"] += 1
        if state["step"] == 1:
            return real(fd, data[:3])
        with (tmp_path / "price.log").open("ab") as other:
            other.write(b"theirs\n")
        raise OSError(28, "full")

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(OSError):
        patch.setattr(os, "write", short)
        sink.write(b"cut line\n", 20)
    sink.write(b"b\n", 20)
    sink.close()
    assert (tmp_path / "price.log").read_bytes() == b"a\ncuttheirs\n\nb\n"
