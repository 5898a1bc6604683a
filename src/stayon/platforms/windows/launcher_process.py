"""A service's own end of the SCM in a one-file program: the launcher, in C, has been connected since before there was a
Python, and has said that it is starting. A thread of its own hears the controls; none of Python's has to.
"""

from __future__ import annotations

import time

from stayon.core import states
from stayon.platforms.windows.boot import CALL_TIMEOUT_S, Boot, Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    from stayon.platforms.onefile import command
    from stayon.platforms.windows.api import ServiceStatus

    _stayon: Any
else:
    import _stayon


# That it is still starting, stopping and so on is news to the SCM only after so long.
_NEWS_S = 1.0
_PENDING = frozenset(states.SCM_NUMBERS[state] for state in states.PENDING)


class LauncherServiceProcess:
    """``api.ServiceProcess`` over the launcher. One of them in a process."""

    def __init__(self) -> None:
        # What the SCM was told last, and when: the launcher has told it until now.
        self._state, self._told_s = states.SCM_NUMBERS[states.START_PENDING], time.perf_counter()

    def dispatch(self, _name: str, on_start: Callable[[Sequence[str]], object]) -> int:
        """Wait for the SCM's call, if it has not come yet, and return when *on_start* has."""
        found: tuple[str, ...] | int = _stayon.service_wait(CALL_TIMEOUT_S)
        if isinstance(found, int):
            return found
        on_start(found)
        return 0

    def register(self, _name: str, handler: Callable[[int, int, bytes], int]) -> int:
        """Hear the controls from now on; those that came before are told at once."""
        _stayon.service_handler(handler)
        handle: int = _stayon.service_handle()
        return handle

    def set_status(self, _handle: int, status: ServiceStatus) -> int:
        """SetServiceStatus, behind what the launcher has told itself. A pending state that was told just before isn't
        told again: each call takes up to a millisecond.
        """
        now_s = time.perf_counter()
        if status.state == self._state and status.state in _PENDING and now_s - self._told_s < _NEWS_S:
            return 0
        self._state, self._told_s = status.state, now_s
        error: int = _stayon.service_status(
            status.state, status.accepted, status.exit_code, status.specific, status.checkpoint, status.wait_hint_ms
        )
        return error


def serve(line: command.Line, target: str) -> NoReturn:
    """Be the service that *line* tells of, which *target* (``module:attribute``) has, and end the process."""
    asked = Line(line.service, target, line.instance, "", line.start_timeout_s, line.options)
    boot = Boot(asked, int, LauncherServiceProcess)  # there is nothing to forget, and ``int()`` does that
    boot.connect()
    boot.run()
