"""Places: the table of the four systems, and directories that are made safely."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core.places import Places
from stayon.errors import NotPermittedError, UnavailableError, UsageError
from stayon.platforms import current
from stayon.platforms.places import Account, places_of

make_directory, check_directory = current().make_directory, current().check_directory

ROOT = Account("linux", is_root=True, home="/root")
USER = Account("linux", is_root=False, home="/home/ann")
WINDOWS = Account("win32", is_root=False, home="")
MAC_ROOT = Account("darwin", is_root=True, home="/var/root")
MAC_USER = Account("darwin", is_root=False, home="/Users/ann")
ACCOUNTS = [ROOT, USER, WINDOWS, MAC_ROOT, MAC_USER]

# As systemd has it for a service of the system, with more directories than ours, and for one of a user.
MADE = {
    "CONFIGURATION_DIRECTORY": "/etc/x",
    "LOGS_DIRECTORY": "/var/log/other:/var/log/x",
    "STATE_DIRECTORY": "/var/lib/x:/var/lib/x/cache",
    "RUNTIME_DIRECTORY": "/run/x",
}
MADE_FOR_USER = {"STATE_DIRECTORY": "/home/ann/.config/x", "RUNTIME_DIRECTORY": "/run/user/1000/x"}
NO_HOME = Account("linux", is_root=False, home="")

XDG = {"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s/", "XDG_RUNTIME_DIR": "/run/user/1000"}

TABLE = [
    (ROOT, {}, ("/etc/x", "/var/log/x", "/var/lib/x", "/run/x")),
    (ROOT, XDG, ("/etc/x", "/var/log/x", "/var/lib/x", "/run/x")),
    (USER, XDG, ("/c/x", "/s/x/logs", "/s/x", "/run/user/1000/x")),
    (
        USER,
        {},
        (
            "/home/ann/.config/x",
            "/home/ann/.local/state/x/logs",
            "/home/ann/.local/state/x",
            "/home/ann/.local/state/x/run",
        ),
    ),
    (USER, {"XDG_STATE_HOME": "/s"}, ("/home/ann/.config/x", "/s/x/logs", "/s/x", "/s/x/run")),
    (
        USER,
        dict.fromkeys(XDG, "relative"),
        (
            "/home/ann/.config/x",
            "/home/ann/.local/state/x/logs",
            "/home/ann/.local/state/x",
            "/home/ann/.local/state/x/run",
        ),
    ),
    (Account("freebsd14", is_root=True, home="/root"), {}, ("/etc/x", "/var/log/x", "/var/lib/x", "/run/x")),
    (
        WINDOWS,
        {"ProgramData": "D:\\Data"},
        ("D:\\Data\\x", "D:\\Data\\x\\logs", "D:\\Data\\x\\state", "D:\\Data\\x\\run"),
    ),
    (
        WINDOWS,
        {},
        ("C:\\ProgramData\\x", "C:\\ProgramData\\x\\logs", "C:\\ProgramData\\x\\state", "C:\\ProgramData\\x\\run"),
    ),
    (
        MAC_ROOT,
        {},
        ("/Library/Application Support/x", "/Library/Logs/x", "/Library/Application Support/x", "/var/run/x"),
    ),
    (
        MAC_USER,
        {},
        (
            "/Users/ann/Library/Application Support/x",
            "/Users/ann/Library/Logs/x",
            "/Users/ann/Library/Application Support/x",
            "/Users/ann/Library/Application Support/x/run",
        ),
    ),
    (NO_HOME, MADE, ("/etc/x", "/var/log/x", "/var/lib/x", "/run/x")),
    (NO_HOME, {"STATE_DIRECTORY": "/srv/x"}, ("/etc/x", "/var/log/x", "/srv/x", "/run/x")),
    (USER, MADE, ("/etc/x", "/var/log/x", "/var/lib/x", "/run/x")),
    (ROOT, {"STATE_DIRECTORY": "/srv/x"}, ("/etc/x", "/var/log/x", "/srv/x", "/run/x")),
    (
        USER,
        MADE_FOR_USER,
        ("/home/ann/.config/x", "/home/ann/.config/x/logs", "/home/ann/.config/x", "/run/user/1000/x"),
    ),
    # those of another service, or instance, are not ours
    (ROOT, {"STATE_DIRECTORY": "/srv/xx:/srv/x@a:srv/x:/srv/x/"}, ("/etc/x", "/var/log/x", "/var/lib/x", "/run/x")),
    (ROOT, {"STAYON_HOME": "/data", **MADE}, ("/data/x/config", "/data/x/logs", "/data/x/state", "/data/x/run")),
    (MAC_USER, MADE, ("/etc/x", "/var/log/x", "/var/lib/x", "/run/x")),
    (USER, {"STAYON_HOME": "/data/"}, ("/data/x/config", "/data/x/logs", "/data/x/state", "/data/x/run")),
    (ROOT, {"STAYON_HOME": "/data", **XDG}, ("/data/x/config", "/data/x/logs", "/data/x/state", "/data/x/run")),
    (
        WINDOWS,
        {"STAYON_HOME": "D:\\data"},
        ("D:\\data\\x\\config", "D:\\data\\x\\logs", "D:\\data\\x\\state", "D:\\data\\x\\run"),
    ),
]


@pytest.mark.parametrize(("account", "env", "wanted"), TABLE)
def test_the_table(account: Account, env: dict[str, str], wanted: tuple[str, ...]) -> None:
    """Every column of the table, with and without the variables that matter."""
    assert places_of("x", account, env) == Places(*wanted)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_instances_share_nothing(account: Account) -> None:
    """NAME@INSTANCE has its own four places, so its own lock."""
    first, second = (places_of(name, account, {}).as_dict().values() for name in ("x@a", "x@b"))
    assert not set(first) & set(second)


@given(name=st.text(min_size=1, max_size=20), account=st.sampled_from(ACCOUNTS))
def test_a_name_never_leads_outside(name: str, account: Account) -> None:
    """Whatever the name: it is refused, or each place is below the one without a name, and absolute."""
    try:
        places = places_of(name, account, {"STAYON_HOME": "C:\\t" if account.system == "win32" else "/t"})
    except UsageError:
        return
    for place in places.as_dict().values():
        parts = place.replace("\\", "/").split("/")
        assert parts[:2] in (["C:", "t"], ["", "t"])
        assert parts[2] == name
        assert len(parts) == 4


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", "a\0", "a\n", "C:x", ".hidden"])
def test_a_bad_name_is_refused(name: str) -> None:
    """It would lead elsewhere, or nowhere."""
    with pytest.raises(UsageError) as caught:
        places_of(name, ROOT, {})
    assert caught.value.code == "places.bad-name"


@pytest.mark.parametrize("name", ["nul", "CON", "com1.x", "lpt9 .log", "x.", "x ", "conout$", "COM\xb2"])
def test_a_name_that_windows_reads_otherwise_is_refused_there(name: str) -> None:
    """A device is meant by it, or its end is cut off; elsewhere it is a name like any other."""
    with pytest.raises(UsageError) as caught:
        places_of(name, WINDOWS, {})
    assert caught.value.code == "places.bad-name"
    places_of(name, ROOT, {})


@pytest.mark.parametrize("account", [USER, WINDOWS])
def test_a_relative_home_is_refused(account: Account) -> None:
    """Where it leads would depend on where the service was started."""
    with pytest.raises(UsageError, match="STAYON_HOME") as caught:
        places_of("x", account, {"STAYON_HOME": "data"})
    assert caught.value.code == "places.relative"


def test_an_account_without_a_home_is_told_what_to_do() -> None:
    """A container's account is often a mere number."""
    with pytest.raises(UnavailableError, match="STAYON_HOME") as caught:
        places_of("x", USER.replace(home=""), {})
    assert caught.value.code == "places.no-home"


# -- directories -----------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_umask():
    """The mode must be right whatever the umask allows."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def is_private(path: Path) -> bool:
    """Whether nobody else may do anything with it."""
    if sys.platform != "win32":
        return mode_of(path) == 0o700
    from stayon.platforms.windows import acl, security, sids

    return not acl.others(security.read_access(str(path)), 0x1FFFFF, sids.own_sids())


def open_up(path: Path) -> None:
    """Let everybody do everything with it."""
    if sys.platform != "win32":
        path.chmod(0o777)
        return
    from stayon.platforms.windows import security

    security.apply_acl(str(path), "D:P(A;OICI;FA;;;WD)")


def test_a_directory_is_made_with_those_above_it(tmp_path: Path) -> None:
    """The last has the mode that was asked for, the ones above are passable; a second time nothing changes."""
    wanted = tmp_path / "a" / "b" / "c"
    make_directory(str(wanted), 0o700)
    make_directory(str(wanted) + "/", 0o750)
    assert is_private(wanted)
    if sys.platform != "win32":
        assert mode_of(tmp_path / "a") == 0o755


@pytest.mark.windows
def test_others_never_get_more_than_to_look(tmp_path: Path) -> None:
    """Whatever the mode says."""
    from stayon.platforms.windows import acl, security, sids

    make_directory(str(tmp_path / "x"), 0o777)
    assert acl.others(security.read_access(str(tmp_path / "x")), acl.TO_ITS_FOLDER, sids.own_sids()) == []


@pytest.mark.linux
@pytest.mark.macos
def test_a_linked_directory_is_fine(tmp_path: Path) -> None:
    """An administrator may keep the state on another disk."""
    (tmp_path / "disk").mkdir(0o700)
    (tmp_path / "state").symlink_to(tmp_path / "disk")
    make_directory(str(tmp_path / "state"), 0o700)
    make_directory(str(tmp_path / "state" / "x"), 0o700)
    assert (tmp_path / "disk" / "x").is_dir()


def test_a_place_where_everybody_may_write_is_refused(tmp_path: Path) -> None:
    """Whoever may write above could swap it."""
    (tmp_path / "open").mkdir()
    open_up(tmp_path / "open")
    with pytest.raises(NotPermittedError) as caught:
        make_directory(str(tmp_path / "open" / "x"), 0o700)
    assert (caught.value.code, caught.value.where) == ("places.unsafe", str(tmp_path / "open"))


@pytest.mark.linux
@pytest.mark.macos
def test_a_sticky_directory_is_fine(tmp_path: Path) -> None:
    """All may write to /tmp, but not swap what is another's."""
    (tmp_path / "sticky").mkdir()
    (tmp_path / "sticky").chmod(0o1777)
    make_directory(str(tmp_path / "sticky" / "x"), 0o700)


def test_a_directory_where_everybody_may_write_is_refused(tmp_path: Path) -> None:
    """It is there already, and anybody can put a socket into it."""
    (tmp_path / "x").mkdir(0o755)
    check_directory(str(tmp_path / "x"))
    open_up(tmp_path / "x")
    with pytest.raises(NotPermittedError, match=r"[Ee]very") as caught:
        make_directory(str(tmp_path / "x"), 0o700)
    assert (caught.value.code, caught.value.where) == ("places.unsafe", str(tmp_path / "x"))


@pytest.mark.needs_root
def test_a_foreign_directory_is_refused(tmp_path: Path) -> None:
    """Somebody else was quicker in /tmp: his number is named."""
    (tmp_path / "x").mkdir(0o700)
    os.chown(tmp_path / "x", 65534, -1)
    with pytest.raises(NotPermittedError, match="65534") as caught:
        make_directory(str(tmp_path / "x"), 0o700)
    assert caught.value.code == "places.unsafe"


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    """At the place itself, or above it; and what is missing is no directory either, where none is to be made."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError):
        check_directory(str(tmp_path / "missing"))
    for path in (tmp_path / "file", tmp_path / "file" / "x"):
        with pytest.raises(UnavailableError) as caught:
            make_directory(str(path), 0o700)
        assert caught.value.code == "places.unavailable"


@pytest.mark.needs_root
def test_missing_rights_are_told(short_tmp: Path, run_python) -> None:
    """Making one, and writing to one that is there: exit code 77, the directory, and two ways out."""
    short_tmp.chmod(0o755)
    (short_tmp / "root").mkdir(0o755)
    program = """
import os, sys
from stayon.platforms.directories import make_directory
from stayon.errors import NotPermittedError
os.setuid(65534)
for path in sys.argv[1:]:
    try:
        make_directory(path, 0o700)
    except NotPermittedError as error:
        print(error.code, error.exit_code, error.where, "STAYON_HOME" in error.hint)
"""
    made, found = str(short_tmp / "root" / "x"), str(short_tmp / "root")
    told = run_python(program, made, found).communicate()[0]
    assert told == f"places.not-permitted 77 {made} True\nplaces.not-permitted 77 {found} True\n"


def test_what_was_made_for_an_instance_is_that_instances() -> None:
    """NAME@INSTANCE is the last part of a directory of its own."""
    made = {"STATE_DIRECTORY": "/var/lib/x:/var/lib/x@a"}
    assert places_of("x@a", ROOT, made).state == "/var/lib/x@a"
    assert places_of("x", ROOT, made).state == "/var/lib/x"


@pytest.mark.skipif(sys.platform == "win32", reason="links like this are Unix's")
def test_a_directory_of_systemds_is_behind_a_link(tmp_path: Path) -> None:
    """With DynamicUser=, /var/lib/NAME is a link into a directory that others can't enter; what counts is what is
    behind it.
    """
    (tmp_path / "private" / "x").mkdir(parents=True, mode=0o755)
    (tmp_path / "private").chmod(0o700)
    (tmp_path / "x").symlink_to("private/x")
    make_directory(str(tmp_path / "x"), 0o750)
    check_directory(str(tmp_path / "x"))
    (tmp_path / "x").chmod(0o777)
    with pytest.raises(NotPermittedError):
        check_directory(str(tmp_path / "x"))
