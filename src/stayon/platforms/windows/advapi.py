"""The real SCM: ``ServiceStore`` and ``ServiceCalls`` on advapi32, each call with no more rights than it needs.

(https://learn.microsoft.com/windows/win32/services/service-security-and-access-rights)
"""

from __future__ import annotations

import struct

from stayon.platforms.windows import service_access, service_levels, win32
from stayon.platforms.windows.api import ScmError, ServiceConfig, ServiceStatus
from stayon.platforms.windows.service_levels import Answer, Memory, room, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Self

_MANAGER_CONNECT, _MANAGER_CREATE, _MANAGER_ENUMERATE = 0x1, 0x2, 0x4
_QUERY_CONFIG, _CHANGE_CONFIG, _QUERY_STATUS, _ENUMERATE_DEPENDENTS = 0x1, 0x2, 0x4, 0x8
_START, _STOP, _PAUSE_CONTINUE, _INTERROGATE, _USER_DEFINED = 0x10, 0x20, 0x40, 0x80, 0x100
_DELETE, _READ_CONTROL, _WRITE_DAC = 0x10000, 0x20000, 0x40000

_OWN_PROCESS = 0x10
_NO_CHANGE = 0xFFFFFFFF
_ACTIVE, _ALL = 1, 3
_DACL = 4
_SDDL_REVISION = 1

_ACCESS_DENIED, _INSUFFICIENT_BUFFER, _MORE_DATA = 5, 122, 234
_NOT_KEPT = (87, 124, 1733)  # ERROR_INVALID_PARAMETER, ERROR_INVALID_LEVEL, RPC_S_INVALID_TAG

_CONTROL_RIGHTS = {1: _STOP, 4: _INTERROGATE}
_FIRST_OWN_CONTROL = 128

_STATUS = struct.Struct("9I")
_CONFIG = struct.Struct("IIIPPIPPP")
_LISTED = struct.Struct("PP9I0P")
_DEPENDENT = struct.Struct("PP7I0P")

_advapi32 = win32.Library(
    "advapi32.dll",
    OpenSCManagerW="ZZI>P",
    OpenServiceW="PZI>P",
    CloseServiceHandle="P>i",
    CreateServiceW="PZZIIIIZZPPZZ>P",
    ChangeServiceConfigW="PIIIZZPPZZZ>i",
    ChangeServiceConfig2W="PIP>i",
    QueryServiceConfigW="PPIP>i",
    QueryServiceConfig2W="PIPIP>i",
    QueryServiceStatusEx="PIPIP>i",
    QueryServiceObjectSecurity="PIPIP>i",
    SetServiceObjectSecurity="PIP>i",
    ConvertSecurityDescriptorToStringSecurityDescriptorW="PIIPP>i",
    EnumServicesStatusExW="PIIIPIPPPZ>i",
    EnumDependentServicesW="PIPIPP>i",
    StartServiceW="PIP>i",
    ControlService="PIP>i",
    DeleteService="P>i",
)
_kernel32 = win32.Library("kernel32.dll", LocalFree="P>P")


class AdvapiStore:
    """What this computer's SCM keeps."""

    def create(self, name: str, config: ServiceConfig, password: str | None = None) -> None:
        """CreateServiceW: a process of its own, with what that call takes."""
        memory = Memory()
        with _Handle.of_manager(_MANAGER_CONNECT | _MANAGER_CREATE) as manager:
            created = _advapi32.CreateServiceW(
                manager.value, name, config.display_name or name, _CHANGE_CONFIG, _OWN_PROCESS, config.start_type,
                config.error_control, config.command, config.group or None, None,
                memory.text(several(config.dependencies)) if config.dependencies else None, config.account,
                _password(config.account, password),
            )  # fmt: skip
            _Handle(created, "CreateServiceW").close()

    def read(self, name: str) -> ServiceConfig:
        """What is kept of *name*, and in ``unkept`` what this SCM has no place for."""
        from stayon.platforms.windows import service_registry

        with _readable(name) as service:
            fields, unkept = _basics(service, name), []
            for field, level in service_levels.LEVELS.items():
                try:
                    fields[field] = _level(service, field, level)
                except ScmError as error:
                    if error.code not in _NOT_KEPT:
                        raise
                    unkept.append(field)
            fields["security"] = _security(service)
            if not service_access.entries(fields["security"]):
                unkept.append("security")
        return ServiceConfig(
            **fields,
            environment=service_registry.environment(name),
            mark=service_registry.mark(name),
            unkept=tuple(unkept),
            marked=service_registry.is_marked(name),
        )

    def change(self, name: str, field: str, value: Any, password: str | None = None) -> None:
        """Set one field, by the call that has it."""
        from stayon.platforms.windows import service_registry

        if field == "environment":
            service_registry.set_environment(name, value)
        elif field == "mark":
            service_registry.set_mark(name, value)
        elif field == "security":
            _set_security(name, value)
        elif field in service_levels.LEVELS:
            _change_level(name, field, value)
        else:
            _change_basics(name, field, value, password)

    def delete(self, name: str) -> None:
        """DeleteService: it goes when the last handle is closed."""
        with _Handle.of_service(name, _DELETE) as service:
            _check(_advapi32.DeleteService(service.value), "DeleteService")


class AdvapiCalls:
    """What can be asked of this computer's services."""

    def start(self, name: str, arguments: Sequence[str] = ()) -> None:
        """StartServiceW; the arguments come before the service's own function, behind its name."""
        memory = Memory()
        texts = memory.put(b"".join(struct.pack("P", memory.text(each)) for each in arguments)) if arguments else None
        with _Handle.of_service(name, _START) as service:
            _check(_advapi32.StartServiceW(service.value, len(arguments), texts), "StartServiceW")

    def control(self, name: str, code: int) -> None:
        """ControlService, with the one right that *code* asks for."""
        right = _USER_DEFINED if code >= _FIRST_OWN_CONTROL else _CONTROL_RIGHTS.get(code, _PAUSE_CONTINUE)
        with _Handle.of_service(name, right) as service:
            _check(_advapi32.ControlService(service.value, code, room(_STATUS.size)), "ControlService")

    def status(self, name: str) -> ServiceStatus:
        """QueryServiceStatusEx; no administrator needed."""
        size, buffer = win32.DWORD(), room(_STATUS.size)
        with _Handle.of_service(name, _QUERY_STATUS) as service:
            done = _advapi32.QueryServiceStatusEx(service.value, 0, buffer, _STATUS.size, win32.byref(size))
            _check(done, "QueryServiceStatusEx")
        _type, state, accepted, code, specific, checkpoint, hint_ms, pid, _flags = _STATUS.unpack(bytes(buffer))
        return ServiceStatus(state, accepted, code, specific, checkpoint, hint_ms, pid)

    def names(self, dependents_of: str = "") -> list[str]:
        """Names as the SCM gives them; dependents in the order in which they have to be stopped."""
        if dependents_of:
            with _Handle.of_service(dependents_of, _ENUMERATE_DEPENDENTS) as service:
                return _dependents(service)
        with _Handle.of_manager(_MANAGER_CONNECT | _MANAGER_ENUMERATE) as manager:
            return _all(manager)


class _Handle:
    """A handle of the SCM, closed at the end of its ``with``."""

    def __init__(self, value: int | None, call: str) -> None:
        if not value:
            raise ScmError(win32.last_error(), call)
        self.value = value

    @classmethod
    def of_manager(cls, rights: int) -> Self:
        return cls(_advapi32.OpenSCManagerW(None, None, rights), "OpenSCManagerW")

    @classmethod
    def of_service(cls, name: str, rights: int) -> Self:
        with cls.of_manager(_MANAGER_CONNECT) as manager:
            return cls(_advapi32.OpenServiceW(manager.value, name, rights), "OpenServiceW")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        _advapi32.CloseServiceHandle(self.value)


def _check(done: int, call: str) -> None:
    if not done:
        raise ScmError(win32.last_error(), call)


def _asked(call: str, ask: Callable[[Any, int, Any], int]) -> Answer:
    """What *ask(buffer, size, needed)* gives when the buffer is large enough."""
    size, needed = 1024, win32.DWORD()
    for _ in range(4):  # what is asked for may grow meanwhile, but not for ever
        buffer = room(size)
        if ask(buffer, size, win32.byref(needed)):
            return Answer(buffer)
        if win32.last_error() not in (_INSUFFICIENT_BUFFER, _MORE_DATA):
            break
        size = needed.value
    raise ScmError(win32.last_error(), call)


def _readable(name: str) -> _Handle:
    """The service to look at; where its rights are not for our eyes, all else may be."""
    try:
        return _Handle.of_service(name, _QUERY_CONFIG | _READ_CONTROL)
    except ScmError as error:
        if error.code != _ACCESS_DENIED:
            raise
        return _Handle.of_service(name, _QUERY_CONFIG)


def _basics(service: _Handle, name: str) -> dict[str, Any]:
    from stayon.platforms.windows import service_registry

    answer = _asked("QueryServiceConfigW", lambda *room: _advapi32.QueryServiceConfigW(service.value, *room))
    _type, start, error_control, command, group, _tag, needs, account, display = _CONFIG.unpack_from(answer.data)
    return {
        "command": answer.text(command),
        "display_name": answer.text(display),
        "account": answer.text(account),
        "start_type": start,
        "error_control": error_control,
        "group": answer.text(group),
        # Wine keeps them, but gives none.
        "dependencies": answer.texts(needs) or service_registry.dependencies(name),
    }


def _level(service: _Handle, field: str, level: int) -> Any:
    call = "QueryServiceConfig2W"
    answer = _asked(call, lambda *room: _advapi32.QueryServiceConfig2W(service.value, level, *room))
    return service_levels.unpacked(field, answer)


def _change_level(name: str, field: str, value: Any) -> None:
    memory = Memory()
    structure = memory.put(service_levels.packed(field, value, memory))
    # Who lets a service be restarted has to have the right to start it.
    rights = _CHANGE_CONFIG | _START if field == "failure" else _CHANGE_CONFIG
    with _Handle.of_service(name, rights) as service:
        level = service_levels.LEVELS[field]
        _check(_advapi32.ChangeServiceConfig2W(service.value, level, structure), "ChangeServiceConfig2W")


def _change_basics(name: str, field: str, value: Any, password: str | None) -> None:
    """Dependencies are said each time: Windows takes none for "as they are", Wine for "none"."""
    from stayon.platforms.windows import service_registry

    memory = Memory()
    given = {field: value}
    needs = given.get("dependencies", service_registry.dependencies(name))
    with _Handle.of_service(name, _CHANGE_CONFIG) as service:
        done = _advapi32.ChangeServiceConfigW(
            service.value, _NO_CHANGE, given.get("start_type", _NO_CHANGE), given.get("error_control", _NO_CHANGE),
            given.get("command"), given.get("group"), None, memory.text(several(needs)), given.get("account"),
            _password(given.get("account"), password), given.get("display_name"),
        )  # fmt: skip
        _check(done, "ChangeServiceConfigW")


def _password(account: str | None, password: str | None) -> str | None:
    """As the SCM wants it: "" for accounts that have none; null for those whose password is not ours to give, and where
    the account stays as it is.
    """
    has_none = account is not None and (
        account.lower() == "localsystem" or account.lower().startswith("nt authority\\")
    )
    return "" if password is None and has_none else password


def _security(service: _Handle) -> str:
    call = "QueryServiceObjectSecurity"
    try:
        answer = _asked(call, lambda *room: _advapi32.QueryServiceObjectSecurity(service.value, _DACL, *room))
    except ScmError:
        return ""  # not for our eyes, or not kept
    return access_text(answer.data)


def access_text(descriptor: int | bytes) -> str:
    """The discretionary list of a security descriptor, or of the one at an address, as SDDL; "" if it has none."""
    text = win32.POINTER()
    convert = _advapi32.ConvertSecurityDescriptorToStringSecurityDescriptorW
    if not convert(descriptor, _SDDL_REVISION, _DACL, win32.byref(text), None):
        return ""
    try:
        return str(win32.LPWSTR.from_address(win32.address_of(text)).value or "")
    finally:
        _kernel32.LocalFree(text.value)


def _set_security(name: str, sddl: str) -> None:
    from stayon.platforms.windows.descriptor import Descriptor

    try:
        with Descriptor(sddl) as descriptor, _Handle.of_service(name, _WRITE_DAC) as service:
            done = _advapi32.SetServiceObjectSecurity(service.value, _DACL, descriptor.address)
            _check(done, "SetServiceObjectSecurity")
    except OSError as error:
        raise ScmError(getattr(error, "winerror", 0), "ConvertStringSecurityDescriptorToSecurityDescriptorW") from error


def _all(manager: _Handle) -> list[str]:
    count, resume, found = win32.DWORD(), win32.DWORD(), list[str]()
    needed, size = win32.DWORD(), 64 * 1024
    for _ in range(1_000):  # 64 KiB a time
        buffer = room(size)
        done = _advapi32.EnumServicesStatusExW(
            manager.value, 0, _OWN_PROCESS, _ALL, buffer, size, win32.byref(needed), win32.byref(count),
            win32.byref(resume), None,
        )  # fmt: skip
        error = win32.last_error()
        found += _names(Answer(buffer), _LISTED, count.value)
        if done:
            return found
        if error != _MORE_DATA:
            raise ScmError(error, "EnumServicesStatusExW")
    return found


def _dependents(service: _Handle) -> list[str]:
    count = win32.DWORD()

    def ask(buffer: Any, size: int, needed: Any) -> int:
        done: int = _advapi32.EnumDependentServicesW(service.value, _ACTIVE, buffer, size, needed, win32.byref(count))
        return done

    return _names(_asked("EnumDependentServicesW", ask), _DEPENDENT, count.value)


def _names(answer: Answer, form: struct.Struct, count: int) -> list[str]:
    return [answer.text(form.unpack_from(answer.data, at * form.size)[0]) for at in range(count)]
