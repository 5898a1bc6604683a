"""Who may write, decided over the entries of an access control list; and the lists that our own directories get.

(https://learn.microsoft.com/windows/win32/secauthz/access-control-lists,
https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format)
"""

from __future__ import annotations

from stayon.core.record import Record
from stayon.platforms.windows.sids import ADMINISTRATORS, ALL_SERVICES, SERVICES, SYSTEM, sid_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EVERYONE, USERS = "S-1-1-0", "S-1-5-32-545"
CREATOR_OWNER, CREATOR_GROUP, OWNER_RIGHTS = "S-1-3-0", "S-1-3-1", "S-1-3-4"

WRITE_DATA, APPEND_DATA = 0x2, 0x4  # of a directory: add a file, add a subdirectory
DELETE_CHILD, DELETE, WRITE_DAC, WRITE_OWNER = 0x40, 0x10000, 0x40000, 0x80000
_GENERIC_WRITE, _GENERIC_ALL = 0x40000000, 0x10000000
_TAKE = DELETE | WRITE_DAC | WRITE_OWNER

# What others must not be able to do, so that it stays what it is: with a program, with the folder of a program (beside
# which a module or a DLL could be laid), with one above it, and with the root of a drive, which can't be deleted.
TO_A_FILE = WRITE_DATA | APPEND_DATA | _TAKE
TO_ITS_FOLDER = WRITE_DATA | APPEND_DATA | DELETE_CHILD | _TAKE
TO_A_FOLDER_ABOVE = DELETE_CHILD | _TAKE
TO_A_ROOT = DELETE_CHILD | WRITE_DAC | WRITE_OWNER
# And with a link to a folder: who may write to it may have it lead elsewhere.
TO_A_LINK = TO_A_FILE

_WORDS = (
    (WRITE_DATA | APPEND_DATA, "write"),
    (DELETE | DELETE_CHILD, "delete"),
    (WRITE_DAC | WRITE_OWNER, "change permissions"),
)

# Types of entries with a SID right behind the rights; those of Active Directory's objects are never on files.
_ALLOWED, _DENIED, _ALLOWED_CALLBACK = 0, 1, 9
_INHERIT_ONLY = 8

# Of a domain: the administrator, Domain Admins, Enterprise Admins.
_ADMINISTRATIVE_NUMBERS = ("-500", "-512", "-519")

_READ, _MODIFY, _FULL = "0x1200a9", "0x1301bf", "FA"


class Ace(Record):
    """One entry: *sid* has the rights *mask*, or is denied them."""

    sid: str
    mask: int
    denied: bool = False


class Access(Record):
    """Who owns a file or directory, and the entries that count for itself; None: there is no list, so all may all."""

    owner: str
    entries: tuple[Ace, ...] | None


def parse_acl(data: bytes) -> tuple[Ace, ...]:
    """The entries of an ACL's bytes that count for the object itself, not only for what is made in it."""
    entries, at = [], 8
    for _ in range(int.from_bytes(data[4:6], "little")):
        kind, flags = data[at], data[at + 1]
        if kind in (_ALLOWED, _DENIED, _ALLOWED_CALLBACK) and not flags & _INHERIT_ONLY:
            mask = int.from_bytes(data[at + 4 : at + 8], "little")
            entries.append(Ace(sid_text(data[at + 8 :]), mask, kind == _DENIED))
        at += int.from_bytes(data[at + 2 : at + 4], "little")
    return tuple(entries)


def is_administrative(sid: str) -> bool:
    """Whether *sid* may do everything here anyway, or is a service's, so nobody's who logs on."""
    if sid in (SYSTEM, ADMINISTRATORS):
        return True
    if sid.startswith(SERVICES):
        return sid != ALL_SERVICES  # TrustedInstaller is one of them
    return sid.startswith("S-1-5-21-") and sid.endswith(_ADMINISTRATIVE_NUMBERS)


def others(access: Access, rights: int, trusted: Iterable[str] = ()) -> list[tuple[str, int]]:
    """Who but administrators, services and *trusted* has any of *rights*, and which of them.

    Denials count where they come first and are for the same SID, or for everyone; a SID's other groups are not asked.
    """
    known = (*trusted, CREATOR_OWNER, CREATOR_GROUP, OWNER_RIGHTS)
    found: dict[str, int] = {}
    if access.entries is None:
        found[EVERYONE] = rights
    denied: dict[str, int] = {}
    for entry in access.entries or ():
        mask = _specific(entry.mask) & rights
        if entry.denied:
            denied[entry.sid] = denied.get(entry.sid, 0) | mask
        else:
            mask &= ~(denied.get(entry.sid, 0) | denied.get(EVERYONE, 0))
            found[entry.sid] = found.get(entry.sid, 0) | mask
    # An owner can give himself any right.
    found[access.owner] = found.get(access.owner, 0) | rights & WRITE_DAC
    return [(sid, mask) for sid, mask in found.items() if mask and sid not in known and not is_administrative(sid)]


def in_words(mask: int) -> str:
    """What the rights *mask* allow, for a sentence: "write and delete"."""
    return " and ".join(word for bits, word in _WORDS if mask & bits)


def private_sddl(sids: Sequence[str], *, readable: bool = False) -> str:
    """The list of a directory that is SYSTEM's, administrators' and *sids*' only; *readable*: users may look into it.

    Nothing is inherited from above, all below inherits it. It belongs to the first of *sids*: of itself, it would to
    the account, which many services may share.
    """
    entries = [(one, _FULL) for one in dict.fromkeys((SYSTEM, ADMINISTRATORS, *sids))]
    return f"O:{sids[0]}" + _sddl([*entries, (USERS, _READ)] if readable else entries)


def place_sddl(place: str, sids: Sequence[str]) -> str:
    """What an installed service's directory gets: administrators own it; the service may read its "config", and change
    what is in its "logs", "state" and "run". Users may read "run", where the status page is, and nothing else.
    """
    entries = [(SYSTEM, _FULL), (ADMINISTRATORS, _FULL)]
    entries += [(sid, _READ if place == "config" else _MODIFY) for sid in sids if sid not in (SYSTEM, ADMINISTRATORS)]
    return f"O:{ADMINISTRATORS}" + _sddl([*entries, (USERS, _READ)] if place == "run" else entries)


def pipe_sddl(sids: Sequence[str]) -> str:
    """Who may use a service's pipe: SYSTEM, administrators, and *sids*. (Not denied to NETWORK, as an administrator who
    works in a remote shell is in that group too; the pipe itself turns away who comes from another computer.) It
    belongs to the first of *sids*, by which visitors know it.
    """
    allowed = "".join(f"(A;;GA;;;{sid})" for sid in dict.fromkeys((SYSTEM, ADMINISTRATORS, *sids)))
    return f"O:{sids[0]}D:P{allowed}"


def icacls_line(path: str, *, is_directory: bool = True) -> str:
    """The command that leaves *path* to administrators, for everybody to read and execute."""
    below = "(OI)(CI)" if is_directory else ""
    grants = ((SYSTEM, "F"), (ADMINISTRATORS, "F"), (USERS, "RX"))
    rights = " ".join(f"*{sid}:{below}{right}" for sid, right in grants)
    return f'icacls "{path}" /inheritance:r /grant:r {rights}'


def _specific(mask: int) -> int:
    """*mask* with the generic rights spelled out, as far as they are about writing."""
    if mask & _GENERIC_ALL:
        mask |= TO_ITS_FOLDER
    if mask & _GENERIC_WRITE:
        mask |= WRITE_DATA | APPEND_DATA
    return mask


def _sddl(entries: Sequence[tuple[str, str]]) -> str:
    return "D:P" + "".join(f"(A;OICI;{rights};;;{sid})" for sid, rights in entries)
