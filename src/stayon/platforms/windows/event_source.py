"""Event sources: what the registry has to say of a service so that Event Viewer shows its events as clean text.

Only verbs load this. A source of somebody else's is never touched: ours have a value ``Stayon``.
"""

from __future__ import annotations

from stayon.core.installation import Change
from stayon.errors import NotPermittedError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol
else:
    Protocol = object

EVENT_LOGS = r"SYSTEM\CurrentControlSet\Services\EventLog"
LOG = "Application"
MARK = "Stayon"

# Part of every Windows: its messages 1 to 1000 are "%1". (Environment variables are expanded by who reads it.)
MESSAGE_FILE = r"%SystemRoot%\System32\EventCreate.exe"
ALL_TYPES = 7  # error, warning and information
# The mark first: what was half made is ours as well, and gets made whole.
WANTED = {MARK: 1, "EventMessageFile": MESSAGE_FILE, "TypesSupported": ALL_TYPES}


class Registry(Protocol):
    """Keys below HKEY_LOCAL_MACHINE. Raises ``OSError``."""

    def read(self, path: str) -> dict[str, Any] | None:
        """The values of a key by name; None if there is no such key."""
        ...

    def subkeys(self, path: str) -> list[str]:
        """The names of the keys in it; none if it isn't there."""
        ...

    def write(self, path: str, values: dict[str, Any]) -> None:
        """Set *values*; the key is made if need be. Text is REG_EXPAND_SZ, a number REG_DWORD."""
        ...

    def delete(self, path: str) -> None:
        """Remove a key without subkeys."""
        ...


def source_change(name: str, *, wanted: bool, registry: Registry | None = None) -> Change | None:
    """What has to be changed for the source *name* to be as *wanted*: there, or gone. None: nothing.

    Raises ``UsageError`` "eventlog.foreign-source" if it is wanted and is somebody else's; one that isn't ours is gone
    enough.
    """
    registry = WinRegistry() if registry is None else registry
    found = _guarded(name, lambda: registry.read(_path(name)))
    is_ours = found is not None and MARK in found
    if not wanted:
        return Change("event source", name, "") if is_ours else None
    others = _other_logs_with(name, registry)
    if others or (found is not None and not is_ours):
        raise UsageError(
            f"events of the name {name!r} belong to another program",
            where=f"HKLM\\{EVENT_LOGS}\\{(others or [LOG])[0]}\\{name}",
            hint="Give the service another name.",
            code="eventlog.foreign-source",
        )
    is_right = found is not None and all(found.get(value) == content for value, content in WANTED.items())
    return None if is_right else Change("event source", name if is_ours else "", name)


def register_source(name: str, registry: Registry | None = None) -> bool:
    """Have the Event Log know *name*; True if that was new. Raises as ``source_change`` does, and
    ``NotPermittedError`` "eventlog.access-denied" for who is no administrator.
    """
    registry = WinRegistry() if registry is None else registry
    change = source_change(name, wanted=True, registry=registry)
    if change is not None:
        _guarded(name, lambda: registry.write(_path(name), WANTED))
    return change is not None and not change.old


def unregister_source(name: str, registry: Registry | None = None) -> bool:
    """Have the Event Log forget *name*; its old events stay, shown with less. True if it was there, and ours."""
    registry = WinRegistry() if registry is None else registry
    change = source_change(name, wanted=False, registry=registry)
    if change is not None:
        _guarded(name, lambda: registry.delete(_path(name)))
    return change is not None


def _path(name: str) -> str:
    return f"{EVENT_LOGS}\\{LOG}\\{name}"


def _other_logs_with(name: str, registry: Registry) -> list[str]:
    """A source is in one log only: the system would take the first it finds."""
    found = []
    for log in registry.subkeys(EVENT_LOGS):
        try:
            is_there = log.lower() != LOG.lower() and registry.read(f"{EVENT_LOGS}\\{log}\\{name}") is not None
        except PermissionError:
            continue  # the log Security is closed to all but administrators, who come here before anything is changed
        if is_there:
            found.append(log)
    return found


def _guarded(name: str, act: Callable[[], Any]) -> Any:
    try:
        return act()
    except PermissionError as error:
        raise NotPermittedError(
            f"the event source {name!r} can't be registered or removed",
            why=error.strerror or str(error),
            hint="Do it as an administrator.",
            code="eventlog.access-denied",
        ) from error


class WinRegistry:
    """The registry of this computer."""

    def __init__(self) -> None:
        # By name, as typeshed has it on Windows only.
        self._winreg: Any = __import__("winreg")

    def read(self, path: str) -> dict[str, Any] | None:
        """All values of a key."""
        winreg = self._winreg
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
                values = (winreg.EnumValue(key, number) for number in range(winreg.QueryInfoKey(key)[1]))
                return {name: content for name, content, _type in values}
        except FileNotFoundError:
            return None

    def subkeys(self, path: str) -> list[str]:
        """By number, as long as there are some."""
        winreg = self._winreg
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
                return [winreg.EnumKey(key, number) for number in range(winreg.QueryInfoKey(key)[0])]
        except FileNotFoundError:
            return []

    def write(self, path: str, values: dict[str, Any]) -> None:
        """Value by value, in their order."""
        winreg = self._winreg
        with winreg.CreateKeyEx(winreg.HKEY_LOCAL_MACHINE, path, 0, winreg.KEY_SET_VALUE) as key:
            for name, content in values.items():
                kind = winreg.REG_EXPAND_SZ if isinstance(content, str) else winreg.REG_DWORD
                winreg.SetValueEx(key, name, 0, kind, content)

    def delete(self, path: str) -> None:
        """DeleteKey."""
        self._winreg.DeleteKey(self._winreg.HKEY_LOCAL_MACHINE, path)
