"""Starting anew in a console of Windows: the first process stays, and is one to who started it."""

from __future__ import annotations

import sys

import pytest

if sys.platform != "win32":
    pytest.skip("elsewhere a process is replaced", allow_module_level=True)

# Each generation says which it is and who, and the third is the last. A thread of each goes on counting.
GENERATIONS = """
import os, sys, threading, time
from stayon.platforms.windows import prepare, successor
prepare.prepare()
generation = int(os.environ.get("GENERATION", "1"))
print(generation, os.getpid(), "STAYON_WAITER" in os.environ, flush=True)
def count():
    while True:
        print("thread of", generation, flush=True)
        time.sleep(0.05)
if generation == 1:
    threading.Thread(target=count, daemon=True).start()
if generation == 3:
    time.sleep(0.5)
    sys.exit(int(sys.argv[1]))
successor.become([sys.executable, *sys.orig_argv[1:]], {"GENERATION": str(generation + 1)})
"""


def test_one_process_stays_and_ends_as_the_last(run_python) -> None:
    """Three generations have two processes at a time, the exit code of the last is that of the first, and the first
    one's threads stand still.
    """
    child = run_python(GENERATIONS, "23")
    output, errors = child.communicate(timeout=30)
    lines = output.splitlines()
    told = [line.split() for line in lines if not line.startswith("thread")]
    assert (errors, child.returncode) == ("", 23)
    assert [(number, is_told) for number, _, is_told in told] == [("1", "False"), ("2", "False"), ("3", "False")]
    assert told[0][1] == str(child.pid)
    assert len({pid for _, pid, _ in told}) == 3
    assert "thread of 1" not in lines[lines.index(" ".join(told[2])) + 2 :]


def test_a_crash_of_the_last_is_passed_on(run_python) -> None:
    """A code beyond C's int arrives as it is."""
    program = GENERATIONS.replace("sys.exit(int(sys.argv[1]))", "os._exit(0xC0000005 - 2**32)")
    child = run_python(program)
    child.communicate(timeout=30)
    assert child.returncode & 0xFFFFFFFF == 0xC0000005


def test_what_cannot_be_started_is_an_error(run_python) -> None:
    """As exec has it: the process goes on."""
    program = """
from stayon.platforms.windows import successor
try:
    successor.become(["C:\\\\no\\\\such.exe"], {})
except OSError as error:
    print(type(error).__name__)
"""
    assert run_python(program).communicate(timeout=20)[0] == "FileNotFoundError\n"
