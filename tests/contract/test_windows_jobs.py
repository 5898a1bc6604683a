"""The Launcher port on Windows: Job objects, what children inherit, and how they are asked to end."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from stayon.errors import NotPermittedError, UnavailableError
from stayon.platforms.windows import win32

pytestmark = pytest.mark.windows

SYNCHRONIZE = 0x100000


@pytest.fixture
def launcher():
    from stayon.platforms.windows.jobs import JobLauncher

    return JobLauncher()


@pytest.fixture
def without_wine() -> None:
    if hasattr(win32.Library("ntdll.dll", wine_get_version=">P"), "wine_get_version"):
        pytest.skip("Wine has no Ctrl-Break")


def read_all(child) -> bytes:
    found = b""
    while block := os.read(child.output, 65536):
        found += block
    os.close(child.output)
    return found


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-S", "-c", program, *arguments]


class Watched:
    """A process of which only the number is known."""

    def __init__(self, pid: int) -> None:
        import _winapi

        self.winapi: Any = _winapi
        self.handle = self.winapi.OpenProcess(SYNCHRONIZE, False, pid)

    def ends_within(self, limit_s: float) -> bool:
        return self.winapi.WaitForSingleObject(self.handle, int(limit_s * 1000)) == 0

    def close(self) -> None:
        self.winapi.CloseHandle(self.handle)


LAUNCHES = """
import os, sys
from stayon.platforms.windows.jobs import JobLauncher
child = JobLauncher().spawn([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
sys.stdin.read()
"""

ADOPTS = """
import subprocess, sys
from stayon.platforms.windows.jobs import adopt_self
assert adopt_self()
assert adopt_self()
sleeper = [sys.executable, "-S", "-c", "input()"]
child = f"import subprocess; print(subprocess.Popen({sleeper!r}, stdin=0).pid, flush=True)"
subprocess.run([sys.executable, "-S", "-c", child], stdin=subprocess.PIPE)
sys.stdin.read()
"""


@pytest.mark.parametrize("program", [LAUNCHES, ADOPTS])
def test_nothing_outlives_a_process_that_is_killed(run_python, program: str) -> None:
    """Neither what it launched, nor, once it has adopted itself, what is left of what it started in any other way."""
    parent = run_python(program, stdin=-1)
    left = Watched(int(parent.stdout.readline()))
    assert not left.ends_within(0.1)
    parent.kill()
    assert left.ends_within(10)
    left.close()


def test_who_drops_a_child_ends_it(launcher) -> None:
    """Nobody could end it any more."""
    child = launcher.spawn(python("import time; time.sleep(600)"))
    left = Watched(child.pid)
    os.close(child.output)
    del child
    assert left.ends_within(10)
    left.close()


def test_it_inherits_its_three_handles_only(launcher) -> None:
    """Whatever else of ours is inheritable stays ours."""
    import msvcrt

    library: Any = msvcrt
    leak = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(leak, True)
    asks = "import os, sys, _winapi; print(_winapi.GetFileType(int(sys.argv[1])))"
    child = launcher.spawn(python(asks, str(library.get_osfhandle(leak))))
    said = read_all(child).strip()  # FILE_TYPE_UNKNOWN, or that it is no handle; NUL is a FILE_TYPE_CHAR
    assert said == b"0" or b"OSError" in said
    assert child.wait(5) is not None
    os.close(leak)


def test_a_batch_file_is_not_started(launcher, tmp_path, monkeypatch) -> None:
    """cmd.exe would take its arguments apart by rules of its own, and run what is in them."""
    (tmp_path / "job.bat").write_text("echo started")
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("job.bat", str(tmp_path / "JOB.BAT")):
        with pytest.raises(UnavailableError, match="shell") as caught:
            launcher.spawn([name])
        assert caught.value.code == "launch.failed"


def test_the_current_directory_is_no_place_for_programs(launcher, tmp_path, monkeypatch) -> None:
    """What lies where we happen to be may be anybody's; in PATH it is found, with and without .exe."""
    (tmp_path / "tool.exe").write_text("no program")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnavailableError, match="full path"):
        launcher.spawn(["tool"])
    monkeypatch.setenv("PATH", f'{tmp_path};"{os.path.dirname(sys.executable)}"')
    child = launcher.spawn([os.path.basename(sys.executable).removesuffix(".exe"), "-S", "-c", "print(1)"])
    assert read_all(child).strip() == b"1"
    with pytest.raises(UnavailableError, match="no program for this computer"):
        launcher.spawn(["tool"])


def test_how_it_crashed_is_a_negative_exit_code(launcher) -> None:
    """An access violation; what a program says itself is not below 0."""
    child = launcher.spawn(python("import os; os._exit(-0x3ffffffb)"))
    os.close(child.output)
    assert child.wait(10) == 0xC0000005 - (1 << 32)


@pytest.mark.usefixtures("without_wine")
def test_asked_to_stop_it_ends_in_its_own_way(launcher) -> None:
    """Ctrl-Break reaches it, and not us; its exit code is its own."""
    handles = """
import signal, sys, time
def end(*_): print("bye", flush=True); sys.exit(7)
signal.signal(signal.SIGBREAK, end)
print("up", flush=True)
while True: time.sleep(0.05)
"""
    child = launcher.spawn(python(handles))
    assert os.read(child.output, 2) == b"up"
    assert child.stop(30) == 7
    assert read_all(child).split() == [b"bye"]


# A program with a window, as small as it can be: the window's own procedure destroys it at WM_CLOSE.
WINDOW = """
import ctypes
from ctypes import wintypes
user32 = ctypes.WinDLL("user32")
user32.CreateWindowExW.restype = wintypes.HWND
text = wintypes.LPCWSTR
numbers, pointers = [ctypes.c_int] * 4, [ctypes.c_void_p] * 4
user32.CreateWindowExW.argtypes = [wintypes.DWORD, text, text, wintypes.DWORD, *numbers, *pointers]
user32.IsWindow.argtypes = [wintypes.HWND]
user32.GetMessageW.argtypes = [ctypes.c_void_p, wintypes.HWND, ctypes.c_uint, ctypes.c_uint]
user32.DispatchMessageW.argtypes = [ctypes.c_void_p]
window = user32.CreateWindowExW(0, "Static", "x", 0, 0, 0, 9, 9, None, None, None, None)
print("up" if window else "no", end="", flush=True)
message = wintypes.MSG()
while window and user32.IsWindow(window):
    user32.GetMessageW(ctypes.byref(message), None, 0, 0)
    user32.DispatchMessageW(ctypes.byref(message))
raise SystemExit(7)
"""


def test_a_program_with_a_window_is_asked_to_close_it(launcher) -> None:
    """WM_CLOSE, as a click on its cross is."""
    child = launcher.spawn(python(WINDOW))
    said = os.read(child.output, 2)
    exit_code = child.stop(30)
    os.close(child.output)
    if said == b"no":
        pytest.skip("no window can be made here: there is no display")
    assert (said, exit_code) == (b"up", 7)


@pytest.mark.parametrize(("code", "kind"), [(5, NotPermittedError), (740, NotPermittedError), (1455, UnavailableError)])
def test_what_the_system_refuses_is_told(launcher, monkeypatch, code: int, kind: type[Exception]) -> None:
    """Rights (exit code 77), elevation (77), memory (69): each with what to do."""
    import _winapi

    def refuse(*_arguments) -> None:
        raise OSError(0, "no", None, code)

    monkeypatch.setattr(_winapi, "CreateProcess", refuse)
    with pytest.raises(kind, match="no"):
        launcher.spawn([sys.executable])
