"""Runs on Windows' Python, beside what is measured: drives services through the SCM, and times them.

A request is a line of JSON on standard input, ``["start", "collector"]``, its answer a line on standard output. Plain
ctypes, none of ours, so that every service has the same client.
"""

import ctypes
import json
import struct
import subprocess
import sys
import time
from ctypes import wintypes
from typing import Any

advapi: Any = ctypes.WinDLL("advapi32", use_last_error=True)  # type: ignore[attr-defined]  # Windows has it
kernel: Any = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]  # as above
for function in ("OpenSCManagerW", "CreateServiceW", "OpenServiceW"):
    getattr(advapi, function).restype = ctypes.c_void_p
kernel.OpenProcess.restype = ctypes.c_void_p

ALL_ACCESS = 0xF01FF
OWN_PROCESS, DEMAND_START, NORMAL_ERROR = 0x10, 3, 1
STOPPED, RUNNING = 1, 4
STOP, INTERROGATE = 1, 4
SYSTEM_EXTENDED_HANDLES = 64
LOOK_S = 0.0005
LIMIT_S = 30.0


class Status(ctypes.Structure):
    """SERVICE_STATUS_PROCESS."""

    _fields_ = [
        (name, wintypes.DWORD)
        for name in ("kind", "state", "accepted", "exit_code", "specific", "checkpoint", "hint", "pid", "flags")
    ]


scm = ctypes.c_void_p(advapi.OpenSCManagerW(None, None, 0xF003F))
services: dict[str, Any] = {}


def checked(result: object) -> Any:
    """*result*, unless it says that the call failed."""
    if not result:
        raise OSError(ctypes.get_last_error())  # type: ignore[attr-defined]  # Windows has it
    return result


def create(name: str, command: str) -> None:
    """Install a service, and keep it open."""
    handle = advapi.CreateServiceW(
        scm, name, name, ALL_ACCESS, OWN_PROCESS, DEMAND_START, NORMAL_ERROR, command, None, None, None, None, None
    )
    services[name] = ctypes.c_void_p(checked(handle))


def attach(name: str) -> None:
    """Keep open a service that somebody else has installed."""
    services[name] = ctypes.c_void_p(checked(advapi.OpenServiceW(scm, name, ALL_ACCESS)))


def delete(name: str) -> None:
    """Take a service away."""
    handle = services.pop(name)
    advapi.DeleteService(handle)
    advapi.CloseServiceHandle(handle)


def status(name: str) -> Status:
    """How it is."""
    found, needed = Status(), wintypes.DWORD()
    checked(
        advapi.QueryServiceStatusEx(services[name], 0, ctypes.byref(found), ctypes.sizeof(found), ctypes.byref(needed))
    )
    return found


def until(name: str, state: int) -> Status:
    """Look until it is in *state*."""
    deadline = time.perf_counter() + LIMIT_S
    while (found := status(name)).state != state:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{name} is in state {found.state}, exit code {found.exit_code} {found.specific}")
        time.sleep(LOOK_S)
    return found


def start(name: str) -> dict[str, float]:
    """Start it; milliseconds until it was seen RUNNING, and its pid."""
    began = time.perf_counter()
    checked(advapi.StartServiceW(services[name], 0, None))
    found = until(name, RUNNING)
    return {"ms": (time.perf_counter() - began) * 1000, "pid": found.pid}


def stop(name: str) -> dict[str, float]:
    """Stop it; milliseconds until it was seen STOPPED."""
    began = time.perf_counter()
    checked(advapi.ControlService(services[name], STOP, ctypes.byref(Status())))
    until(name, STOPPED)
    return {"ms": (time.perf_counter() - began) * 1000}


def run(*command: str) -> dict[str, float]:
    """Run a program to its end; milliseconds."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return {"ms": (time.perf_counter() - began) * 1000}


def controls(name: str, count: int) -> dict[str, float]:
    """Send INTERROGATE *count* times; microseconds for each."""
    began = time.perf_counter()
    for _ in range(count):
        checked(advapi.ControlService(services[name], INTERROGATE, ctypes.byref(Status())))
    return {"us": (time.perf_counter() - began) * 1e6 / count}


def handles(pid: int) -> int:
    """How many kernel handles a process has open, by the system's list of all (Wine's GetProcessHandleCount says 0)."""
    room = ctypes.create_string_buffer(1 << 20)
    status = ctypes.WinDLL("ntdll").NtQuerySystemInformation(  # type: ignore[attr-defined]  # as above
        SYSTEM_EXTENDED_HANDLES, room, len(room), None
    )
    if status:
        raise OSError(f"NtQuerySystemInformation: {status & 0xFFFFFFFF:#x}")
    count, _ = struct.unpack_from("QQ", room)
    return sum(owner == pid for _, owner, *_ in struct.iter_unpack("PQQIHHII", room[16 : 16 + 40 * count]))


ACTS = {act.__name__: act for act in (create, attach, delete, start, stop, run, controls, handles)}

if __name__ == "__main__":
    for request in sys.stdin:
        act, *arguments = json.loads(request)
        try:
            print(json.dumps({"answer": ACTS[act](*arguments)}), flush=True)
        except (OSError, TimeoutError, subprocess.CalledProcessError) as error:
            print(json.dumps({"error": f"{act}: {error}"}), flush=True)
