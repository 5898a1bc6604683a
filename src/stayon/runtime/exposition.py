"""Prometheus's text format, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    # A line of a metric: what follows its name, its labels as ``labels_text`` gives them, and the figure.
    Line = tuple[str, str, float]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_EXACT_INTEGERS = 2.0**53


def number_text(number: float) -> str:
    """*number* as Go's ``ParseFloat`` reads it: the shortest text that means exactly this float."""
    number = float(number)
    if number != number:  # noqa: PLR0124  # what NaN is; math.isnan is no clearer and one more call on each line
        return "NaN"
    if -_EXACT_INTEGERS < number < _EXACT_INTEGERS:
        return str(int(number)) if number == int(number) else repr(number)
    if number in (_INFINITY, -_INFINITY):
        return "+Inf" if number > 0 else "-Inf"
    return repr(number)


_INFINITY = float("inf")


def label_value_text(value: str) -> str:
    """*value* with backslash, quote and line feed escaped, as they are between the quotes of a label."""
    if "\\" in value or '"' in value or "\n" in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return value


def help_line_text(text: str) -> str:
    """*text* with backslash and line feed escaped, as they are in a HELP line (quotes stay)."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def labels_text(names: Sequence[str], values: Sequence[str]) -> str:
    """``a="x",b="y"``: what stands between the braces."""
    return ",".join(f'{name}="{label_value_text(value)}"' for name, value in zip(names, values, strict=True))


def family_text(name: str, kind: str, help_text: str, lines: Iterable[Line]) -> str:
    """One metric whole: HELP, TYPE and its lines, each ended by a line feed. Labels must differ from line to line."""
    parts = [f"# HELP {name} {help_line_text(help_text)}\n# TYPE {name} {kind}\n"]
    for suffix, labels, number in lines:
        if labels:
            parts.append(f"{name}{suffix}{{{labels}}} {number_text(number)}\n")
        else:
            parts.append(f"{name}{suffix} {number_text(number)}\n")
    return "".join(parts)


def histogram_lines(labels: str, bounds: Sequence[str], counts: Sequence[int], total: float) -> Iterable[Line]:
    """The lines of one series of a histogram.

    *bounds* are the upper bounds as text, ``+Inf`` last; *counts* how many observations fell into each bucket alone;
    *total* the sum of all observations.
    """
    before = f"{labels}," if labels else ""
    cumulative = 0
    for bound, count in zip(bounds, counts, strict=True):
        cumulative += count
        yield "_bucket", f'{before}le="{bound}"', cumulative
    yield "_sum", labels, total
    yield "_count", labels, cumulative
