"""Functions of the C library, through the launcher of a one-file program: ``_ctypes`` would bring libffi, which not
every computer has.

What has the same name here and in ``libc_ctypes`` does the same. Only ``libc`` imports it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    _stayon: Any
else:
    import _stayon


class Pointer:
    """A ``void *``; ``value`` is the address, or None."""

    def __init__(self, value: int | None = 0) -> None:
        self.memory = bytearray((value or 0).to_bytes(8, "little"))

    @property
    def value(self) -> int | None:
        """What is there now."""
        return int.from_bytes(self.memory, "little") or None


class Library:
    """A shared library: *name*, or (None) what the process has loaded already, which is at least libc.

    Its functions take ints (as C's ``int``), bytes, None and ``Pointer``, give an ``int``, and let other threads run
    meanwhile. ``errno`` is that of the calling thread's last call. Raises ``OSError`` if there is no such library.
    """

    def __init__(self, name: str | None = None) -> None:
        self._handle: int = _stayon.load(name)
        if not self._handle:
            raise OSError(_stayon.last_error(), "there is no such library", name)

    def has(self, function: str) -> bool:
        """Whether there is such a function."""
        try:
            return bool(self.address(function))
        except OSError:
            return False

    def address(self, function: str) -> int:
        """Where the function is. Raises ``OSError`` if it is not there."""
        try:
            found: int = _stayon.symbol(self._handle, function)
        except AttributeError as error:
            raise OSError(str(error)) from None
        return found

    def __getattr__(self, function: str) -> Callable[..., int]:
        address = self.address(function)

        def call(*arguments: Any) -> int:
            # A register has room for an int of any size; the function takes as much of it as it needs.
            given = [one.value if isinstance(one, Pointer) else one for one in arguments]
            result: int = _stayon.call(address, "P" * len(given) + ">i", *given)
            return result

        setattr(self, function, call)
        return call


def errno() -> int:
    """Why this thread's last call failed."""
    number: int = _stayon.last_error()
    return number


def reference(pointer: Pointer) -> Any:
    """``&pointer``, for a function that fills it in."""
    return pointer.memory
