"""The structures of ChangeServiceConfig2W and QueryServiceConfig2W, to and from the fields of ``ServiceConfig``.

(https://learn.microsoft.com/windows/win32/api/winsvc/nf-winsvc-changeserviceconfig2w)
"""

from __future__ import annotations

import struct

from stayon.platforms.windows import win32
from stayon.platforms.windows.api import FailureActions, Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

# SERVICE_CONFIG_* by field.
LEVELS = {
    "description": 1,
    "failure": 2,
    "delayed": 3,
    "failure_on_non_crash": 4,
    "sid_type": 5,
    "privileges": 6,
    "preshutdown_ms": 7,
    "triggers": 8,
}

# Native sizes and gaps, as C lays out these structures.
_ONE = struct.Struct("I")
_POINTER = struct.Struct("P")
_FAILURE = struct.Struct("IPPIP")
_ACTION = struct.Struct("iI")
_TRIGGERS = struct.Struct("IPP")
_TRIGGER = struct.Struct("IIPIP")
_ITEM = struct.Struct("IIP")
_GUID = struct.Struct("<IHH8s")

# SERVICE_TRIGGER_DATA_TYPE_STRING; the others are numbers and bytes.
_DATA_STRING = 2


class Memory:
    """Bytes that C reads by their address: they live as long as this."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def text(self, text: str) -> int:
        """The address of *text* with a zero behind it."""
        return self.put(text.encode("utf-16-le") + b"\0\0")

    def put(self, data: bytes) -> int:
        """The address of a copy of *data*, which has at least one byte."""
        buffer = room(len(data) or 1)
        buffer[: len(data)] = list(data)
        self._kept.append(buffer)
        return win32.address_of(buffer)


class Answer:
    """A buffer that C has filled: structures, and texts that pointers in them lead to."""

    def __init__(self, buffer: Any) -> None:
        self.data = bytes(buffer)
        self._start = win32.address_of(buffer)

    def text(self, pointer: int | None) -> str:
        """The text at *pointer*, up to its zero; "" for none."""
        data = self.rest(pointer)
        end = next((at for at in range(0, len(data) - 1, 2) if data[at : at + 2] == b"\0\0"), len(data))
        return data[:end].decode("utf-16-le", "replace")

    def texts(self, pointer: int | None) -> tuple[str, ...]:
        """The texts at *pointer*, up to an empty one."""
        found: list[str] = []
        while pointer and (text := self.text(pointer)):
            found.append(text)
            pointer += len(text.encode("utf-16-le", "replace")) + 2
        return tuple(found)

    def rest(self, pointer: int | None) -> bytes:
        """What is from *pointer* on."""
        return self.data[pointer - self._start :] if pointer else b""


def room(size: int) -> Any:
    """A buffer of *size* bytes."""
    array: Any = win32.BYTE
    return (array * size)()


def several(texts: Sequence[str]) -> str:
    """*texts* as one, each with a zero behind it; Windows wants one more at the end, which ``Memory.text`` adds."""
    return "".join(text + "\0" for text in texts) or "\0"


def packed(field: str, value: Any, memory: Memory) -> bytes:
    """The structure that sets *field* to *value*."""
    if field == "description":
        return _POINTER.pack(memory.text(value))
    if field == "privileges":
        return _POINTER.pack(memory.text(several(value)))
    if field == "failure":
        actions = b"".join(_ACTION.pack(*action) for action in value.actions)
        # A null pointer would leave the old actions, whatever the count.
        return _FAILURE.pack(value.reset_s, 0, 0, len(value.actions), memory.put(actions or b"\0" * _ACTION.size))
    if field == "triggers":
        triggers = b"".join(_packed_trigger(each, memory) for each in value)
        return _TRIGGERS.pack(len(value), memory.put(triggers) if triggers else 0, 0)
    return _ONE.pack(int(value))


def unpacked(field: str, answer: Answer) -> Any:
    """The value of *field* in what QueryServiceConfig2W gave."""
    if field == "description":
        return answer.text(_POINTER.unpack_from(answer.data)[0])
    if field == "privileges":
        return answer.texts(_POINTER.unpack_from(answer.data)[0])
    if field == "failure":
        reset_s, _message, _command, count, actions = _FAILURE.unpack_from(answer.data)
        return FailureActions(reset_s, tuple(_ACTION.iter_unpack(answer.rest(actions)[: count * _ACTION.size])))
    if field == "triggers":
        count, triggers, _ = _TRIGGERS.unpack_from(answer.data)
        data = answer.rest(triggers)[: count * _TRIGGER.size]
        return tuple(_unpacked_trigger(answer, each) for each in _TRIGGER.iter_unpack(data))
    number = _ONE.unpack_from(answer.data)[0]
    return bool(number) if field in ("delayed", "failure_on_non_crash") else number


def guid_bytes(text: str) -> bytes:
    """A GUID's 16 bytes."""
    first, second, third, fourth, fifth = text.split("-")
    return _GUID.pack(int(first, 16), int(second, 16), int(third, 16), bytes.fromhex(fourth + fifth))


def guid_text(data: bytes) -> str:
    """A GUID as text, in small letters."""
    first, second, third, rest = _GUID.unpack_from(data)
    return f"{first:08x}-{second:04x}-{third:04x}-{rest[:2].hex()}-{rest[2:].hex()}"


def _packed_trigger(trigger: Trigger, memory: Memory) -> bytes:
    items = b""
    for text in trigger.data:
        data = text.encode("utf-16-le") + b"\0\0"
        items += _ITEM.pack(_DATA_STRING, len(data), memory.put(data))
    subtype = memory.put(guid_bytes(trigger.subtype))
    return _TRIGGER.pack(trigger.type, trigger.action, subtype, len(trigger.data), memory.put(items) if items else 0)


def _unpacked_trigger(answer: Answer, fields: tuple[Any, ...]) -> Trigger:
    kind, action, subtype, count, items = fields
    texts = []
    for form, size, pointer in _ITEM.iter_unpack(answer.rest(items)[: count * _ITEM.size]):
        data = answer.rest(pointer)[:size]
        texts.append(data.decode("utf-16-le", "replace").rstrip("\0") if form == _DATA_STRING else data.hex())
    return Trigger(kind, action, guid_text(answer.rest(subtype)), tuple(texts))
