"""The launcher's calls of C functions (launcher/ffi.c), on the C library of this computer."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.build import ffi_library

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.linux, pytest.mark.needs_gcc]

CALLBACKS = 32
PATIENCE_S = 10.0


@pytest.fixture(scope="module")
def ffi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The module ``_stayon``, as far as it calls C."""
    yield ffi_library.started(ffi_library.built(ffi_library.LINUX, tmp_path_factory.mktemp("ffi")))
    del sys.modules["_stayon"]


@pytest.fixture
def address(ffi: Any) -> Any:
    """Call it for where a function of the C library is."""
    library = ffi.load(None)
    return lambda name: ffi.symbol(library, name)


def test_numbers_are_as_wide_as_their_letters(ffi: Any, address: Any) -> None:
    """An argument and a result have the letter's bits, with or without a sign; the rest is cut off, as C does it."""
    same = address("labs")  # gives back what it gets, if that isn't negative
    assert [ffi.call(same, f"Q>{letter}", 0x1_89AB_CDEF) for letter in "BHIiQP"] == [
        0xEF, 0xCDEF, 0x89AB_CDEF, 0x89AB_CDEF - 2**32, 0x1_89AB_CDEF, 0x1_89AB_CDEF,
    ]  # fmt: skip
    assert [ffi.call(same, f"{letter}>Q", 0x1_89AB_CDEF) for letter in "BHIQP"] == [
        0xEF, 0xCDEF, 0x89AB_CDEF, 0x1_89AB_CDEF, 0x1_89AB_CDEF,
    ]  # fmt: skip
    assert ffi.call(same, "i>Q", -5) == 5
    assert ffi.call(same, "i>", 7) is None
    assert ffi.call(same, "P>P", None) is None


def test_fourteen_arguments_arrive_in_order(ffi: Any, address: Any) -> None:
    """The last of them are on the stack."""
    text, form = bytearray(100), b"%d %d %d %d %d %d %d %d %d %d %d\0"
    ffi.call(address("snprintf"), "PQP" + "i" * 11 + ">i", text, len(text), form, *range(-5, 6))
    assert text.rstrip(b"\0") == b"-5 -4 -3 -2 -1 0 1 2 3 4 5"


@pytest.mark.parametrize("buffer", [b"abc\0", bytearray(b"abc\0"), memoryview(b"abc\0")])
def test_a_buffer_is_passed_as_its_address(ffi: Any, address: Any, buffer: Any) -> None:
    """It is the object's own memory, not a copy of it."""
    assert ffi.call(address("strlen"), "P>Q", buffer) == 3
    assert ffi.call(address("strlen"), "P>Q", ffi.address(buffer)) == 3


def test_a_text_is_passed_as_wide_characters(ffi: Any, address: Any) -> None:
    """Text has wchar_t's, a zero behind them, and no zero among them."""
    assert ffi.call(address("wcslen"), "Z>Q", "grün 🐍") == len("grün 🐍")
    with pytest.raises(ValueError, match="null"):
        ffi.call(address("wcslen"), "Z>Q", "a\0b")


@pytest.mark.parametrize(
    ("prototype", "arguments"),
    [
        ("i>i", ()), (">i", (1,)), ("i>i", ("x",)), ("i>i", (None,)), ("i>i", (1.5,)), ("P>i", ("x",)),
        ("Z>i", (b"x",)), ("x>i", (1,)), ("i>x", (1,)), ("i", (1,)), ("Q" * 15 + ">i", range(15)), ("i>Z", (1,)),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(ffi: Any, address: Any, prototype: str, arguments: Any) -> None:
    """Nothing is called."""
    with pytest.raises(TypeError):
        ffi.call(address("abort"), prototype, *arguments)


def test_what_is_not_there_is_said_so(ffi: Any) -> None:
    """A library: 0. A function: AttributeError. An address of 0 is never called or read."""
    assert ffi.load("libno-such-thing.so") == 0
    with pytest.raises(AttributeError, match="no_such_function"):
        ffi.symbol(ffi.load(None), "no_such_function")
    for refused in (lambda: ffi.call(0, ">i"), lambda: ffi.peek(0, 1), lambda: ffi.text(0)):
        with pytest.raises(ValueError, match="there is no"):
            refused()


def test_the_last_error_is_of_this_threads_last_call(ffi: Any, address: Any) -> None:
    """Another thread's calls don't change it."""
    close, found = address("close"), []

    def fail_otherwise() -> None:
        ffi.call(address("chdir"), "P>i", b"/no/such\0")
        found.append(ffi.last_error())

    assert ffi.call(close, "i>i", -1) == -1
    thread = threading.Thread(target=fail_otherwise)
    thread.start()
    thread.join(PATIENCE_S)
    assert (ffi.last_error(), found) == (errno.EBADF, [errno.ENOENT])


def test_other_threads_run_during_a_call(ffi: Any, address: Any) -> None:
    """A read that blocks is ended by what another thread of Python writes."""
    reading, writing = os.pipe()
    writer = threading.Timer(0.01, os.write, (writing, b"x"))
    writer.start()
    assert ffi.call(address("read"), "iPQ>Q", reading, bytearray(1), 1) == 1
    for fd in (reading, writing):
        os.close(fd)


def test_no_other_thread_runs_during_a_call_that_keeps_the_gil(ffi: Any, address: Any) -> None:
    """One that is ready to run waits until the call is over."""
    gate, ran = threading.Event(), []
    thread = threading.Thread(target=lambda: (gate.wait(PATIENCE_S), ran.append(1)))
    thread.start()
    before = sys.getswitchinterval()
    sys.setswitchinterval(PATIENCE_S)
    try:
        gate.set()
        ffi.call(address("usleep"), "!I>i", 50_000)
        during = list(ran)
    finally:
        sys.setswitchinterval(before)
    thread.join(PATIENCE_S)
    assert (during, ran) == ([], [1])


def test_c_calls_python(ffi: Any, address: Any) -> None:
    """A callback gets pointers as ints, and its answer is C's."""
    numbers = bytearray(b"".join(one.to_bytes(4, "little") for one in (5, 3, 9, 1)))

    def order(a: int, b: int) -> int:
        return int.from_bytes(ffi.peek(a, 4), "little") - int.from_bytes(ffi.peek(b, 4), "little")

    callback = ffi.callback("PP>i", order)
    ffi.call(address("qsort"), "PQQP>", numbers, 4, 4, callback)
    ffi.release(callback)
    assert [numbers[at] for at in range(0, 16, 4)] == [1, 3, 5, 9]


def test_a_thread_that_python_does_not_know_calls_python(ffi: Any, address: Any) -> None:
    """As the system's threads do; a null pointer is None."""
    found, thread = [], bytearray(8)

    def note(argument: int | None) -> int:
        found.append((argument, threading.get_native_id()))
        return 5

    callback = ffi.callback("P>P", note)
    assert ffi.call(address("pthread_create"), "PPPP>i", thread, None, callback, None) == 0
    result = bytearray(8)
    ffi.call(address("pthread_join"), "QP>i", int.from_bytes(thread, "little"), result)
    ffi.release(callback)
    assert result[0] == 5
    assert [argument for argument, _ in found] == [None]
    assert found[0][1] != threading.get_native_id()


@pytest.mark.parametrize("answer", [1 / 3, "x", ValueError("no")])
def test_what_a_callback_raises_is_printed(ffi: Any, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    """C gets 0; so it does for an answer that is no number."""
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: seen.append(told.exc_type))

    def give() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    callback = ffi.callback(">i", give)
    assert ffi.call(callback, ">i") == 0
    ffi.release(callback)
    assert seen == [ValueError if isinstance(answer, Exception) else TypeError]


def test_callbacks_are_not_endless_and_can_be_given_back(ffi: Any) -> None:
    """One that was given back does nothing any more, and its place is another's."""
    kept = [ffi.callback("i>i", int) for _ in range(CALLBACKS)]
    assert len(set(kept)) == CALLBACKS
    with pytest.raises(RuntimeError, match="too many"):
        ffi.callback("i>i", int)
    assert [ffi.call(one, "i>i", 7) for one in kept] == [7] * CALLBACKS
    for one in kept:
        ffi.release(one)
    assert [ffi.call(one, "i>i", 7) for one in kept] == [0] * CALLBACKS
    ffi.release(ffi.callback("i>i", int))


def test_a_callback_that_is_given_back_while_it_runs_ends_well(ffi: Any) -> None:
    """Its answer still arrives."""
    addresses: list[int] = []

    def give() -> int:
        ffi.release(addresses[0])
        return 3

    addresses.append(ffi.callback(">i", give))
    assert ffi.call(addresses[0], ">i") == 3
    assert ffi.call(addresses[0], ">i") == 0


@pytest.mark.parametrize("prototype", ["i", "iiiiii>i", "Z>i", "i>ii", "x>i"])
def test_a_callback_that_c_could_not_call_is_refused(ffi: Any, prototype: str) -> None:
    """At most five numbers or pointers, and one result."""
    with pytest.raises(TypeError):
        ffi.callback(prototype, int)


def test_memory_is_read(ffi: Any) -> None:
    """Bytes as they are; text in UTF-16 up to its zero, lone surrogates too."""
    data = "äöü🐍\ud800".encode("utf-16-le", "surrogatepass") + b"\0\0rest"
    assert ffi.peek(ffi.address(data), len(data)) == data
    assert ffi.text(ffi.address(data)) == "äöü🐍\ud800"


def test_the_c_library_does_the_same_through_both_ways(ffi: Any, tmp_path: Path) -> None:
    """``libc_native`` and ``libc_ctypes``: functions, addresses, pointers that are filled in, errors."""
    del ffi  # it has to be there
    from stayon.platforms import libc_ctypes, libc_native

    def seen(libc: Any) -> list[Any]:
        library, room = libc.Library(), libc.Pointer()
        found: list[Any] = [library.has("getpid"), library.has("no_such_function"), library.address("getpid")]
        found += [library.getpid(), library.close(-1), libc.errno(), room.value]
        made = library.posix_memalign(libc.reference(room), libc.Pointer(64), libc.Pointer(64))
        found += [made, (room.value or 1) % 64, library.free(room) is None, libc.Pointer(5).value]
        found += [library.access(os.fsencode(tmp_path), os.R_OK)]
        for lost in (lambda: library.no_such_function, lambda: libc.Library("libno-such-thing.so")):
            with pytest.raises(OSError, match="no"):
                lost()
        return found

    assert seen(libc_native) == seen(libc_ctypes)
