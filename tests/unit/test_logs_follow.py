"""Reading a log while it is written: the last lines, and the next ones, whatever happens to the files."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stayon import platforms
from stayon.runtime.logs.file_sink import FileSink
from stayon.runtime.logs.follow import follow, read_last
from stayon.runtime.logs.rotate import Rotation, old_path

open_shared = platforms.current().open_shared


class Over(Exception):  # noqa: N818  # it is no error
    """There is nothing more to come."""


class Script:
    """A ``wait`` that does the next step of what happens to the files, and ends the following after the last one."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self.steps = list(steps)

    def __call__(self, timeout_s: float) -> None:
        assert 0 < timeout_s <= 60
        if not self.steps:
            raise Over
        self.steps.pop(0)()


def until_over(lines: Iterator[str]) -> list[str]:
    """All of *lines* until there is nothing more to come."""
    found: list[str] = []
    with pytest.raises(Over):
        found.extend(lines)  # what came before is in it all the same
    return found


class Place:
    """A directory with the log "price"."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.live = directory / "price.log"

    def append(self, *lines: str) -> None:
        with self.live.open("a", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)

    def rotate(self, number: int, *, packed: bool = False) -> None:
        target = self.directory / f"price-{number:06d}.log"
        self.live.rename(target)
        if packed:
            Path(f"{target}.gz").write_bytes(gzip.compress(target.read_bytes()))
            target.unlink()

    def seen(self, *steps: Callable[[], object], last: int = 0) -> list[str]:
        """What ``follow`` gives while *steps* happen."""
        return until_over(follow(str(self.directory), "price", Script(*steps), last, opener=open_shared))


@pytest.fixture
def place(tmp_path) -> Place:
    """An empty directory."""
    return Place(tmp_path)


def test_a_log_that_is_not_there_has_no_lines(place):
    """Nor has a directory that isn't."""
    assert read_last(str(place.directory), "price", 10) == []
    assert read_last(str(place.directory / "nowhere"), "price", 10) == []


def test_the_last_lines_come_from_old_files_too(place):
    """Plain and compressed, in order; a line that isn't ended isn't one yet."""
    place.append("1", "2")
    place.rotate(1, packed=True)
    place.append("3")
    place.rotate(2)
    place.append("4", "5")
    with place.live.open("a", newline="\n") as file:
        file.write("cut")
    for count in range(8):
        wanted = ["1", "2", "3", "4", "5"][max(0, 5 - count) :]
        assert read_last(str(place.directory), "price", count, opener=open_shared) == wanted
    assert read_last(str(place.directory), "price", 2, lambda line: line in "135", open_shared) == ["3", "5"]


@given(st.lists(st.lists(st.integers(0, 99).map(str), max_size=5), max_size=6), st.integers(0, 20), st.integers(0, 63))
@settings(max_examples=40)
def test_the_last_lines_are_the_last_of_all(tmp_path_factory, files, count, packed):
    """However they are spread over files."""
    place = Place(tmp_path_factory.mktemp("log"))
    for number, lines in enumerate(files[:-1], 1):
        place.append(*lines)
        place.rotate(number, packed=bool(packed >> number & 1))
    if files:
        place.append(*files[-1])
    flat = [line for lines in files for line in lines]
    assert read_last(str(place.directory), "price", count, opener=open_shared) == flat[max(0, len(flat) - count) :]


def test_new_lines_come_after_the_last_ones_without_a_gap(place):
    """A line is given when its newline is there."""
    place.append("1", "2", "3")

    def cut() -> None:
        with place.live.open("a", newline="\n") as file:
            file.write("5 and")

    def mend() -> None:
        place.append(" a half")

    assert place.seen(lambda: place.append("4"), cut, mend, last=2) == ["2", "3", "4", "5 and a half"]
    assert place.seen(lambda: place.append("6")) == ["6"]


def test_only_wanted_lines_are_given(place):
    """Of the last ones and of the new ones; the last ones are counted after choosing."""
    place.append("a1", "b2", "a3", "b4")
    lines = follow(
        str(place.directory), "price", Script(lambda: place.append("b5", "a6")), 2, lambda line: line[0] == "a"
    )
    assert [next(lines) for _ in range(3)] == ["a1", "a3", "a6"]
    lines.close()


def test_a_log_that_is_not_there_yet_is_waited_for(beyond_wine, place):
    """And its directory; the first file may even be rotated before we look."""
    assert place.seen(lambda: place.append("1"), lambda: place.append("2"), last=5) == ["1", "2"]
    place.live.unlink()

    def three() -> None:
        place.append("3")
        place.rotate(1, packed=True)
        place.append("4")

    assert place.seen(three) == ["3", "4"]


@pytest.mark.parametrize("packed", [False, True])
def test_one_rotation_is_followed(beyond_wine, place, packed):
    """What was written to the old file before it was moved is read from it, then the new one."""
    place.append("1")

    def step() -> None:
        place.append("2")
        place.rotate(1, packed=packed)

    assert place.seen(step, lambda: place.append("3"), lambda: place.append("4")) == ["2", "3", "4"]


@pytest.mark.parametrize("packed", [(0, 0, 0), (1, 1, 1), (1, 1, 0), (0, 1, 0)])
def test_several_rotations_between_two_looks_are_followed(place, packed):
    """The files in between are read whole and in order, ours is not read twice, however much of them is compressed."""
    place.append("1")

    def step() -> None:
        for number, pack in enumerate(packed, 1):
            place.append(f"{number + 1}", f"{number + 1}b")
            place.rotate(number, packed=bool(pack))
        place.append("last")

    assert place.seen(step, last=1) == ["1", "2", "2b", "3", "3b", "4", "4b", "last"]


@pytest.mark.linux
@pytest.mark.macos
def test_a_writer_that_does_not_know_yet_is_heard(place):
    """After a rename by others it writes to the old file until it looks; the new one may be there already, empty.

    (On Windows what is open for writing is not renamed.)
    """
    place.append("1")
    writer = place.live.open("a", newline="\n")

    def late(text: str) -> None:
        writer.write(text)
        writer.flush()

    def create() -> None:
        place.live.rename(place.directory / "price.log.1")
        place.live.touch()

    steps = (create, lambda: late("2\n"), lambda: late("3\n"), lambda: (late("4\n"), writer.close(), place.append("5")))
    assert place.seen(*steps) == ["2", "3", "4", "5"]


def test_deletion_and_re_creation_are_followed(place):
    """Also when the new file has been rotated away already: it isn't taken for the deleted one."""
    place.append("1")

    def again() -> None:
        place.append("2")
        place.live.unlink()

    def rotated() -> None:
        place.live.unlink()
        place.append("4")
        place.rotate(1, packed=True)
        place.append("5")

    assert place.seen(again, lambda: place.append("3"), rotated) == ["2", "3", "4", "5"]


def test_old_files_that_were_removed_are_missed_without_harm(place):
    """What is gone is gone; what there is comes."""
    place.append("1")

    def step() -> None:
        place.rotate(1)
        for number in (2, 3):
            place.append(str(number))
            place.rotate(number)
        for number in (1, 2):
            (place.directory / f"price-{number:06d}.log").unlink()
        place.append("4")

    assert place.seen(step) == ["3", "4"]


def test_a_truncated_file_is_begun_anew(place):
    """As after copytruncate."""
    place.append("1", "2", "3")

    def truncate() -> None:
        os.truncate(place.live, 0)
        place.append("4")

    assert place.seen(truncate) == ["4"]


def test_a_line_cut_by_a_crash_is_given_as_it_is(place):
    """When the writer has moved on, it won't be completed."""
    place.append("1")

    def cut() -> None:
        with place.live.open("a", newline="\n") as file:
            file.write("cut")
        place.rotate(1)
        place.append("2")

    assert place.seen(cut) == ["cut", "2"]


def test_a_line_without_end_comes_in_pieces(place):
    """What isn't a log must not fill the memory."""
    place.append("1")

    def endless() -> None:
        with place.live.open("a", newline="\n") as file:
            file.write("x" * 3_000_000)

    pieces = place.seen(endless)
    assert sum(map(len, pieces)) > 2_000_000
    assert max(map(len, pieces)) < 1_200_000


def test_closing_gives_the_file_back(place):
    """Also in the midst of it."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    place.append("1", "2")
    before = os.listdir("/proc/self/fd")
    lines = follow(str(place.directory), "price", Script(), 2)
    assert next(lines) == "1"
    lines.close()
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("looks", [1, 100], ids=["for a moment", "for good"])
def test_an_old_file_that_a_listing_has_missed(place, looks: int):
    """One that is being replaced by its packed one is looked for again; one that is gone keeps nobody waiting."""
    place.append("1")
    for number in (1, 2, 3):
        place.rotate(number)
        place.append(str(number + 1))
    missed, hidden = old_path(str(place.directory), "price", 2), str(place.directory / "hidden")
    opened = []

    def opener(path: str) -> int:
        opened.append(path)
        if len(opened) == 1:
            os.rename(missed, hidden)
        elif len(opened) == 1 + looks:
            os.rename(hidden, missed)
        return open_shared(path)

    lines = read_last(str(place.directory), "price", 4, opener=opener)
    assert lines == (["1", "2", "3", "4"] if looks == 1 else ["1", "3", "4"])


def test_nothing_is_lost_or_doubled_while_a_sink_writes_rotates_and_compresses(place):
    """A real writer on another thread, small files, and a reader that sees it as it comes."""
    count = 3000
    sink = FileSink(str(place.directory), "price", Rotation(max_bytes=2000, keep_files=10_000, keep_bytes=10**9))
    changed = threading.Event()

    def write() -> None:
        for number in range(count):
            sink.write(b"%d %s\n" % (number, b"x" * (number % 60)), 20)
            changed.set()

    def wait(_timeout_s: float) -> None:
        if writer.ident is None:
            writer.start()  # now that the reader is at the end
        while not changed.wait(0.01):
            if not writer.is_alive() and not changed.is_set():
                raise Over
        changed.clear()

    writer = threading.Thread(target=write)
    lines = follow(str(place.directory), "price", wait, opener=open_shared)
    numbers = [int(line.split()[0]) for line in until_over(lines)]
    writer.join()
    sink.close()
    assert sink.wait_tidied(20)
    assert numbers == list(range(count))
