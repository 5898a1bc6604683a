"""Security identifiers: of this process, of a service's name, and as text
(https://learn.microsoft.com/windows/win32/secauthz/security-identifiers).
"""

from __future__ import annotations

from stayon.platforms.windows import win32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

SYSTEM, ADMINISTRATORS = "S-1-5-18", "S-1-5-32-544"
# Accounts that many services share.
SHARED_ACCOUNTS = ("S-1-5-19", "S-1-5-20")
SERVICES = "S-1-5-80-"
ALL_SERVICES = SERVICES + "0"

_TOKEN_QUERY = 8
_TOKEN_USER, _TOKEN_GROUPS = 1, 2
_ENABLED = 4  # SE_GROUP_ENABLED; one that is not may only be used to deny
_THIS_PROCESS = 2**64 - 1  # GetCurrentProcess's pseudo handle

_own: list[str] = []

_advapi32 = win32.Library("advapi32.dll", OpenProcessToken="PIP>i", GetTokenInformation="PIPIP>i")
_kernel32 = win32.Library("kernel32.dll", CloseHandle="P>i")


def sid_text(sid: bytes) -> str:
    """``S-1-5-18`` of the bytes of a SID: revision, count, six bytes of authority, then the count's numbers of 32
    bits. What follows is left alone.
    """
    numbers = [int.from_bytes(sid[8 + 4 * at : 12 + 4 * at], "little") for at in range(sid[1])]
    return "-".join(["S", str(sid[0]), str(int.from_bytes(sid[2:8])), *map(str, numbers)])


def sid_bytes(sid: bytes) -> int:
    """How many bytes the SID at the beginning of *sid* has."""
    return 8 + 4 * sid[1]


def service_sid(name: str) -> str:
    r"""The SID of the service *name*, ``NT SERVICE\name``: S-1-5-80 and the SHA-1 of its upper-case name in UTF-16
    (``sc showsid`` says the same).
    """
    from hashlib import sha1

    # Windows' capitals are of one letter each: it leaves a sharp s alone.
    capitals = "".join(letter.upper() if len(letter.upper()) == 1 else letter for letter in name)
    digest = sha1(capitals.encode("utf-16-le"), usedforsecurity=False).digest()
    return SERVICES + "-".join(str(int.from_bytes(digest[at : at + 4], "little")) for at in range(0, 20, 4))


def own_sids() -> list[str]:
    """Who this process is to others: its account's SID, or those of its service where many share the account."""
    if not _own:
        _own.extend(identity_of(_own_account(), own_groups()))
    return list(_own)


def identity_of(account: str, groups: Sequence[str]) -> list[str]:
    """Whom to let in where *account*, acting with *groups*, keeps its things: it, or its service if many share it."""
    if account not in SHARED_ACCOUNTS:
        return [account]
    return [sid for sid in groups if sid.startswith(SERVICES) and sid != ALL_SERVICES] or [account]


def _own_account() -> str:
    # TOKEN_USER begins with a pointer to the SID.
    buffer = _token_information(_TOKEN_USER)
    return sid_at(int.from_bytes(bytes(buffer)[:8], "little"))


def own_groups() -> list[str]:
    """The groups that this process acts with; Administrators is one of them only if it is elevated."""
    # TOKEN_GROUPS: a count in 8 bytes, then pairs of a pointer and attributes, 16 bytes each.
    buffer = _token_information(_TOKEN_GROUPS)
    data = bytes(buffer)
    count = int.from_bytes(data[:4], "little")
    return [
        sid_at(int.from_bytes(data[at : at + 8], "little"))
        for at in range(8, 8 + 16 * count, 16)
        if int.from_bytes(data[at + 8 : at + 12], "little") & _ENABLED
    ]


def _token_information(kind: int) -> Any:
    token, size = win32.POINTER(), win32.DWORD()
    if not _advapi32.OpenProcessToken(_THIS_PROCESS, _TOKEN_QUERY, win32.byref(token)):
        raise win32_error()
    try:
        _advapi32.GetTokenInformation(token.value, kind, None, 0, win32.byref(size))
        array: Any = win32.BYTE
        buffer = (array * size.value)()
        if not _advapi32.GetTokenInformation(token.value, kind, buffer, size.value, win32.byref(size)):
            raise win32_error()
        return buffer
    finally:
        _kernel32.CloseHandle(token.value)


def sid_of_text(text: str) -> bytes:
    """The bytes of a SID; the opposite of ``sid_text``."""
    revision, authority, *numbers = map(int, text.split("-")[1:])
    head = bytes((revision, len(numbers))) + authority.to_bytes(6)
    return head + b"".join(number.to_bytes(4, "little") for number in numbers)


def sid_at(address: int) -> str:
    """The SID at an address."""
    return sid_text(win32.bytes_at(address, sid_bytes(win32.bytes_at(address, 2))))


def win32_error(code: int = 0) -> OSError:
    """The exception of *code*, a number of winerror.h, or of this thread's last one."""
    code = code or win32.last_error()
    # Python makes its errno, and so its class, of the fourth argument; elsewhere than on Windows it is left out.
    return OSError(0, win32.text_of(code), None, code)
