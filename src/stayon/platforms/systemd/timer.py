"""Jobs as timers of systemd: for each, NAME-JOB.timer and the service that runs it once (systemd.timer(5)).

What systemd does otherwise than the service itself: a run of a job that is still running is left out, and one that
fails is not tried again.
"""

from __future__ import annotations

from stayon.core.schedule import SKIP, Cron, Every
from stayon.errors import UsageError
from stayon.platforms.systemd import unit
from stayon.platforms.systemd.quoting import command_line, line
from stayon.platforms.systemd.restarts import span
from stayon.platforms.systemd.unit_file import written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from stayon.core.installation import Installation
    from stayon.core.spec import JobSpec
    from stayon.platforms.systemd.unit import Sections, Target

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")

_ACCOUNT_LETTERS = _LETTERS - {"."}

# What only a program that stays on has use for.
_NOT_ONCE = (
    "ExecReload",
    "FileDescriptorStoreMax",
    "NotifyAccess",
    "Restart",
    "RestartMaxDelaySec",
    "RestartPreventExitStatus",
    "RestartSec",
    "RestartSteps",
    "Sockets",
    "WatchdogSec",
)

_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY_NAMES = {name.upper(): number for number, name in enumerate(_DAYS[:7])}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH_NAMES = {name: number for number, name in enumerate(_MONTHS, 1)}


def files(wanted: Installation, target: Target) -> dict[str, str]:
    """The text of the units for every job of *wanted*, by name. Raises ``UsageError``, for what no timer can do
    "systemd.timer".
    """
    if not wanted.jobs:
        raise UsageError(
            f"{wanted.name} has no jobs that a timer could run",
            hint='Declare one: @service.every("5s")',
            code="systemd.timer",
        )
    found: dict[str, str] = {}
    for job in wanted.jobs:
        name = _name(wanted, job)
        found[f"{name}.timer"] = written(_timer(wanted, job), f"{name}.timer")
        found[f"{name}.service"] = written(_once(wanted, job, target), f"{name}.service")
    return found


def _name(wanted: Installation, job: JobSpec) -> str:
    base, at, instance = wanted.name.partition("@")
    return f"{base}-{''.join(each if each in _LETTERS else '-' for each in job.name)}{at}{instance}"


def _timer(wanted: Installation, job: JobSpec) -> Sections:
    rule = job.rule
    lines = every_lines(rule) if isinstance(rule, Every) else [("OnCalendar", each) for each in calendars(rule)]
    # By itself, systemd is up to a minute late, to do several things at once.
    lines.append(("AccuracySec", "1ms" if isinstance(rule, Every) and rule.interval_s < 1 else "1s"))
    if rule.jitter_s:
        lines.append(("RandomizedDelaySec", span(rule.jitter_s)))
    if isinstance(rule, Cron) and rule.missed != SKIP:
        lines.append(("Persistent", "true"))
    return {
        "Unit": [("Description", line(f"When {wanted.name} does {job.name}"))],
        "Timer": lines,
        "Install": [("WantedBy", "timers.target")],
        unit.OURS: [("Version", line(wanted.mark))],
    }


def _once(wanted: Installation, job: JobSpec, target: Target) -> Sections:
    """A service that runs *job*, is done, and is hardened as the whole one is."""
    whole = unit.sections(wanted, target)
    command = command_line((*wanted.command, "--once", job.name))
    lines = [("Type", "oneshot"), ("ExecStart", command)]
    kept = [each for each in whole["Service"] if each[0] not in (*_NOT_ONCE, "Type", "ExecStart", "TimeoutStartSec")]
    base = wanted.name.partition("@")[0]
    if ("DynamicUser", "yes") in kept and _ACCOUNT_LETTERS.issuperset(base) and not base[0].isdigit():
        # The service's own, which has the directories, and else would be called as this unit: systemd.exec(5).
        kept.append(("User", base))
    kept.append(("RuntimeDirectoryPreserve", "yes"))  # or the end of one would take it away under the others
    # A oneshot is starting as long as it runs.
    limit = "infinity" if job.timeout_s is None else span(job.timeout_s + wanted.stop_timeout_s + unit.START_MARGIN_S)
    about = [each for each in whole["Unit"] if each[0] in ("Wants", "After")]
    return {
        "Unit": [("Description", line(f"{job.name} of {wanted.name}")), *about],
        "Service": [*lines, ("TimeoutStartSec", limit), *kept],
        unit.OURS: [("Version", line(wanted.mark))],
    }


def every_lines(rule: Every) -> list[tuple[str, str]]:
    """A fixed rate: systemd counts from the start of the run before."""
    return [("OnActiveSec", span(rule.delay_s)), ("OnUnitActiveSec", span(rule.interval_s))]


def calendars(rule: Cron) -> list[str]:
    """The OnCalendar= values that together are *rule*. Raises ``UsageError`` "systemd.timer" for what there is none of.

    Where both days are limited, either will do (crontab(5)): two lines, of which systemd takes the earlier one.
    """
    from stayon.core.calendar import ALIASES

    minute, hour, day, month, weekday = ALIASES.get(rule.expression.strip().lower(), rule.expression).upper().split()
    time = f"{_numbers(hour, 0, 23)}:{_numbers(minute, 0, 59)}:00"
    months = _numbers(month, 1, 12, _MONTH_NAMES)
    zone = f" {rule.zone}"
    days, weekdays = _day_of_month(day, months, rule), _weekdays(weekday, rule)
    if day[:1] != "*" and weekday[:1] != "*":
        return [f"{days} {time}{zone}", f"{weekdays} *-{months}-* {time}{zone}"]
    return [f"{weekdays} {days} {time}{zone}".lstrip()]


def _day_of_month(field: str, months: str, rule: Cron) -> str:
    if field == "L":
        return f"*-{months}~01"
    if "L" in field or "W" in field:
        raise _impossible(rule, f"the day of month {field!r}")
    return f"*-{months}-{_numbers(field, 1, 31)}"


def _weekdays(field: str, rule: Cron) -> str:
    """The days by name, and nothing for every day."""
    if "#" in field or "L" in field:
        raise _impossible(rule, f"the day of week {field!r}")
    found = {number % 7 for number in _expanded(field, 0, 7, _DAY_NAMES)}
    return "" if len(found) == len(_DAY_NAMES) else ",".join(_DAYS[number] for number in sorted(found))


def _numbers(field: str, low: int, high: int, names: dict[str, int] | None = None) -> str:
    numbers = _expanded(field, low, high, names or {})
    if len(numbers) == high - low + 1:
        return "*"
    return ",".join(f"{number:02}" for number in numbers)


def _expanded(field: str, low: int, high: int, names: dict[str, int]) -> Sequence[int]:
    """All numbers that a checked field of a cron expression stands for, in order."""

    def number(text: str) -> int:
        return names[text] if text in names else int(text)

    found: set[int] = set()
    for part in field.split(","):
        span_text, slash, step = part.partition("/")
        first, dash, last = span_text.partition("-")
        if span_text == "*":
            begin, end = low, high
        else:
            begin = number(first)
            end = number(last) if dash else high if slash else begin
        found.update(range(begin, end + 1, int(step) if slash else 1))
    return sorted(found)


def _impossible(rule: Cron, what: str) -> UsageError:
    return UsageError(
        f"no timer of systemd can be {rule.expression!r}",
        why=f"{what} has no like there",
        hint="Let the service run it itself.",
        code="systemd.timer",
    )
