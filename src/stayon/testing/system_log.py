"""A computer's own log that keeps what it is given."""

from __future__ import annotations

import errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.core.entry import Entry


class FakeSystemLog:
    """``entries`` has all that was handed over, ``texts`` how it reads. With ``is_down`` it takes nothing."""

    def __init__(self, source: str, rest: str, *, takes_all: bool = False) -> None:
        self.source, self.rest, self.takes_all = source, rest, takes_all
        self.entries: list[Entry] = []
        self.texts: list[str] = []
        self.is_down = self.is_closed = False

    def write(self, entry: Entry, text: str) -> None:
        """Keep it, or raise."""
        if self.is_down:
            raise OSError(errno.EIO, "the system's log is down")
        self.entries.append(entry)
        self.texts.append(text)

    def close(self) -> None:
        """Note it."""
        self.is_closed = True
