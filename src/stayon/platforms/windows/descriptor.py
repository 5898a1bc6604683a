"""Security descriptors made of their text, for what is created or changed."""

from __future__ import annotations

from stayon.platforms.windows import win32
from stayon.platforms.windows.sids import win32_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

_REVISION = 1  # SDDL_REVISION_1

_advapi32 = win32.Library("advapi32.dll", ConvertStringSecurityDescriptorToSecurityDescriptorW="ZIPP>i")
_kernel32 = win32.Library("kernel32.dll", LocalFree="P>P")


class Descriptor:
    """The security descriptor of *sddl*; ``address`` is good until ``close``, or to the end of a ``with``.

    Raises ``OSError``.
    (https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format)
    """

    def __init__(self, sddl: str) -> None:
        found = win32.POINTER()
        convert = _advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW
        if not convert(sddl, _REVISION, win32.byref(found), None):
            raise win32_error()
        self.address: int = found.value

    def attributes(self) -> SecurityAttributes:
        """For a call that makes something that is not inherited. Keep both for the length of it."""
        return SecurityAttributes(win32.size_of(SecurityAttributes), self.address, 0)

    def close(self) -> None:
        """Give the memory back."""
        _kernel32.LocalFree(self.address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class SecurityAttributes(win32.Structure):
    """SECURITY_ATTRIBUTES."""

    _fields_ = (("size", win32.DWORD), ("descriptor", win32.POINTER), ("inherit", win32.BOOL))
