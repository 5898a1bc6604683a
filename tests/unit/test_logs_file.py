"""The log file: whole lines, rotation by size and age, other people's renames, crashes, and a disk that is full."""

from __future__ import annotations

import gzip
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.runtime.logs import tidy
from stayon.runtime.logs.file_sink import FileSink
from stayon.runtime.logs.pipeline import Pipeline
from stayon.runtime.logs.rotate import Rotation, are_untidy, numbered, old_files

DAY = 86400.0


class Told(FileSink):
    """A sink that keeps what it tells of trouble."""

    def __init__(self, directory: Path, rotation: Rotation, clocks: Clocks) -> None:
        self.troubles: list[tuple[str, Exception]] = []
        super().__init__(
            str(directory),
            "price",
            rotation,
            tell=lambda what, error: self.troubles.append((what, error)),
            monotonic=clocks.monotonic,
            now=clocks.now,
        )


class Clocks:
    """A wall clock and a monotonic one, moved by hand."""

    def __init__(self) -> None:
        self.wall = 1763908560.0
        self.mono = 50.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds


@pytest.fixture
def clocks() -> Clocks:
    """Time, standing still."""
    return Clocks()


@pytest.fixture
def make(tmp_path, clocks):
    """Makes sinks for the log "price" in an empty directory; closed after the test."""
    made: list[Told] = []

    def make_sink(**rotation) -> Told:
        sink = Told(tmp_path, Rotation(**rotation), clocks)
        made.append(sink)
        return sink

    yield make_sink
    for sink in made:
        sink.close()
        assert sink.wait_tidied(20)


def names(directory: Path) -> list[str]:
    """What is in *directory*, sorted."""
    return sorted(os.listdir(directory))


def everything(directory: Path) -> bytes:
    """All lines, in the order that ``zcat -f price-*.log* price.log`` prints them."""
    parts = []
    for path in [*sorted(directory.glob("price-*.log*")), directory / "price.log"]:
        data = path.read_bytes()
        parts.append(gzip.decompress(data) if path.suffix == ".gz" else data)
    return b"".join(parts)


def test_the_file_and_its_directory_are_made(tmp_path):
    """Readable for the group, for nobody else."""
    old_mask = os.umask(0o022)
    try:
        sink = FileSink(str(tmp_path / "a" / "b"), "price")
        sink.open()
    finally:
        os.umask(old_mask)
    sink.write(b"x\n", 20)
    sink.close()
    sink.close()
    path = tmp_path / "a" / "b" / "price.log"
    assert path.read_bytes() == b"x\n"
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750


def test_an_unwritable_place_is_told_at_once(tmp_path):
    """``open`` raises; so does each line, until the place is there."""
    (tmp_path / "file").write_text("in the way")
    sink = FileSink(str(tmp_path / "file"), "price")
    with pytest.raises((NotADirectoryError, FileExistsError)):
        sink.open()
    with pytest.raises((NotADirectoryError, FileExistsError)):
        sink.write(b"x\n", 20)
    (tmp_path / "file").unlink()
    sink.write(b"y\n", 20)
    sink.close()
    assert (tmp_path / "file" / "price.log").read_bytes() == b"y\n"


def test_a_file_never_exceeds_its_size(make, tmp_path):
    """Lines stay whole and in order over all files, and old ones are compressed."""
    sink = make(max_bytes=100, keep_files=100, keep_bytes=10**6)
    lines = [b"%03d" % n + b"x" * (n % 40) + b"\n" for n in range(60)]
    for line in lines:
        sink.write(line, 20)
        assert sink.wait_tidied(10)
        assert (tmp_path / "price.log").stat().st_size <= 100
    assert everything(tmp_path) == b"".join(lines)
    assert names(tmp_path) == [f"price-{n:06d}.log.gz" for n in range(1, len(names(tmp_path)))] + ["price.log"]
    assert len(names(tmp_path)) > 10
    assert sink.troubles == []


def test_a_line_longer_than_a_file_may_be_gets_one_of_its_own(make, tmp_path):
    """Rather that than losing or cutting it."""
    sink = make(max_bytes=10, compress=False)
    for line in (b"a\n", b"b" * 50 + b"\n", b"c\n"):
        sink.write(line, 20)
    assert names(tmp_path) == ["price-000001.log", "price-000002.log", "price.log"]
    assert everything(tmp_path) == b"a\n" + b"b" * 50 + b"\nc\n"


def test_old_files_are_kept_by_count(make, tmp_path):
    """The newest ones."""
    sink = make(max_bytes=10, keep_files=3)
    for n in range(20):
        sink.write(b"line %02d\n" % n, 20)
        assert sink.wait_tidied(10)
    assert names(tmp_path) == [f"price-{n:06d}.log.gz" for n in (17, 18, 19)] + ["price.log"]


def test_old_files_are_kept_by_total_size(make, tmp_path):
    """The live file counts as full, so the whole never exceeds the limit."""
    sink = make(max_bytes=100, keep_files=1000, keep_bytes=450, compress=False)
    for n in range(50):
        sink.write(b"%049d\n" % n, 20)
        assert sink.wait_tidied(10)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 450
    assert names(tmp_path) == ["price-000022.log", "price-000023.log", "price-000024.log", "price.log"]


def test_nothing_kept_is_possible_and_numbers_are_not_used_twice(make, tmp_path):
    """A reader that follows tells files apart by their numbers."""
    sink = make(max_bytes=2, keep_files=0)
    seen: set[int] = set()
    real = old_files

    def watch(directory: str, name: str):
        found = real(directory, name)
        seen.update(old.number for old in found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tidy, "old_files", watch)
        for _ in range(5):
            sink.write(b"x\n", 20)
            assert sink.wait_tidied(10)
    assert names(tmp_path) == ["price.log"]
    assert seen == {1, 2, 3, 4}


def test_a_file_is_rotated_by_age(make, tmp_path, clocks):
    """Counted from its first line; an idle service rotates nothing."""
    sink = make(max_age_s=DAY, compress=False)
    sink.open()
    clocks.pass_(5 * DAY)
    sink.write(b"a\n", 20)
    clocks.pass_(DAY - 1)
    sink.write(b"b\n", 20)
    assert names(tmp_path) == ["price.log"]
    clocks.pass_(1)
    sink.write(b"c\n", 20)
    assert names(tmp_path) == ["price-000001.log", "price.log"]
    assert (tmp_path / "price.log").read_bytes() == b"c\n"


def test_a_jump_of_the_wall_clock_rotates_nothing(make, tmp_path, clocks):
    """In either direction."""
    sink = make(max_age_s=DAY, compress=False)
    for jump in (0.0, 1000 * DAY, -5000 * DAY):
        clocks.wall += jump
        sink.write(b"a\n", 20)
    assert names(tmp_path) == ["price.log"]


def test_the_age_survives_a_restart(make, tmp_path, clocks):
    """By the time of the first record; one from the future, or that isn't one, is as good as new."""
    pipeline = Pipeline("price", now=clocks.now)
    first = make(max_age_s=DAY, compress=False)
    pipeline.use([first])
    pipeline.logger().info("old")
    first.close()
    clocks.pass_(DAY / 2)
    second = make(max_age_s=DAY, compress=False)
    pipeline.use([second])
    pipeline.logger().info("a")
    assert names(tmp_path) == ["price.log"]
    clocks.pass_(DAY / 2)
    pipeline.logger().info("b")
    assert names(tmp_path) == ["price-000001.log", "price.log"]
    clocks.wall -= 100 * DAY
    third = make(max_age_s=DAY, compress=False)
    third.write(b"c\n", 20)
    assert names(tmp_path) == ["price-000001.log", "price.log"]


@pytest.mark.parametrize("content", [b"no json\n", b'{"time":"gestern"}\n', b"\xff\xfe\n"])
def test_a_foreign_file_is_continued(make, tmp_path, content):
    """Whatever is in it."""
    (tmp_path / "price.log").write_bytes(content)
    make(max_age_s=1).write(b"x\n", 20)
    assert (tmp_path / "price.log").read_bytes() == content + b"x\n"


@pytest.mark.linux
@pytest.mark.macos
@pytest.mark.parametrize("how", ["rename", "delete", "replace", "delete directory"])
def test_a_file_taken_away_is_begun_anew_within_a_second(make, tmp_path, clocks, how):
    """As logrotate does it; the check costs a look at most once a second."""
    sink = make()
    path = tmp_path / "price.log"
    sink.write(b"a\n", 20)
    if how == "rename":
        path.rename(tmp_path / "price.log.1")
    elif how == "delete":
        path.unlink()
    elif how == "replace":
        path.rename(tmp_path / "price.log.1")
        path.touch()
    else:
        path.unlink()
        tmp_path.rmdir()
    sink.write(b"still the old one\n", 20)
    clocks.pass_(1.0)
    sink.write(b"b\n", 20)
    assert path.read_bytes() == b"b\n"


@pytest.mark.linux
@pytest.mark.macos
def test_reopen_does_it_at_once(make, tmp_path):
    """For who has told us."""
    sink = make()
    sink.write(b"a\n", 20)
    (tmp_path / "price.log").rename(tmp_path / "price.log.1")
    sink.reopen()
    sink.write(b"b\n", 20)
    assert (tmp_path / "price.log.1").read_bytes() == b"a\n"
    assert (tmp_path / "price.log").read_bytes() == b"b\n"


def test_a_truncated_file_starts_at_its_beginning(make, tmp_path, clocks):
    """No hole of zeros, and its size is counted from there."""
    sink = make(max_bytes=10, compress=False)
    sink.write(b"12345678\n", 20)
    os.truncate(tmp_path / "price.log", 0)
    clocks.pass_(1.0)
    sink.write(b"abc\n", 20)
    assert everything(tmp_path) == b"abc\n"
    assert names(tmp_path) == ["price.log"]


@pytest.mark.parametrize(
    ("left", "kept"),
    [(b"", b""), (b"a\n", b"a\n"), (b"a\nb", b"a\n"), (b"cut", b""), (b"a\n" + b"b" * 200_000, b"a\n")],
)
def test_a_line_cut_by_a_crash_is_removed_at_the_next_start(make, tmp_path, left, kept):
    """However long it is."""
    (tmp_path / "price.log").write_bytes(left)
    make().write(b"new\n", 20)
    assert (tmp_path / "price.log").read_bytes() == kept + b"new\n"


def test_a_file_without_lines_is_not_thrown_away(make, tmp_path):
    """What has no newline in a mebibyte is not ours; we only go to a new line."""
    (tmp_path / "price.log").write_bytes(b"b" * 3_000_000)
    make().write(b"new\n", 20)
    assert (tmp_path / "price.log").read_bytes() == b"b" * 3_000_000 + b"\nnew\n"


def test_what_a_crash_left_of_compressing_is_finished(make, tmp_path):
    """Half a .tmp is done again, a doubled file loses its plain half, and a plain one is compressed."""
    (tmp_path / "price-000001.log").write_bytes(b"one\n")
    (tmp_path / "price-000001.log.gz.tmp").write_bytes(b"half")
    (tmp_path / "price-000002.log").write_bytes(b"two\n")
    (tmp_path / "price-000002.log.gz").write_bytes(gzip.compress(b"two\n"))
    (tmp_path / "price-000003.log").write_bytes(b"three\n")
    (tmp_path / "price-other.log").write_bytes(b"not ours\n")
    sink = make()
    sink.open()
    assert sink.wait_tidied(10)
    sink.write(b"four\n", 20)
    (tmp_path / "price-other.log").unlink()
    assert names(tmp_path) == ["price-000001.log.gz", "price-000002.log.gz", "price-000003.log.gz", "price.log"]
    assert everything(tmp_path) == b"one\ntwo\nthree\nfour\n"


def test_an_ordinary_start_needs_no_thread(make, tmp_path):
    """Only leftovers do."""
    (tmp_path / "price-000001.log.gz").write_bytes(gzip.compress(b"one\n"))
    before = threading.active_count()
    sink = make()
    sink.open()
    assert threading.active_count() == before
    assert not are_untidy([suffix for _, _, suffix in numbered(str(tmp_path), "price")], sink.rotation)


def test_compressed_files_keep_their_times_and_mode(tmp_path):
    """So that whoever looks for old files finds them old."""
    path = tmp_path / "price-000001.log"
    path.write_bytes(b"x\n" * 100_000)
    os.utime(path, (1000, 2000))
    tidy.pack(str(path))
    packed = tmp_path / "price-000001.log.gz"
    assert names(tmp_path) == [packed.name]
    assert packed.stat().st_mtime == 2000
    assert os.name == "nt" or stat.S_IMODE(packed.stat().st_mode) & 0o007 == 0
    assert gzip.decompress(packed.read_bytes()) == b"x\n" * 100_000


def test_compressing_that_fails_leaves_the_plain_file(make, tmp_path):
    """And says so; later ones go on."""
    (tmp_path / "price-000001.log").write_bytes(b"one\n")
    (tmp_path / "price-000001.log.gz.tmp").mkdir()
    (tmp_path / "price-000002.log").write_bytes(b"two\n")
    sink = make()
    sink.open()
    assert sink.wait_tidied(10)
    assert len(sink.troubles) == 1
    assert isinstance(sink.troubles[0][1], OSError)
    assert names(tmp_path) == ["price-000001.log", "price-000001.log.gz.tmp", "price-000002.log.gz", "price.log"]
    (tmp_path / "price-000001.log.gz.tmp").rmdir()


def test_rotation_that_fails_goes_on_in_the_old_file(make, tmp_path, clocks):
    """And is tried again after a minute, not at each line, with another number."""
    sink = make(max_bytes=10, compress=False)
    sink.write(b"1234567\n", 20)
    blocked = tmp_path / "price-000001.log"
    (blocked / "x").mkdir(parents=True)
    for _ in range(3):
        sink.write(b"more\n", 20)
    assert len(sink.troubles) == 1
    assert (tmp_path / "price.log").read_bytes() == b"1234567\nmore\nmore\nmore\n"
    (blocked / "x").rmdir()
    blocked.rmdir()
    clocks.pass_(60)
    sink.write(b"new\n", 20)
    assert everything(tmp_path) == b"1234567\nmore\nmore\nmore\nnew\n"
    assert names(tmp_path) == ["price-000002.log", "price.log"]


def test_two_sinks_of_one_log_never_spoil_each_others_work(make, tmp_path):
    """As while a changed configuration replaces one by the other."""
    for n in range(1, 30):
        (tmp_path / f"price-{n:06d}.log").write_bytes(b"%d\n" % n * 20_000)
    wanted = everything_plain(tmp_path)
    sinks = [make(keep_files=100), make(keep_files=100)]
    for sink in sinks:
        sink.open()
    for sink in sinks:
        assert sink.wait_tidied(20)
        assert sink.troubles == []
    assert everything(tmp_path) == wanted


def everything_plain(directory: Path) -> bytes:
    """All old files that aren't compressed, in order."""
    return b"".join(path.read_bytes() for path in sorted(directory.glob("price-*.log")))


@given(st.integers(1, 10**8), st.booleans())
def test_names_of_old_files_are_read_back(tmp_path_factory, number, packed):
    """Also when the numbers outgrow their six digits; and others are left alone."""
    directory = tmp_path_factory.mktemp("names")
    (directory / f"price-{number:06d}.log{'.gz' if packed else ''}").touch()
    for other in (
        "price-1.log",
        "price-abcdef.log",
        "price-000001.txt",
        "prices-000001.log",
        "price-\u0661\u0662\u0663456.log",
    ):
        (directory / other).touch()
    (found,) = old_files(str(directory), "price")
    assert (found.number, found.packed) == (number, packed)


def child_environment() -> dict[str, str]:
    """The environment with the place where ``stayon`` is."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs kill -9")
def test_a_killed_process_leaves_whole_lines(tmp_path):
    """However often it is killed while it writes and rotates, the next start finds and leaves nothing broken."""
    code = f"""
import itertools
from stayon.runtime.logs.file_sink import FileSink
from stayon.runtime.logs.pipeline import Pipeline
from stayon.runtime.logs.rotate import Rotation
pipeline = Pipeline("price")
pipeline.use([FileSink({str(tmp_path)!r}, "price", Rotation(max_bytes=50_000, keep_files=10_000, keep_bytes=10**9))])
log = pipeline.logger()
for n in itertools.count():
    log.info("x" * (n % 300), n=n)
    if n == 2000:
        print("going", flush=True)
"""
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=child_environment())
        assert process.stdout is not None
        assert process.stdout.readline() == b"going\n"
        process.kill()
        process.wait()
        process.stdout.close()
    sink = FileSink(str(tmp_path), "price", Rotation(keep_files=10_000, keep_bytes=10**9))
    sink.open()
    assert sink.wait_tidied(30)
    sink.close()
    assert not [name for name in names(tmp_path) if name.endswith((".tmp", "0.log"))]
    numbers = [json.loads(line)["fields"]["n"] for line in everything(tmp_path).splitlines()]
    starts = [index for index, number in enumerate(numbers) if number == 0]
    assert len(starts) == 3
    for begin, end in zip(starts, [*starts[1:], len(numbers)], strict=True):
        assert numbers[begin:end] == list(range(end - begin))
