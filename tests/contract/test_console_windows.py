"""A console of Windows as the starter: the keys are pressed for real, in a child with a console of its own."""

from __future__ import annotations

import sys

import pytest

if sys.platform != "win32":
    pytest.skip("only Windows has such consoles", allow_module_level=True)

from stayon.platforms.presses import SAME_PRESS_S
from stayon.platforms.windows.console import WindowsConsole
from stayon.testing.clock import ManualClock

CREATE_NO_WINDOW = 0x08000000  # a console that nobody sees

LISTENER = """
import os, sys, threading, time
from stayon.platforms.windows import win32
from stayon.platforms.windows.console import WindowsConsole
from stayon.platforms.windows.poller import WindowsPoller
kernel32 = win32.Library(
    "kernel32.dll", GenerateConsoleCtrlEvent="II>i", WaitForSingleObject="PI>I", CreateEventW="PiiZ>P"
)
console, poller = WindowsConsole(), WindowsPoller()
handle = console.attach()
poller.register(handle, 1)
def press():
    if not kernel32.GenerateConsoleCtrlEvent(0, 0):
        raise OSError(win32.text_of(win32.last_error()))
def hear():
    poller.wait(10)
    for request in console.requests():
        print(request.event, request.source, request.exit_code, flush=True)
"""


@pytest.fixture
def lines(run_python):
    """Call it with what the child does after ``LISTENER`` to get the lines it prints, and its exit code."""

    def run(program: str) -> tuple[list[str], int]:
        child = run_python(LISTENER + program, creationflags=CREATE_NO_WINDOW)
        output, errors = child.communicate(timeout=20)
        assert errors == ""
        return output.splitlines(), child.returncode

    return run


def test_ctrl_c_asks_for_a_stop_and_then_forces(lines) -> None:
    """With the exit code for a service that was not ready yet; the process lives on. The second press is by force."""
    program = f"press()\nhear()\ntime.sleep({2 * SAME_PRESS_S})\npress()\nhear()\n"
    assert lines(program) == (["stop Ctrl-C 130", "force Ctrl-C 130"], 0)


def test_ctrl_break_asks_for_a_stop() -> None:
    """With an exit code of its own. (The handler is called by hand: Wine's console knows no Ctrl-Break.)"""
    console = WindowsConsole()
    console.attach()
    assert console.hear(1) == 1
    assert [(one.event, one.source, one.exit_code) for one in console.requests()] == [("stop", "Ctrl-Break", 143)]
    console.detach()
    assert console.hear(1) == 0


def test_a_main_thread_stuck_in_c_code_does_not_matter(lines) -> None:
    """The main thread waits for ever, deep in kernel32; the key is heard by the thread that listens."""
    program = """
def listen():
    press()
    hear()
    os._exit(7)
threading.Thread(target=listen).start()
kernel32.WaitForSingleObject(kernel32.CreateEventW(None, 0, 0, None), 0xFFFFFFFF)
"""
    assert lines(program) == (["stop Ctrl-C 130"], 7)


def test_detached_the_keys_are_python_s_again(lines) -> None:
    """Ctrl-C is a KeyboardInterrupt, as it was before; detaching twice is harmless."""
    program = """
console.detach()
console.detach()
assert console.requests() == []
try:
    press()
    time.sleep(10)
except KeyboardInterrupt:
    print("interrupted")
"""
    assert lines(program) == (["interrupted"], 0)


def test_a_press_that_came_twice_at_once_does_not_force() -> None:
    """A wrapper that passes Ctrl-C on, though the console has sent it already, is not a second press."""
    clock = ManualClock()
    console = WindowsConsole(clock.monotonic)
    console.attach()
    console.hear(0)
    console.hear(0)
    assert [request.event for request in console.requests()] == ["stop"]
    clock.advance(2 * SAME_PRESS_S)
    console.hear(0)
    assert [request.event for request in console.requests()] == ["force"]
    console.detach()


def test_the_end_of_the_console_is_a_stop_that_waits_for_ours(lines) -> None:
    """The window is closed: it is heard at once, and the handler, whose return would end the process, does not return
    before us.
    """
    program = """
closing = threading.Thread(target=console.hear, args=(2,), daemon=True)
closing.start()
hear()
closing.join(0.3)
print(closing.is_alive())
"""
    assert lines(program) == (["stop console 143", "True"], 0)
