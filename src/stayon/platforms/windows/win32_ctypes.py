"""Win32 through the C half of ``ctypes``: the Python half would cost every service 0.3 MB and some milliseconds.

What has the same name here and in ``win32_native`` does the same. Only ``win32`` imports it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar

    # Of the Windows build; elsewhere typeshed leaves half of it out.
    _ctypes: Any

    class _Simple:
        _type_: ClassVar[str]
        value: Any

        def __init__(self, value: Any = ...) -> None: ...
        @classmethod
        def from_address(cls, address: int) -> Any: ...

    class Structure:
        """A C struct: ``_fields_`` lists names and types, in C's order."""

        def __init__(self, *fields: Any, **named: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

else:
    import _ctypes

    _Simple = _ctypes._SimpleCData
    Structure = _ctypes.Structure


class DWORD(_Simple):
    """32 bits without a sign (``unsigned long`` has 32 on Windows only)."""

    _type_ = "I"


class BOOL(_Simple):
    """0 is false."""

    _type_ = "i"


class WORD(_Simple):
    """16 bits without a sign."""

    _type_ = "H"


class BYTE(_Simple):
    """8 bits without a sign."""

    _type_ = "B"


class ULONGLONG(_Simple):
    """64 bits without a sign."""

    _type_ = "Q"


class POINTER(_Simple):
    """Any pointer or handle; ``value`` is the address, or None."""

    _type_ = "P"


class LPWSTR(_Simple):
    """A pointer to text, as C gave it; ``value`` is the text, or None."""

    _type_ = "Z"


class _WCHAR(_Simple):
    """One UTF-16 code unit."""

    _type_ = "u"


_BY_LETTER: dict[str, Any] = {one._type_: one for one in (DWORD, BOOL, WORD, BYTE, ULONGLONG, POINTER, LPWSTR)}

_LOAD_LIBRARY_SEARCH_SYSTEM32 = 0x800
_KEEP_THE_GIL, _USE_LAST_ERROR = 4, 16  # FUNCFLAG_PYTHONAPI, _USE_LASTERROR; FUNCFLAG_STDCALL is 0


def load(name: str) -> int:
    """The handle of a DLL of System32. Raises ``OSError``."""
    handle: int = _ctypes.LoadLibrary(name, _LOAD_LIBRARY_SEARCH_SYSTEM32)
    return handle


def bound(library: object, function: str, prototype: str) -> Callable[..., Any]:
    """A function of *library*, which has its handle as ``_handle``. Raises ``AttributeError`` if it has none of that
    name.
    """
    found: Callable[..., Any] = _type(prototype, _USE_LAST_ERROR)((function, library))
    return found


def callback(prototype: str, function: Callable[..., object]) -> Any:
    """What C can call, and calls *function*: give it where a pointer is wanted. Keep it as long as C may call it. What
    *function* raises is printed and lost, so let it raise nothing.
    """
    return _type(prototype, 0)(function)


def locking(address: int, prototype: str) -> Callable[..., Any]:
    """The function at *address*, called without letting other threads run meanwhile."""
    found: Callable[..., Any] = _type(prototype, _KEEP_THE_GIL)(address)
    return found


def _type(prototype: str, flags: int) -> Any:
    arguments, _, result = prototype.partition(">")
    fields = {
        "_flags_": flags,
        "_argtypes_": tuple(_BY_LETTER[letter] for letter in arguments),
        "_restype_": _BY_LETTER[result] if result else None,
    }
    return type(_ctypes.CFuncPtr)("Function", (_ctypes.CFuncPtr,), fields)


def function_address(function: Any) -> int:
    """Where the code of a function of a ``Library``, or of a callback, is."""
    address: int = POINTER.from_address(_ctypes.addressof(function)).value
    return address


def last_error() -> int:
    """Why this thread's last call of a ``Library`` function failed, as a number of winerror.h."""
    number: int = _ctypes.get_last_error()
    return number


def text_of(error: int) -> str:
    """What Windows says of an error number, in the computer's language, without the full stop."""
    text: str = _ctypes.FormatError(error)
    return text.strip().rstrip(".")


def byref(value: Any) -> Any:
    """``&value``, for the length of a call."""
    return _ctypes.byref(value)


def address_of(value: Any) -> int:
    """Where *value* is; it has to be kept as long as the address is used."""
    address: int = _ctypes.addressof(value)
    return address


def size_of(value: Any) -> int:
    """How many bytes *value*, or a value of the type *value*, has."""
    size: int = _ctypes.sizeof(value)
    return size


def text_buffer(length: int) -> Any:
    """Room for *length* UTF-16 code units, the final zero included; ``value`` is the text."""
    array: Any = _WCHAR
    return (array * length)()


def bytes_at(address: int, size: int) -> bytes:
    """A copy of *size* bytes of memory."""
    array: Any = BYTE
    return bytes((array * size).from_address(address))
