"""Access lists on a real file system of Windows: what is set is read, and who could change a program is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from stayon.errors import NotPermittedError

pytestmark = pytest.mark.windows

OPEN = "D:P(A;;FA;;;WD)"
CLOSED = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that only administrators can change."""
    folder = tmp_path / "app"
    (folder / "package").mkdir(parents=True)
    made = folder / "package" / "program.py"
    made.write_text("print()")
    close(tmp_path, folder, folder / "package", made)
    return made


def close(*paths: Path) -> None:
    from stayon.platforms.windows.security import apply_acl

    for path in paths:
        apply_acl(str(path), CLOSED)


def test_a_program_that_only_administrators_can_change_is_let_pass(program: Path) -> None:
    """The file, its folder, and all above."""
    from stayon.platforms.windows.security import check_program

    check_program(str(program))
    check_program(str(program.parent))


@pytest.mark.parametrize("height", [0, 1, 2])
def test_a_program_that_others_can_change_is_refused(program: Path, height: int) -> None:
    """They may write to it, or swap a folder on the way to it: it is told who may what, and what to do about it."""
    from stayon.platforms.windows.security import apply_acl, check_program

    open_one = (program, *program.parents)[height]
    apply_acl(str(open_one), OPEN)
    with pytest.raises(NotPermittedError) as caught:
        check_program(str(program))
    error = caught.value
    assert (error.code, error.where) == ("install.unsafe-folder", str(program))
    assert error.why.startswith(f"{open_one}: ")
    assert "may" in error.why
    assert f'icacls "{open_one}" /inheritance:r' in error.hint
    apply_acl(str(open_one), CLOSED)
    check_program(str(program))


def test_what_is_missing_can_not_be_looked_at(tmp_path: Path) -> None:
    """That is not for this check to explain."""
    from stayon.platforms.windows.security import check_program

    with pytest.raises(FileNotFoundError):
        check_program(str(tmp_path / "none.py"))


def test_accounts_have_names_and_numbers() -> None:
    """Both ways; a number that nobody has is told as it is, a name that nobody has is error 1332."""
    from stayon.platforms.windows.account_names import name_of, sid_of

    assert sid_of(name_of("S-1-5-18")) == "S-1-5-18"
    assert name_of("S-1-5-21-1-2-3-4") == "S-1-5-21-1-2-3-4"
    with pytest.raises(OSError, match="1332"):
        sid_of("no such account here")


def test_this_process_has_an_identity() -> None:
    """Its account, by which what it makes is its own."""
    from stayon.platforms.windows.security import read_access
    from stayon.platforms.windows.sids import own_sids

    assert all(sid.startswith("S-1-5-") for sid in own_sids())
    assert read_access("C:\\").owner.startswith("S-1-5-")


def test_a_list_that_was_not_protected_is_given_back_as_it_was(beyond_wine: None, tmp_path: Path) -> None:
    """What is inherited from above is inherited again."""
    from stayon.platforms.windows.security import apply_acl, read_access

    folder = tmp_path / "folder"
    close(tmp_path)
    folder.mkdir()
    before = read_access(str(folder))
    apply_acl(str(folder), "D:P(A;;FA;;;WD)")
    apply_acl(str(folder), "D:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)")
    assert {entry.sid for entry in read_access(str(folder)).entries or ()} == {
        entry.sid for entry in before.entries or ()
    }


def test_a_link_that_others_can_turn_is_refused(program: Path, tmp_path: Path) -> None:
    """What it leads to is safe, and would be given to the service; but who owns the link may have it lead elsewhere."""
    import _winapi

    from stayon.platforms.windows.security import apply_acl, check_directory, check_program

    place = tmp_path / "open"
    place.mkdir()
    apply_acl(str(place), "D:P(A;OICI;FA;;;WD)")
    link = place / "link"
    try:
        _winapi.CreateJunction(str(program.parent), str(link))  # type: ignore[attr-defined,unused-ignore]  # Windows has it
    except OSError:
        pytest.skip("here are no junctions")
    if not getattr(link.lstat(), "st_reparse_tag", 0):
        pytest.skip("here a junction is no link")
    with pytest.raises(NotPermittedError) as caught:
        check_directory(str(link))
    assert caught.value.where == str(link)
    with pytest.raises(NotPermittedError):
        check_program(str(link / program.name))


def test_a_process_that_can_not_be_opened_has_the_identity_that_it_has_for_others() -> None:
    """An ordinary user knows a service's process by the list of all."""
    import os

    from stayon.platforms.windows import process

    assert process.known_identity(os.getpid()) == process.process_identity(os.getpid()) != ""
