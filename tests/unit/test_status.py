"""The status page: small, whole, readable at any moment, and judged rightly when nobody writes it any more."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.errors import NotPermittedError
from stayon.ports import Clock
from stayon.runtime import status as module
from stayon.runtime.loop import Loop
from stayon.runtime.status import PAGE_BYTES, Status, StatusPage, StatusWriter, next_write, page_bytes, page_fields
from stayon.runtime.status_reading import (
    DIED,
    ENDED,
    NEVER_RUN,
    NOT_RESPONDING,
    RUNNING,
    STARTING,
    Facts,
    judge,
    read_page,
    read_status,
)

STATUS = Status(
    service="collector",
    instance="",
    pid=4711,
    process="boot-1:12345",
    state="RUNNING",
    since="2030-01-02T03:04:05.000Z",
    started_at="2030-01-02T03:04:04.000Z",
    beat_s=1000.0,
    beat_every_s=1.0,
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "collector.status")


def test_what_is_published_is_read(path: str) -> None:
    """Every field comes back as it was."""
    full = STATUS.replace(
        status='waiting for "x"\n\x1b[31m ü 🙂',
        ready=True,
        health="degraded",
        exit_code=70,
        why="it failed",
        generation=3,
        restarts=2,
        probes="127.0.0.1:9100",
        logs="/var/log/collector",
        jobs=({"name": "collect", "runs": 7, "late_s": 0.25, "last": None},),
    )
    page = StatusPage(path)
    assert page.publish(STATUS.replace(why="x" * 900))
    assert page.publish(full)
    page.close()

    assert read_page(path) == full


def test_the_page_can_be_read_with_cat(path: str) -> None:
    """A line about itself, JSON with a field a line, and a last line: plain ASCII without control characters."""
    StatusPage(path).publish(STATUS.replace(status="\x1b]0;title\x07 \x9b ü", jobs=({"name": "a"}, {"name": "b"})))
    text = Path(path).read_bytes().decode("ascii")
    lines = text.splitlines()

    assert '"state": "RUNNING",' in lines
    assert json.loads("\n".join(lines[1:-1]))["service"] == "collector"
    assert all(line.isprintable() for line in lines)
    assert os.name == "nt" or os.stat(path).st_mode & 0o007 == 0


@given(
    texts=st.fixed_dictionaries(
        {name: st.text(max_size=3000) for name in ("service", "status", "why", "logs", "probes")}
    ),
    jobs=st.lists(
        st.dictionaries(st.text(max_size=30), st.text(max_size=300) | st.integers() | st.floats()), max_size=60
    ),
    sequence=st.integers(1, 2**48),
)
def test_a_page_never_outgrows_its_limit(texts: dict[str, str], jobs: list[dict[str, Any]], sequence: int) -> None:
    """Whatever is to be said, the page fits, is whole, and says how many jobs had no room."""
    page = page_bytes(STATUS.replace(jobs=tuple(jobs), **texts), sequence)
    assert len(page) <= PAGE_BYTES
    text = page_fields(page)
    assert text is not None
    fields = json.loads(text)

    assert len(fields["jobs"]) + fields["jobs_left_out"] == len(jobs)
    assert fields["state"] == "RUNNING"
    assert set(fields) == set(Status.__fields__)


def test_short_jobs_find_room_and_the_rest_is_counted(path: str) -> None:
    """A service of a thousand jobs shows the first ones, and says how many more there are."""
    jobs = tuple({"name": f"job-{number}", "runs": number} for number in range(1000))
    StatusPage(path).publish(STATUS.replace(jobs=jobs))
    status = read_page(path)

    assert status is not None
    assert len(status.jobs) > 50
    assert status.jobs == jobs[: len(status.jobs)]
    assert status.jobs_left_out == 1000 - len(status.jobs)


@given(st.integers(0, 600), st.binary(min_size=1, max_size=3))
def test_no_change_of_a_page_goes_unnoticed(at: int, change: bytes) -> None:
    """Any bytes changed, or a page cut off anywhere, make it unreadable rather than wrong."""
    page = page_bytes(STATUS, 7)
    changed = page[:at] + change + page[at + len(change) :]

    assert page_fields(page) is not None
    assert page_fields(page[: min(at, len(page) - 1)]) is None
    assert (page_fields(changed) == page_fields(page)) == (changed.startswith(page))


@given(st.integers(1, 400))
def test_half_of_one_page_and_half_of_another_is_none(at: int) -> None:
    """A mix of two writes, wherever they meet, is not taken for a page."""
    first, second = page_bytes(STATUS, 7), page_bytes(STATUS.replace(pid=4712), 8)

    mixed = first[:at] + second[at:]

    assert mixed in (first, second) or page_fields(mixed) is None


@given(st.binary(max_size=300))
def test_what_is_no_page_is_none(data: bytes) -> None:
    """Any bytes are taken without an error."""
    assert page_fields(data) is None
    assert page_fields(b"stayon-status 1 " + data) is None


def test_thousands_of_writes_and_never_a_mix(path: str) -> None:
    """Readers that look all the time while the page is rewritten see whole pages only, and they only go forward."""
    page = StatusPage(path)
    page.publish(STATUS.replace(generation=0, status="0"))
    over = threading.Event()
    seen: list[int] = []
    wrong: list[object] = []

    def look() -> None:
        last = 0
        while not over.is_set():
            status = read_page(path)
            if status is None or status.status != f"{status.generation}-" * (status.generation % 40):
                wrong.append(status)
            elif status.generation < last:
                wrong.append((last, status.generation))
            else:
                last = status.generation
                seen.append(last)

    page.publish(STATUS.replace(generation=0, status=""))
    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1, 10_001 if hasattr(os, "pwrite") else 1_001):  # elsewhere, opening a file is dear
        assert page.publish(STATUS.replace(generation=number, status=f"{number}-" * (number % 40)))
    over.set()
    for reader in readers:
        reader.join()

    assert wrong == []
    assert len(set(seen)) > 10


def test_an_unwritable_place_is_counted_and_harms_nobody(tmp_path: Path) -> None:
    """No directory yet: the host goes on, the failure is counted, and the page appears when it can."""
    page = StatusPage(str(tmp_path / "later" / "collector.status"))
    assert not page.publish(STATUS)
    assert not page.publish(STATUS)
    assert page.failures == 2
    (tmp_path / "later").mkdir()

    assert page.publish(STATUS)
    assert read_page(page.path) == STATUS


@pytest.mark.linux
@pytest.mark.macos
def test_a_full_disk_is_counted_and_over_when_it_is_over(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails, or writes a part only, is a failure; the next one makes the page whole."""
    page = StatusPage(path)
    assert page.publish(STATUS)
    write = os.pwrite

    def full(_fd: int, _page: bytes, _at: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    for broken in (full, lambda fd, data, at: write(fd, data[:100], at)):
        monkeypatch.setattr(os, "pwrite", broken)
        assert not page.publish(STATUS.replace(generation=1))
    monkeypatch.setattr(os, "pwrite", write)

    assert page.failures == 2
    assert page.publish(STATUS.replace(generation=2))
    assert read_page(path) == STATUS.replace(generation=2)


@pytest.mark.linux
@pytest.mark.macos
def test_a_page_that_was_removed_comes_back(path: str) -> None:
    """Cleaners of temporary directories remove files that are in use."""
    page = StatusPage(path)
    page.publish(STATUS)
    os.unlink(path)

    assert page.publish(STATUS)
    assert read_page(path) == STATUS


@pytest.mark.linux
@pytest.mark.macos
def test_a_link_in_the_place_of_the_page_is_not_followed(tmp_path: Path, path: str) -> None:
    """Somebody's link to another file doesn't get that file overwritten."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    os.symlink(precious, path)

    assert not StatusPage(path).publish(STATUS)
    assert precious.read_text() == "precious"


def test_no_page_is_none_and_a_torn_one_too(path: str) -> None:
    """A page that stays torn is given up soon."""
    assert read_page(path) is None
    Path(path).write_bytes(page_bytes(STATUS, 7)[:-3])
    began = time.monotonic()

    assert read_page(path) is None
    assert time.monotonic() - began < 2


def test_a_page_of_another_version_is_read_as_far_as_known(path: str) -> None:
    """Fields that a later version has added are passed over; one that lacks what we need is no page to us."""

    def write(body: dict[str, Any]) -> None:
        rest = json.dumps(body).encode() + b"\n1\n"
        Path(path).write_bytes(f"stayon-status 1 1 {len(rest)} {module.checksum(rest)}\n".encode() + rest)

    fields = {**STATUS.as_dict(), "phase_of_the_moon": "full"}
    write(fields)
    assert read_page(path) == STATUS
    del fields["pid"]
    write(fields)

    assert read_page(path) is None


@pytest.mark.linux
@pytest.mark.macos
def test_a_page_one_may_not_read_is_said(path: str) -> None:
    """Another account's page is an error that names the cure, not a service that never ran."""
    StatusPage(path).publish(STATUS)
    os.chmod(path, 0)
    account = os.geteuid()
    if account == 0:
        os.seteuid(65534)  # root may read everything, so be somebody else for a moment
    try:
        with pytest.raises(NotPermittedError) as caught:
            read_page(path)
    finally:
        os.seteuid(account)

    assert caught.value.code == "status.not-permitted"


ENDED_PAGE = STATUS.replace(state="STOPPED", exit_code=70, why="ValueError: no price")


@pytest.mark.parametrize(
    ("page", "pid_alive", "lock_held", "now_s", "verdict"),
    [
        (None, False, False, 1000, NEVER_RUN),
        (None, False, True, 1000, STARTING),
        (STATUS, True, True, 1000.5, RUNNING),
        (STATUS, True, True, 999, RUNNING),
        (STATUS, True, True, 1003.9, RUNNING),
        (STATUS, True, True, 1004.1, NOT_RESPONDING),
        (STATUS.replace(beat_every_s=30.0), True, True, 1090, RUNNING),
        (STATUS, True, False, 1000.5, RUNNING),
        (STATUS, True, False, 2000, NOT_RESPONDING),
        (STATUS, False, False, 1000.5, DIED),
        (STATUS, False, False, 2000, DIED),
        (STATUS, False, True, 2000, STARTING),
        (ENDED_PAGE, False, False, 2000, ENDED),
        (ENDED_PAGE, True, False, 2000, ENDED),
        (ENDED_PAGE, False, True, 2000, STARTING),
        (ENDED_PAGE.replace(exit_code=0, why=""), False, False, 2000, ENDED),
    ],
)
def test_every_case_has_its_verdict(
    page: Status | None, pid_alive: bool, lock_held: bool, now_s: float, verdict: str
) -> None:
    """The page, the process, the lock and the clock together say how the service is."""
    assert judge(page, Facts(now_s, pid_alive, lock_held)).verdict == verdict


def test_a_verdict_says_what_matters() -> None:
    """How long it is silent, with what it ended and why: in one line."""
    silent = judge(STATUS, Facts(1042.2, True, True))
    assert silent.text == "not responding for 42 s, process 4711, its last word was RUNNING"
    assert silent.silent_s == pytest.approx(42.2)
    assert judge(ENDED_PAGE, Facts(2000, False, False)).text == (
        "ended 2030-01-02T03:04:05.000Z with exit code 70 (failed): ValueError: no price"
    )
    assert "process 4711 is gone" in judge(STATUS, Facts(2000, False, False)).text


def test_the_process_is_asked_for_by_pid_and_start(path: str) -> None:
    """A pid that was given to somebody else isn't taken for the service; one that has ended may wait to start again."""
    StatusPage(path).publish(STATUS)
    asked: list[tuple[int, str]] = []

    def pid_alive(pid: int, process: str) -> bool:
        asked.append((pid, process))
        return False

    assert read_status(path, 1000.0, pid_alive, lock_held=False).verdict == DIED
    StatusPage(path).publish(ENDED_PAGE)
    assert read_status(path, 1000.0, pid_alive, lock_held=False).verdict == ENDED
    assert asked == [(4711, "boot-1:12345")] * 2


def test_one_that_waits_to_be_started_again_is_not_gone(path: str) -> None:
    """A process that replaces itself keeps its pid and its lock, and its page still has the end before."""
    reading = judge(ENDED_PAGE, Facts(2000, pid_alive=True, lock_held=True))

    assert reading.verdict == STARTING
    assert "waiting to be started again" in reading.text
    assert "exit code 70" in reading.text


def test_writes_keep_their_distance() -> None:
    """The first is due at once, the next not before the interval is over."""
    assert next_write(100.0, 50.0, 0.25) == 100.0
    assert next_write(100.0, 99.9, 0.25) == pytest.approx(100.15)


class Time:
    """A clock and a poller in which time passes only while the loop sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    time = monotonic

    def register(self, fd: int, events: int) -> None: ...
    def unregister(self, fd: int) -> None: ...
    def wake(self) -> None: ...

    def wait(self, timeout_s: float | None) -> list[tuple[int, int]]:
        self.now_s += timeout_s or 0.0
        return []


def test_many_marks_are_one_write(path: str) -> None:
    """A thousand changes in a moment cost two writes: the first at once, the last after the interval."""
    now = Time()
    clock: Clock = now  # type: ignore[assignment]  # nobody waits on a gate here
    errors: list[BaseException] = []
    loop = Loop(clock, now, errors.append)
    generation = 0
    published: list[tuple[float, int]] = []

    def gather() -> Status:
        published.append((loop.clock.monotonic(), generation))
        return STATUS.replace(generation=generation)

    writer = StatusWriter(loop, StatusPage(path), gather, interval_s=0.25)
    for generation in range(1, 1001):
        writer.mark()
        if generation == 1:
            loop.turn()
    loop.turn()
    assert published == [(0.0, 1), (0.25, 1000)]
    writer.mark()
    writer.write_now()
    now.now_s += 1
    loop.turn()
    assert len(published) == 3
    assert errors == []
    status = read_page(path)

    assert status is not None
    assert status.generation == 1000
