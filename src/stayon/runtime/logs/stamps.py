"""Times as text and back, without ``datetime``: 2025-11-23T14:36:00.123Z."""

from __future__ import annotations

import time

END_OF_TIME = 253402300800.0
"""The year 10000, which the form has no room for."""


def second_text(second: int) -> str:
    """``2025-11-23T14:36:00`` for *second* since 1970."""
    year, month, day, hour, minute, of_minute, *_ = time.gmtime(second)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{of_minute:02d}"


def text_of(moment: float) -> str:
    """*moment* (seconds since 1970) to the millisecond, in UTC. What is no moment of the years 1970 to 9999 is 1970."""
    second, milliseconds = divmod(int(moment * 1000.0 if 0.0 <= moment < END_OF_TIME else 0.0), 1000)
    return f"{second_text(second)}.{milliseconds:03d}Z"


def moment_of(text: str) -> float | None:
    """Seconds since 1970 of a time as ``text_of`` writes it, or without its seconds; None if *text* is anything
    else.
    """
    if len(text) == 17:
        text = f"{text[:-1]}:00{text[-1]}"
    if len(text) < 20 or text[4] + text[7] + text[10] + text[13] + text[16] + text[-1] != "--T::Z":
        return None
    try:
        year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
        seconds = int(text[11:13]) * 3600 + int(text[14:16]) * 60 + float(text[17:-1])
    except ValueError:
        return None
    return _days_since_1970(year, month, day) * 86400.0 + seconds


def _days_since_1970(year: int, month: int, day: int) -> int:
    """Howard Hinnant's days_from_civil (https://howardhinnant.github.io/date_algorithms.html): years begin in March."""
    if month <= 2:
        year -= 1
    era, of_era = divmod(year, 400)
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
