"""Jobs as timers: systemd's next moments are the schedule's own."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stayon.core import calendar, schedule
from stayon.core.overlap import Overlap
from stayon.core.spec import JobSpec
from stayon.errors import UsageError
from stayon.platforms.systemd import timer, unit
from stayon.platforms.systemd.unit_file import understood
from tests.unit.systemd_desk import ENTRY, NAME, WANTED, instance_of

TARGET = unit.Target(252)
NEXT = 4


def job(name: str, rule: schedule.Every | schedule.Cron, timeout_s: float | None = None) -> JobSpec:
    """A job with nothing special about it."""
    return JobSpec(name, rule, timeout_s, Overlap(), None, "log", None)


def elapses(expression: str, base: str) -> list[str]:
    """When ``systemd-analyze`` says that it elapses after *base*, in UTC."""
    command = ["systemd-analyze", "calendar", f"--iterations={NEXT}", f"--base-time={base}", expression]
    told = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    ).stdout
    lines = [each for each in told.splitlines() if ("Next elapse:" in each or "Iter" in each) and "never" not in each]
    return [each.partition(":")[2].strip().partition(" ")[2].removesuffix(" UTC") for each in lines]


@pytest.mark.needs_systemd
@pytest.mark.parametrize(
    ("expression", "zone"),
    [
        ("30 3 * * MON-FRI", "Europe/Berlin"),
        ("*/15 * * * *", "UTC"),
        ("0 0 13 * FRI", "UTC"),
        ("0 0 L * *", "UTC"),
        ("@daily", "America/New_York"),
        ("@hourly", "UTC"),
        ("0 12 1,15 JAN-MAR *", "UTC"),
        ("5 4 * * 7", "Asia/Kolkata"),
        ("5 4 * * SUN,2", "UTC"),
        ("0 */6 */2 * 1-5", "UTC"),
        ("59 23 31 12 *", "UTC"),
        ("7-59/13 8-18/2 * * *", "UTC"),
    ],
)
def test_a_calendar_is_the_crons(expression: str, zone: str) -> None:
    """The next moments of the OnCalendar= lines, together, are those of the cron expression in its time zone."""
    rule = schedule.cron(expression, zone)
    moment = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC).timestamp()
    expected = []
    for _ in range(NEXT):
        moment = calendar.next_after(rule.expression, rule.zone, moment)
        expected.append(datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S"))
    found = {each for line in timer.calendars(rule) for each in elapses(line, "2026-02-03 04:05:06 UTC")}
    assert sorted(found)[:NEXT] == expected


fields = st.tuples(
    st.sampled_from(["*", "*/7", "0", "5,10", "3-9"]),
    st.sampled_from(["*", "*/5", "0", "23", "1-3"]),
    st.sampled_from(["*", "1", "31", "*/9", "2-4"]),
    st.sampled_from(["*", "2", "JUN-AUG", "*/5"]),
    st.sampled_from(["*", "0", "7", "SAT", "1-5", "*/2", "5-7"]),
)


@pytest.mark.needs_systemd
@settings(max_examples=25)
@given(fields)
def test_any_mix_of_fields(parts: tuple[str, ...]) -> None:
    """The first moment is the cron expression's, whatever its fields are."""
    assume(not (parts[3] == "2" and parts[2] == "31" and parts[4][0] == "*"))  # there is no such day
    rule = schedule.cron(" ".join(parts))
    moment = datetime(2027, 11, 30, 22, 58, 0, tzinfo=UTC).timestamp()
    expected = datetime.fromtimestamp(calendar.next_after(rule.expression, "UTC", moment), UTC)
    lines = timer.calendars(rule)
    found = min(each for line in lines for each in elapses(line, "2027-11-30 22:58:00 UTC"))
    assert found == expected.strftime("%Y-%m-%d %H:%M:%S"), lines


@pytest.mark.parametrize("expression", ["0 0 LW * *", "0 0 * * 1#2", "0 0 * * 5L"])
def test_what_no_timer_can_do_is_told(expression: str) -> None:
    """Moments that OnCalendar= has no words for are refused, and not rounded to others."""
    with pytest.raises(UsageError, match=r"systemd\.timer"):
        timer.calendars(schedule.cron(expression))


def test_the_units_of_a_job() -> None:
    """A timer and a service that runs the job once, hardened as the whole one, which stays on no longer."""
    wanted = WANTED.replace(
        jobs=(
            job("clean up", schedule.cron("0 3 * * *", missed="once", jitter="5m"), 60.0),
            job("poll", schedule.every("90s", delay="5s")),
        )
    )
    files = {name: understood(text) for name, text in timer.files(wanted, TARGET).items()}
    assert sorted(files) == [
        f"{NAME}-clean-up.service",
        f"{NAME}-clean-up.timer",
        f"{NAME}-poll.service",
        f"{NAME}-poll.timer",
    ]
    clean = files[f"{NAME}-clean-up.timer"]
    assert clean.values("Timer", "OnCalendar") == ["*-*-* 03:00:00 UTC"]
    assert clean.values("Timer", "Persistent") == ["true"]
    assert clean.values("Timer", "RandomizedDelaySec") == ["300s"]
    poll = files[f"{NAME}-poll.timer"]
    assert poll.values("Timer", "OnActiveSec") + poll.values("Timer", "OnUnitActiveSec") == ["5s", "90s"]
    once = files[f"{NAME}-clean-up.service"]
    assert once.values("Service", "ExecStart") == [
        f'/usr/bin/python3 -P {ENTRY} {NAME} /opt/collector.py --once "clean up"'
    ]
    assert once.values("Service", "Type") == ["oneshot"]
    assert once.values("Service", "TimeoutStartSec") == ["90s"]
    assert once.values("Service", "User") == [NAME]
    assert once.values("Service", "ProtectSystem") == ["strict"]
    assert not once.values("Service", "Restart") + once.values("Service", "WatchdogSec")
    assert files[f"{NAME}-poll.service"].values("Service", "TimeoutStartSec") == ["infinity"]


def test_of_an_instance() -> None:
    """The units of an instance's job are named after it."""
    wanted = instance_of(WANTED, "one").replace(jobs=(job("poll", schedule.every("5s")),))
    assert sorted(timer.files(wanted, TARGET)) == [f"{NAME}-poll@one.service", f"{NAME}-poll@one.timer"]


def test_without_jobs_there_is_no_timer() -> None:
    """A service that only runs has nothing that a timer could start."""
    with pytest.raises(UsageError, match=r"systemd\.timer"):
        timer.files(WANTED, TARGET)
