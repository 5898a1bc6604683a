"""What is there already when a service comes or goes: directories of others, and what a killed one has left."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stayon import exits
from stayon.errors import NotPermittedError, UnavailableError
from stayon.platforms.systemd.files import Contents, UnitDirectory
from tests.unit.systemd_desk import NAME, WANTED, Desk, instance_of

pytestmark = pytest.mark.linux

UNIT = f"{NAME}.service"
STATE, LOGS, RUN = f"/var/lib/{NAME}", f"/var/log/{NAME}", f"/run/{NAME}"
OTHERS = Contents(0, 0o755, ("lists",))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A manager whose units are in a directory of the test's own."""
    return Desk(tmp_path)


@pytest.mark.parametrize("path", [STATE, LOGS, RUN])
@pytest.mark.parametrize("account", ["", "root", "nobody"])
def test_a_directory_of_others_is_not_taken_over(desk: Desk, path: str, account: str) -> None:
    """systemd would give it to the service's account: a first install is refused, a dry run tells, nothing changes."""
    desk.systemd.contents[path] = OTHERS
    before = desk.systemd.world()
    for dry_run in (True, False):
        with pytest.raises(NotPermittedError) as caught:
            desk.install(WANTED.replace(account=account), dry_run=dry_run)
        assert (caught.value.code, caught.value.exit_code) == ("systemd.taken", exits.NOT_PERMITTED)
        assert caught.value.where == path
    assert desk.systemd.world() == before


@pytest.mark.parametrize(
    "there",
    [
        {STATE: Contents(0, 0o755, ())},
        {STATE: Contents(61184, 0o755, ("kept",), f"private/{NAME}")},
        {STATE: Contents(61184, 0o700, ("kept",), f"/var/lib/private/{NAME}/")},
        {STATE: Contents(0, 0o755, ("kept", f"{NAME}.crash"))},
        {STATE: Contents(0, 0o755, ("kept", f"{NAME}.crash")), LOGS: OTHERS},
        {"/etc/collector": OTHERS},
    ],
)
def test_what_an_earlier_one_has_left_is_its_own(desk: Desk, there: dict[str, Contents]) -> None:
    """Directories that are empty, have one of its files, or were an own account's are taken again."""
    desk.systemd.contents.update(there)
    assert desk.install()["unit"] == ("", UNIT)


def test_what_is_the_accounts_already_is_not_taken_from_anybody(desk: Desk) -> None:
    """A directory that the service's account has, or root's own that nobody else may see: systemd changes nothing."""
    desk.systemd.contents[STATE] = Contents(65534, 0o755, ("kept",))
    desk.install(WANTED.replace(account="65534:0"))
    other = instance_of(WANTED, "rome")
    desk.systemd.contents[f"{STATE}@rome"] = Contents(0, 0o700, ("kept",))
    desk.install(other.replace(account="root"))


def test_only_a_first_install_looks(desk: Desk) -> None:
    """Whoever is installed has its directories, whatever it keeps there; those elsewhere are nobody's here."""
    desk.install()
    desk.systemd.contents[STATE] = OTHERS
    desk.install(WANTED.replace(description="other"))
    user = Desk(desk.systemd.top / "user", for_user=True)
    user.systemd.contents[STATE] = OTHERS
    user.install(WANTED.replace(scope="user"))


@pytest.mark.parametrize("name", ["private", "systemd", "journal", "lock"])
def test_names_of_the_systems_own_directories_are_refused(desk: Desk, name: str) -> None:
    """A service of this name would be given them, even if they are empty."""
    directories = ((f"/etc/{name}", "read"), (f"/var/lib/{name}", "write"))
    with pytest.raises(NotPermittedError) as caught:
        desk.install(WANTED.replace(name=name, directories=directories))
    assert caught.value.code == "systemd.taken"
    home = tuple((f"/srv/{name}/{access}", access) for _path, access in directories)
    assert desk.install(WANTED.replace(name=name, directories=home, account="root"))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "directory"])
def test_what_is_no_file_keeps_nobody(desk: Desk, kind: str) -> None:
    """A pipe, socket, endless device or directory in a unit's place is somebody else's: told, and not waited for."""
    path = desk.systemd.top / UNIT
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    assert desk.units.names() == []
    with pytest.raises(NotPermittedError) as caught:
        desk.install()
    assert caught.value.code == "manager.foreign"


def test_a_linked_unit_is_read(tmp_path: Path) -> None:
    """A link to a unit elsewhere is one."""
    (tmp_path / "real").write_text("[Unit]\n")
    (tmp_path / UNIT).symlink_to("real")
    assert UnitDirectory(str(tmp_path)).read(UNIT) == "[Unit]\n"


def _gone() -> int:
    """The number of a process that was."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_what_a_killed_install_was_writing_is_removed(desk: Desk) -> None:
    """Half a unit of a process that is gone goes with the next install or uninstall; others' are left alone."""
    top, gone, living = desk.systemd.top, _gone(), os.getppid()
    drop_ins = top / f"{UNIT}.d"
    drop_ins.mkdir()
    mine = [top / f"{UNIT}.stayon-{gone}", top / f"{NAME}-http.socket.stayon-{gone}"]
    mine += [drop_ins / f"x.conf.stayon-{gone}", top / f"{UNIT}.stayon-{os.getpid()}"]
    others = [top / f"{UNIT}.stayon-{living}", top / f"{UNIT}.stayon-x", top / f"other.service.stayon-{gone}"]
    for path in (*mine, *others):
        path.touch()
    desk.install(dry_run=True)
    assert all(path.exists() for path in (*mine, *others))
    desk.install()
    assert not [path for path in mine if path.exists()]
    assert not drop_ins.exists()
    assert all(path.exists() for path in others)
    mine[0].touch()
    desk.units.change(NAME, None)
    assert not mine[0].exists()


def test_a_killed_uninstall_is_finished(desk: Desk) -> None:
    """A unit that systemd has loaded and whose file is gone isn't installed; the next uninstall has systemd know."""
    desk.install()
    (desk.systemd.top / UNIT).unlink()
    assert desk.units.look(NAME) is None
    for dry_run, loaded in ((True, [UNIT]), (False, [])):
        with pytest.raises(UnavailableError) as caught:
            desk.units.change(NAME, None, dry_run=dry_run)
        assert caught.value.code == "manager.not-installed"
        assert list(desk.systemd.loaded) == loaded
