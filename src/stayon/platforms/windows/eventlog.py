"""The Event Log: what an operator sees in Event Viewer, written without any rights, whatever the log's service does.

An event is handed over by a remote procedure call to the service EventLog, which may be stopped, hung, or gone at the
computer's shutdown. So a thread of its own does that, only while there is something to hand over; whoever logs waits
for it only to be sure of an error, and no longer than ``PATIENCE_S``.
"""

from __future__ import annotations

import errno
from _thread import allocate_lock, start_new_thread

from stayon.core.levels import ERROR, windows_event_type
from stayon.platforms.windows.win32 import POINTER, Library, address_of, byref, last_error, text_in_memory, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from typing import Protocol

    from stayon.core.entry import Entry
else:
    from _collections import deque  # the C half of ``collections``

    Protocol = object

# UTF-16 code units that an event's text may have
# (https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-reporteventw).
TEXT_LIMIT = 31_839
# EventCreate.exe, which all sources of ours have as message file, has these numbers, each with the text "%1".
NUMBERS = range(1, 1001)
GENERAL = 1

PATIENCE_S = 1.0
CLOSE_PATIENCE_S = 2.0
WAITING_LIMIT = 256

# Control characters, which can't be in the XML of an event, as the pictures that Unicode has of them.
_PICTURES = {number: 0x2400 + number for number in range(32) if chr(number) not in "\t\n"} | {127: 0x2421}
# What would begin an insertion code: %1, %%1, %{...}. There is no way to escape it
# (https://learn.microsoft.com/openspecs/windows_protocols/ms-even/d76e867d-96dc-4c09-b747-b1dde1acc5a4).
_CODES_BEGIN = "0123456789%{"
_NOTHING_SEEN = "\u200b"  # a blank of no width, so that it reads the same

_advapi = Library(
    "advapi32.dll",
    RegisterEventSourceW="ZZ>P",
    ReportEventW="PHHIPHIPP>i",
    DeregisterEventSource="P>i",
)


class Calls(Protocol):
    """The three functions of the Event Log. What fails gives why, in words; "" is success."""

    def open(self, source: str) -> tuple[int, str]:
        """A handle for events of *source*."""
        ...

    def report(self, handle: int, kind: int, number: int, text: str) -> str:
        """Hand over an event of the type *kind*. Blocks until the service has it."""
        ...

    def close(self, handle: int) -> None:
        """Give the handle back."""
        ...


class AdvapiCalls:
    """The real ones. https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-reporteventw"""

    def open(self, source: str) -> tuple[int, str]:
        """RegisterEventSourceW, on this computer. It needs no rights, and no source of that name."""
        handle: int | None = _advapi.RegisterEventSourceW(None, source)
        return (handle, "") if handle else (0, text_of(last_error()))

    def report(self, handle: int, kind: int, number: int, text: str) -> str:
        """ReportEventW with one string, no category, no account, no data."""
        kept = text_in_memory(text)
        strings = POINTER(address_of(kept))
        is_written = _advapi.ReportEventW(handle, kind, 0, number, None, 1, 0, byref(strings), None)
        return "" if is_written else text_of(last_error())

    def close(self, handle: int) -> None:
        """DeregisterEventSource."""
        _advapi.DeregisterEventSource(handle)


def report_event(source: str, event_id: int, level: int, text: str) -> bool:
    """Write one event, with nothing else of a service there yet: for what goes wrong before it can log. Never raises.

    Blocks as long as the Event Log does. False if it could not be written.
    """
    calls = AdvapiCalls()
    try:
        handle, why = calls.open(source)
        if not why:
            why = calls.report(handle, windows_event_type(level), event_number(event_id), fitted(text, "the log file"))
            calls.close(handle)
    except Exception:  # noqa: BLE001  # whoever calls this has nobody left to tell
        return False
    return not why


def event_number(event_id: int) -> int:
    """The number that an event is filed under: its own, if the message file has it."""
    return event_id if event_id in NUMBERS else GENERAL


def fitted(text: str, rest: str) -> str:
    """*text* as the Event Log takes it and shows it: no longer than it may be, without what would be taken for codes.

    Where it has to be cut, it says so, and that *rest* has the rest.
    """
    kept = text[: TEXT_LIMIT + 1].replace("\r\n", "\n").translate(_PICTURES).replace("\n", "\r\n")
    units = _without_codes(kept).encode("utf-16-le", "surrogatepass")
    if len(text) <= TEXT_LIMIT and len(units) <= 2 * TEXT_LIMIT:
        return units.decode("utf-16-le", "replace")
    mark = f"\r\n... {rest} has the rest, of {len(text):,} characters in all"
    # Half a pair at the end becomes a mark that takes as much room, and is taken away.
    return units[: 2 * (TEXT_LIMIT - len(mark))].decode("utf-16-le", "replace").rstrip("\r\n\ufffd") + mark


def _without_codes(text: str) -> str:
    first, *parts = text.split("%")
    following = [*(part[:1] or "%" for part in parts[:-1]), *(part[:1] for part in parts[-1:])]
    blanks = [_NOTHING_SEEN if after and after in _CODES_BEGIN else "" for after in following]
    return first + "".join(f"%{blank}{part}" for blank, part in zip(blanks, parts, strict=True))


class _Event:
    """One on its way. The gate ``delivered`` is open once it has been tried."""

    __slots__ = ("delivered", "kind", "number", "text")

    def __init__(self, kind: int, number: int, text: str) -> None:
        self.kind, self.number, self.text = kind, number, text
        self.delivered = allocate_lock()
        self.delivered.acquire()


class EventLog:
    """The port ``SystemLog``: events of *source*. *rest* is where the whole of what had to be cut can be read."""

    takes_all = False

    def __init__(self, source: str, rest: str, calls: Calls | None = None) -> None:
        self._source, self._rest = source, rest
        self._calls = AdvapiCalls() if calls is None else calls
        self._lock = allocate_lock()
        self._waiting: deque[_Event] = deque()
        self._failures: deque[str] = deque(maxlen=WAITING_LIMIT)
        self._is_delivering = self._is_closed = self._is_slow = False
        self._handle = 0

    def write(self, entry: Entry, text: str) -> None:
        """Have it delivered by a thread; wait for that if it is an error, and the log has answered so far."""
        event = _Event(windows_event_type(entry.level), event_number(entry.event_id), fitted(text, self._rest))
        with self._lock:
            if len(self._waiting) >= WAITING_LIMIT:
                raise OSError(errno.ETIMEDOUT, "the Event Log does not answer")
            self._waiting.append(event)
            has_to_start, self._is_delivering = not self._is_delivering, True
        if has_to_start:
            self._start()
        if entry.level >= ERROR and not self._is_slow:
            self._is_slow = not event.delivered.acquire(timeout=PATIENCE_S)
        if self._failures:
            raise OSError(errno.EIO, f"the Event Log: {self._failures.popleft()}")

    def close(self) -> None:
        """Wait until all are delivered, unless the log is known not to answer."""
        with self._lock:
            last = self._waiting[-1] if self._waiting else None
        if last is not None and not self._is_slow:
            last.delivered.acquire(timeout=CLOSE_PATIENCE_S)
        with self._lock:
            self._is_closed = True
            if not self._is_delivering:
                self._let_go()

    def _start(self) -> None:
        try:
            start_new_thread(self._deliver_all, ())
        except RuntimeError:  # no thread is to be had, or Python is ending: then it is done here
            self._deliver_all()

    def _deliver_all(self) -> None:
        """Until nothing is waiting: one thread at a time, gone when there is nothing to do."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_delivering = False
                    if self._is_closed:
                        self._let_go()
                    return
                event = self._waiting[0]
            # The handle dies with the service EventLog: an old one gets a second try, with a new one.
            has_old_handle = self._handle != 0
            why = self._delivered(event)
            if why and has_old_handle:
                why = self._delivered(event)
            if why:
                self._failures.append(why)
            self._is_slow = False
            with self._lock:
                self._waiting.popleft()  # only now: what is under way counts as waiting
            event.delivered.release()

    def _delivered(self, event: _Event) -> str:
        """Deliver it; why not, "" if it is done."""
        why = ""
        if not self._handle:
            self._handle, why = self._calls.open(self._source)
        if not why:
            why = self._calls.report(self._handle, event.kind, event.number, event.text)
        if why:
            self._let_go()
        return why

    def _let_go(self) -> None:
        if self._handle:
            self._calls.close(self._handle)
            self._handle = 0
