"""What the demo shows: a live picture in a terminal, a line for each event elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import deque
from typing import Any, NamedTuple


class Paint:
    """Colours and signs, as far as the terminal has them."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty() and os.environ.get("TERM", "") != "dumb"
        self._colour = self.live and "NO_COLOR" not in os.environ
        wide = (sys.stdout.encoding or "").lower().startswith("utf")
        self.bars = "▁▂▃▄▅▆▇█" if wide else "._-~=+*#"
        self.dot, self.cross, self.arrow = ("●", "✗", "→") if wide else ("o", "x", "->")

    def __call__(self, text: str, code: int | None) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and code is not None else text


BOLD, DIM, RED, GREEN, YELLOW, CYAN = 1, 2, 31, 32, 33, 36
COLOURS = {"up": GREEN, "degraded": YELLOW, "down": RED}


class Row:
    """What is known of one endpoint."""

    def __init__(self) -> None:
        self.state, self.latency_ms, self.change, self.changed_at = "unknown", 0.0, "", time.monotonic()
        self.checks: deque[tuple[str, float]] = deque(maxlen=24)

    def note(self, fields: dict[str, Any]) -> None:
        """One more result."""
        self.state, self.latency_ms = fields["state"], fields["latency_ms"]
        self.checks.append((fields["result"], fields["latency_ms"]))


class Moment(NamedTuple):
    """Something that happened, and when since the start."""

    at_s: float
    text: str
    colour: int | None


class Board:
    """Everything that is shown: a live picture in a terminal, lines elsewhere."""

    def __init__(self) -> None:
        self.paint = Paint()
        self.rows: dict[str, Row] = {}
        self.checks = 0
        self._began = time.monotonic()
        self._moments: list[Moment] = []
        self._height = 0

    def say(self, text: str, colour: int | None = None) -> None:
        """Something happened."""
        moment = Moment(time.monotonic() - self._began, text, colour)
        self._moments.append(moment)
        if not self.paint.live:
            print(f"{moment.at_s:5.1f} s  {text}", flush=True)

    def note(self, record: dict[str, Any]) -> None:
        """A record of the monitor's log."""
        fields = record.get("fields", {})
        name = fields.get("endpoint")
        if name is None:
            return
        row = self.rows.setdefault(name, Row())
        if "result" in fields:
            self.checks += 1
            row.note(fields)
        elif "before" in fields:
            row.change, row.changed_at = f"{fields['before']} {self.paint.arrow} {fields['state']}", time.monotonic()
            why = f": {fields['why']}" if "why" in fields else ""
            self.say(record["message"] + why, COLOURS[fields["state"]])

    def draw(self) -> None:
        """Redraw the picture."""
        if not self.paint.live:
            return
        columns, lines = shutil.get_terminal_size()
        picture = self._picture(columns - 1, lines - 1)
        up = f"\x1b[{self._height}F" if self._height else ""
        sys.stdout.write(up + "".join(f"{line}\x1b[K\n" for line in picture) + "\x1b[J")
        sys.stdout.flush()
        self._height = len(picture)

    def _picture(self, width: int, height: int) -> list[str]:
        paint = self.paint
        head = f"stayon demo: the endpoint monitor at work, {time.monotonic() - self._began:.1f} s"
        picture = ["", paint(head[:width], BOLD), ""]
        picture.append(
            paint(f"  {'endpoint':<16} {'state':<12} {'latency':>9}  {'last checks':<24}  last change"[:width], DIM)
        )
        picture += [self._line(name, row, width) for name, row in self.rows.items()]
        picture.append("")
        room = max(height - len(picture), 0)
        for moment in self._moments[-room:] if room else []:
            picture.append(paint(f"  {moment.at_s:5.1f} s  {moment.text}"[:width], moment.colour))
        return picture[:height]

    def _line(self, name: str, row: Row, width: int) -> str:
        """One endpoint; only its coloured parts have codes, and they stand within any width that a terminal has."""
        colour = COLOURS.get(row.state)
        state = self.paint(f"{self.paint.dot} {row.state:<10}", colour)
        bars = "".join(self.paint(self._bar(*check), COLOURS[check[0]]) for check in row.checks)
        gap = " " * (24 - len(row.checks))
        ago = f"{row.change}, {time.monotonic() - row.changed_at:.0f} s ago" if row.change else ""
        return f"  {name[:16]:<16} {state} {row.latency_ms:>6.1f} ms  {bars}{gap}  {ago[: max(0, width - 72)]}"

    def _bar(self, result: str, latency_ms: float) -> str:
        if result == "down":
            return self.paint.cross
        return self.paint.bars[min(int(latency_ms / 50), len(self.paint.bars) - 1)]
