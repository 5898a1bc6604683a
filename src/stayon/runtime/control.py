"""The service's end of the control socket: who listens. What is said there is ``control_visit``, loaded at the first
visit.
"""

from __future__ import annotations

from stayon.core.record import Record
from stayon.errors import StayonError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stayon.ports import ControlDoor, ControlSocket
    from stayon.runtime.control_visit import Reply, Visitor
    from stayon.runtime.logs.logger import Logger
    from stayon.runtime.loop import Loop


class Limits(Record):
    """How much visitors may take. Progress is left out for one who has *unread_bytes* still to read."""

    visitors: int = 16
    line_bytes: int = 65536
    unread_bytes: int = 65536
    request_timeout_s: float = 5.0
    answer_timeout_s: float = 600.0
    send_timeout_s: float = 5.0


class ControlServer:
    """Lets visitors in and gives their verbs to ``answer(verb, args, reply)``, which must not block. Loop's thread.

    *answer* may reply later. What it raises is the reply; if that is no ``StayonError``, it is raised again for the
    loop to report.
    """

    def __init__(
        self,
        loop: Loop,
        door: ControlDoor,
        path: str,
        answer: Callable[[str, dict[str, Any], Reply], object],
        limits: Limits | None = None,
    ) -> None:
        self.loop, self.path, self.limits = loop, path, limits or Limits()
        self.give = answer
        self._door = door
        self._listener: ControlSocket | None = None
        self._mark: object = None
        self._visitors: dict[Visitor, None] = {}

    def open(self) -> None:
        """Listen at *path*. Raises what ``ControlDoor.open`` raises."""
        self._listener = self._door.open(self.path)
        self.loop.watch(self._listener.fileno(), self._accept)
        self._mark = self._door.mark(self.path)

    def is_intact(self) -> bool:
        """Whether visitors still find the way here: what cleans up directories may have taken the socket's name away,
        and something else may have taken its place.
        """
        try:
            return self._listener is not None and self._door.mark(self.path) == self._mark
        except OSError:
            return True  # it can't be told, so opening anew would hardly do

    def close(self) -> None:
        """Stop listening, take the name away if it is still ours, and end all conversations. Calling it twice is
        harmless.
        """
        if self._listener is not None:
            is_ours = self.is_intact()
            self.loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None
            if is_ours:
                self._door.remove(self.path)
        for visitor in list(self._visitors):
            visitor.leave()

    def reopen(self, log: Logger) -> None:
        """Have the socket anew. Where that fails *log* is told, and it is not intact: it can be tried again."""
        self.close()
        try:
            self.open()
        except (StayonError, OSError) as error:
            log.failure("the control socket is not made again", error, event_id=27)

    def leave_to_parent(self) -> None:
        """In a forked child: close the door that is the parent's, and leave its name where it is."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    @property
    def visitors(self) -> int:
        """How many conversations there are."""
        return len(self._visitors)

    def left(self, visitor: Visitor) -> None:
        """*visitor* is gone."""
        self._visitors.pop(visitor, None)

    def _accept(self, _events: int) -> None:
        if self._listener is None:
            return
        # One a turn: who is not let in is None too, so that does not tell whether others wait. The loop comes back.
        connection = self._door.accept(self._listener)
        if connection is None:
            return
        from stayon.runtime.control_visit import Visitor

        visitor = Visitor(self, connection)
        self._visitors[visitor] = None
        if len(self._visitors) > self.limits.visitors:
            visitor.turn_away(self.limits.visitors)
        else:
            visitor.begin()
