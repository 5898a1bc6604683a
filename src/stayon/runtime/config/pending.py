"""When to reload: soon after the last request of a burst, never two at a time, and not while stopping. Pure."""

from __future__ import annotations

QUIET_S = 0.15
LONGEST_WAIT_S = 0.3


class Pending:
    """Requests for a reload. Times are of the monotonic clock, and given by the caller.

    ``ask`` whenever something asks; when ``due()`` is reached, ``begin`` and run one reload; at its end ``finish``.
    What was asked in between becomes one more reload. Writing a file takes many events, so a reload waits until
    *quiet_s* passed without another request, but at most *longest_wait_s* after the first.
    """

    def __init__(self, quiet_s: float = QUIET_S, longest_wait_s: float = LONGEST_WAIT_S) -> None:
        self._quiet_s, self._longest_wait_s = quiet_s, longest_wait_s
        self._first = self._last = 0.0
        self._sources: list[str] = []
        self._running = False
        self._closed = False

    def ask(self, now: float, source: str) -> str:
        """Note that *source* (``file``, ``SIGHUP``, ``reload``) wants a reload. Gives the empty string, or why it is
        refused.
        """
        if self._closed:
            return "it is stopping"
        if not self._sources:
            self._first = now
        self._last = now
        if source not in self._sources:
            self._sources.append(source)
        return ""

    def due(self) -> float | None:
        """The moment at which to begin; None while nothing is asked for, or a reload runs."""
        if not self._sources or self._running or self._closed:
            return None
        return min(self._last + self._quiet_s, self._first + self._longest_wait_s)

    def begin(self) -> tuple[str, ...]:
        """A reload runs from now on; gives who asked for it."""
        sources, self._sources = tuple(self._sources), []
        self._running = True
        return sources

    def finish(self, now: float) -> None:
        """It has ended. What was asked meanwhile gets its own reload, after a quiet time from *now*."""
        self._running = False
        if self._sources:
            self._first = self._last = now

    def close(self) -> None:
        """The service is stopping: forget what was asked, refuse what will be."""
        self._closed = True
        self._sources = []
