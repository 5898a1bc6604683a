"""Accounts: whether there is one, what its SID is, its right to log on as a service, and whether a password is right.

Loaded by the verbs only; a service that runs never asks.
"""

from __future__ import annotations

import struct

from stayon.platforms.windows import win32
from stayon.platforms.windows.account_names import sid_of
from stayon.platforms.windows.api import ScmError
from stayon.platforms.windows.service_levels import Memory
from stayon.platforms.windows.sids import sid_of_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

SERVICE_LOGON = "SeServiceLogonRight"

# ERROR_NONE_MAPPED: no such account. ERROR_TRUSTED_RELATIONSHIP_FAILURE, ERROR_NO_SUCH_DOMAIN: nobody can say.
NONE_MAPPED = 1332

# LogonUserW refuses only the way of logging on (ERROR_LOGON_TYPE_NOT_GRANTED): the password was right.
_TYPE_NOT_GRANTED = 1385
_LOGON_NETWORK, _PROVIDER_DEFAULT = 3, 0

_POLICY_CREATE_ACCOUNT, _POLICY_LOOKUP_NAMES = 0x10, 0x800
_STATUS_NOT_FOUND = 0xC0000034  # STATUS_OBJECT_NAME_NOT_FOUND: an account without any rights of its own

_ATTRIBUTES = struct.Struct("IPPIPP")  # LSA_OBJECT_ATTRIBUTES
_STRING = struct.Struct("HHP")  # LSA_UNICODE_STRING

_advapi32 = win32.Library(
    "advapi32.dll",
    LogonUserW="ZZZIIP>i",
    LsaOpenPolicy="PPIP>I",
    LsaClose="P>I",
    LsaAddAccountRights="PPPI>I",
    LsaRemoveAccountRights="PPBPI>I",
    LsaEnumerateAccountRights="PPPP>I",
    LsaFreeMemory="P>I",
    LsaNtStatusToWinError="I>I",
)
_kernel32 = win32.Library("kernel32.dll", CloseHandle="P>i")


class WindowsAccounts:
    """The accounts of this computer, and of the domain that it is in. What fails raises ``ScmError``."""

    def sid(self, account: str) -> str:
        """The SID of an account or group; "" if there is none of that name."""
        try:
            return _sid(account)
        except ScmError as error:
            if error.code == NONE_MAPPED:
                return ""
            raise

    def may_log_on(self, account: str) -> bool:
        """Whether *account* itself has the right to log on as a service; through a group it may have it, too."""
        sid = sid_of_text(_sid(account))
        rights, count = win32.POINTER(), win32.DWORD()
        with _Policy(_POLICY_LOOKUP_NAMES) as policy:
            call = "LsaEnumerateAccountRights"
            status = _advapi32.LsaEnumerateAccountRights(policy.value, sid, win32.byref(rights), win32.byref(count))
            if status == _STATUS_NOT_FOUND:
                return False
            _check(status, call)
        try:
            data = win32.bytes_at(rights.value, count.value * _STRING.size) if rights.value else b""
            return SERVICE_LOGON in [
                win32.bytes_at(address, length).decode("utf-16-le") for length, _, address in _STRING.iter_unpack(data)
            ]
        finally:
            _advapi32.LsaFreeMemory(rights.value)

    def allow_log_on(self, account: str) -> None:
        """Give *account* the right to log on as a service (LsaAddAccountRights)."""
        self._set_right(account, given=True)

    def forbid_log_on(self, account: str) -> None:
        """Take that right back."""
        self._set_right(account, given=False)

    def check_password(self, account: str, password: str) -> int:
        """0 if *password* is the account's, else why not, as a number of winerror.h: 1326 is a wrong one.

        It logs on over the network, in a way that leaves nothing behind. Blocks for as long as the domain thinks.
        """
        domain, backslash, user = account.rpartition("\\")
        token = win32.POINTER()
        if _advapi32.LogonUserW(
            user, domain if backslash else None, password, _LOGON_NETWORK, _PROVIDER_DEFAULT, win32.byref(token)
        ):
            _kernel32.CloseHandle(token.value)
            return 0
        error = win32.last_error()
        return 0 if error == _TYPE_NOT_GRANTED else error

    def _set_right(self, account: str, *, given: bool) -> None:
        memory = Memory()
        right = SERVICE_LOGON.encode("utf-16-le")
        text = memory.put(_STRING.pack(len(right), len(right) + 2, memory.text(SERVICE_LOGON)))
        sid = sid_of_text(_sid(account))
        with _Policy(_POLICY_CREATE_ACCOUNT | _POLICY_LOOKUP_NAMES) as policy:
            if given:
                _check(_advapi32.LsaAddAccountRights(policy.value, sid, text, 1), "LsaAddAccountRights")
            else:
                _check(_advapi32.LsaRemoveAccountRights(policy.value, sid, 0, text, 1), "LsaRemoveAccountRights")


class _Policy:
    """The policy of the Local Security Authority, opened for *rights*."""

    def __init__(self, rights: int) -> None:
        attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, 0, 0, 0, 0, 0)
        handle = win32.POINTER()
        _check(_advapi32.LsaOpenPolicy(None, attributes, rights, win32.byref(handle)), "LsaOpenPolicy")
        self.value = handle.value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        _advapi32.LsaClose(self.value)


def _sid(account: str) -> str:
    r"""The SID of *account*. Windows takes ``.\user`` for one of this computer only at a logon, so it is left out."""
    try:
        return sid_of(account.removeprefix(".\\"))
    except OSError as error:
        raise ScmError(getattr(error, "winerror", 0), "LookupAccountNameW") from error


def _check(status: int, call: str) -> None:
    """What Windows gives of *status*, an NTSTATUS, as our exception."""
    if status:
        raise ScmError(_error(status), call)


def _error(status: int) -> int:
    number: Any = _advapi32.LsaNtStatusToWinError(status)
    return int(number)
