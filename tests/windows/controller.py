"""Runs on Windows' Python, for the tests: asks the Service Control Manager, and looks at processes.

A request is a line of JSON on standard input, ``[7, "status", "collector"]``, its answer one on standard output,
``[7, null, {"state": "RUNNING", ...}]``, or ``[7, 1060, "OpenServiceW"]``: the error's number, and whose it was. Each
is done on a thread of its own. Plain ctypes, none of ours: a foreign client, and an ordinary process that stays.
"""

from __future__ import annotations

import ctypes
import json
import struct
import sys
import threading
import time
import winreg
from ctypes import wintypes
from typing import Any

advapi: Any = ctypes.WinDLL("advapi32", use_last_error=True)  # type: ignore[attr-defined]  # Windows has it
kernel: Any = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]  # Windows has it
ntdll: Any = ctypes.WinDLL("ntdll")  # type: ignore[attr-defined]  # Windows has it
for function in ("OpenSCManagerW", "CreateServiceW", "OpenServiceW"):
    getattr(advapi, function).restype = wintypes.HANDLE
for function in ("OpenProcess", "CreateToolhelp32Snapshot"):
    getattr(kernel, function).restype = wintypes.HANDLE

ALL_ACCESS = 0xF01FF
OWN_PROCESS, DEMAND_START, NORMAL_ERROR = 0x10, 3, 1
INTERROGATE = 4
PROCESS_ALL_ACCESS = 0x1FFFFF
SYSTEM_EXTENDED_HANDLES = 64
TIMED_OUT = 258  # WAIT_TIMEOUT
LOOK_S = 0.001  # NotifyServiceStatusChange tells no more of what came between than looking does, and misses the same
STATES = ("", "STOPPED", "START_PENDING", "STOP_PENDING", "RUNNING", "CONTINUE_PENDING", "PAUSE_PENDING", "PAUSED")
FIELDS = ("kind", "state", "accepted", "exit_code", "specific", "checkpoint", "wait_hint_ms", "pid", "flags")


class CallError(Exception):
    """A call failed: the error's number, and the call."""


class Status(ctypes.Structure):
    """SERVICE_STATUS_PROCESS."""

    _fields_ = [(name, wintypes.DWORD) for name in FIELDS]


class Process(ctypes.Structure):
    """PROCESSENTRY32W."""

    _fields_ = [
        ("size", wintypes.DWORD), ("usage", wintypes.DWORD), ("pid", wintypes.DWORD), ("heap", ctypes.c_void_p),
        ("module", wintypes.DWORD), ("threads", wintypes.DWORD), ("parent", wintypes.DWORD),
        ("priority", wintypes.LONG), ("flags", wintypes.DWORD), ("program", wintypes.WCHAR * 260),
    ]  # fmt: skip


def checked(result: Any, call: str) -> Any:
    """*result*, unless it says that *call* failed."""
    if not result:
        raise CallError(ctypes.get_last_error(), call)  # type: ignore[attr-defined]  # Windows has it
    return result


class Service:
    """An open service, for a ``with``: closed at once after use, as an open handle keeps one from being deleted."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> Any:
        self._handle = wintypes.HANDLE(checked(advapi.OpenServiceW(scm, self._name, ALL_ACCESS), "OpenServiceW"))
        return self._handle

    def __exit__(self, *_: object) -> None:
        advapi.CloseServiceHandle(self._handle)


def create(name: str, command: str) -> None:
    """Install a service with nothing but its command line."""
    handle = advapi.CreateServiceW(
        scm, name, name, ALL_ACCESS, OWN_PROCESS, DEMAND_START, NORMAL_ERROR, command, None, None, None, None, None
    )
    advapi.CloseServiceHandle(wintypes.HANDLE(checked(handle, "CreateServiceW")))


def delete(name: str) -> None:
    """Take a service away."""
    with Service(name) as service:
        checked(advapi.DeleteService(service), "DeleteService")


def status(name: str) -> dict[str, Any]:
    """How a service is."""
    with Service(name) as service:
        return _status(service)


def _status(service: Any) -> dict[str, Any]:
    found, needed = Status(), wintypes.DWORD()
    size = ctypes.sizeof(found)
    checked(
        advapi.QueryServiceStatusEx(service, 0, ctypes.byref(found), size, ctypes.byref(needed)), "QueryServiceStatusEx"
    )
    told = {field: getattr(found, field) for field in FIELDS}
    return {**told, "state": STATES[found.state]}


def start(name: str, *arguments: str) -> None:
    """StartServiceW; does not wait until it is running."""
    with Service(name) as service:
        words = (wintypes.LPCWSTR * len(arguments))(*arguments)
        checked(advapi.StartServiceW(service, len(arguments), words), "StartServiceW")


def control(name: str, code: int) -> None:
    """ControlService; does not wait for its effect."""
    with Service(name) as service:
        checked(advapi.ControlService(service, code, ctypes.byref(Status())), "ControlService")


def wait(name: str, states: list[str], limit_s: float) -> dict[str, Any]:
    """Wait until a service is in one of *states*; gives its status, and every other that was seen on the way there."""
    deadline = time.monotonic() + limit_s
    seen: list[dict[str, Any]] = []
    with Service(name) as service:
        while True:
            found = _status(service)
            if not seen or found != seen[-1]:
                seen.append(found)
            if found["state"] in states:
                return {**found, "seen": seen}
            if time.monotonic() > deadline:
                raise CallError(TIMED_OUT, f"{name} is still {found['state']}")
            time.sleep(LOOK_S)


def storm(name: str, codes: list[int], rounds: int) -> dict[str, Any]:
    """Send all *codes*, *rounds* times over; gives how often each error came, and the longest answer in seconds."""
    errors: dict[int, int] = {}
    longest_s = 0.0
    answer = Status()
    with Service(name) as service:
        for _ in range(rounds):
            for code in codes:
                began = time.perf_counter()
                done = advapi.ControlService(service, code, ctypes.byref(answer))
                longest_s = max(longest_s, time.perf_counter() - began)
                error = 0 if done else ctypes.get_last_error()  # type: ignore[attr-defined]  # Windows has it
                errors[error] = errors.get(error, 0) + 1
    return {"errors": errors, "longest_s": longest_s}


def terminate(pid: int, exit_code: int) -> None:
    """End a process as ``kill -9`` does, and wait until it is gone."""
    process = wintypes.HANDLE(checked(kernel.OpenProcess(PROCESS_ALL_ACCESS, False, pid), "OpenProcess"))
    checked(kernel.TerminateProcess(process, exit_code), "TerminateProcess")
    kernel.WaitForSingleObject(process, 10_000)
    kernel.CloseHandle(process)


def exit_code(pid: int, limit_s: float) -> int:
    """Wait for the end of a process that is still there; gives its exit code."""
    process = wintypes.HANDLE(checked(kernel.OpenProcess(PROCESS_ALL_ACCESS, False, pid), "OpenProcess"))
    try:
        if kernel.WaitForSingleObject(process, int(limit_s * 1000)) != 0:
            raise CallError(TIMED_OUT, f"process {pid} is still there")
        found = wintypes.DWORD()
        checked(kernel.GetExitCodeProcess(process, ctypes.byref(found)), "GetExitCodeProcess")
        return found.value
    finally:
        kernel.CloseHandle(process)


def _processes() -> list[Process]:
    snapshot = wintypes.HANDLE(checked(kernel.CreateToolhelp32Snapshot(2, 0), "CreateToolhelp32Snapshot"))
    found, entry = [], Process(size=ctypes.sizeof(Process))
    more = kernel.Process32FirstW(snapshot, ctypes.byref(entry))
    while more:
        found.append(Process.from_buffer_copy(entry))
        more = kernel.Process32NextW(snapshot, ctypes.byref(entry))
    kernel.CloseHandle(snapshot)
    return found


def children(pid: int) -> list[int]:
    """The pids of the processes that *pid* has started."""
    return [process.pid for process in _processes() if process.parent == pid]


def alive(pid: int) -> bool:
    """Whether there is a process with this pid."""
    return any(process.pid == pid for process in _processes())


def figures(pid: int) -> dict[str, int]:
    """How many threads and kernel handles a process has. (Wine's GetProcessHandleCount says 0.)"""
    room = ctypes.create_string_buffer(1 << 20)
    error = ntdll.NtQuerySystemInformation(SYSTEM_EXTENDED_HANDLES, room, len(room), None)
    if error:
        raise CallError(error & 0xFFFFFFFF, "NtQuerySystemInformation")
    (count,) = struct.unpack_from("Q", room)
    handles = sum(owner == pid for _, owner, *_ in struct.iter_unpack("PQQIHHII", room.raw[16 : 16 + 40 * count]))
    return {"handles": handles, "threads": sum(each.threads for each in _processes() if each.pid == pid)}


def registry(key: str, name: str) -> Any:
    """A value under HKEY_LOCAL_MACHINE; None if there is none."""
    winreg_here: Any = winreg  # elsewhere typeshed leaves it empty
    try:
        with winreg_here.OpenKey(winreg_here.HKEY_LOCAL_MACHINE, key) as opened:
            value = winreg_here.QueryValueEx(opened, name)[0]
            return list(value) if isinstance(value, bytes) else value
    except FileNotFoundError:
        return None


ACTS: dict[str, Any] = {
    act.__name__: act
    for act in (
        create, delete, status, start, control, wait, storm, terminate, exit_code, children, alive, figures, registry,
    )
}  # fmt: skip


def answer(number: int, act: str, arguments: list[Any]) -> None:
    """Do one thing, and say how it ended."""
    try:
        told = [number, None, ACTS[act](*arguments)]
    except CallError as error:
        told = [number, *error.args]
    except Exception as error:  # noqa: BLE001  # the test gets it
        told = [number, -1, f"{act}: {error!r}"]
    with lock:
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    scm = wintypes.HANDLE(checked(advapi.OpenSCManagerW(None, None, 0xF003F), "OpenSCManagerW"))
    lock = threading.Lock()
    print(json.dumps([0, None, sys.version]), flush=True)
    for line in sys.stdin:
        asked, wanted, *with_these = json.loads(line)
        threading.Thread(target=answer, args=(asked, wanted, with_these)).start()
