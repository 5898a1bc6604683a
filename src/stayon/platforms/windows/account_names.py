"""What an account is called, for messages, and which SID a name has. Asked of the system, maybe of a domain's."""

from __future__ import annotations

from stayon.platforms.windows import win32
from stayon.platforms.windows.sids import sid_at, sid_of_text, win32_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LETTERS = 512
_SID_BYTES = 68  # SECURITY_MAX_SID_SIZE

_advapi32 = win32.Library("advapi32.dll", LookupAccountNameW="ZZPPPPP>i", LookupAccountSidW="ZPPPPPP>i")


def name_of(sid: str) -> str:
    r"""``DOMAIN\name`` of *sid*; the SID itself if nobody knows it. Blocks for a network where a domain is asked."""
    name, domain = win32.text_buffer(_LETTERS), win32.text_buffer(_LETTERS)
    name_size, domain_size, kind = win32.DWORD(_LETTERS), win32.DWORD(_LETTERS), win32.DWORD()
    sizes = win32.byref(name_size), win32.byref(domain_size)
    if not _advapi32.LookupAccountSidW(None, sid_of_text(sid), name, sizes[0], domain, sizes[1], win32.byref(kind)):
        return sid
    return f"{domain.value}\\{name.value}" if domain.value else str(name.value)


def sid_of(account: str) -> str:
    r"""The SID of the account *account* (``DOMAIN\name``, or a name). Raises ``OSError``; 1332 is: there is none."""
    array: Any = win32.BYTE
    sid, domain = (array * _SID_BYTES)(), win32.text_buffer(_LETTERS)
    sid_size, domain_size, kind = win32.DWORD(_SID_BYTES), win32.DWORD(_LETTERS), win32.DWORD()
    sizes = win32.byref(sid_size), win32.byref(domain_size)
    if not _advapi32.LookupAccountNameW(None, account, sid, sizes[0], domain, sizes[1], win32.byref(kind)):
        raise win32_error()
    return sid_at(win32.address_of(sid))
