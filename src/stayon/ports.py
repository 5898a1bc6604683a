"""What the host needs of a computer, each as a Protocol of at most four methods. ``platforms.current()`` brings the
real ones.

Every port has a contract suite in ``tests/contract``, run on the fake of ``stayon.testing`` and on each real adapter.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Protocol

    from stayon.core.entry import Entry
    from stayon.core.events import Event, Report, Request
    from stayon.core.installation import Change, Installation, Managed
else:
    Protocol = object


class Gate(Protocol):
    """A lock of ``_thread.allocate_lock()``: one thread holds it shut, others wait for it to open."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...
    def release(self) -> None: ...


class Clock(Protocol):
    """Time. Durations come from ``monotonic`` only; ``time`` is for display and for calendars."""

    def monotonic(self) -> float:
        """Seconds since some moment, never going back; the same moment for every process of this boot."""
        ...

    def time(self) -> float:
        """Seconds since 1970-01-01T00:00Z by the wall clock, which may jump."""
        ...

    def wait(self, gate: Gate, timeout_s: float | None) -> bool:
        """Acquire *gate* within *timeout_s* (None: no limit). True if it was acquired. Blocks the calling thread."""
        ...

    def gate(self) -> Gate:
        """A new gate, open. ``wait`` takes any, but knows best when one of its own is opened."""
        ...


class Poller(Protocol):
    """What the host's loop sleeps on: file descriptors, a timeout, and a wake-up from another thread."""

    def register(self, fd: int, events: int) -> None:
        """Report *fd* when it is ``READABLE`` and/or ``WRITABLE`` (a bit set); calling again replaces the set."""
        ...

    def unregister(self, fd: int) -> None:
        """Forget *fd*; unknown ones are ignored. Call it before closing."""
        ...

    def wait(self, timeout_s: float | None) -> list[tuple[int, int]]:
        """Sleep until something is ready, ``wake`` was called or *timeout_s* is over; gives ``(fd, events)`` pairs.

        A hang-up or an error counts as readable. Never returns early by more than the clock's resolution.
        """
        ...

    def wake(self) -> None:
        """Make a ``wait`` (now or the next) return. From any thread, and from a signal handler."""
        ...


class Starter(Protocol):
    """Whoever started this process: a terminal, the SCM, systemd, launchd. It asks, and is told.

    *is_manager*: no person sits there; it asks once, and needs no main thread for signals of a terminal. *beat_s*: it
    wants a report at least so often as a sign of life, whether anything changed or not (0: it doesn't).
    """

    name: str
    is_manager: bool
    beat_s: float

    def attach(self) -> int:
        """Begin to hear it; gives the descriptor that is readable when ``requests`` has some, or -1. On the main
        thread, once.
        """
        ...

    def requests(self) -> Sequence[Request | Event]:
        """What was asked for, and what happened, since the last call, in order. Never blocks."""
        ...

    def report(self, report: Report) -> None:
        """Tell the manager. Never raises, never blocks for long; repeating a report is harmless."""
        ...

    def detach(self) -> None:
        """Give signals and handles back. On the main thread; calling it twice is harmless."""
        ...


class SocketStore(Protocol):
    """Sockets that whoever started this process keeps for it: they outlive a restart, and may be there before it."""

    def inherited(self) -> Mapping[str, tuple[int, ...]]:
        """The descriptors that were handed over, by name, ours from the first call on; the same at every call."""
        ...

    def keep(self, name: str, fd: int) -> bool:
        """Have *fd* kept as *name* across restarts; False where nobody keeps any. Raises ``OSError``."""
        ...

    def forget(self, name: str) -> None:
        """Have all of *name* kept no more; harmless if there are none."""
        ...


class DirectoryWatch(Protocol):
    """Tells that something in some directories changed; what it was is for the caller to find out."""

    def watch(self, directories: Sequence[str], *, writes: bool = False) -> None:
        """Replace the set of watched directories. One that does not exist is passed over.

        *writes*: each write to a file in them counts as a change, not only that somebody has finished writing.
        """
        ...

    def fileno(self) -> int:
        """The descriptor that becomes readable on a change, or -1 where there is none and only the slow poll helps."""
        ...

    def drain(self) -> set[str]:
        """The names of entries that changed since the last call (empty string: unknown, look at everything). Never
        blocks.
        """
        ...

    def close(self) -> None: ...


class Deadman(Protocol):
    """A timer that ends the process when it isn't fed, even while C code holds the GIL."""

    def arm(self, timeout_s: float) -> None:
        """(Re)start: after *timeout_s* without another ``arm`` all stacks are dumped and the process ends with
        ``exits.HANG``.
        """
        ...

    def disarm(self) -> None: ...


class FileLock(Protocol):
    """One holder at a time on this computer; the system frees it when the holder's process ends, however it ends."""

    def acquire(self) -> int:
        """0 if it is ours now, else the pid of the holder (-1: unknown). Never waits."""
        ...

    def release(self) -> None: ...

    def is_intact(self) -> bool:
        """Whether others would still find the lock that we hold: its file may have been taken away under us."""
        ...

    def keep_across_exec(self) -> None:
        """Called right before this process replaces itself: its successor's ``acquire`` finds the lock held, and its
        own.
        """
        ...


class SystemLog(Protocol):
    """The computer's own log, which its operators read: Windows' Event Log, systemd's journal, syslog.

    *takes_all*: it is made for every record there is, so that no log file is needed beside it; the others get what an
    operator wants to see, and never a flood. One that takes all has *text* as the entry's line of JSON, which a
    ``LogReader`` gives back, and an entry with text for a message and for each field, and without an exception.
    """

    takes_all: bool

    def write(self, entry: Entry, text: str) -> None:
        """Hand over *entry*, whose text is *text*; from any thread. One of level ERROR or worse is there on return.

        Blocks for a second at most, and once, where the log doesn't answer. Raises ``OSError`` if something handed over
        before was not taken (once for each), or if so much waits that this one can't be.
        """
        ...

    def close(self) -> None:
        """Wait for what was handed over, two seconds at most, and give it back. Calling it twice is harmless."""
        ...


class ControlSocket(Protocol):
    """A connected or listening stream of bytes to a process on this computer."""

    def fileno(self) -> int: ...
    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: bytes, /) -> int: ...
    def close(self) -> None: ...


class ControlDoor(Protocol):
    """The local socket (Windows: pipe) through which the verbs reach a running service."""

    def open(self, path: str) -> ControlSocket:
        """Listen at *path*, for this account only; a stale socket of a dead process is replaced. Non-blocking."""
        ...

    def accept(self, door: ControlSocket) -> ControlSocket | None:
        """The next visitor, non-blocking; None if there is none, or it is neither this account nor an administrator."""
        ...

    def connect(self, path: str, timeout_s: float) -> ControlSocket:
        """A blocking connection. Raises ``UnavailableError`` (nobody listens) or ``NotPermittedError``."""
        ...

    def mark(self, path: str) -> object:
        """What is at *path* now, to be compared with what was there before; None if nothing is. Raises ``OSError``
        where that can't be told.
        """
        ...

    def remove(self, path: str) -> None:
        """Take the socket's name away; a missing one is ignored."""
        ...


class Child(Protocol):
    """A started process."""

    pid: int
    output: int

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Its exit code (negative: what killed it, a signal's number; -9 after ``kill``), or None if *timeout_s* was
        over first. Blocks.
        """
        ...

    def kill(self) -> None:
        """End it and every process it started."""
        ...

    def stop(self, grace_s: float) -> int | None:
        """Ask it to end (SIGTERM; Ctrl-Break and WM_CLOSE), wait for at most *grace_s*, and ``kill`` what is left.
        Gives its exit code; None if even that did not end it. Blocks.
        """
        ...


class Launcher(Protocol):
    """Starts processes, by list, never through a shell."""

    def spawn(self, command: Sequence[str], *, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Child:
        """Start *command*; *stdin* (at most 64 KiB) is what it reads, ``output`` a pipe's descriptor with what it
        prints.
        """
        ...


class LogReader(Protocol):
    """Reads back what a ``SystemLog`` that takes all has been given."""

    def last(self, name: str, count: int, wanted: Callable[[str], bool], since: float | None = None) -> list[str]:
        """The last *count* records of the service *name* that are *wanted*, oldest first, each as the line of JSON that
        a log file would have. What is older than *since* (Unix time) need not be looked at. Raises
        ``UnavailableError`` or ``NotPermittedError``.
        """
        ...

    def follow(self, name: str, count: int, wanted: Callable[[str], bool], since: float | None = None) -> Iterator[str]:
        """As ``last``, and then what comes, for ever. Blocks between records; closing the iterator ends it."""
        ...


class ServiceManager(Protocol):
    """Who keeps services: the SCM, systemd, launchd."""

    name: str

    def change(self, name: str, wanted: Installation | None, *, dry_run: bool = False) -> list[Change]:
        """Make the service *name* what is *wanted* (None: uninstall it; stopped first), and give the differences; none
        if it is so already. All or nothing: what fails midway is rolled back. Raises ``StayonError``.
        """
        ...

    def ask(
        self,
        name: str,
        verb: str,
        timeout_s: float,
        tell: Callable[[str], object],
        arguments: Sequence[str] = (),
    ) -> Managed:
        """Have it "start" (with *arguments*), "stop", "restart", "pause", "resume" or "reload", wait until it is done,
        and give how it is then. *tell* gets progress. Raises ``StayonError``.
        """
        ...

    def look(self, name: str) -> Managed | None:
        """How it is, None if it isn't installed. Needs no administrator."""
        ...

    def names(self) -> list[str]:
        """The installed services that are ours, sorted."""
        ...
