"""Cron expressions follow the clocks of their time zone, through every change of them."""

from __future__ import annotations

import subprocess
import sys
import zoneinfo
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stayon.core import calendar
from stayon.core.calendar import next_after, validate
from stayon.errors import UsageError

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def moment(local: str, zone: str) -> float:
    """Seconds since 1970 of a local time; one with an offset needs no zone."""
    parsed = datetime.fromisoformat(local)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=ZoneInfo(zone))).timestamp()


def following(expression: str, zone: str, local: str, count: int) -> list[str]:
    """The next *count* moments as local times with their offsets."""
    now, found = moment(local, zone), []
    for _ in range(count):
        now = next_after(expression, zone, now)
        found.append(datetime.fromtimestamp(now, ZoneInfo(zone)).isoformat(timespec="minutes"))
    return found


@pytest.mark.parametrize(
    ("zone", "before", "expected"),
    [
        (BERLIN, "2026-03-28T12:00", ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00", "2026-03-31T02:30+02:00"]),
        (NEW_YORK, "2026-03-07T12:00", ["2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00", "2026-03-10T02:30-04:00"]),
    ],
)
def test_a_daily_job_in_the_skipped_hour_runs_once_right_after_it(zone: str, before: str, expected: list[str]) -> None:
    """02:30 does not exist on that day, and the job is not lost for it."""
    assert following("30 2 * * *", zone, before, 3) == expected


@pytest.mark.parametrize(
    ("expression", "zone", "before", "expected"),
    [
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        ("30 1 * * *", NEW_YORK, "2026-10-31T12:00", ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"]),
    ],
)
def test_a_daily_job_in_the_repeated_hour_runs_once(
    expression: str, zone: str, before: str, expected: list[str]
) -> None:
    """The clocks show its time twice on that day; it runs the first time."""
    assert following(expression, zone, before, 2) == expected


def test_a_daily_job_does_not_run_when_asked_within_the_second_pass() -> None:
    """Started at 02:15 for the second time, the next 02:30 is tomorrow's: today's was in the first pass."""
    assert following("30 2 * * *", BERLIN, "2026-10-25T02:15+01:00", 1) == ["2026-10-26T02:30+01:00"]


def test_a_frequent_job_follows_real_time() -> None:
    """Every half hour stays every half hour, through a day of 23 hours and one of 25."""
    spring = following("*/30 * * * *", BERLIN, "2026-03-29T01:00", 3)
    autumn = following("*/30 * * * *", BERLIN, "2026-10-25T02:00+02:00", 4)

    assert spring == ["2026-03-29T01:30+01:00", "2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00"]
    assert autumn == [
        "2026-10-25T02:30+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T02:30+01:00",
        "2026-10-25T03:00+01:00",
    ]


def test_two_jobs_times_in_the_skipped_hour_become_one_moment() -> None:
    """02:15 and 02:45 both move to 03:00, which is one moment and comes once."""
    assert following("15,45 2 * * *", BERLIN, "2026-03-28T12:00", 3) == [
        "2026-03-29T03:00+02:00",
        "2026-03-30T02:15+02:00",
        "2026-03-30T02:45+02:00",
    ]


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("0 0 29 2 *", "2025-01-01T00:00", ["2028-02-29", "2032-02-29"]),
        ("0 0 29 2 *", "2096-03-01T00:00", ["2104-02-29", "2108-02-29"]),
        ("0 0 31 * *", "2026-01-31T00:00", ["2026-03-31", "2026-05-31", "2026-07-31"]),
        ("0 0 L * *", "2028-01-01T00:00", ["2028-01-31", "2028-02-29", "2028-03-31"]),
        ("0 0 LW * *", "2026-01-01T00:00", ["2026-01-30", "2026-02-27"]),
        ("0 0 * * 1#2", "2026-01-01T00:00", ["2026-01-12", "2026-02-09"]),
        ("0 0 * * 5L", "2026-01-01T00:00", ["2026-01-30", "2026-02-27"]),
        ("0 0 * * mon-fri", "2026-01-02T00:00", ["2026-01-05", "2026-01-06"]),
        ("0 0 1 JAN,jul *", "2026-01-01T00:00", ["2026-07-01", "2027-01-01"]),
        ("0 0 13 * 5", "2026-01-01T00:00", ["2026-01-02", "2026-01-09", "2026-01-13"]),
        ("0 0 * 2 MON#5", "2020-01-01T00:00", ["2044-02-29", "2072-02-29", "2112-02-29"]),
    ],
)
def test_days_are_found_by_the_calendar(expression: str, after: str, expected: list[str]) -> None:
    """Leap days, months' ends, weekdays; a day of the month or of the week when both are given."""
    assert [found[:10] for found in following(expression, "UTC", after, len(expected))] == expected


@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        ("@hourly", "2026-05-14T11:00"),
        ("@daily", "2026-05-15T00:00"),
        ("@midnight", "2026-05-15T00:00"),
        ("@weekly", "2026-05-17T00:00"),
        ("@monthly", "2026-06-01T00:00"),
        ("@yearly", "2027-01-01T00:00"),
        ("@annually", "2027-01-01T00:00"),
        ("  @Daily ", "2026-05-15T00:00"),
    ],
)
def test_short_forms(alias: str, expected: str) -> None:
    """Those of crontab(5), in any case."""
    validate(alias)

    assert following(alias, "UTC", "2026-05-14T10:00", 1) == [f"{expected}+00:00"]


def test_every_short_form_is_valid() -> None:
    """The table holds nothing that cannot be read."""
    for expression in calendar.ALIASES.values():
        validate(expression)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("61 * * * *", "its minute is '61', not in 0-59, "),
        ("* 24 * * *", "its hour is '24', not in 0-23, "),
        ("* * 0 * *", "its day of month is '0', not in 1-31, "),
        ("* * * 13 *", "its month is '13', not in 1-12 or JAN-DEC, "),
        ("* * * * 8", "its day of week is '8', not in 0-7 or SUN-SAT, "),
        ("* * * * FUN", "its day of week is 'FUN', not in 0-7 or SUN-SAT, "),
        ("*/0 * * * *", "its minute is '*/0', not in 0-59, "),
        ("5-1 * * * *", "its minute is '5-1', not in 0-59, "),
        ("9" * 5_000 + " * * * *", "its minute is '999"),
        ("0 3 * *", "it has 4 fields, not 5"),
        ("0 0 3 * * *", "it has 6 fields, not 5"),
        ("", "it has 0 fields, not 5"),
        ("@reboot", "the only short forms are @yearly, "),
        (None, "it is of type NoneType"),
        ("0 0 30 2 *", "no date ever matches it"),
        ("0 0 */20 * 1L", "no date ever matches it"),
    ],
)
def test_a_wrong_expression_tells_the_field_and_an_example(expression: str, why: str) -> None:
    """What is wrong, where in it, and how a right one looks."""
    with pytest.raises(UsageError) as caught:
        validate(expression)

    assert caught.value.code == "spec.cron"
    assert caught.value.why.startswith(why)
    assert repr(expression) in str(caught.value)
    assert '"30 3 * * MON-FRI"' in caught.value.hint


def test_the_example_of_the_hint_is_right() -> None:
    """03:30 on workdays, as it says."""
    found = following("30 3 * * MON-FRI", BERLIN, "2026-05-15T12:00", 1)

    assert found == ["2026-05-18T03:30+02:00"]


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Europe/Berln", 'Did you mean "Europe/Berlin"?'),
        ("europe/berlin ", 'Did you mean "Europe/Berlin"?'),
        ("New York", 'Did you mean "America/New_York"?'),
        ("berlin", 'Did you mean "Europe/Berlin"?'),
        ("rome", 'Did you mean "Europe/Rome"?'),
        ("the office", 'Give an IANA name, e.g. "Europe/Berlin".'),
        ("", 'Give an IANA name, e.g. "Europe/Berlin".'),
        ("../../etc/passwd", 'Give an IANA name, e.g. "Europe/Berlin".'),
        (None, 'Give an IANA name, e.g. "Europe/Berlin".'),
    ],
)
def test_an_unknown_time_zone_names_the_nearest(zone: str, hint: str) -> None:
    """A slip of the pen, or a city without its continent; an example where nothing is near."""
    with pytest.raises(UsageError) as caught:
        validate("0 3 * * *", zone)

    assert caught.value.code == "spec.time-zone"
    assert caught.value.what == f"{zone!r} is not a known time zone"
    assert caught.value.hint == hint


def test_a_folder_of_time_zones_is_not_one() -> None:
    """Europe is a directory of the database."""
    with pytest.raises(UsageError, match="'Europe' is not a known time zone"):
        validate("0 3 * * *", "Europe")


def test_a_computer_without_time_zones_is_told_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has none of its own; UTC needs none."""
    for name in ("tzdata", "tzdata.zoneinfo", "tzdata.zoneinfo.Europe"):
        monkeypatch.setitem(sys.modules, name, None)
    zoneinfo.reset_tzpath(to=[])
    ZoneInfo.clear_cache()
    try:
        with pytest.raises(UsageError, match=r"no time zone data\. Install it: pip install stayon\[cron\]"):
            validate("0 3 * * *", BERLIN)
        validate("0 3 * * *", "UTC")
    finally:
        zoneinfo.reset_tzpath()


def test_without_cronsim_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is an extra, loaded only where cron is used."""
    monkeypatch.setitem(sys.modules, "cronsim", None)

    with pytest.raises(UsageError, match=r"Install it: pip install 'stayon.cron.'.* .spec.cron-library.$"):
        validate("0 3 * * *")


def test_the_library_is_loaded_only_when_used() -> None:
    """Importing the schedules costs neither cronsim nor datetime nor zoneinfo."""
    code = "import sys, stayon.core.schedule; print({'cronsim', 'datetime', 'zoneinfo'} & sys.modules.keys())"

    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "set()\n"


EXPRESSIONS = [
    "* * * * *",
    "*/7 * * * *",
    "30 2 * * *",
    "15,45 1-3 * * *",
    "0 */5 * * *",
    "0 0 29 2 *",
    "59 23 L * *",
    "5 4 13 * 5",
]


@settings(max_examples=200)
@given(
    st.sampled_from(EXPRESSIONS),
    st.sampled_from(["UTC", BERLIN, NEW_YORK, "Australia/Sydney", "Asia/Kathmandu", "America/Sao_Paulo"]),
    st.floats(0, 4e9),
)
def test_the_next_moment_is_always_later(expression: str, zone: str, now: float) -> None:
    """Strictly, again and again, and each is a moment the expression names (or one moved by a change of clocks)."""
    for _ in range(4):
        before, now = now, next_after(expression, zone, now)
        assert now > before
        assert now % 60 == 0


@given(st.sampled_from(["30 2 * * *", "15,45 1-3 * * *", "*/20 * * * *"]), st.integers(0, 23), st.integers(0, 2))
def test_around_a_change_nothing_between_two_moments_is_passed_over(expression: str, hour: int, change: int) -> None:
    """Asked at any minute in between, the answer is the same moment: only the time matters, not who asked before."""
    day = ["2026-03-29T00:00+01:00", "2026-10-25T00:00+02:00", "2026-05-14T00:00+02:00"][change]
    start = moment(day, BERLIN) + hour * 3_600
    found = next_after(expression, BERLIN, start)

    for now in range(int(start), int(found), 300):
        assert next_after(expression, BERLIN, float(now)) == found


@given(st.text(alphabet="0123456789*/,-LW#@ MONJ", max_size=30) | st.text())
def test_any_text_is_an_expression_or_a_usage_error(expression: str) -> None:
    """Nothing that a user can write ends in another exception."""
    try:
        validate(expression)
    except UsageError as error:
        code = error.code
    else:
        code = "valid"

    assert code in ("valid", "spec.cron")


@given(st.integers(0, 59), st.integers(0, 23), st.integers(1, 28), st.integers(1, 12), st.floats(0, 4e9))
def test_the_moment_found_has_the_time_that_was_asked_for(
    minute: int, hour: int, day: int, month: int, now: float
) -> None:
    """Minute, hour, day and month are those of the expression, and it comes within a year."""
    found = next_after(f"{minute} {hour} {day} {month} *", "UTC", now)
    local = datetime.fromtimestamp(found, UTC)

    assert (local.minute, local.hour, local.day, local.month) == (minute, hour, day, month)
    assert found - now <= 366 * 86_400
