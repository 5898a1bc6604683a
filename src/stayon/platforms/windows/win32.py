"""Win32: types, memory and libraries, by one of two ways that are chosen once. In a one-file program it is the
launcher's (``win32_native``), elsewhere the C half of ``ctypes`` (``win32_ctypes``).

Importable everywhere, so that what only decides can be tested anywhere; a library is loaded when it is first used.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Of a one-file program: imported before anything else, so that nobody looks for it in a path. Where its interpreter is
# one that has been signed, there is no launcher, and the module has no ``call``.
if TYPE_CHECKING or not hasattr(sys.modules.get("_stayon"), "call"):
    from stayon.platforms.windows.win32_ctypes import (
        BOOL,
        BYTE,
        DWORD,
        LPWSTR,
        POINTER,
        ULONGLONG,
        Structure,
        address_of,
        bound,
        byref,
        bytes_at,
        callback,
        function_address,
        last_error,
        load,
        locking,
        size_of,
        text_buffer,
        text_of,
    )
else:
    from stayon.platforms.windows.win32_native import (
        BOOL,
        BYTE,
        DWORD,
        LPWSTR,
        POINTER,
        ULONGLONG,
        Structure,
        address_of,
        bound,
        byref,
        bytes_at,
        callback,
        function_address,
        last_error,
        load,
        locking,
        size_of,
        text_buffer,
        text_of,
    )

__all__ = [
    "BOOL",
    "BYTE",
    "DWORD",
    "INVALID_HANDLE_VALUE",
    "LPWSTR",
    "POINTER",
    "ULONGLONG",
    "Handle",
    "Library",
    "Structure",
    "address_of",
    "byref",
    "bytes_at",
    "callback",
    "function_address",
    "last_error",
    "locking",
    "size_of",
    "text_buffer",
    "text_in_memory",
    "text_of",
]

INVALID_HANDLE_VALUE = 2**64 - 1


class Handle(int):
    """A kernel object that can be waited for. (What a ``Poller`` gets as a plain int is a socket.)"""

    __slots__ = ()


class Library:
    """A DLL of the system, from System32 and nowhere else.

    *prototypes* gives each function's arguments and result, a letter each: ``"ZIP>P"`` takes text, a DWORD and a
    pointer or handle, and gives a pointer. I: DWORD, i: BOOL or int, P: pointer or handle (int, None, bytes, ``byref``,
    a buffer), Z: text or None, H: WORD, B: BYTE, Q: 64 bits. Functions let other threads run meanwhile;
    ``last_error()`` is that of the calling thread's last call.
    """

    def __init__(self, name: str, **prototypes: str) -> None:
        self._name, self._prototypes = name, prototypes
        self._handle = 0

    def __getattr__(self, function: str) -> Callable[..., Any]:
        if function not in self._prototypes:
            raise AttributeError(f"{self._name} has no prototype of {function}")
        if not self._handle:
            self._handle = load(self._name)
        found = bound(self, function, self._prototypes[function])
        setattr(self, function, found)
        return found

    def address(self, function: str) -> int:
        """Where the function is, for who calls it from outside Python. Raises ``AttributeError`` if there is none."""
        return function_address(getattr(self, function))


def text_in_memory(text: str) -> Any:
    """A buffer that holds *text* and the zero behind it."""
    buffer = text_buffer(2 * len(text) + 1)  # at most two units a letter
    buffer.value = text
    return buffer
