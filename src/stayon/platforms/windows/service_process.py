"""A service's own end of the SCM: the real one, in advapi32.

(https://learn.microsoft.com/windows/win32/services/service-program-tasks)
"""

from __future__ import annotations

from _struct import pack

from stayon.platforms.windows import controls, win32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from stayon.platforms.windows.api import ServiceStatus

_WIN32_OWN_PROCESS = 0x10

# SERVICE_DYNAMIC_INFORMATION_LEVEL_START_REASON and its answers
# (https://learn.microsoft.com/windows/win32/api/winsvc/ns-winsvc-service_start_reason).
_LEVEL_START_REASON = 1
_REASONS = {1: "demand", 2: "auto", 4: "trigger", 8: "restart", 16: "delayed"}

_ADVAPI = win32.Library(
    "advapi32.dll",
    StartServiceCtrlDispatcherW="P>i",
    RegisterServiceCtrlHandlerExW="ZPP>P",
    SetServiceStatus="PP>i",
    QueryServiceDynamicInformation="PIP>i",
)


class _Status(win32.Structure):
    """SERVICE_STATUS."""

    _fields_ = tuple(
        (name, win32.DWORD)
        for name in ("type", "state", "accepted", "exit_code", "specific", "checkpoint", "wait_hint_ms")
    )


class AdvapiServiceProcess:
    """``api.ServiceProcess`` on Windows. One of them in a process."""

    def __init__(self) -> None:
        # What C may call has to be kept.
        self._callbacks: list[Any] = []

    def dispatch(self, name: str, on_start: Callable[[Sequence[str]], object]) -> int:
        """StartServiceCtrlDispatcherW: blocks until STOPPED."""

        def service_main(count: int, address: int | None) -> None:
            on_start(_texts(address or 0, count))

        kept = win32.text_in_memory(name)
        # SERVICE_TABLE_ENTRYW: a name and a function; then the table's end.
        table = pack("PPPP", win32.address_of(kept), self._kept("IP>", service_main), 0, 0)
        return 0 if _ADVAPI.StartServiceCtrlDispatcherW(table) else win32.last_error()

    def register(self, name: str, handler: Callable[[int, int, bytes], int]) -> int:
        """RegisterServiceCtrlHandlerExW. Data is copied at once: it isn't there any more when the handler returns."""

        def handle(control: int, event_type: int, data: int | None, _context: int | None) -> int:
            return handler(control, event_type, _copy(control, event_type, data or 0))

        return _ADVAPI.RegisterServiceCtrlHandlerExW(name, self._kept("IIPP>I", handle), None) or 0

    def set_status(self, handle: int, status: ServiceStatus) -> int:
        """SetServiceStatus."""
        native = _Status(
            _WIN32_OWN_PROCESS,
            status.state,
            status.accepted,
            status.exit_code,
            status.specific,
            status.checkpoint,
            status.wait_hint_ms,
        )
        return 0 if _ADVAPI.SetServiceStatus(handle, win32.byref(native)) else win32.last_error()

    def _kept(self, prototype: str, function: Callable[..., object]) -> int:
        callback = win32.callback(prototype, function)
        self._callbacks.append(callback)
        return win32.function_address(callback)


def start_reason(handle: int) -> str:
    """Why the SCM started this service: "demand", "auto", "trigger", "restart" (after a failure), "delayed", several
    with "+"; "" where it can't be asked (before Windows 8).
    """
    answer = win32.POINTER()
    try:
        if not _ADVAPI.QueryServiceDynamicInformation(handle, _LEVEL_START_REASON, win32.byref(answer)):
            return ""
    except (AttributeError, OSError):
        return ""
    bits = win32.DWORD.from_address(answer.value).value
    win32.Library("kernel32.dll", LocalFree="P>P").LocalFree(answer.value)
    return "+".join(word for bit, word in _REASONS.items() if bits & bit)


def _copy(control: int, event_type: int, address: int) -> bytes:
    header = controls.HEADERS.get(control, 0)
    if not address or not header or (control == controls.POWEREVENT and event_type != controls.POWER_SETTING_CHANGE):
        return b""
    return win32.bytes_at(address, controls.data_size(control, event_type, win32.bytes_at(address, header)))


def _texts(address: int, count: int) -> list[str]:
    """An LPWSTR array as a list."""
    size = win32.size_of(win32.POINTER)
    return [str(win32.LPWSTR.from_address(address + size * index).value) for index in range(count)]
