"""How far a build is: one line on a terminal that is written anew, and nothing where nobody looks."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

BAR_WIDTH = 24
# The steps in their order; what each is called, and how much of the whole it usually is.
STEPS = {
    "program": ("reading the program", 2),
    "runtime": ("fetching Python", 18),
    "dependencies": ("finding what it depends on", 15),
    "modules": ("compiling modules", 30),
    "packing": ("packing", 25),
    "writing": ("writing", 5),
    "signing": ("signing", 5),
}
_TOTAL = sum(share for _, share in STEPS.values())


class Progress:
    """The line. A context manager: at its end the line is gone."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def tell(self, step: str, share: float) -> None:
        """Show that *share* (0 to 1) of *step* is done."""
        if not self._is_shown or step not in STEPS:
            return
        before = 0
        for name, (_, size) in STEPS.items():
            if name == step:
                break
            before += size
        text, size = STEPS[step]
        done = (before + size * min(share, 1.0)) / _TOTAL
        filled = round(done * BAR_WIDTH)
        self._show(f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {text}")

    def clear(self) -> None:
        """Take the line away."""
        if self._last:
            self._show("")

    def _show(self, line: str) -> None:
        if line != self._last:
            sys.stderr.write(f"\r{line}\x1b[K")
            sys.stderr.flush()
            self._last = line

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
