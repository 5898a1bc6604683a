"""Ends what a process has started and left behind: its descendants, also those that have left its group, its session
and their parents.

Two traces lead to them: parentage, and the mark that they have inherited (``run_mark``). Nothing is ended by its number
alone: a pidfd is opened first, then the process is looked at again.
"""

from __future__ import annotations

import os
import time

from stayon.core.record import Record
from stayon.platforms.process_table import HAS_PROC, Process, look_at, processes
from stayon.platforms.run_mark import mark_this_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable, Sequence
    from typing import Self
else:
    import _signal as signal  # the standard module's C half

# How long what is left may take over its end once it has been asked, and how long over its death.
GRACE_S, BURIAL_S = 1.0, 2.0

# How often what is killed is looked for again, as each may have started another just before.
_ROUNDS = 20

_LONGEST_PAUSE_S = 0.02
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, <linux/prctl.h>


class Root(Record):
    """Whose tree it is: the process *pid*, which began at *started*, and the *mark* of its descendants."""

    pid: int
    started: int
    mark: str


class Times(Record):
    """The limits of an end."""

    grace_s: float = GRACE_S
    burial_s: float = BURIAL_S


def descendants(table: Iterable[Process], root: Root, me: int) -> list[Process]:
    """Those of *table* that *root* has started, and they have; by pid.

    By parentage, and by mark, and by parentage of what has the mark. Not among them: *root* itself and *me*, what
    began before *root*, what is over, and what ends by itself.
    """
    by_pid = {process.pid: process for process in table}
    children: dict[int, list[Process]] = {}
    for process in by_pid.values():
        children.setdefault(process.parent, []).append(process)
    found: dict[int, Process] = {}
    front = [process for process in by_pid.values() if process.is_marked]
    front += children.get(root.pid, [])
    while front:
        process = front.pop()
        # (A child that is older than its parent is another's: its parent's number has been used again.)
        if process.pid in found or process.pid in (root.pid, me) or process.started < root.started:
            continue
        found[process.pid] = process
        front += [child for child in children.get(process.pid, []) if child.started >= process.started]
    return [found[pid] for pid in sorted(found) if not found[pid].is_over and not found[pid].ends_by_itself]


def sweep(times: Times = Times()) -> Sequence[str]:  # noqa: B008  # a frozen value
    """End what this process has started and is still there, and give their names: "sleep (pid 4711)"; one that
    could not be ended says why.

    Each is sent SIGTERM; what is there after the grace, SIGKILL. Blocks for the grace and the burial at most. Raises
    ``OSError`` where the processes can't be seen.
    """
    me = os.getpid()
    root = Root(me, started_at(me), mark_this_process())

    def look() -> list[Process]:
        return descendants(processes(root.mark, root.started), root, me)

    found = look()
    if not found:
        return ()
    own = {process.identity for process in found if process.parent == me}
    # From here on, what loses its parent becomes our child, and is found. (Not earlier: nobody would reap them, since
    # whoever reaps a child of subprocess's makes it believe in an exit code of 0.)
    _adopt(1)
    end = _End(look, times)
    try:
        end.run(found)
    finally:
        _adopt(0)
        for pid, _started in end.told.keys() - own:
            _reap(pid)
    return end.names()


def signal_tree(root: Root, number: int, but_group: int) -> None:
    """Send *number* to the descendants of *root* outside of the group *but_group*; SIGKILL also to those that come up
    meanwhile. Does not wait. Raises ``OSError`` where the processes can't be seen.
    """
    sent: set[tuple[int, int]] = set()
    for _round in range(_ROUNDS if number == signal.SIGKILL else 1):
        found = descendants(processes(root.mark, root.started), root, os.getpid())
        new = [process for process in found if process.identity not in sent and process.group != but_group]
        if not new:
            return
        for process in new:
            sent.add(process.identity)
            with _Handle(process) as handle:
                handle.send(number)


class _End:
    """Rounds of looking, asking, waiting and killing. *told* has everything that was met, and why it is still there."""

    def __init__(self, look: Callable[[], list[Process]], times: Times) -> None:
        self._look, self._times = look, times
        self._asked: set[tuple[int, int]] = set()
        self.told: dict[tuple[int, int], tuple[str, str]] = {}

    def run(self, found: list[Process]) -> None:
        """End *found*, and what is found after it."""
        killing_at = time.monotonic() + self._times.grace_s
        giving_up_at = killing_at + self._times.burial_s
        while found:
            now = time.monotonic()
            if now >= giving_up_at:
                for process in found:
                    self.told[process.identity] = (process.name, "it does not end")
                return
            self._round(found, killing_at if now < killing_at else giving_up_at, kill=now >= killing_at)
            found = [process for process in self._look() if not self.told.get(process.identity, ("", ""))[1]]

    def names(self) -> list[str]:
        """All that were met, by pid."""
        return [
            f"{name} (pid {pid})" + (f", still there: {why}" if why else "")
            for (pid, _started), (name, why) in sorted(self.told.items())
        ]

    def _round(self, found: list[Process], until: float, *, kill: bool) -> None:
        handles = [_Handle(process) for process in found]
        try:
            for handle in handles:
                identity = handle.process.identity
                if kill or identity not in self._asked:
                    self._asked.add(identity)
                    why = handle.send(signal.SIGKILL if kill else signal.SIGTERM)
                    self.told[identity] = (handle.process.name, why)
            wait_for([handle for handle in handles if not self.told[handle.process.identity][1]], until)
        finally:
            for handle in handles:
                handle.close()


class _Handle:
    """A process that was seen, held so that its number can't come to mean another meanwhile, where there are pidfds."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.fd = -1
        try:
            self.fd = os.pidfd_open(process.pid)
        except (AttributeError, OSError):
            return  # it is gone; or Linux before 5.3, a filter that forbids it, macOS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def send(self, number: int) -> str:
        """Send the signal *number*. Gives why that could not be, "" if it is done or the process is gone."""
        if not self.is_there():
            return ""
        try:
            if self.fd != -1:
                signal.pidfd_send_signal(self.fd, number)
            else:
                os.kill(self.process.pid, number)
        except ProcessLookupError:
            return ""
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def is_there(self) -> bool:
        """Whether it has not ended."""
        if not HAS_PROC:
            try:
                os.kill(self.process.pid, 0)
            except ProcessLookupError:
                return False
            except PermissionError:
                return True
            return True
        now = look_at(self.process.pid)
        return now is not None and now.identity == self.process.identity and not now.is_over

    def close(self) -> None:
        if self.fd != -1:
            os.close(self.fd)
            self.fd = -1


def wait_for(handles: Sequence[_Handle], until: float) -> None:
    """Until all of *handles* have ended, or it is *until* by the monotonic clock."""
    if all(handle.fd != -1 for handle in handles):
        _poll({handle.fd for handle in handles}, until)
        return
    pause_s = 0.001
    while any(handle.is_there() for handle in handles) and time.monotonic() < until:
        time.sleep(min(pause_s, max(until - time.monotonic(), 0.0)))
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _poll(fds: set[int], until: float) -> None:
    import select

    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    while fds:
        left_s = until - time.monotonic()
        if left_s <= 0:
            return
        for fd, _events in poll.poll(left_s * 1000):
            poll.unregister(fd)
            fds.discard(fd)


def started_at(pid: int) -> int:
    """When *pid* began, in ticks; 0 where that can't be told."""
    found = look_at(pid) if HAS_PROC else None
    return found.started if found is not None else 0


def _adopt(on: int) -> None:
    """Have orphaned descendants become our children, or not. Does nothing where the system can't."""
    if HAS_PROC:
        from stayon.platforms.libc import Library

        Library().prctl(_SUBREAPER, on, 0, 0, 0)


def _reap(pid: int) -> None:
    """Take what is left of *pid*, if it has become our child."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # it is somebody else's
