"""Directories that nobody can tamper with, and whether somebody could with a program."""

from __future__ import annotations

import os

from stayon.errors import NotPermittedError
from stayon.platforms.directories import not_made, unsafe
from stayon.platforms.windows import acl, win32
from stayon.platforms.windows.descriptor import Descriptor
from stayon.platforms.windows.sids import ADMINISTRATORS, own_groups, own_sids, sid_at, win32_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

_SE_FILE_OBJECT, _SE_KERNEL_OBJECT = 1, 6
_OWNER, _DACL, _PROTECTED_DACL, _UNPROTECTED_DACL = 1, 4, 0x80000000, 0x20000000
_ADD_FILE, _ADD_DIRECTORY = 2, 4
_READ_CONTROL = 0x20000
_SHARE_ALL, _OPEN_EXISTING, _BACKUP_SEMANTICS, _OPEN_LINK = 7, 3, 0x02000000, 0x00200000
# Of the kinds of reparse points, those that lead elsewhere: junctions, mounted volumes, symbolic links (<winnt.h>).
_LEADS_ELSEWHERE = 0x20000000
_ALREADY_EXISTS = 183
# Longer ones are looked at step by step.
_LONGEST_PATH = 1024

_kernel32 = win32.Library(
    "kernel32.dll",
    CloseHandle="P>i",
    CreateDirectoryW="ZP>i",
    CreateFileW="ZIIPIIP>P",
    GetFinalPathNameByHandleW="PPII>I",
    LocalFree="P>P",
)
_advapi32 = win32.Library(
    "advapi32.dll",
    GetNamedSecurityInfoW="ZiIPPPPP>I",
    GetSecurityInfo="PiIPPPPP>I",
    GetSecurityDescriptorDacl="PPPP>i",
    GetSecurityDescriptorOwner="PPP>i",
    SetNamedSecurityInfoW="ZiIPPPP>I",
)


def make_directory(path: str, mode: int = 0o700) -> None:
    """Make the directory *path*, and those above it that are missing; one that is there already is fine.

    It is this account's, SYSTEM's and administrators' only; with the mode's last digit, users may read it. Refuses what
    others could tamper with: a directory of another account, one that others may write to, or in one where they could
    replace it. Raises ``NotPermittedError`` or ``UnavailableError``, which name the directory.
    """
    try:
        if not os.path.isdir(path):
            _make(os.path.abspath(path), acl.private_sddl(own_sids(), readable=bool(mode & 0o005)))
        _check(path)
    except OSError as error:
        raise not_made(error.filename or path, error) from error


def check_directory(path: str) -> None:
    """Whether a service may keep its things in the directory *path*. Raises as ``make_directory``, and makes
    nothing.
    """
    try:
        os.listdir(path)  # fails with the right cause for what is missing, closed, or a file
        _check(path)
    except OSError as error:
        raise not_made(error.filename or path, error) from error


def _check(path: str) -> None:
    access, is_plain, refusal = _looked_at(path)
    own = own_sids()
    if access.owner not in own and not acl.is_administrative(access.owner):
        raise unsafe(path, f"it belongs to {account_name(access.owner)}")
    found = acl.others(access, acl.TO_ITS_FOLDER, [*own, access.owner])
    if found:
        raise unsafe(path, _told(found))
    for link in () if is_plain else _links(path):
        found = acl.others(_access_of_link(link), acl.TO_A_LINK, own)
        if found:
            raise unsafe(link, f"it is a link, and {_told(found)}")
    if refusal is not None:
        raise refusal


def _looked_at(path: str) -> tuple[acl.Access, bool, OSError | None]:
    """The access to the directory *path*, whether there are surely no links on the way to it, and why no files can be
    added, which is asked of the system, as what a list says of us depends on all our groups. By one handle, as every
    opening counts where a service starts.
    """
    rights = _READ_CONTROL | _ADD_FILE | _ADD_DIRECTORY
    handle: Any = _kernel32.CreateFileW(path, rights, _SHARE_ALL, None, _OPEN_EXISTING, _BACKUP_SEMANTICS, None)
    if handle == win32.INVALID_HANDLE_VALUE:
        refusal = named(win32_error(), path)
        return read_access(path), False, refusal
    try:
        room = win32.text_buffer(_LONGEST_PATH)
        length = _kernel32.GetFinalPathNameByHandleW(handle, room, _LONGEST_PATH, 0)
        final = room.value.removeprefix("\\\\?\\") if 0 < length < _LONGEST_PATH else ""
        is_plain = os.path.normcase(final) == os.path.normcase(os.path.abspath(path))
        return _read(_advapi32.GetSecurityInfo, handle, _SE_FILE_OBJECT), is_plain, None
    finally:
        _kernel32.CloseHandle(handle)


def apply_acl(path: str, sddl: str) -> None:
    """Give *path*, and what inherits from it, the list of *sddl*, and the owner if it names one. What it has inherited
    itself goes if the list is a protected one ("D:P"), else it stays. Raises ``OSError``.

    (https://learn.microsoft.com/windows/win32/api/aclapi/nf-aclapi-setnamedsecurityinfow)
    """
    present, defaulted, dacl, owner = win32.BOOL(), win32.BOOL(), win32.POINTER(), win32.POINTER()
    with Descriptor(sddl) as descriptor:
        address, defaults = descriptor.address, win32.byref(defaulted)
        if not (
            _advapi32.GetSecurityDescriptorDacl(address, win32.byref(present), win32.byref(dacl), defaults)
            and _advapi32.GetSecurityDescriptorOwner(address, win32.byref(owner), defaults)
        ):
            raise win32_error()
        flags = sddl.partition("D:")[2].partition("(")[0]
        parts = _DACL | (_PROTECTED_DACL if "P" in flags else _UNPROTECTED_DACL) | (_OWNER if owner.value else 0)
        code = _advapi32.SetNamedSecurityInfoW(path, _SE_FILE_OBJECT, parts, owner.value, None, dacl.value, None)
    if code:
        raise win32_error(code)


def read_access(path: str) -> acl.Access:
    """The owner and the access list of *path*; of a link, those of what it leads to. Raises ``OSError``."""
    return _read(_advapi32.GetNamedSecurityInfoW, path, _SE_FILE_OBJECT)


def pipe_access(handle: int) -> acl.Access:
    """The owner and the access list of the named pipe of which *handle* is an end. Raises ``OSError``."""
    return _read(_advapi32.GetSecurityInfo, handle, _SE_KERNEL_OBJECT)


def _read(call: Callable[..., int], which: str | int, kind: int) -> acl.Access:
    owner, dacl, descriptor = win32.POINTER(), win32.POINTER(), win32.POINTER()
    results = win32.byref(owner), None, win32.byref(dacl), None, win32.byref(descriptor)
    code = call(which, kind, _OWNER | _DACL, *results)
    if code:
        raise win32_error(code)
    try:
        entries = None
        if dacl.value:
            size = int.from_bytes(win32.bytes_at(dacl.value + 2, 2), "little")
            entries = acl.parse_acl(win32.bytes_at(dacl.value, size))
        return acl.Access(sid_at(owner.value), entries)
    finally:
        _kernel32.LocalFree(descriptor.value)


def _links(path: str) -> list[str]:
    """*path*, and those above it, as far as they are links."""
    place, found = os.path.abspath(path), []
    while True:
        if getattr(os.lstat(place), "st_reparse_tag", 0) & _LEADS_ELSEWHERE:
            found.append(place)
        above = os.path.dirname(place)
        if above == place:
            return found
        place = above


def _access_of_link(path: str) -> acl.Access:
    """Of the link itself: who may have it lead elsewhere is told there."""
    flags = _BACKUP_SEMANTICS | _OPEN_LINK
    handle = _kernel32.CreateFileW(path, _READ_CONTROL, _SHARE_ALL, None, _OPEN_EXISTING, flags, None)
    if handle == win32.INVALID_HANDLE_VALUE:
        raise named(win32_error(), path)
    try:
        return _read(_advapi32.GetSecurityInfo, handle, _SE_FILE_OBJECT)
    finally:
        _kernel32.CloseHandle(handle)


def check_program(path: str, trusted: Sequence[str] = ()) -> None:
    """Refuse a program (a file, or a directory with all that is in it) that others could change: what a service runs
    has more rights than they have. Its folder and all above count too, as who may swap them may swap it.

    Others are all but administrators, services, *trusted*, and the account that asks, if it is an administrator's.
    Raises ``NotPermittedError`` with who, and the command that corrects it; ``OSError`` if it can't be looked at.
    """
    found = _open_places(path, trusted)
    if not found:
        return
    top = min((place for _line, place in found), key=len)
    error = NotPermittedError(
        "a service must not run what ordinary users can change",
        where=path,
        why=found[0][0],
        hint=f"Put it where only administrators may write, or: {acl.icacls_line(top, is_directory=os.path.isdir(top))}",
        code="install.unsafe-folder",
    )
    error.details = tuple(line for line, _place in found[1:])
    raise error


def account_name(sid: str) -> str:
    r"""``DOMAIN\name`` of *sid*; the SID itself if nobody knows it."""
    from stayon.platforms.windows.account_names import name_of

    return name_of(sid)


def _open_places(path: str, trusted: Sequence[str]) -> list[tuple[str, str]]:
    """Who may change what on the way to *path*, each with the path that it is about, the innermost first; and on the
    way to where it leads, if there are links in it.
    """
    trusted = [*trusted, *(own_sids() if ADMINISTRATORS in own_groups() else ())]
    path = os.path.abspath(path)
    links = _links(path)
    found = _open_on_the_way(path, trusted)
    for link in links:
        for sid, mask in acl.others(_access_of_link(link), acl.TO_A_LINK, trusted):
            found.append((f"{link}: a link, and {account_name(sid)} may {acl.in_words(mask)}", link))
    return found + (_open_on_the_way(os.path.realpath(path), trusted) if links else [])


def _open_on_the_way(path: str, trusted: Sequence[str]) -> list[tuple[str, str]]:
    is_directory = os.path.isdir(path)
    rights, found = acl.TO_ITS_FOLDER if is_directory else acl.TO_A_FILE, []
    folder = path if is_directory else os.path.dirname(path)
    while True:
        for sid, mask in acl.others(read_access(path), rights, trusted):
            found.append((f"{path}: {account_name(sid)} may {acl.in_words(mask)}", path))
        above = os.path.dirname(path)
        if above == path:
            return found
        path = above
        is_root = os.path.dirname(path) == path
        rights = acl.TO_A_ROOT if is_root else acl.TO_ITS_FOLDER if path == folder else acl.TO_A_FOLDER_ABOVE


def _make(path: str, sddl: str) -> None:
    above = os.path.dirname(path)
    if not os.path.isdir(above) and above != path:
        _make(above, sddl)
    found = acl.others(read_access(above), acl.TO_A_ROOT, own_sids())
    if found:
        raise unsafe(above, _told(found))
    with Descriptor(sddl) as descriptor:
        if not _kernel32.CreateDirectoryW(path, win32.byref(descriptor.attributes())):
            code = win32.last_error()
            if code != _ALREADY_EXISTS or not os.path.isdir(path):
                raise named(win32_error(code), path)


def named(error: OSError, path: str) -> OSError:
    """*error* with the path it is about."""
    error.filename = path
    return error


def _told(found: list[tuple[str, int]]) -> str:
    return ", ".join(f"{account_name(sid)} may {acl.in_words(mask)}" for sid, mask in found)
