"""Win32 through the launcher of a one-file program, which calls what it is told: ``_ctypes`` would bring libffi, OLE,
and what that needs, some megabytes.

Whatever has an address is a ``bytearray`` here, which never changes its size. What has the same name here and in
``win32_ctypes`` does the same; only ``win32`` imports it.
"""

from __future__ import annotations

from _codecs import utf_16_le_decode, utf_16_le_encode  # without the module that '"".encode' loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from functools import partial
    from typing import Any, ClassVar

    _stayon: Any
else:
    from _functools import partial  # the C half of ``functools``

    import _stayon

_FROM_SYSTEM, _IGNORE_INSERTS = 0x1000, 0x200  # FORMAT_MESSAGE_FROM_SYSTEM, _IGNORE_INSERTS
_LETTERS = 512


class _Kind(type):
    """Of the types of values: ``X * 3`` makes arrays of three, whose elements can be read by their index."""

    width_bytes = 0

    def __mul__(cls: Any, length: int) -> Any:
        return partial(bytearray, length) if cls is BYTE else partial(_Array, cls, length)


class _Simple(bytearray, metaclass=_Kind):
    """A number."""

    width_bytes: ClassVar[int] = 0
    is_signed: ClassVar[bool] = False

    def __init__(self, value: int | None = 0) -> None:
        bytearray.__init__(self, self.width_bytes)
        self.value = value

    @classmethod
    def from_address(cls, address: int) -> Any:
        """A copy of what is there."""
        made = cls()
        made[:] = _stayon.peek(address, cls.width_bytes)
        return made

    @classmethod
    def read(cls, raw: bytearray) -> Any:
        """The value of its bytes."""
        return int.from_bytes(raw, "little", signed=cls.is_signed)

    @classmethod
    def written(cls, value: int | None) -> bytes:
        """The bytes of a value, of which C would take so many bits."""
        bits = 8 * cls.width_bytes
        return ((value or 0) & ((1 << bits) - 1)).to_bytes(cls.width_bytes, "little")

    @property
    def value(self) -> Any:
        """The value."""
        return self.read(self)

    @value.setter
    def value(self, value: Any) -> None:
        self[:] = self.written(value)


class DWORD(_Simple):
    """32 bits without a sign."""

    width_bytes = 4


class BOOL(_Simple):
    """0 is false."""

    width_bytes = 4
    is_signed = True


class BYTE(_Simple):
    """8 bits without a sign."""

    width_bytes = 1


class ULONGLONG(_Simple):
    """64 bits without a sign."""

    width_bytes = 8


class POINTER(_Simple):
    """Any pointer or handle; ``value`` is the address, or None."""

    width_bytes = 8

    @classmethod
    def read(cls, raw: bytearray) -> Any:
        """None for a null pointer."""
        return int.from_bytes(raw, "little") or None


class LPWSTR(POINTER):
    """A pointer to text, as C gave it; ``value`` is the text, or None."""

    @classmethod
    def read(cls, raw: bytearray) -> Any:
        """The text up to its zero."""
        address = int.from_bytes(raw, "little")
        return _stayon.text(address) if address else None


class _Array(bytearray):
    """Several of one type."""

    def __init__(self, kind: type[_Simple], length: int) -> None:
        bytearray.__init__(self, kind.width_bytes * length)
        self._kind = kind

    def __getitem__(self, index: Any) -> Any:
        size = self._kind.width_bytes
        return self._kind.read(bytearray(memoryview(self)[index * size : (index + 1) * size]))


class _Field:
    """One of a structure's."""

    def __init__(self, kind: type[_Simple], offset: int) -> None:
        self._kind, self._place = kind, slice(offset, offset + kind.width_bytes)

    def __get__(self, structure: bytearray, _type: object = None) -> Any:
        return self._kind.read(structure[self._place])

    def __set__(self, structure: bytearray, value: Any) -> None:
        structure[self._place] = self._kind.written(value)


class Structure(bytearray, metaclass=_Kind):
    """A C struct: ``_fields_`` lists names and types, in C's order."""

    _fields_: ClassVar[tuple[tuple[str, Any], ...]] = ()
    width_bytes: ClassVar[int] = 0

    def __init_subclass__(cls) -> None:
        offset, widest = 0, 1
        for name, kind in cls._fields_:
            offset += -offset % kind.width_bytes
            setattr(cls, name, _Field(kind, offset))
            offset += kind.width_bytes
            widest = max(widest, kind.width_bytes)
        cls.width_bytes = offset + -offset % widest

    def __init__(self, *values: Any, **named: Any) -> None:
        bytearray.__init__(self, self.width_bytes)
        for (name, _kind), value in zip(self._fields_, values, strict=False):
            setattr(self, name, value)
        for name, value in named.items():
            setattr(self, name, value)


class _Text(bytearray):
    """Room for text."""

    @property
    def value(self) -> str:
        """The text up to its zero."""
        text: str = utf_16_le_decode(self, "surrogatepass", True)[0]
        return text.partition("\0")[0]

    @value.setter
    def value(self, text: str) -> None:
        data: bytes = utf_16_le_encode(text, "surrogatepass")[0]
        self[:] = data.ljust(len(self), b"\0")[: len(self)]


class _Callback(int):
    """Its address. It is the launcher's again when this goes."""

    def __del__(self) -> None:
        _stayon.release(self)


def load(name: str) -> int:
    """The handle of a DLL of System32. Raises ``OSError``."""
    handle: int = _stayon.load(name)
    if not handle:
        code = last_error()
        raise OSError(0, text_of(code), name, code)
    return handle


def bound(library: Any, function: str, prototype: str) -> Callable[..., Any]:
    """A function of *library*, which has its handle as ``_handle``. Raises ``AttributeError`` if it has none of that
    name.
    """
    address = _stayon.symbol(library._handle, function)  # noqa: SLF001  # see above
    found: Callable[..., Any] = partial(_stayon.call, address, prototype)
    return found


def callback(prototype: str, function: Callable[..., object]) -> Any:
    """What C can call, and calls *function*: give it where a pointer is wanted. Keep it as long as C may call it. What
    *function* raises is printed and lost, so let it raise nothing. Raises ``RuntimeError`` when there are too many.
    """
    return _Callback(_stayon.callback(prototype, function))


def locking(address: int, prototype: str) -> Callable[..., Any]:
    """The function at *address*, called without letting other threads run meanwhile."""
    found: Callable[..., Any] = partial(_stayon.call, address, "!" + prototype)
    return found


def function_address(function: Any) -> int:
    """Where the code of a function of a ``Library``, or of a callback, is."""
    return function.args[0] if isinstance(function, partial) else int(function)


def last_error() -> int:
    """Why this thread's last call of a ``Library`` function failed, as a number of winerror.h."""
    number: int = _stayon.last_error()
    return number


def text_of(error: int) -> str:
    """What Windows says of an error number, in the computer's language, without the full stop.

    (https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-formatmessagew)
    """
    function = _stayon.symbol(_stayon.load("kernel32.dll"), "FormatMessageW")
    room, flags = text_buffer(_LETTERS), _FROM_SYSTEM | _IGNORE_INSERTS
    if not _stayon.call(function, "IPIIPIP>I", flags, None, error, 0, room, _LETTERS, None):
        return "<no description>"
    return str(room.value).strip().rstrip(".")


def byref(value: Any) -> Any:
    """``&value``, for the length of a call."""
    return value


def address_of(value: Any) -> int:
    """Where *value* is; it has to be kept as long as the address is used."""
    address: int = _stayon.address(value)
    return address


def size_of(value: Any) -> int:
    """How many bytes *value*, or a value of the type *value*, has."""
    return value.width_bytes if isinstance(value, _Kind) else len(value)


def text_buffer(length: int) -> Any:
    """Room for *length* UTF-16 code units, the final zero included; ``value`` is the text."""
    return _Text(2 * length)


def bytes_at(address: int, size: int) -> bytes:
    """A copy of *size* bytes of memory."""
    copy: bytes = _stayon.peek(address, size)
    return copy
