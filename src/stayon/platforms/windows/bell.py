"""An event object that any thread can set, and the host's loop can sleep on."""

from __future__ import annotations

from stayon.platforms.windows.win32 import Handle, Library

_KERNEL32 = Library("kernel32.dll", CreateEventW="PiiZ>P", SetEvent="P>i", ResetEvent="P>i")


class EventBell:
    """A manual-reset event. It lives as long as the process."""

    def __init__(self) -> None:
        self._event = Handle(_KERNEL32.CreateEventW(None, 1, 0, None))

    def fileno(self) -> Handle:
        """What is signalled from ``ring`` to ``hush``."""
        return self._event

    def ring(self) -> None:
        """Set it. From any thread."""
        _KERNEL32.SetEvent(self._event)

    def hush(self) -> None:
        """Reset it."""
        _KERNEL32.ResetEvent(self._event)
