"""Who may write, and who may use what is ours: decisions over Windows' access control lists, on any computer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.platforms.windows import acl, sids
from stayon.platforms.windows.acl import Access, Ace, others, pipe_sddl

SYSTEM, ADMINISTRATORS, USERS, EVERYONE = "S-1-5-18", "S-1-5-32-544", "S-1-5-32-545", "S-1-1-0"
AUTHENTICATED, CREATOR_OWNER = "S-1-5-11", "S-1-3-0"
TRUSTED_INSTALLER = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
LOCAL_SERVICE = "S-1-5-19"
ANN, BOB = "S-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3-1002"

FULL, MODIFY, READ = 0x1F01FF, 0x1301BF, 0x1200A9

NUMBERS = st.integers(0, 2**32 - 1)


def ace(kind: int, flags: int, mask: int, sid: str, size: int = 0) -> bytes:
    body = mask.to_bytes(4, "little") + sids.sid_of_text(sid)
    return bytes((kind, flags)) + (size or 4 + len(body)).to_bytes(2, "little") + body


def a_list(*entries: bytes) -> bytes:
    size = 8 + sum(map(len, entries))
    return bytes((2, 0)) + size.to_bytes(2, "little") + len(entries).to_bytes(2, "little") + b"\0\0" + b"".join(entries)


# -- SIDs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sid"),
    [
        # As `sc showsid` says on any Windows.
        ("TrustedInstaller", TRUSTED_INSTALLER),
        ("EventLog", "S-1-5-80-880578595-1860270145-482643319-2788375705-1540778122"),
        ("EVENTLOG", "S-1-5-80-880578595-1860270145-482643319-2788375705-1540778122"),
    ],
)
def test_a_service_has_the_sid_that_windows_computes(name: str, sid: str) -> None:
    """From its name alone, whatever the case, so before there is such a service."""
    assert sids.service_sid(name) == sid


def test_a_letter_stays_one_letter() -> None:
    """Windows' capital of a letter is a letter: that of a sharp s is itself."""
    assert sids.service_sid("maß") == sids.service_sid("MAß") != sids.service_sid("MASS")


@given(st.integers(0, 2**48 - 1), st.lists(NUMBERS, max_size=15), st.binary(max_size=8))
def test_a_sid_s_bytes_and_text_say_the_same(authority: int, numbers: list[int], behind: bytes) -> None:
    """There and back again; what follows it in memory doesn't matter."""
    text = "-".join(map(str, ("S", 1, authority, *numbers)))
    data = sids.sid_of_text(text)
    assert sids.sid_text(data + behind) == text
    assert sids.sid_bytes(data + behind) == len(data)


def test_the_bytes_of_a_known_sid() -> None:
    """That of the group of administrators, as winnt.h puts it together."""
    assert sids.sid_of_text(ADMINISTRATORS) == bytes.fromhex("01020000000000052000000020020000")


SERVICE = "S-1-5-80-1-2-3-4-5"


@pytest.mark.parametrize(
    ("account", "groups", "identity"),
    [
        (ANN, [USERS, ADMINISTRATORS], [ANN]),
        (ANN, [USERS, SERVICE], [ANN]),
        (SYSTEM, [ADMINISTRATORS, SERVICE], [SYSTEM]),
        (LOCAL_SERVICE, [USERS, "S-1-5-80-0", SERVICE], [SERVICE]),
        (LOCAL_SERVICE, [USERS, "S-1-5-80-0"], [LOCAL_SERVICE]),
        ("S-1-5-20", [SERVICE], [SERVICE]),
    ],
)
def test_whom_a_process_lets_in(account: str, groups: list[str], identity: list[str]) -> None:
    """Its account; where many services share that, only its own service, if Windows tells which that is."""
    assert sids.identity_of(account, groups) == identity


# -- who may write ---------------------------------------------------------------------------------------------------


def test_a_list_is_taken_apart() -> None:
    """Allowed and denied entries that count here; not those that are only inherited, nor those of other kinds."""
    data = a_list(
        ace(1, 0, 0x2, BOB),
        ace(0, 3, FULL, SYSTEM),
        ace(0, 0xB, FULL, CREATOR_OWNER),  # inherit only
        ace(5, 0, FULL, USERS),  # an object's, of Active Directory
        ace(9, 0, READ, USERS, size=64)[:64].ljust(64, b"\0"),  # with a condition behind it
        ace(0, 0x10, MODIFY, ANN),
    )
    assert acl.parse_acl(data + b"behind") == (
        Ace(BOB, 0x2, True),
        Ace(SYSTEM, FULL),
        Ace(USERS, READ),
        Ace(ANN, MODIFY),
    )


def test_an_empty_list_lets_nobody_and_no_list_lets_all() -> None:
    """As Windows has it: FAT has no lists."""
    assert acl.parse_acl(a_list()) == ()
    assert others(Access(SYSTEM, ()), acl.TO_A_FILE) == []
    assert others(Access(SYSTEM, None), acl.TO_A_FILE) == [(EVERYONE, acl.TO_A_FILE)]


@pytest.mark.parametrize(
    "sid", [SYSTEM, ADMINISTRATORS, TRUSTED_INSTALLER, SERVICE, "S-1-5-21-7-8-9-512", CREATOR_OWNER]
)
def test_who_is_no_other(sid: str) -> None:
    """Administrators, who may do everything anyway, and services, as whom nobody logs on."""
    assert others(Access(SYSTEM, (Ace(sid, FULL),)), acl.TO_ITS_FOLDER) == []


@pytest.mark.parametrize("sid", [USERS, EVERYONE, AUTHENTICATED, ANN, "S-1-5-80-0", "S-1-5-4", "S-1-5-32-512"])
def test_who_is_another(sid: str) -> None:
    """People, and groups of people."""
    assert others(Access(SYSTEM, (Ace(sid, MODIFY),)), acl.TO_A_FILE) == [(sid, acl.TO_A_FILE & MODIFY)]
    assert others(Access(SYSTEM, (Ace(sid, MODIFY),)), acl.TO_A_FILE, [sid]) == []


def test_an_owner_can_give_himself_any_right() -> None:
    """So he is one who may write, whatever the list says."""
    access = Access(ANN, (Ace(SYSTEM, FULL), Ace(USERS, READ)))
    assert others(access, acl.TO_A_FILE) == [(ANN, acl.WRITE_DAC)]
    assert others(access, acl.TO_A_FILE, [ANN]) == []


def test_what_was_denied_before_does_not_count() -> None:
    """Denied to the same, or to everyone, and before it is allowed; what is left still counts."""
    write = acl.WRITE_DATA | acl.APPEND_DATA
    denied, allowed = Ace(USERS, write, True), Ace(USERS, write | acl.DELETE)
    assert others(Access(SYSTEM, (denied, allowed)), acl.TO_A_FILE) == [(USERS, acl.DELETE)]
    assert others(Access(SYSTEM, (denied.replace(sid=EVERYONE), allowed)), acl.TO_A_FILE) == [(USERS, acl.DELETE)]
    assert others(Access(SYSTEM, (allowed, denied)), acl.TO_A_FILE) == [(USERS, write | acl.DELETE)]
    assert others(Access(SYSTEM, (denied.replace(sid=ANN), allowed)), acl.TO_A_FILE) == [(USERS, write | acl.DELETE)]


@pytest.mark.parametrize(
    ("mask", "is_found"), [(0x10000000, True), (0x40000000, True), (0x20000000, False), (READ, False)]
)
def test_generic_rights_are_rights(mask: int, is_found: bool) -> None:
    """GENERIC_ALL and GENERIC_WRITE allow to write, GENERIC_EXECUTE does not."""
    assert bool(others(Access(SYSTEM, (Ace(USERS, mask),)), acl.TO_A_FILE)) is is_found


# What Windows gives a fresh system drive, %ProgramData% and a folder made on the drive by an administrator.
ROOT = Access(
    TRUSTED_INSTALLER, (Ace(ADMINISTRATORS, FULL), Ace(SYSTEM, FULL), Ace(USERS, READ), Ace(AUTHENTICATED, 0x4))
)
PROGRAM_DATA = Access(SYSTEM, (Ace(SYSTEM, FULL), Ace(ADMINISTRATORS, FULL), Ace(USERS, READ), Ace(USERS, 0x116)))
FOLDER = Access(
    ADMINISTRATORS, (Ace(ADMINISTRATORS, FULL), Ace(SYSTEM, FULL), Ace(USERS, READ), Ace(AUTHENTICATED, MODIFY))
)
PROGRAM_FILES = Access(TRUSTED_INSTALLER, (Ace(TRUSTED_INSTALLER, FULL), Ace(SYSTEM, MODIFY), Ace(USERS, READ)))


@pytest.mark.parametrize(
    ("access", "rights", "found"),
    [
        (ROOT, acl.TO_A_ROOT, []),
        (PROGRAM_DATA, acl.TO_A_FOLDER_ABOVE, []),
        (PROGRAM_DATA, acl.TO_ITS_FOLDER, [(USERS, 0x6)]),
        (FOLDER, acl.TO_A_FOLDER_ABOVE, [(AUTHENTICATED, acl.DELETE)]),
        (FOLDER, acl.TO_ITS_FOLDER, [(AUTHENTICATED, acl.DELETE | 0x6)]),
        (PROGRAM_FILES, acl.TO_ITS_FOLDER, []),
    ],
)
def test_the_folders_of_a_fresh_windows(access: Access, rights: int, found: list[tuple[str, int]]) -> None:
    """Programs are safe below Program Files, and not in a folder on the drive; ours are safe below %ProgramData%."""
    assert others(access, rights) == found


def test_rights_in_words() -> None:
    """For a sentence."""
    assert acl.in_words(acl.WRITE_DATA) == "write"
    assert acl.in_words(MODIFY) == "write and delete"
    assert acl.in_words(acl.TO_ITS_FOLDER) == "write and delete and change permissions"


# -- what ours get ---------------------------------------------------------------------------------------------------


def test_the_lists_of_an_installed_service() -> None:
    """It reads its configuration and changes the rest; users see how it is; administrators own it all."""
    head = f"O:{ADMINISTRATORS}D:P(A;OICI;FA;;;{SYSTEM})(A;OICI;FA;;;{ADMINISTRATORS})"
    modify, read = f"(A;OICI;0x1301bf;;;{SERVICE})", f"(A;OICI;0x1200a9;;;{SERVICE})"
    assert {place: acl.place_sddl(place, [SERVICE, SYSTEM]) for place in ("config", "logs", "state", "run")} == {
        "config": head + read,
        "logs": head + modify,
        "state": head + modify,
        "run": head + modify + f"(A;OICI;0x1200a9;;;{USERS})",
    }


def test_the_list_of_a_directory_that_is_just_made() -> None:
    """Ours, the system's and administrators'; to be read by users only where that is wanted. It belongs to the service,
    not to an account of many.
    """
    mine = f"O:{ANN}D:P(A;OICI;FA;;;{SYSTEM})(A;OICI;FA;;;{ADMINISTRATORS})(A;OICI;FA;;;{ANN})"
    assert acl.private_sddl([ANN]) == mine
    assert acl.private_sddl([ANN], readable=True) == mine + f"(A;OICI;0x1200a9;;;{USERS})"
    assert acl.private_sddl([SYSTEM]).count(f";{SYSTEM})") == 1


def test_the_list_of_a_pipe() -> None:
    """For the system, administrators and the service, and nobody else."""
    assert pipe_sddl([ANN]) == f"O:{ANN}D:P(A;;GA;;;{SYSTEM})(A;;GA;;;{ADMINISTRATORS})(A;;GA;;;{ANN})"
    assert pipe_sddl([SYSTEM]).count(f";{SYSTEM})") == 1


def test_the_command_that_corrects_a_folder() -> None:
    """It names groups by number, as their names are translated; what it leaves is what we would not refuse."""
    assert acl.icacls_line("C:\\My App") == (
        'icacls "C:\\My App" /inheritance:r /grant:r '
        "*S-1-5-18:(OI)(CI)F *S-1-5-32-544:(OI)(CI)F *S-1-5-32-545:(OI)(CI)RX"
    )
    assert "(OI)" not in acl.icacls_line("C:\\app.py", is_directory=False)
