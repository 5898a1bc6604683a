"""The two ends of a named pipe as streams: overlapped operations behind ``recv`` and ``send``.

What Windows has finished is told by an event, one for each end, which is what ``fileno`` gives.
(https://learn.microsoft.com/windows/win32/ipc/synchronous-and-overlapped-input-and-output)
"""

from __future__ import annotations

import time

from stayon.platforms.windows import win32
from stayon.platforms.windows.acl import pipe_sddl
from stayon.platforms.windows.descriptor import Descriptor
from stayon.platforms.windows.sids import own_sids, win32_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    _winapi: Any
else:
    import _winapi

# What is sent and not yet read: an answer mostly fits, so that a visitor who reads late keeps nobody waiting.
PIPE_BYTES = 65536
# A request is a line, an answer may be long.
REQUEST_BYTES, ANSWER_BYTES = 4096, 65536

_DUPLEX, _OVERLAPPED, _FIRST_INSTANCE = 3, 0x40000000, 0x00080000
_REJECT_REMOTE_CLIENTS = 8  # PIPE_REJECT_REMOTE_CLIENTS; the other modes, bytes and blocking, are 0
UNLIMITED_INSTANCES = 255
_BROKEN_PIPE, _NO_DATA, _NOT_CONNECTED = 109, 232, 233
_GONE = (_BROKEN_PIPE, _NO_DATA, _NOT_CONNECTED)
_ABORTED, _IO_INCOMPLETE, _IO_PENDING, _PIPE_CONNECTED = 995, 996, 997, 535

_kernel32 = win32.Library(
    "kernel32.dll",
    CancelIoEx="PP>i",
    CloseHandle="P>i",
    ConnectNamedPipe="PP>i",
    CreateEventW="PiiZ>P",
    CreateNamedPipeW="ZIIIIIIP>P",
    DisconnectNamedPipe="P>i",
    GetOverlappedResult="PPPi>i",
    ReadFile="PPIPP>i",
    ResetEvent="P>i",
    SetEvent="P>i",
    WriteFile="PPIPP>i",
)


class _Overlapped(win32.Structure):
    """OVERLAPPED."""

    _fields_ = (
        ("internal", win32.ULONGLONG),
        ("internal_high", win32.ULONGLONG),
        ("offset", win32.ULONGLONG),
        ("event", win32.POINTER),
    )


class _Operation:
    """One overlapped operation at a time: begun, then asked after until it is done."""

    def __init__(self, pipe: int, event: int) -> None:
        self._pipe, self._event = pipe, event
        self._overlapped = _Overlapped()
        self._error = 0
        self.is_begun = False

    def begin(self, call: Callable[..., int], *arguments: Any) -> None:
        """Start it. What fails at once is told by ``result`` too, and the event is set as for any other end."""
        self._overlapped.event = self._event
        done = call(self._pipe, *arguments, win32.byref(self._overlapped))
        error = 0 if done else win32.last_error()
        self._error = 0 if error == _IO_PENDING else error
        self.is_begun = True
        if self._error:
            _kernel32.SetEvent(self._event)

    def result(self) -> tuple[int, int] | None:
        """The number of bytes, and the error or 0; None as long as it is under way."""
        if self._error:
            return 0, self._error
        count = win32.DWORD()
        if _kernel32.GetOverlappedResult(self._pipe, win32.byref(self._overlapped), win32.byref(count), 0):
            return count.value, 0
        error = win32.last_error()
        return None if error == _IO_INCOMPLETE else (count.value, error)

    def cancel(self) -> tuple[int, int]:
        """End it if it is under way, and give its result. Windows must not write to our memory afterwards."""
        found = self.result()
        if found is None:
            _kernel32.CancelIoEx(self._pipe, win32.byref(self._overlapped))
        count = win32.DWORD()
        while found is None:
            # The event may have been set by another operation: then this returns too early, and is asked again.
            _kernel32.ResetEvent(self._event)
            _kernel32.GetOverlappedResult(self._pipe, win32.byref(self._overlapped), win32.byref(count), 1)
            found = self.result()
        return found


class _End:
    """A connected end: its handle, its event, and an operation for each direction."""

    _event = -1

    def __init__(self, pipe: int, event: int, read_bytes: int) -> None:
        self._pipe, self._event = pipe, event
        self._reading, self._writing = _Operation(pipe, event), _Operation(pipe, event)
        array: Any = win32.BYTE
        self._room = (array * read_bytes)()
        self._ahead = self._sent = b""

    def fileno(self) -> win32.Handle:
        """The event that is set when what was refused last can go on; -1 after ``close``."""
        return win32.Handle(self._event)

    def close(self) -> None:
        """End it. What was sent can still be read at the other end. Calling it twice is harmless."""
        if self._event == -1:
            return
        for operation in (self._reading, self._writing):
            if operation.is_begun:
                operation.cancel()
        _kernel32.CloseHandle(self._pipe)
        _kernel32.CloseHandle(self._event)
        self._event = -1

    def __del__(self) -> None:
        self.close()  # or Windows would write to memory that is no longer ours

    def _begin_reading(self) -> None:
        self._reading.begin(_kernel32.ReadFile, self._room, len(self._room), None)

    def _begin_writing(self, data: bytes) -> None:
        self._sent = data[:PIPE_BYTES]
        self._writing.begin(_kernel32.WriteFile, self._sent, len(self._sent), None)

    def _take_read(self, found: tuple[int, int]) -> bytes:
        """What has come, b"" if the other end is closed. Raises ``OSError``."""
        count, error = found
        if error and error not in _GONE:
            raise win32_error(error)
        self._reading.is_begun = bool(error)  # the end is told as often as it is asked for
        return bytes(memoryview(self._room)[:count])

    def _take_written(self, found: tuple[int, int]) -> int:
        count, error = found
        self._writing.is_begun, self._sent = False, b""
        if error in _GONE:
            raise BrokenPipeError(0, win32.text_of(error), None, error)
        if error:
            raise win32_error(error)
        return count


class Connection(_End):
    """The service's end of a conversation. Never blocks; it is for one thread, and it talks by turns: after a
    ``send``, its event is about sending.
    """

    def __init__(self, pipe: int, event: int) -> None:
        super().__init__(pipe, event, REQUEST_BYTES)
        self._begin_reading()

    def recv(self, size: int, /) -> bytes:
        """What has come, at most *size* bytes; b"" if the visitor is gone. Raises ``BlockingIOError``, ``OSError``."""
        if not self._ahead:
            self._ahead = self._take_read(self._done(self._reading))
            if not self._ahead:
                return b""
            self._begin_reading()
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        if self._ahead:
            _kernel32.SetEvent(self._event)
        return data

    def send(self, data: bytes, /) -> int:
        """How many bytes of *data* the pipe has taken.

        Raises ``BlockingIOError`` when it is full: the beginning of *data* is then on its way, so come again with the
        same, and be told the count; ``BrokenPipeError``; ``OSError``.
        """
        if not self._writing.is_begun:
            self._begin_writing(data)
        return self._take_written(self._done(self._writing))

    def _done(self, operation: _Operation) -> tuple[int, int]:
        found = operation.result()
        if found is None:
            _kernel32.ResetEvent(self._event)
            found = operation.result()  # it may have been done before the event was reset
        if found is None:
            raise BlockingIOError
        return found


class VisitorEnd(_End):
    """The verb's end of a conversation: it blocks, for at most *timeout_s* each time."""

    def __init__(self, pipe: int, timeout_s: float) -> None:
        super().__init__(pipe, new_event(), ANSWER_BYTES)
        self._timeout_s = timeout_s

    def recv(self, size: int, /) -> bytes:
        """What has come, at most *size* bytes; b"" at the end. Raises ``TimeoutError`` or ``OSError``."""
        if not self._ahead:
            if not self._reading.is_begun:
                self._begin_reading()
            self._ahead = self._take_read(self._awaited(self._reading))
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data

    def send(self, data: bytes, /) -> int:
        """How many bytes of *data* were sent. Raises ``TimeoutError``, ``BrokenPipeError`` or ``OSError``."""
        self._begin_writing(data)
        return self._take_written(self._awaited(self._writing))

    def _awaited(self, operation: _Operation) -> tuple[int, int]:
        deadline = time.monotonic() + self._timeout_s
        found = operation.result()
        while found is None:
            left_ms = max(0, int((deadline - time.monotonic()) * 1000))
            try:
                # (Unlike WaitForSingleObject, this ends at a Ctrl-C.)
                _winapi.WaitForMultipleObjects([self._event], False, left_ms)
            except InterruptedError:
                continue
            found = operation.result()
            if found is None and not left_ms:
                found = operation.cancel()
                if found[1] == _ABORTED:
                    operation.is_begun = False
                    raise TimeoutError("timed out")
        return found


class Instance:
    """A pipe that waits for its visitor."""

    def __init__(self, name: str, event: int, descriptor: Descriptor, first: int = 0) -> None:
        self.pipe: int = _kernel32.CreateNamedPipeW(
            name, _DUPLEX | _OVERLAPPED | first, _REJECT_REMOTE_CLIENTS, UNLIMITED_INSTANCES,
            PIPE_BYTES, PIPE_BYTES, 0, win32.byref(descriptor.attributes()),
        )  # fmt: skip
        if self.pipe == win32.INVALID_HANDLE_VALUE:
            raise win32_error()
        self._waiting = _Operation(self.pipe, event)
        self.listen()

    def listen(self) -> None:
        """Let the next visitor come. A connected one is dismissed before by ``dismiss``."""
        self._waiting.begin(_kernel32.ConnectNamedPipe)

    def has_visitor(self) -> bool:
        """Whether somebody is connected, or was: who left at once has to be heard too."""
        return self._waiting.result() is not None

    def dismiss(self) -> None:
        """End the conversation that hasn't begun."""
        _kernel32.DisconnectNamedPipe(self.pipe)

    def close(self) -> None:
        """Nobody can come in here any more."""
        self._waiting.cancel()
        _kernel32.CloseHandle(self.pipe)


class Listener:
    """Pipes of one name that wait for visitors, in the order in which Windows fills them. ``fileno`` is the event that
    is set while somebody waits to be let in.
    """

    _event = -1

    def __init__(self, name: str, backlog: int) -> None:
        self.name = name
        self._descriptor = Descriptor(pipe_sddl(own_sids()))
        self._event = new_event()
        self._waiting: list[Instance] = []
        try:
            for number in range(backlog):
                self._waiting.append(Instance(name, self._event, self._descriptor, 0 if number else _FIRST_INSTANCE))
        except BaseException:
            self.close()
            raise

    def fileno(self) -> win32.Handle:
        """The event that is set while somebody waits; -1 after ``close``."""
        return win32.Handle(self._event)

    def accept(self) -> Connection | None:
        """The next visitor; None if there is none, or no room for one."""
        _kernel32.ResetEvent(self._event)
        instance = next((one for one in self._waiting if one.has_visitor()), None)
        if instance is None:
            return None
        self._waiting.remove(instance)
        event = 0
        try:
            event = new_event()
            # One takes its place first, so that the name is never anybody else's.
            self._waiting.append(Instance(self.name, self._event, self._descriptor))
        except OSError:
            if event:
                _kernel32.CloseHandle(event)
            instance.dismiss()
            instance.listen()
            self._waiting.append(instance)
            instance = None
        if any(one.has_visitor() for one in self._waiting):
            _kernel32.SetEvent(self._event)
        return None if instance is None else Connection(instance.pipe, event)

    def recv(self, _size: int, /) -> bytes:
        """A door has nothing to read: raises ``OSError``, as a listening socket does."""
        raise OSError("a listening pipe has nothing to read")

    def send(self, _data: bytes, /) -> int:
        """A door takes nothing: raises ``OSError``, as a listening socket does."""
        raise OSError("a listening pipe takes nothing")

    def close(self) -> None:
        """Listen no more. Those who wait are turned away; calling it twice is harmless."""
        if self._event == -1:
            return
        for instance in self._waiting:
            instance.close()
        self._waiting.clear()
        _kernel32.CloseHandle(self._event)
        self._descriptor.close()
        self._event = -1

    def __del__(self) -> None:
        self.close()


def new_event() -> int:
    """An event that is reset by hand, and is not set. Raises ``OSError``."""
    event: int | None = _kernel32.CreateEventW(None, 1, 0, None)
    if not event:
        raise win32_error()
    return event
