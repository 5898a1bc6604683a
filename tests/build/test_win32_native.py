"""The two ways to Win32 have the same memory, for all that the adapters keep there."""

from __future__ import annotations

import ast
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stayon
from stayon.platforms.windows import win32_ctypes
from tests.build import ffi_library

pytestmark = [pytest.mark.linux, pytest.mark.needs_gcc]

WINDOWS = Path(stayon.__file__).parent / "platforms" / "windows"
SIMPLE = ("DWORD", "BOOL", "BYTE", "ULONGLONG", "POINTER")
NUMBERS = st.integers(-(2**63), 2**64 - 1)


def structures() -> dict[str, Any]:
    """The ``_fields_`` of every structure in the adapters, to be evaluated: not all of them can be imported here."""
    found = {}
    for path in sorted(WINDOWS.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and any(ast.unparse(each).endswith("Structure") for each in node.bases):
                values = [each.value for each in node.body if isinstance(each, ast.Assign)]
                found[f"{path.stem}.{node.name}"] = compile(ast.Expression(values[0]), path.name, "eval")
    return found


STRUCTURES = structures()


def fields(name: str, way: ModuleType) -> Any:
    """Those of a structure, of the types of *way*."""
    return eval(STRUCTURES[name], {"win32": way})  # noqa: S307  # our own source


def structure(name: str, way: Any) -> Any:
    """A structure made of them."""
    return type("Made", (way.Structure,), {"_fields_": fields(name, way)})


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """``win32_native``, in a Python that no launcher has started."""
    ffi_library.started(ffi_library.built(ffi_library.LINUX, tmp_path_factory.mktemp("ffi")))
    from stayon.platforms.windows import win32_native

    yield win32_native
    del sys.modules["_stayon"]


def test_there_are_structures() -> None:
    """Those that are found are those that there are."""
    assert {"descriptor.SecurityAttributes", "directory_watch._Overlapped", "process._MemoryCounters"} <= set(
        STRUCTURES
    )


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures_are_laid_out_as_c_does(native: Any, name: str) -> None:
    """Same size, and each field alone changes the same bytes, whatever is written to it."""
    here, there = structure(name, native), structure(name, win32_ctypes)
    assert native.size_of(here) == win32_ctypes.size_of(there) == native.size_of(here())
    for field, _kind in fields(name, native):
        for value in (1, 2**31 - 1, 2**64 - 1, 0x1122334455667788):
            one, other = here(**{field: value}), there(**{field: value})
            assert bytes(one) == bytes(memoryview(other)), (field, value)
            assert [getattr(one, each) for each, _ in here._fields_] == [
                getattr(other, each) for each, _ in here._fields_
            ]


@pytest.mark.parametrize("name", STRUCTURES)
def test_fields_by_position_are_those_by_name(native: Any, name: str) -> None:
    """As many as are given, from the first on; the others are 0."""
    here, there = structure(name, native), structure(name, win32_ctypes)
    values = list(range(1, len(here._fields_)))
    assert bytes(here(*values)) == bytes(memoryview(there(*values)))
    assert bytes(here()) == bytes(native.size_of(here))


@pytest.mark.parametrize("name", SIMPLE)
@given(NUMBERS)
def test_numbers_are_as_wide_as_in_c(native: Any, name: str, number: int) -> None:
    """What doesn't fit is cut off; a null pointer is None."""
    here, there = getattr(native, name), getattr(win32_ctypes, name)
    one, other = here(number), there(number)
    assert (one.value, native.size_of(one), bytes(one)) == (
        other.value, win32_ctypes.size_of(other), bytes(memoryview(other)),
    )  # fmt: skip
    one.value = other.value = number // 3
    assert one.value == other.value
    assert here.from_address(native.address_of(one)).value == one.value


@pytest.mark.parametrize("name", SIMPLE)
def test_arrays_have_as_much_room(native: Any, name: str) -> None:
    """So many times the type's size, all 0."""
    array, other = (getattr(native, name) * 6)(), (getattr(win32_ctypes, name) * 6)()
    assert native.size_of(array) == win32_ctypes.size_of(other)
    assert bytes(array) == bytes(memoryview(other))


def test_elements_are_read_by_their_index(native: Any) -> None:
    """As what C has written there; bytes can be written by a slice as well."""
    array = (native.ULONGLONG * 3)()
    memoryview(array)[8:16] = (2**63 + 5).to_bytes(8, "little")
    assert (array[0], array[1], array[2]) == (0, 2**63 + 5, 0)
    data = (native.BYTE * 4)()
    data[:2] = [1, 255]
    assert bytes(data) == b"\x01\xff\0\0"


@given(st.text(alphabet=string.printable + "äß€🐍", max_size=20))
def test_text_buffers_hold_utf_16(native: Any, text: str) -> None:
    """Up to the first zero; no more than there is room for."""
    buffer = native.text_buffer(60)
    buffer.value = text
    assert (buffer.value, native.size_of(buffer)) == (text.partition("\0")[0], 120)
    assert bytes(buffer).startswith(text.encode("utf-16-le") + b"\0\0")


def test_a_pointer_to_text_gives_the_text(native: Any) -> None:
    """None is the null pointer's."""
    text = "grün".encode("utf-16-le") + b"\0\0"
    place = native.POINTER(native.address_of(text))
    assert native.LPWSTR.from_address(native.address_of(place)).value == "grün"
    assert native.LPWSTR().value is None


def test_functions_and_callbacks_are_where_c_finds_them(native: Any) -> None:
    """A bound function calls C; a callback's place is free again when nobody keeps it."""

    class Process:
        _handle = native.load(None)

    absolute = native.bound(Process, "abs", "i>i")
    assert absolute(-3) == native.locking(native.function_address(absolute), "i>i")(-3) == 3
    with pytest.raises(AttributeError):
        native.bound(Process, "no_such_function", ">i")
    callback = native.callback("i>i", lambda number: number + 1)
    address = native.function_address(callback)
    call = native.locking(address, "i>i")
    assert call(1) == 2
    del callback
    assert call(1) == 0


def test_both_ways_have_what_win32_gives(native: Any) -> None:
    """Whatever the adapters may ask for."""
    chosen = [
        node
        for node in ast.walk(ast.parse((WINDOWS / "win32.py").read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
    ]
    names = {node.module: {alias.name for alias in node.names} for node in chosen if len(node.names) > 1}
    assert list(map(len, names.values())) == [len(set.union(*names.values()))] * 2
    for way in (native, win32_ctypes):
        assert names[way.__name__] <= vars(way).keys()
