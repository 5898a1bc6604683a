"""Durations: numbers of seconds, or text such as ``"1m30s"``; and such text of a number of seconds."""

from __future__ import annotations

from stayon.errors import UsageError

UNITS_S = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

# More than any wait is meant to last; waits of the operating systems overflow not far above it.
LONGEST_S = 100 * 365 * 86_400.0

_NUMBER = "0123456789."
_HINT = 'Write a number of seconds, or numbers with units from large to small, e.g. "5s", "250ms", "1m30s".'


def seconds(value: object, *, allow_zero: bool = False, where: str = "") -> float:
    """The length of *value* in seconds: an int or float of seconds, or text of numbers with units w, d, h, m, s, ms.

    Raises ``UsageError`` ("spec.duration") for anything else, and for what is negative, zero (unless *allow_zero*), not
    finite, or longer than ``LONGEST_S``. *where* names the setting in the message.
    """
    if isinstance(value, str):
        length_s, why = _parse(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        length_s, why = value, ""
    else:
        length_s, why = 0.0, f"it is of type {type(value).__name__}"
    if not why:
        why = _out_of_range(length_s, allow_zero=allow_zero)
    if why:
        raise UsageError(f"{value!r} is not a usable duration", where=where, why=why, hint=_HINT, code="spec.duration")
    return float(length_s)


def text(length_s: float) -> str:
    """*length_s* for people, to the microsecond: ``"1m30s"``, ``"250ms"``, ``"1.5s"``, ``"3d"``, ``"0s"``.

    ``seconds`` reads it back (of what it accepts); a negative length gets a minus sign, for display only.
    """
    if length_s < 0:
        return f"-{text(-length_s)}"
    rest_us = round(length_s * 1_000_000)
    if 0 < rest_us < 1_000_000:
        return f"{_decimal(rest_us / 1_000)}ms"
    parts = ""
    for unit in ("d", "h", "m"):
        count, rest_us = divmod(rest_us, round(UNITS_S[unit] * 1_000_000))
        if count:
            parts += f"{count}{unit}"
    if rest_us or not parts:
        parts += f"{_decimal(rest_us / 1_000_000)}s"
    return parts


def _decimal(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _out_of_range(length_s: float, *, allow_zero: bool) -> str:
    """Why *length_s* cannot be used, or nothing."""
    if length_s < 0:
        return "it is negative"
    if length_s == 0 and not allow_zero:
        return "it is zero"
    if length_s > LONGEST_S:
        return "it is longer than 100 years"
    if length_s != length_s:  # noqa: PLR0124  # what NaN is; math would cost 0.1 MB
        return "it is not a number"
    return ""


def _parse(written: str) -> tuple[float, str]:
    """Its length in seconds and nothing, or 0.0 and why it cannot be read."""
    rest = written.strip()
    if not rest:
        return 0.0, "it is empty"
    total_s, smallest_s = 0.0, float("inf")
    while rest:
        after_number = rest.lstrip(_NUMBER)
        number = rest[: len(rest) - len(after_number)]
        after_number = after_number.lstrip(" ")
        unit = _leading_letters(after_number)
        if not _is_number(number):
            return 0.0, f"{rest!r} does not start with a number" if not number else f"{number!r} is not a number"
        if not unit:
            return 0.0, f"{number!r} has no unit"
        if unit not in UNITS_S:
            return 0.0, f"{unit!r} is not a unit"
        if UNITS_S[unit] >= smallest_s:
            return 0.0, f"{unit!r} is out of order"
        smallest_s = UNITS_S[unit]
        total_s += _length_s(float(number), unit)
        rest = after_number[len(unit) :].lstrip(" ")
    return total_s, ""


def _length_s(number: float, unit: str) -> float:
    # Dividing rounds once, multiplying by the inexact 0.001 twice: 9 ms must be the float 0.009.
    return number / 1_000 if unit == "ms" else number * UNITS_S[unit]


def _leading_letters(rest: str) -> str:
    for position, letter in enumerate(rest):
        if not letter.isalpha():
            return rest[:position]
    return rest


def _is_number(written: str) -> bool:
    return written.count(".") <= 1 and written.strip(".") != ""
