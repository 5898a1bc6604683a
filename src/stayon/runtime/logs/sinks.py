"""What a sink is, and one for a descriptor that is already open: standard error, in a terminal or a pipe."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from stayon.core.entry import Entry
else:
    Protocol = object

# How long a reader that has stopped reading may hold up the service for one line, where the descriptor is non-blocking.
_PATIENCE_S = 1.0


class Sink(Protocol):
    """Where lines go. Calls come one at a time; whatever one raises is counted as a lost line, not passed on."""

    render: Callable[[Entry, bytes], bytes] | None
    """What makes of an entry, and its line of JSON, what ``write`` gets; None: that line."""

    def write(self, data: bytes, level: int) -> None:
        """Write all of *data* or raise; having raised, leave no part of it behind."""
        ...

    def reopen(self) -> None:
        """Whatever it writes to was moved away: write to a new one."""
        ...

    def close(self) -> None:
        """Give everything back. Calling it twice is harmless."""
        ...


def stderr_sink(environ: Mapping[str, str], fd: int = 2) -> DescriptorSink:
    """Standard error: text if it is a terminal (in colours, unless *environ* objects), else lines of JSON."""
    if not os.isatty(fd):
        return DescriptorSink(fd)
    from stayon.runtime.logs.text import TextRenderer, wants_color

    encoding = getattr(sys.__stderr__, "encoding", None) or "utf-8"
    return DescriptorSink(fd, TextRenderer(color=wants_color(fd, environ), encoding=encoding).entry)


class DescriptorSink:
    """Writes to *fd*, which stays the caller's. *render* as in ``Sink``: None, or ``TextRenderer.entry`` for text."""

    def __init__(self, fd: int, render: Callable[[Entry, bytes], bytes] | None = None) -> None:
        self.render = render
        self._fd = fd
        self._cut = False

    def write(self, data: bytes, level: int) -> None:  # noqa: ARG002  # other sinks look at the level
        """Write all of *data*. What was half written of an earlier line is ended first, as it can't be taken back."""
        if self._cut:
            data = b"\n" + data
        rest = memoryview(data)
        while rest:
            try:
                written = os.write(self._fd, rest)
            except BlockingIOError:
                self._wait()
                continue
            self._cut = written < len(rest)
            rest = rest[written:]

    def _wait(self) -> None:
        """Until the reader has made room; raises ``TimeoutError`` if it doesn't."""
        import select  # on Windows, where no descriptor is ever "not just now", it would load Winsock

        if not select.select([], [self._fd], [], _PATIENCE_S)[1]:
            raise TimeoutError("the reader of the log does not read")

    def reopen(self) -> None:
        """Nothing: whoever gave us the descriptor knows where it leads."""

    def close(self) -> None:
        """Nothing: it is the caller's."""
