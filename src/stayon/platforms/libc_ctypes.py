"""Functions of the C library, through the C half of ``ctypes``: the Python half would cost every service 0.25 MB.

What has the same name here and in ``libc_native`` does the same. Only ``libc`` imports it.
"""

from __future__ import annotations

import _ctypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Int(_ctypes._SimpleCData):  # type: ignore[type-arg]  # it cannot be subscripted when it runs
    _type_ = "i"


class Pointer(_ctypes._SimpleCData):  # type: ignore[type-arg]  # as _Int
    """A ``void *``; ``value`` is the address, or None."""

    _type_ = "P"
    value: int | None


class _Function(_ctypes.CFuncPtr):
    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = _Int


class Library:
    """A shared library: *name*, or (None) what the process has loaded already, which is at least libc.

    Its functions take ints (as C's ``int``), bytes, None and ``Pointer``, give an ``int``, and let other threads run
    meanwhile. ``errno`` is that of the calling thread's last call. Raises ``OSError`` if there is no such library.
    """

    def __init__(self, name: str | None = None) -> None:
        self._handle = _ctypes.dlopen(name, 0)  # type: ignore[arg-type]  # None is the process itself, as in dlopen(3)

    def has(self, function: str) -> bool:
        """Whether there is such a function."""
        try:
            return bool(self.address(function))
        except OSError:
            return False

    def address(self, function: str) -> int:
        """Where the function is. Raises ``OSError`` if it is not there."""
        return _ctypes.dlsym(self._handle, function)

    def __getattr__(self, function: str) -> Callable[..., int]:
        found: Any = _Function(self.address(function))
        setattr(self, function, found)
        return found  # type: ignore[no-any-return]  # its result type says int


def errno() -> int:
    """Why this thread's last call failed."""
    return _ctypes.get_errno()


def reference(pointer: Pointer) -> Any:
    """``&pointer``, for a function that fills it in."""
    return _ctypes.byref(pointer)
