"""The Deadman port: not fed in time, the process ends with its stacks on record, whatever holds it up."""

from __future__ import annotations

import os
import sys
import time

import pytest

from stayon import exits
from stayon.testing.clock import ManualClock
from stayon.testing.deadman import FakeDeadman

# The real ones end their process, so each lives in a child. What the child does is given as the last argument.
PRELUDE = """
import ctypes, os, sys, threading, time
from {module} import {names}
name, crash_path = sys.argv[1:]
deadman = globals()[name](crash_path)
def sleep_keeping_the_gil(seconds):
    if os.name == "nt":
        ctypes.PyDLL("kernel32").Sleep(1000 * seconds)
    else:
        ctypes.PyDLL(None).sleep(seconds)
"""
TIMERS = "TimerDeadman"
if sys.platform == "win32":
    from stayon.platforms.windows.deadman import WindowsDeadman

    MAKERS = [WindowsDeadman]
    REAL = [pytest.param("WindowsDeadman", exits.HANG)]
    PRELUDE = PRELUDE.format(module="stayon.platforms.windows.deadman", names="WindowsDeadman")
else:
    from stayon.platforms.deadman import FaulthandlerDeadman, TimerDeadman

    MAKERS = [TimerDeadman, FaulthandlerDeadman]
    REAL = [
        pytest.param(TIMERS, exits.HANG, marks=pytest.mark.linux),
        # faulthandler's own exit code: there is no other way without timers.
        pytest.param("FaulthandlerDeadman", 1),
    ]
    PRELUDE = PRELUDE.format(module="stayon.platforms.deadman", names="TimerDeadman, FaulthandlerDeadman")


@pytest.fixture
def live(run_python, tmp_path):
    """Call it with a deadman's name and a program to get the exit code, the crash file's text, and stderr."""

    def run(name: str, program: str, limit_s: float = 20.0):
        crash_path = tmp_path / "crash"
        child = run_python(PRELUDE + program, name, str(crash_path))
        _, errors = child.communicate(timeout=limit_s)
        return child.returncode, crash_path.read_text() if crash_path.exists() else "", errors

    return run


HOLD_THE_GIL = """
def hold_the_gil():
    sleep_keeping_the_gil(30)
def arm():
    deadman.arm(0.3)
    armed.set()
    threading.Event().wait()
armed = threading.Event()
threading.Thread(target=arm, daemon=True).start()
armed.wait()
hold_the_gil()
"""

WAIT_FOR_EVER = """
def wait_for_ever():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
deadman.arm(0.2)
wait_for_ever()
"""


@pytest.mark.parametrize(("name", "code"), REAL)
def test_it_ends_a_process_whose_c_code_holds_the_gil(live, name: str, code: int) -> None:
    """No Python can run any more, in no thread: the process ends all the same, and the crash file names the culprit."""
    before = time.monotonic()
    exit_code, crash, _ = live(name, HOLD_THE_GIL)
    assert exit_code == code
    assert "hold_the_gil" in crash
    assert time.monotonic() - before < 10


@pytest.mark.linux
def test_stderr_gets_the_stacks_too(live) -> None:
    """Whoever reads the output (journald, docker logs) needn't know of the crash file."""
    _, _, errors = live(TIMERS, HOLD_THE_GIL)
    assert "hold_the_gil" in errors


@pytest.mark.parametrize(("name", "code"), REAL)
def test_it_ends_a_process_that_waits_for_ever(live, name: str, code: int) -> None:  # 86 everywhere
    """The ordinary hang: a lock that nobody will open."""
    exit_code, crash, _ = live(name, WAIT_FOR_EVER)
    assert (exit_code, "wait_for_ever" in crash) == (exits.HANG, True)


@pytest.mark.parametrize(("name", "_code"), REAL)
def test_it_lets_a_process_live_that_feeds_it(live, name: str, _code: int) -> None:
    """Fed more often than the timeout, and disarmed at last: nothing happens, and no dump is left."""
    program = """
for _ in range(8):
    deadman.arm(0.25)
    time.sleep(0.1)
deadman.disarm()
deadman.disarm()
time.sleep(0.7)
"""
    assert live(name, program) == (0, "", "")


@pytest.mark.parametrize(("name", "_code"), REAL)
def test_it_dumps_safely_while_other_threads_run(live, name: str, _code: int) -> None:
    """Threads come and go, and recurse: reading their stacks without the GIL would crash, so who reads holds it."""
    program = """
def deep(n):
    return n if n <= 0 else deep(n - 1) + len([i for i in range(n)])
def churn():
    while True:
        short = threading.Thread(target=deep, args=(50,))
        short.start()
        deep(50)
        short.join()
threading.Thread(target=churn, daemon=True).start()
threading.Thread(target=churn, daemon=True).start()
deadman.arm(0.2)
churn()
"""
    exit_code, crash, _ = live(name, program)
    assert (exit_code, "churn" in crash) == (exits.HANG, True)


@pytest.mark.linux
def test_a_signal_does_not_wake_what_sleeps_in_c(live) -> None:
    """The main thread sleeps in libc: the dump's signal goes to the thread that fed, or the sleep would end and the
    hang hide.
    """
    program = """
import signal
def arm():
    deadman.arm(0.3)
    armed.set()
    threading.Event().wait()
armed = threading.Event()
threading.Thread(target=arm, daemon=True).start()
armed.wait()
left = ctypes.CDLL(None).sleep(30)
os._exit(99)
"""
    assert live(TIMERS, program)[0] == exits.HANG


@pytest.mark.linux
def test_a_full_stderr_does_not_stop_the_end(run_python, tmp_path) -> None:
    """A pipe that nobody reads is full: the crash file is written first, and the process ends in time."""
    read_fd, write_fd = os.pipe()
    fill = """
os.set_blocking(2, False)
try:
    while os.write(2, b'x' * 4096):
        pass
except BlockingIOError:
    os.set_blocking(2, True)
"""
    child = run_python(PRELUDE + fill + HOLD_THE_GIL, TIMERS, str(tmp_path / "crash"), stderr=write_fd)
    os.close(write_fd)
    assert child.wait(10) == exits.HANG
    assert "hold_the_gil" in (tmp_path / "crash").read_text()
    os.close(read_fd)


@pytest.mark.linux
def test_a_forked_child_is_not_watched(live) -> None:
    """Timers are not inherited, so a worker that was forked outlives the timeout."""
    program = """
deadman.arm(0.3)
pid = os.fork()
if pid == 0:
    time.sleep(0.9)
    os._exit(7)
deadman.disarm()
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=sys.stderr)
"""
    exit_code, _, errors = live(TIMERS, program)
    assert (exit_code, errors[-2:]) == (0, "7\n")


@pytest.mark.linux
def test_feeding_costs_little_and_leaks_nothing(live) -> None:
    """Less than a millisecond of processor time each, no thread and no descriptor more than after the first."""
    program = """
deadman.arm(60)
count = lambda: (len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")))
before, begun = count(), time.process_time()
for _ in range(500):
    deadman.arm(60)
assert time.process_time() - begun < 0.5
assert count() == before, (count(), before)
deadman.disarm()
"""
    assert live(TIMERS, program) == (0, "", "")


@pytest.mark.linux
@pytest.mark.macos
@pytest.mark.parametrize(("name", "_code"), REAL)
def test_the_crash_file_is_private(live, tmp_path, name: str, _code: int) -> None:
    """Stacks may tell secrets: mode 0600, and what a former process left is gone."""
    (tmp_path / "crash").write_text("old stacks")
    (tmp_path / "crash").chmod(0o600)
    assert live(name, "deadman.arm(60)\ntime.sleep(0)\nos._exit(0)") == (0, "", "")
    (tmp_path / "crash").unlink()
    live(name, "os.umask(0)\ndeadman.arm(60)\nos._exit(0)")
    assert (tmp_path / "crash").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("make", MAKERS)
def test_a_crash_file_that_cannot_be_made_is_an_error(tmp_path, make) -> None:
    """Arming says so; it is not found out at the hang."""
    with pytest.raises(OSError, match="missing"):
        make(str(tmp_path / "missing" / "crash")).arm(60)


@pytest.mark.windows
def test_a_hang_in_a_dll_s_start_is_ended_too(beyond_wine, live) -> None:
    """Who holds the loader's lock keeps ExitProcess waiting; then TerminateProcess ends it, with a code of its own."""
    # One time in seven, none of Wine's timers begins while somebody keeps that lock.
    program = """
ntdll = ctypes.PyDLL("ntdll")
deadman.arm(0.3)
magic = ctypes.c_size_t()
ntdll.LdrLockLoaderLock(0, None, ctypes.byref(magic))
sleep_keeping_the_gil(30)
"""
    exit_code, crash, _ = live("WindowsDeadman", program)
    assert exit_code == 1
    assert "sleep_keeping_the_gil" in crash


@pytest.mark.windows
def test_feeding_it_costs_little(live) -> None:
    """Less than five milliseconds of processor time each, where a hang timeout has three of them."""
    program = """
deadman.arm(60)
begun = time.process_time()
for _ in range(200):
    deadman.arm(60)
spent = time.process_time() - begun
assert spent < 1.0, spent
deadman.disarm()
"""
    assert live("WindowsDeadman", program) == (0, "", "")


def test_the_fake_fires_in_virtual_time(tmp_path) -> None:
    """Fed in time it doesn't; then it does, once, at its moment, with stacks in the crash file."""
    clock = ManualClock(monotonic=0)
    fired: list[FakeDeadman] = []
    fake = FakeDeadman(clock, str(tmp_path / "crash"), fired.append)
    fake.arm(30)
    clock.advance(20)
    fake.arm(30)
    clock.advance(29)
    assert fired == []
    clock.advance(100)
    assert (fired, fake.fired_at, fake.fed) == ([fake], 50, 2)
    assert "test_the_fake_fires_in_virtual_time" in (tmp_path / "crash").read_text()


def test_the_fake_can_be_disarmed(tmp_path) -> None:
    """Disarmed, before or after arming, it never fires."""
    clock = ManualClock(monotonic=0)
    fake = FakeDeadman(clock, str(tmp_path / "crash"))
    fake.disarm()
    fake.arm(30)
    fake.disarm()
    clock.advance(1000)
    assert fake.fired_at is None
