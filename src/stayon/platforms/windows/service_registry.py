"""What only the registry tells of a service: its environment, our mark, and what it depends on.

Loaded by the verbs only; a service that runs never asks.
"""

from __future__ import annotations

from stayon.platforms.windows.api import ScmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    # Of the Windows build; elsewhere typeshed leaves it out.
    winreg: Any
else:
    import winreg

_SERVICES = "SYSTEM\\CurrentControlSet\\Services\\"
_PARAMETERS = "\\Parameters"
_MARK = "Stayon"


def environment(name: str) -> tuple[str, ...]:
    """The value ``Environment`` of the service's key: what its process has besides the system's own variables."""
    return _texts(name, "Environment")


def set_environment(name: str, variables: tuple[str, ...]) -> None:
    """Make it so. Raises ``ScmError``."""
    _set(_SERVICES + name, "Environment", variables)


def mark(name: str) -> str:
    """The value ``Stayon`` of the service's ``Parameters``; "" if there is none."""
    value = _read(_SERVICES + name + _PARAMETERS, _MARK)
    return value if isinstance(value, str) else ""


def set_mark(name: str, value: str) -> None:
    """Make it so. Raises ``ScmError``."""
    _set(_SERVICES + name + _PARAMETERS, _MARK, value)


def is_marked(name: str) -> bool:
    """Whether the service is deleted, and only waits for those who have it open: the value ``DeleteFlag``."""
    return bool(_read(_SERVICES + name, "DeleteFlag"))


def dependencies(name: str) -> tuple[str, ...]:
    """Services, then groups with a "+" before, as CreateServiceW takes them."""
    groups = (group if group.startswith("+") else "+" + group for group in _texts(name, "DependOnGroup"))
    return (*_texts(name, "DependOnService"), *groups)


def _texts(name: str, value: str) -> tuple[str, ...]:
    found = _read(_SERVICES + name, value)
    return tuple(found) if isinstance(found, list) else ()


def _read(key: str, value: str) -> object:
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key, 0, winreg.KEY_QUERY_VALUE) as opened:
            return winreg.QueryValueEx(opened, value)[0]
    except OSError:
        # Not there, or not for this account's eyes: who may not read it can't change anything either.
        return None


def _set(key: str, value: str, content: str | tuple[str, ...]) -> None:
    try:
        with winreg.CreateKeyEx(winreg.HKEY_LOCAL_MACHINE, key, 0, winreg.KEY_SET_VALUE) as opened:
            if not content:
                _delete(opened, value)
            elif isinstance(content, str):
                winreg.SetValueEx(opened, value, 0, winreg.REG_SZ, content)
            else:
                winreg.SetValueEx(opened, value, 0, winreg.REG_MULTI_SZ, list(content))
    except OSError as error:
        raise ScmError(getattr(error, "winerror", 0) or 0, "RegSetValueExW") from error


def _delete(opened: Any, value: str) -> None:
    try:
        winreg.DeleteValue(opened, value)
    except FileNotFoundError:
        return
