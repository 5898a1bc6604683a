"""Win32, through the C half of ``ctypes``: the Python half would cost every service 0.3 MB and some milliseconds.

Importable everywhere, so that what only decides can be tested anywhere; a library is loaded when it is first used.
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
    """A pointer to text; ``value`` is the text, or None."""

    _type_ = "Z"


class WCHAR(_Simple):
    """One UTF-16 code unit; ``(WCHAR * n)()`` is a buffer whose ``value`` is the text up to its zero."""

    _type_ = "u"


_BY_LETTER: dict[str, Any] = {one._type_: one for one in (DWORD, BOOL, WORD, BYTE, ULONGLONG, POINTER, LPWSTR)}

_LOAD_LIBRARY_SEARCH_SYSTEM32 = 0x800
_USE_LAST_ERROR = 16  # FUNCFLAG_USE_LASTERROR; FUNCFLAG_STDCALL is 0
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
            self._handle = _ctypes.LoadLibrary(self._name, _LOAD_LIBRARY_SEARCH_SYSTEM32)
        found: Any = function_type(self._prototypes[function], _USE_LAST_ERROR)((function, self))
        setattr(self, function, found)
        return found  # type: ignore[no-any-return]  # what it gives is its prototype's matter

    def address(self, function: str) -> int:
        """Where the function is, for who calls it from outside Python. Raises ``AttributeError`` if there is none."""
        return function_address(getattr(self, function))


def function_type(prototype: str, flags: int = 0) -> Any:
    """The type of functions and callbacks of *prototype* (see ``Library``): ``function_type("II>I")(python_function)``.

    Keep a callback as long as C may call it. What it raises is printed and lost, so let it raise nothing.
    """
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
    array: Any = WCHAR
    return (array * length)()


def bytes_at(address: int, size: int) -> bytes:
    """A copy of *size* bytes of memory."""
    array: Any = BYTE
    return bytes((array * size).from_address(address))
