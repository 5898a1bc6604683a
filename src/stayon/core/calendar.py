"""Cron expressions in a time zone: checked, and asked for the next moment. ``cronsim`` and ``zoneinfo`` load when used.

``cronsim`` follows Debian's cron, also when clocks change: of the jobs at a fixed time, those in the skipped hour run
once, right after it, and those in the repeated hour run once, the first time. Expressions whose minute or hour begins
with ``*`` follow real time. When neither day field begins with ``*``, a day that matches one of them will do
(crontab(5) of Debian).
"""

from __future__ import annotations

from stayon.core.nearest import nearest
from stayon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, tzinfo

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

FIELDS = (
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of month", "1-31, L (the last day) or LW (the last weekday)"),
    ("month", "1-12 or JAN-DEC"),
    ("day of week", "0-7 or SUN-SAT, 1#2 (the second Monday) or 5L (the last Friday)"),
)

_EXAMPLE = '"30 3 * * MON-FRI" (minute, hour, day of month, month, day of week: 03:30 on workdays)'


def validate(expression: str, zone: str = "UTC") -> None:
    """Raise ``UsageError`` unless *expression* names moments in *zone*, an IANA name such as ``Europe/Berlin``.

    Codes: "spec.cron" (the message tells the field), "spec.time-zone", "spec.cron-library".
    """
    _check_each(_fields(expression))
    # Rare dates return within 40 years, wherever one begins; cronsim looks 50 ahead.
    next_after(expression, zone, 0.0)


def next_after(expression: str, zone: str, moment: float) -> float:
    """The first moment of *expression* later than *moment*; both in seconds since 1970-01-01T00:00Z.

    Raises ``UsageError`` as ``validate`` does.
    """
    from datetime import datetime

    local = datetime.fromtimestamp(moment, _zone(zone))
    # In the repeated hour the iterator may begin with a moment of its first pass, which is over.
    for found in _moments(" ".join(_fields(expression)), local) or ():
        if found.timestamp() > moment:
            return found.timestamp()
    raise _wrong(expression, "no date ever matches it")


def _fields(expression: str) -> list[str]:
    """The five fields, aliases resolved."""
    if not isinstance(expression, str):
        raise _wrong(expression, f"it is of type {type(expression).__name__}")
    fields = ALIASES.get(expression.strip().lower(), expression).split()
    if len(fields) == len(FIELDS):
        return fields
    if fields and fields[0].startswith("@"):
        raise _wrong(expression, f"the only short forms are {', '.join(ALIASES)}")
    raise _wrong(expression, f"it has {len(fields)} fields, not {len(FIELDS)}")


def _check_each(fields: list[str]) -> None:
    """Find the field that is wrong by asking about each alone: the words of cronsim's errors are not its contract."""
    from datetime import datetime

    for position, (name, values) in enumerate(FIELDS):
        alone = ["*"] * len(FIELDS)
        alone[position] = fields[position]
        if _moments(" ".join(alone), datetime(2000, 1, 1)) is None:  # noqa: DTZ001  # nobody asks for the moments
            why = f"its {name} is {fields[position]!r}, not in {values}, lists (,), ranges (-) and steps (/) of them"
            raise _wrong(" ".join(fields), why)


def _moments(expression: str, start: datetime) -> Iterator[datetime] | None:
    """The moments after *start*, ending after 50 years without any; None for an expression that cronsim refuses."""
    try:
        from cronsim import CronSim, CronSimError
    except ImportError as error:
        raise UsageError(
            "cron schedules need the package cronsim, which is not installed",
            hint="Install it: pip install 'stayon[cron]', or in a clone: pip install '.[cron]'.",
            code="spec.cron-library",
        ) from error
    try:
        return CronSim(expression, start)
    except (CronSimError, ValueError):
        return None


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        from datetime import UTC

        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise UsageError(
            f"{name!r} is not a known time zone",
            hint=_zone_hint(name),
            code="spec.time-zone",
        ) from error


def _zone_hint(name: object) -> str:
    from zoneinfo import available_timezones

    known = {zone.lower(): zone for zone in sorted(available_timezones())}
    if not known:
        return "This computer has no time zone data. Install it: pip install stayon[cron]."
    # Either the city alone was given, or the name is misspelt.
    cities = {zone.rpartition("/")[2]: zone for zone in known}
    wanted = name.lower().replace(" ", "_") if isinstance(name, str) else ""
    near = cities.get(wanted) or nearest(wanted, known)
    return f'Did you mean "{known[near]}"?' if near else 'Give an IANA name, e.g. "Europe/Berlin".'


def _wrong(expression: object, why: str) -> UsageError:
    return UsageError(
        f"{expression!r} is not a usable cron expression",
        why=why,
        hint=f"An example: {_EXAMPLE}.",
        code="spec.cron",
    )
