"""Samples become medians with their spread and a ratio to stayon's, as a table or as the object ``dev.py`` reads."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Sequence
from typing import Any

OURS = "stayon"


def progress(text: str) -> None:
    """Say how it gets on, on stderr: stdout belongs to the figures."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which *share* (0 to 1) of *values* lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def conditions(**more: Any) -> dict[str, Any]:
    """What the figures depend on: versions, machine, its load before measuring."""
    load = [round(value, 2) for value in os.getloadavg()]
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": os.cpu_count(),
        "load": " ".join(map(str, load)),
        **more,
    }


class Figures:
    """Samples by competitor and figure.

    *compared* figures get a ratio, the peer's to stayon's; those of *spread* their least and greatest sample.
    """

    def __init__(self, *, compared: Sequence[str] = (), spread: Sequence[str] = ()) -> None:
        self._samples: dict[str, dict[str, list[float]]] = {}
        self._compared, self._spread = compared, spread

    @property
    def is_compared(self) -> bool:
        """Whether there are ratios."""
        return bool(self._compared)

    def add(self, who: str, **samples: float) -> None:
        """Note one sample of each of these figures."""
        mine = self._samples.setdefault(who, {})
        for figure, value in samples.items():
            mine.setdefault(figure, []).append(value)

    def medians(self, who: str) -> dict[str, float]:
        """The median of each figure of *who*."""
        return {figure: statistics.median(values) for figure, values in self._samples[who].items()}

    def as_dict(self) -> dict[str, dict[str, float]]:
        """Every figure, with ``_min`` and ``_max`` where the spread is wanted, ``_ratio`` for the compared ones."""
        result: dict[str, dict[str, float]] = {}
        for who, by_figure in self._samples.items():
            row = result[who] = {}
            for figure, values in by_figure.items():
                row[figure] = _rounded(statistics.median(values))
                if figure in self._spread:
                    row[f"{figure}_min"], row[f"{figure}_max"] = _rounded(min(values)), _rounded(max(values))
                ratio = self._ratio(who, figure)
                if ratio is not None:
                    row[f"{figure}_ratio"] = round(ratio, 3)
        return result

    def _ratio(self, who: str, figure: str) -> float | None:
        """To the row of stayon with the same end, else the first: "aiohttp, 3.11" is compared with "stayon, 3.11"."""
        if figure not in self._compared:
            return None
        rows = {name: row[figure] for name, row in self._samples.items() if name.startswith(OURS) and figure in row}
        ours = rows.get(OURS + "".join(who.partition(", ")[1:])) or next(iter(rows.values()), None)
        if not ours or not statistics.median(ours):
            return None
        return statistics.median(self._samples[who][figure]) / statistics.median(ours)

    def text(self) -> str:
        """A table: medians, (min to max), and how many times stayon's."""
        columns = list(dict.fromkeys(figure for row in self._samples.values() for figure in row))
        lines = [["", *columns]]
        lines += [[who, *(self._cell(who, column) for column in columns)] for who in self._samples]
        widths = [max(len(line[index]) for line in lines) for index in range(len(columns) + 1)]
        return "\n".join(
            f"{line[0]:<{widths[0]}}  " + "  ".join(map(str.rjust, line[1:], widths[1:])) for line in lines
        )

    def _cell(self, who: str, figure: str) -> str:
        values = self._samples[who].get(figure)
        if values is None:
            return ""
        text = _short(statistics.median(values))
        if figure in self._spread:
            text += f" ({_short(min(values))} to {_short(max(values))})"
        ratio = self._ratio(who, figure)
        return text if ratio is None else f"{text} x{ratio:.2f}"


def show(title: str, given: dict[str, Any], figures: Figures) -> None:
    """Print *figures* as ``--json`` says, or as a table with *title*."""
    if "--json" in sys.argv[1:]:
        print(json.dumps({**given, "figures": figures.as_dict()}))
        return
    print(f"{title}\n{', '.join(f'{key} {value}' for key, value in given.items())}")
    print("medians (min to max); x2.00 is twice stayon's\n" if figures.is_compared else "medians (min to max)\n")
    print(figures.text())


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else round(value, 4)
