"""systemd as a manager of services: install, update, uninstall, each as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stayon import exits
from stayon.core import states
from stayon.core.installation import Installation
from stayon.errors import FailedError, NotPermittedError, StayonError, UnavailableError, UsageError
from stayon.platforms.clock import SystemClock
from stayon.platforms.systemd.files import UnitDirectory
from stayon.platforms.systemd.systemctl import Systemctl
from tests.unit.systemd_desk import NAME, WANTED, Desk, Ended, instance_of

pytestmark = pytest.mark.linux

UNIT = f"{NAME}.service"
# A world without it.
NOTHING: tuple[object, ...] = ({}, {}, set(), set(), set())
SOCKETS = WANTED.replace(sockets=(("http", "127.0.0.1:8080"), ("control", "/run/collector/c")))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A manager whose units are in a directory of the test's own."""
    return Desk(tmp_path)


def test_install_writes_loads_and_enables(desk: Desk) -> None:
    """A new service has its unit, systemd has read it, and it starts with the computer; nothing is started."""
    changes = desk.install()
    assert changes["unit"] == ("", UNIT)
    assert changes["start"] == ("", "auto")
    assert list(desk.systemd.files()) == [UNIT] == list(desk.systemd.loaded)
    assert (desk.systemd.enabled, desk.systemd.active) == ({UNIT}, set())
    mode = (desk.systemd.top / UNIT).stat().st_mode & 0o777
    assert mode == 0o644


def test_the_configuration_is_roots(desk: Desk, tmp_path: Path) -> None:
    """Its directory is made by install, as one that systemd makes is the service's; also that of an instance, and one
    that has gone since. One that is there is left alone, as are those of a user, or elsewhere.
    """
    assert desk.install()["configuration"] == ("", f"/etc/{NAME}")
    assert desk.systemd.directories == {f"/etc/{NAME}"}
    desk.install(instance_of(WANTED, "rome"))
    assert desk.systemd.directories == {f"/etc/{NAME}", f"/etc/{NAME}@rome"}
    desk.systemd.directories.clear()
    assert desk.install() == {"configuration": ("", f"/etc/{NAME}")}
    others = Desk(tmp_path / "others", for_user=True)
    others.install(WANTED.replace(scope="user"))
    assert others.systemd.directories == set()
    elsewhere = tuple((f"/srv{path}", access) for path, access in WANTED.directories)
    desk.systemd.directories.clear()
    desk.install(WANTED.replace(directories=elsewhere))
    assert desk.systemd.directories == set()


def test_a_directory_is_made_once(tmp_path: Path) -> None:
    """A real one has the mode 0755 whatever the umask; what is there already is left as it is, and only an empty one
    is removed.
    """
    files, path = UnitDirectory(str(tmp_path)), tmp_path / "made"
    before = os.umask(0o077)
    try:
        assert files.make_directory(str(path))
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o7777 == 0o755
    path.chmod(0o700)
    assert not files.make_directory(str(path))
    assert path.stat().st_mode & 0o7777 == 0o700
    (path / "s.toml").touch()
    files.remove_directory(str(path))
    assert files.is_there(str(path))
    (path / "s.toml").unlink()
    files.remove_directory(str(path))
    assert not files.is_there(str(path))
    with pytest.raises(UnavailableError, match=r"systemd\.unwritable"):
        files.make_directory(str(path / "below"))


def test_the_same_again_is_nothing(desk: Desk) -> None:
    """Installing what is there changes nothing and asks systemd for nothing that could change anything."""
    desk.install()
    before = desk.systemd.world()
    desk.systemd.refuse_after = 0
    assert desk.install() == {}
    assert desk.systemd.world() == before


def test_what_a_killed_install_has_written_is_read(desk: Desk) -> None:
    """Files that are as they should be, and that systemd hasn't read, are read by the next install."""
    desk.install()
    desk.systemd.shown["NeedDaemonReload"] = "yes"
    before = desk.systemd.asked.count("systemctl --no-pager --no-ask-password daemon-reload")

    assert desk.install() == {"unread": (f"{NAME}.service", "read")}

    assert desk.systemd.asked.count("systemctl --no-pager --no-ask-password daemon-reload") == before + 1


def test_a_stop_that_another_job_replaced_is_no_success(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody starts it at the same time, ``stop`` says that it isn't stopped."""
    desk.install()
    canceled = Ended(1, f"Job for {NAME}.service canceled.\n")
    monkeypatch.setattr(desk.systemd, "changed", lambda _verb, _units: canceled)

    with pytest.raises(StayonError) as caught:
        desk.units.ask(NAME, "stop", 5.0, lambda _text: None)

    assert (caught.value.code, caught.value.exit_code) == ("systemd.not-stopped", 75)


def test_a_complaint_is_no_version(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed before it is passed over."""
    printed = Ended(0, "cannot change locale\nsystemd 254~rc1 (254~rc1-1)\n+PAM\n")
    monkeypatch.setattr(desk.systemd, "spawn", lambda _command, **_more: printed)

    assert Systemctl(desk.systemd, SystemClock(), for_user=False).version() == 254


def test_a_dry_run_changes_nothing(desk: Desk) -> None:
    """It tells what would be, for a new service and for a changed one, and needs no rights."""
    desk.systemd.refuse_after = 0
    assert desk.install(dry_run=True)["unit"] == ("", UNIT)
    assert desk.systemd.world() == NOTHING
    visitor = Desk(desk.systemd.top, account=1000)
    assert visitor.install(dry_run=True)["unit"] == ("", UNIT)


@pytest.mark.parametrize(
    ("field", "value", "name", "words"),
    [
        ("description", "Sells 5 % of it", "description", ("Collects prices", "Sells 5 % of it")),
        ("memory_bytes", 64 * 1024**2, "memory", ("", "64 MB")),
        ("cpu_percent", 50.0, "cpu", ("", "50%")),
        ("tasks", 9, "tasks", ("", "9")),
        ("limits", (("nofile", "4096"),), "limits", ("", "LimitNOFILE=4096")),
        ("environment", (("PASSWORD", "hunter2"), ("TZ", "UTC")), "environment", ("", "PASSWORD, TZ")),
        ("allow", ("jit",), "hardening", ("MemoryDenyWriteExecute=yes", "MemoryDenyWriteExecute=no")),
        ("start", "manual", "start", ("auto", "manual")),
        ("mark", "stayon 0.2.0", "version", ("stayon 0.1.0", "stayon 0.2.0")),
        ("stop_timeout_s", 60.0, "time to stop", ("30s", "70s")),
        ("after", ("postgresql",), "after", ("", "postgresql.service")),
    ],
)
def test_a_change_is_told_in_words(desk: Desk, field: str, value: object, name: str, words: tuple[str, str]) -> None:
    """What differs is named as people call it, with what it was and what it is; contents of variables are not shown."""
    desk.install()
    wanted = WANTED.replace(**{field: value})
    told = desk.install(wanted)
    assert told[name] == words
    assert "hunter2" not in str(told)
    assert desk.install(wanted) == {}
    assert desk.install()[name] == (words[1], words[0])


@pytest.mark.parametrize("start", ["manual", "disabled"])
def test_it_is_enabled_as_said(desk: Desk, start: str) -> None:
    """Only what is to start by itself is enabled; what an administrator has disabled is enabled again, and told."""
    desk.install(WANTED.replace(start=start))
    assert desk.systemd.enabled == set()
    found = desk.units.look(NAME)
    assert found is not None
    assert found.start == start
    desk.install()
    assert desk.systemd.enabled == {UNIT}
    desk.systemd.enabled.clear()
    found = desk.units.look(NAME)
    assert found is not None
    assert found.start == "manual"
    assert desk.install() == {"start": ("manual", "auto")}
    assert desk.systemd.enabled == {UNIT}


def test_uninstall_leaves_nothing(desk: Desk) -> None:
    """It is stopped and disabled, and its files are gone for systemd, too; of its things, none is."""
    desk.install(SOCKETS)
    desk.systemd.active = {UNIT, *desk.systemd.enabled}
    told = desk.units.change(NAME, None)
    assert {change.old.rpartition("/")[2] for change in told} == {
        UNIT,
        "collector-http.socket",
        "collector-control.socket",
    }
    assert desk.systemd.world() == (*NOTHING[:-1], {f"/etc/{NAME}"})
    with pytest.raises(UnavailableError, match=r"manager\.not-installed"):
        desk.units.change(NAME, None)


def walked(desk: Desk, wanted: Installation | None) -> int:
    """Have the change to *wanted* fail at every point it can; each time the world is as before. Gives the points."""
    before = desk.systemd.world()
    for point in range(100):
        desk.systemd.refuse_after = point
        failed = ""
        try:
            desk.units.change(NAME, wanted)
        except StayonError as error:
            failed = str(error)
        desk.systemd.refuse_after = -1
        if not failed:
            return point
        assert desk.systemd.world() == before, f"point {point}: {failed}"
        assert "could not be taken back" not in failed
    raise AssertionError("it never succeeds")


def test_a_failed_install_leaves_the_world_as_it_was(desk: Desk) -> None:
    """Wherever a new service, an update or an uninstall is cut, all that was done is taken back."""
    assert walked(desk, SOCKETS) > 5
    desk.systemd.active = {UNIT, "collector-http.socket", "collector-control.socket"}
    changed = SOCKETS.replace(sockets=SOCKETS.sockets[:1], memory_bytes=2**26, start="manual")
    assert walked(desk, changed) > 5
    desk.install(SOCKETS)
    desk.systemd.active = {UNIT, "collector-http.socket", "collector-control.socket"}
    assert walked(desk, None) > 5


def test_systemd_reads_the_unit_first(desk: Desk) -> None:
    """What ``systemd-analyze verify`` has against the unit is told, and nothing is changed."""
    desk.systemd.complains = f"DIRECTORY/{UNIT}:7: Unknown section 'Sevice'. Ignoring.\n"
    with pytest.raises(FailedError, match=r"systemd\.verify") as raised:
        desk.install()
    assert raised.value.details == (f"{UNIT}:7: Unknown section 'Sevice'. Ignoring.",)
    assert desk.systemd.world() == NOTHING


def test_what_an_older_systemd_does_not_know_is_no_obstacle(desk: Desk) -> None:
    """A directive that this systemd ignores keeps nobody from installing."""
    desk.systemd.complains = f"DIRECTORY/{UNIT}:7: Unknown key name 'ProtectProc' in section 'Service', ignoring.\n"
    assert desk.install()["unit"] == ("", UNIT)


def test_a_unit_edited_by_hand_is_kept(desk: Desk) -> None:
    """An update refuses, shows what was edited and says where to put it; an uninstall keeps it under another name."""
    desk.install()
    path = desk.systemd.top / UNIT
    edited = path.read_text().replace("UMask=0027", "UMask=0077")
    path.write_text(edited)
    with pytest.raises(FailedError, match=r"systemd\.edited") as raised:
        desk.install(WANTED.replace(tasks=5))
    assert {"-UMask=0027", "+UMask=0077"} <= set(raised.value.details)
    assert f"systemctl edit {UNIT}" in raised.value.hint
    assert path.read_text() == edited
    desk.units.change(NAME, None)
    assert desk.systemd.files() == {f"{UNIT}.saved": edited}


def test_a_foreign_unit_is_left_alone(desk: Desk) -> None:
    """One without our section, in our directory or a package's, is looked at and never changed, started or removed."""
    text = "[Service]\nExecStart=/bin/true\n"
    (desk.systemd.top / UNIT).write_text(text)
    desk.systemd.answer("daemon-reload", ())
    for _ in range(2):
        for wanted in (WANTED, None):
            with pytest.raises(NotPermittedError, match=r"manager\.foreign"):
                desk.units.change(NAME, wanted)
        with pytest.raises(NotPermittedError, match=r"manager\.foreign"):
            desk.units.ask(NAME, "stop", 1.0, print)
        found = desk.units.look(NAME)
        assert found is not None
        assert found.mark == ""
        assert found.command.endswith(UNIT)
        (desk.systemd.top / UNIT).unlink(missing_ok=True)
        desk.systemd.loaded, desk.systemd.elsewhere = {}, {UNIT: text}
    assert desk.units.names() == []


def test_a_masked_unit_is_forbidden(desk: Desk) -> None:
    """An administrator who masks a name forbids it: that is told with what takes it back."""
    desk.systemd.shown = {"LoadState": "masked"}
    with pytest.raises(NotPermittedError, match=r"systemctl unmask collector\.service.*systemd\.masked"):
        desk.install()


def test_drop_ins_of_others_stay(desk: Desk) -> None:
    """What an administrator has put beside the unit is kept by an update, and named, not removed, by an uninstall."""
    desk.install()
    own = desk.systemd.top / f"{UNIT}.d" / "override.conf"
    own.parent.mkdir()
    own.write_text("[Service]\nNice=5\n")
    desk.install(WANTED.replace(tasks=5))
    told = {change.name: (change.new, bool(change.warning)) for change in desk.units.change(NAME, None)}
    assert told["drop-in"] == (str(own), True)
    assert desk.systemd.files() == {f"{UNIT}.d/override.conf": "[Service]\nNice=5\n"}
    assert desk.units.leavings(NAME) == [str(own)]


def test_who_is_not_root_is_told_how(tmp_path: Path) -> None:
    """The computer's services are root's; a user's own need no rights."""
    with pytest.raises(NotPermittedError, match=r"sudo.*--user.*systemd\.access-denied"):
        Desk(tmp_path, account=1000).install()
    Desk(tmp_path, account=1000, for_user=True).install(WANTED.replace(scope="user"))


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (WANTED.replace(account="nobody-knows-me"), "systemd.account"),
        (WANTED.replace(account="root:nobody-knows-us"), "systemd.account"),
        (WANTED.replace(command=("/tmp/venv/bin/python", "x.py")), "systemd.temporary"),
        (WANTED.replace(environment=(("STAYON_HOME", "/srv/x"),)), "systemd.home-needs-account"),
        (WANTED.replace(environment=(("A-B", "1"),)), "systemd.environment"),
        (WANTED.replace(environment=(("A", "\x1b"),)), "systemd.environment"),
        (WANTED.replace(sockets=(("web", "localhost:80"),)), "systemd.socket"),
        (WANTED.replace(command=("/bin/\udcff",)), "systemd.text"),
        (WANTED.replace(after=("a b",)), "systemd.after"),
    ],
)
def test_what_cannot_be_is_refused_first(desk: Desk, wanted: Installation, code: str) -> None:
    """What systemd would only find out at a start is an error of the install, with exit code 64 and a code."""
    with pytest.raises(UsageError) as raised:
        desk.install(wanted)
    assert raised.value.code == code
    assert desk.systemd.world() == NOTHING


@pytest.mark.parametrize("name", ["", "a b", "a/b", "@x", "x@", "x@y@z", "ä", "a" * 250])
def test_a_name_that_no_unit_can_have(desk: Desk, name: str) -> None:
    """Names are checked before anything is done with them."""
    with pytest.raises(UsageError, match=r"systemd\.bad-name"):
        desk.units.look(name)


def test_instances_share_a_template(desk: Desk) -> None:
    """The first makes the template, others add their own drop-in, and the last one takes the template away."""
    one, two = instance_of(WANTED, "one"), instance_of(WANTED, "two").replace(tasks=7)
    desk.install(one)
    template = desk.systemd.files()[f"{NAME}@.service"]
    assert "%i" in template
    desk.install(two)
    files = desk.systemd.files()
    assert files[f"{NAME}@.service"] == template
    assert "TasksMax=7" in files[f"{NAME}@two.service.d/10-stayon.conf"]
    assert "[Service]" not in files[f"{NAME}@one.service.d/10-stayon.conf"]
    assert desk.systemd.enabled == {f"{NAME}@one.service", f"{NAME}@two.service"}
    assert desk.units.names() == [f"{NAME}@one", f"{NAME}@two"]
    assert (desk.install(one), desk.install(two)) == ({}, {})
    desk.units.change(one.name, None)
    assert sorted(desk.systemd.files()) == [f"{NAME}@.service", f"{NAME}@two.service.d/10-stayon.conf"]
    assert desk.units.look(one.name) is None  # though systemd would start it
    desk.units.change(two.name, None)
    assert desk.systemd.world() == (*NOTHING[:-1], {f"/etc/{one.name}", f"/etc/{two.name}"})
    assert list(desk.systemd.top.iterdir()) == []


def test_an_edited_template_keeps_no_instance_away(desk: Desk) -> None:
    """What several share and somebody has edited isn't written by a further instance, so that is no obstacle."""
    desk.install(instance_of(WANTED, "one"))
    path = desk.systemd.top / f"{NAME}@.service"
    edited = path.read_text().replace("KillMode=mixed", "KillMode=process")
    path.write_text(edited)
    desk.install(instance_of(WANTED, "two"))
    files = desk.systemd.files()
    assert files[path.name] == edited
    assert "KillMode=mixed" in files[f"{NAME}@two.service.d/10-stayon.conf"]


def test_an_instance_does_not_change_the_others(desk: Desk) -> None:
    """An update of one instance leaves what the others are as it is."""
    one, two = instance_of(WANTED, "one"), instance_of(WANTED, "two")
    desk.install(one)
    desk.install(two)
    before = {name: text for name, text in desk.systemd.files().items() if "@one" not in name}
    told = desk.install(one.replace(stop_timeout_s=99.0, environment=(("A", "1"),), hang_timeout_s=None))
    assert told["environment"] == ("", "A")
    after = {name: text for name, text in desk.systemd.files().items() if "@one" not in name}
    assert after == before
    assert desk.install(two) == {}
    assert "WatchdogSec=0" in desk.systemd.files()[f"{NAME}@one.service.d/10-stayon.conf"]


def test_sockets_come_and_go_with_it(desk: Desk) -> None:
    """Each named socket is a unit; one that is taken out of the wish is stopped and removed."""
    desk.install(SOCKETS)
    assert desk.systemd.enabled == {UNIT, "collector-http.socket", "collector-control.socket"}
    assert "FileDescriptorName=http" in desk.systemd.files()["collector-http.socket"]
    desk.systemd.active = set(desk.systemd.enabled)
    told = desk.install(SOCKETS.replace(sockets=(("http", "127.0.0.1:9090"),)))
    assert told["socket http"] == ("127.0.0.1:8080", "127.0.0.1:9090")
    assert told["socket control"] == ("/run/collector/c", "")
    assert "collector-control.socket" not in desk.systemd.files()
    assert desk.systemd.active == desk.systemd.enabled == {UNIT, "collector-http.socket"}
    desk.units.ask(NAME, "stop", 5.0, print)
    assert desk.systemd.active == set()


def test_verbs(desk: Desk) -> None:
    """Start, restart, reload and stop go to systemd; what it has no word for is a mistake with a code of its own."""
    desk.install()
    for verb, state in (("start", states.RUNNING), ("reload", states.RUNNING), ("stop", states.STOPPED)):
        assert desk.units.ask(NAME, verb, 5.0, print).state == state
    for verb in ("pause", "resume"):
        with pytest.raises(UsageError, match=r"manager\.verb"):
            desk.units.ask(NAME, verb, 5.0, print)
    with pytest.raises(UsageError, match=r"systemd\.arguments"):
        desk.units.ask(NAME, "start", 5.0, print, ("--fast",))
    with pytest.raises(UnavailableError, match=r"manager\.not-installed"):
        desk.units.ask("colector", "start", 5.0, print)


def test_a_start_that_fails_says_why(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the exit code in words, and is the command's exit code, too."""
    desk.install()
    answer = desk.systemd.changed

    def failing(verb: str, units: list[str]) -> object:
        if verb != "start":
            return answer(verb, units)
        desk.systemd.shown = {
            "ActiveState": "failed",
            "Result": "exit-code",
            "ExecMainCode": "1",
            "ExecMainStatus": str(exits.BAD_CONFIG),
        }
        return Ended(1, f"Job for {UNIT} failed because the control process exited with error code.\nSee more.\n")

    monkeypatch.setattr(desk.systemd, "changed", failing)
    with pytest.raises(FailedError, match=r"exit code 78 \(bad configuration\).*systemd\.start-failed") as raised:
        desk.units.ask(NAME, "start", 5.0, print)
    assert raised.value.exit_code == exits.BAD_CONFIG


@pytest.mark.parametrize(
    ("printed", "code", "error"),
    [
        ("Failed to start x.service: Access denied\n", "systemd.access-denied", NotPermittedError),
        (
            "Failed to start x.service: Interactive authentication required.\n",
            "systemd.access-denied",
            NotPermittedError,
        ),
        ("Failed to connect to bus: No such file or directory\n", "systemd.unreachable", UnavailableError),
        ("System has not been booted with systemd as init system\n", "systemd.unreachable", UnavailableError),
        ("Operation refused, unit x.service may be requested by dependency only\n", "systemd.disabled", UsageError),
        ("Failed to start x.service: Something else\n", "systemd.refused", FailedError),
    ],
)
def test_what_systemctl_says(desk: Desk, printed: str, code: str, error: type[StayonError]) -> None:
    """Its refusals are errors of ours, by what has to be done about them."""
    desk.install()
    desk.systemd.changed = lambda _verb, _units: Ended(1, printed)  # type: ignore[method-assign,assignment]  # what it says is the test
    with pytest.raises(error) as raised:
        desk.units.ask(NAME, "stop", 5.0, print)
    assert raised.value.code == code
