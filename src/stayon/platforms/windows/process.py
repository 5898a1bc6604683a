"""What Windows says of processes: figures for the metrics, facts for the report of a failure, and which one a pid
means.
"""

from __future__ import annotations

import os
import sys
import time

from stayon.platforms.windows import win32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_QUERY_LIMITED_INFORMATION, _SYNCHRONIZE = 0x1000, 0x100000
_THIS_PROCESS = win32.INVALID_HANDLE_VALUE  # what GetCurrentProcess gives
_THIS_TOKEN = 2**64 - 4  # GetCurrentProcessToken
_STILL_THERE = 258  # WAIT_TIMEOUT
# NtQuerySystemInformation's list of all processes, which everybody may have. Of an entry of SYSTEM_PROCESS_INFORMATION:
# where the next one is, when the process was made, and its pid.
_ALL_PROCESSES, _TOO_SMALL = 5, 0xC0000004  # STATUS_INFO_LENGTH_MISMATCH
_NEXT_AT, _CREATED_AT, _PID_AT = 0, 32, 80
_TRIES = 8
_ACCESS_DENIED = 5
_TOKEN_USER = 1
# FILETIME counts 100 ns since 1601.
_TICKS_PER_S, _UNIX_EPOCH_S = 10_000_000, 11_644_473_600
# The most handles that a process may have.
_MOST_HANDLES = 16_777_216.0

_kernel32 = win32.Library(
    "kernel32.dll",
    CloseHandle="P>i",
    GetProcessHandleCount="PP>i",
    GetProcessTimes="PPPPP>i",
    K32GetProcessMemoryInfo="PPI>i",
    OpenProcess="IiI>P",
    WaitForSingleObject="PI>I",
)


class _MemoryCounters(win32.Structure):
    """PROCESS_MEMORY_COUNTERS_EX, <psapi.h>."""

    _fields_ = (
        ("cb", win32.DWORD),
        ("PageFaultCount", win32.DWORD),
        ("PeakWorkingSetSize", win32.ULONGLONG),
        ("WorkingSetSize", win32.ULONGLONG),
        ("QuotaPeakPagedPoolUsage", win32.ULONGLONG),
        ("QuotaPagedPoolUsage", win32.ULONGLONG),
        ("QuotaPeakNonPagedPoolUsage", win32.ULONGLONG),
        ("QuotaNonPagedPoolUsage", win32.ULONGLONG),
        ("PagefileUsage", win32.ULONGLONG),
        ("PeakPagefileUsage", win32.ULONGLONG),
        ("PrivateUsage", win32.ULONGLONG),
    )


class ProcessFigures:
    """Call it for processor seconds, memory, handles, and when it started. Takes less than 0.1 ms."""

    def __call__(self) -> Mapping[str, float]:
        """The figures as they are now. ``virtual_bytes`` is what is committed for this process alone, and
        ``open_files`` counts handles of all kinds, as Windows does.
        """
        counters, handles = _MemoryCounters(), win32.DWORD()
        _kernel32.K32GetProcessMemoryInfo(_THIS_PROCESS, win32.byref(counters), win32.size_of(counters))
        _kernel32.GetProcessHandleCount(_THIS_PROCESS, win32.byref(handles))
        return {
            "cpu_s": time.process_time(),
            "resident_bytes": float(counters.WorkingSetSize),
            "virtual_bytes": float(counters.PrivateUsage),
            "open_files": float(handles.value),
            "max_files": _MOST_HANDLES,
            "start_time": _created(_THIS_PROCESS) / _TICKS_PER_S - _UNIX_EPOCH_S,
        }


def process_identity(pid: int) -> str:
    """What tells the process *pid* from any other that had or will have this pid: when it was made. The empty string
    if it does not live.
    """
    handle = _kernel32.OpenProcess(_QUERY_LIMITED_INFORMATION | _SYNCHRONIZE, 0, pid)
    if not handle:
        # A service's process is closed to ordinary users, who may see it in the list of all.
        return known_identity(pid) if win32.last_error() == _ACCESS_DENIED else ""
    try:
        # One that has ended stays as long as somebody has a handle of it.
        is_there = _kernel32.WaitForSingleObject(handle, 0) == _STILL_THERE
        return str(_created(handle)) if is_there else ""
    finally:
        _kernel32.CloseHandle(handle)


def known_identity(pid: int) -> str:
    """The same, of a process that can't be opened."""
    ntdll = win32.Library("ntdll.dll", NtQuerySystemInformation="IPIP>I")
    array: Any = win32.BYTE
    size = win32.DWORD()
    for _ in range(_TRIES):  # more may have come since it told the size
        room = (array * (size.value + 65_536))()
        status = ntdll.NtQuerySystemInformation(_ALL_PROCESSES, room, win32.size_of(room), win32.byref(size))
        if status != _TOO_SMALL:
            return "" if status else listed_identity(bytes(room), pid)
    return ""


def listed_identity(listed: bytes, pid: int) -> str:
    """When the process *pid* was made, by the list of all processes; the empty string if it is not in it."""
    at, following = 0, 1
    while following and at + _PID_AT + 8 <= len(listed):
        following = int.from_bytes(listed[at + _NEXT_AT : at + _NEXT_AT + 4], "little")
        if int.from_bytes(listed[at + _PID_AT : at + _PID_AT + 8], "little") == pid:
            return str(int.from_bytes(listed[at + _CREATED_AT : at + _CREATED_AT + 8], "little"))
        at += following
    return ""


def program_data() -> str:
    """The directory for data of all accounts, as the system has it. The environment is another for a service than for
    the person who looks for its log, and could be anything.
    """
    import winreg

    path = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList"
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:  # type: ignore[attr-defined,unused-ignore]  # Windows has it  # Windows only
            found = str(winreg.QueryValueEx(key, "ProgramData")[0])  # type: ignore[attr-defined,unused-ignore]  # Windows has it  # as above
    except OSError:
        found = "%SystemDrive%\\ProgramData"
    return found.replace("%SystemDrive%", os.environ.get("SYSTEMDRIVE", "C:"))


def facts() -> Mapping[str, Any]:
    """Who and where this process is, for the report of the first failure: text and numbers.

    Not the program's arguments, as one may be a secret.
    """
    version = sys.getwindowsversion()  # type: ignore[attr-defined,unused-ignore]  # Windows has it  # Windows only
    account, sid = _account()
    machine = os.environ.get("PROCESSOR_ARCHITECTURE", "")
    return {
        "parent_pid": _parent_pid(),
        "account": account,
        "sid": sid,
        "session": _session(),
        "host": os.environ.get("COMPUTERNAME", ""),
        "system": _system_name(),
        "kernel": f"Windows {version.major}.{version.minor}.{version.build} {machine}".rstrip(),
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "program": sys.argv[0] if sys.argv else "",
        "directory": os.getcwd(),
    }


def _parent_pid() -> int:
    """Who started us; that process may be gone, and its pid another's.

    (``os.getppid`` of Python 3.13 takes a snapshot of the whole process for it.)
    """
    ntdll = win32.Library("ntdll.dll", NtQueryInformationProcess="PIPIP>I")
    array: Any = win32.ULONGLONG
    basic = (array * 6)()  # PROCESS_BASIC_INFORMATION, whose last member is meant
    ntdll.NtQueryInformationProcess(_THIS_PROCESS, 0, win32.byref(basic), win32.size_of(basic), None)
    number: int = basic[5]
    return number


def _created(handle: int) -> int:
    made, *others = [win32.ULONGLONG() for _ in range(4)]
    _kernel32.GetProcessTimes(handle, win32.byref(made), *map(win32.byref, others))
    created: int = made.value
    return created


def _account() -> tuple[str, str]:
    """The account's name with its domain, and its SID."""
    advapi32 = win32.Library(
        "advapi32.dll",
        ConvertSidToStringSidW="PP>i",
        GetTokenInformation="PIPIP>i",
        LookupAccountSidW="ZPPPPPP>i",
    )
    array: Any = win32.ULONGLONG
    size, user = win32.DWORD(), (array * 32)()
    if not advapi32.GetTokenInformation(
        _THIS_TOKEN, _TOKEN_USER, win32.byref(user), win32.size_of(user), win32.byref(size)
    ):
        return os.environ.get("USERNAME", ""), ""
    sid_address = user[0]  # TOKEN_USER begins with it
    text = win32.LPWSTR()
    sid = ""
    if advapi32.ConvertSidToStringSidW(sid_address, win32.byref(text)):
        sid = text.value
        win32.Library("kernel32.dll", LocalFree="P>P").LocalFree(
            win32.POINTER.from_address(win32.address_of(text)).value
        )
    name, domain = win32.text_buffer(257), win32.text_buffer(257)
    name_size, domain_size, use = win32.DWORD(257), win32.DWORD(257), win32.DWORD()
    if not advapi32.LookupAccountSidW(
        None,
        sid_address,
        win32.byref(name),
        win32.byref(name_size),
        win32.byref(domain),
        win32.byref(domain_size),
        win32.byref(use),
    ):
        return sid, sid
    return f"{domain.value}\\{name.value}" if domain.value else name.value, sid


def _session() -> int:
    """0 is that of services."""
    session = win32.DWORD()
    kernel32 = win32.Library("kernel32.dll", ProcessIdToSessionId="IP>i")
    kernel32.ProcessIdToSessionId(os.getpid(), win32.byref(session))
    number: int = session.value
    return number


def _system_name() -> str:
    """As Windows calls itself: its product, release and build."""
    import winreg

    names = ("ProductName", "DisplayVersion", "CurrentBuild")
    found: list[str] = []
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Windows NT\CurrentVersion") as key:  # type: ignore[attr-defined,unused-ignore]  # Windows has it  # Windows only
            for name in names:
                try:
                    found.append(str(winreg.QueryValueEx(key, name)[0]))  # type: ignore[attr-defined,unused-ignore]  # Windows has it
                except OSError:
                    continue
    except OSError:
        return "Windows"
    return " ".join(found)
