"""The directories of an installed service, with lists of who may do what in them; loaded by the verbs only."""

from __future__ import annotations

import os

from stayon.core.installation import Change
from stayon.platforms.directories import not_made
from stayon.platforms.windows import acl, security, service_access, win32
from stayon.platforms.windows.advapi import access_text
from stayon.platforms.windows.sids import service_sid, win32_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Which place of ``acl.place_sddl`` a directory is like.
_LIKE = {"read": "config", "write": "logs", "publish": "run"}

# A domain that can't be: Wine makes lists up from the mode of Unix, and keeps none.
_MADE_UP = "S-1-5-21-0-0-0-"

_SE_FILE_OBJECT, _DACL = 1, 4

_advapi32 = win32.Library("advapi32.dll", GetNamedSecurityInfoW="ZIIPPPPP>I")
_kernel32 = win32.Library("kernel32.dll", LocalFree="P>P")


class ServiceDirectories:
    """The port ``scm.Directories``: rights are given to the service's own SID, whatever its account."""

    def change(self, path: str, service: str, access: str) -> Change | None:
        """What has to be changed so that *service* has *access* to *path*, and nobody but administrators writes."""
        if not os.path.isdir(path):
            return Change("directory", "", path)
        try:
            now = _list_of(path)
        except OSError:
            return None  # not for our eyes: who may not look may not install, either
        if _MADE_UP in now or service_access.same(now, _wanted(service, access)):
            return None
        return Change(f"access to {path}", "", f"{access}: {service}")

    def make(self, path: str, service: str, access: str) -> Callable[[], object]:
        """Make it so. Raises ``NotPermittedError`` or ``UnavailableError``, which name the directory."""
        made = _missing(path)
        try:
            before = "" if made else _list_of(path)
            security.make_directory(path)
            security.apply_acl(path, _wanted(service, access))
        except OSError as error:
            _remove(made)
            raise not_made(path, error) from error
        except BaseException:
            _remove(made)
            raise
        return (lambda: _remove(made)) if made else lambda: security.apply_acl(path, before)


def _wanted(service: str, access: str) -> str:
    return acl.place_sddl(_LIKE[access], [service_sid(service)])


def _missing(path: str) -> list[str]:
    """The directories that have to be made for *path*, the innermost first."""
    found = []
    while path and not os.path.isdir(path) and os.path.dirname(path) != path:
        found.append(path)
        path = os.path.dirname(path)
    return found


def _remove(made: list[str]) -> None:
    """Take away what was made, as long as nobody has put anything into it."""
    for path in made:
        try:
            os.rmdir(path)
        except OSError:
            return


def _list_of(path: str) -> str:
    """Who may do what there, as SDDL. Raises ``OSError``."""
    dacl, descriptor = win32.POINTER(), win32.POINTER()
    code = _advapi32.GetNamedSecurityInfoW(
        path, _SE_FILE_OBJECT, _DACL, None, None, win32.byref(dacl), None, win32.byref(descriptor)
    )
    if code:
        raise win32_error(code)
    try:
        return access_text(descriptor.value)
    finally:
        _kernel32.LocalFree(descriptor.value)
