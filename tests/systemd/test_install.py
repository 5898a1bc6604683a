"""What install makes of a service, as systemd and its tools see it, and that nothing else is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.systemd import lab as laboratory

if TYPE_CHECKING:
    from tests.systemd.lab import InstalledService, Lab

pytestmark = [pytest.mark.slow, pytest.mark.linux]

EXPOSURE_AT_MOST = 3.0
UNITS = "/etc/systemd/system"

NOTHING = """
    service = Service("{name}")

    @service.every("1h")
    def work(ctx):
        pass
    """

WHO_AM_I = """
    import grp, os
    service = Service("{name}")

    @service.run
    def main(ctx):
        ctx.log.info("I am", user=os.getuid(), groups=os.getgroups(), cwd=os.getcwd(), state=ctx.state_dir)
        open(os.path.join(ctx.state_dir, "kept"), "w").close()
        ctx.ready()
        ctx.stopping.wait()
    """

TAKEN_OVER = """
    import os
    service = Service("{name}")

    @service.run
    def main(ctx):
        directory = os.environ["CONFIGURATION_DIRECTORY"]
        try:
            open(os.path.join(directory, "{name}.toml"), "w").close()
            ctx.log.info(f"has written to {directory}")
        except OSError as error:
            ctx.log.info(f"has not written to {directory}: {error}")
        ctx.ready()
        ctx.stopping.wait()
    """

FOREIGN = "[Unit]\nDescription=Somebody else's\n[Service]\nExecStart=/bin/sleep 600\n"


def unit_text(service: InstalledService) -> str:
    """Its unit file."""
    return service.lab.read(f"{UNITS}/{service.unit}")


def test_install_again_changes_nothing(systemd: Lab) -> None:
    """A dry run says what would be, and does nothing; install makes it; the second one finds nothing to do."""
    service = systemd.service()
    dry = service.verb("install", "--dry-run", "--json")
    assert (dry.code, bool(dry.json["changes"])) == (0, True), dry
    assert unit_text(service) == ""
    assert service.show("LoadState") == "not-found"

    installed = service.verb("install", "--json")
    assert installed.code == 0, installed
    assert service.show("LoadState", "UnitFileState") == {"LoadState": "loaded", "UnitFileState": "enabled"}
    text = unit_text(service)
    again = service.verb("install", "--json")
    assert (again.code, again.json["changes"]) == (0, []), again
    assert unit_text(service) == text
    assert service.name in service.verb("list").out


def test_systemd_finds_nothing_wrong_with_the_unit(systemd: Lab) -> None:
    """``systemd-analyze verify`` has nothing to say, and systemd itself warns of nothing when it loads it."""
    service = systemd.service()
    assert service.verb("install").code == 0
    verified = systemd.run("systemd-analyze", "verify", "--man=no", f"{UNITS}/{service.unit}")
    assert verified == (0, "", ""), unit_text(service)
    assert not [record for record in service.journal() if "nit configuration" in str(record.get("MESSAGE"))]
    assert not [r for r in systemd.journal("_PID=1", "-p", "warning") if service.unit in str(r.get("MESSAGE"))]


def test_it_is_hardened_by_default(systemd: Lab) -> None:
    """A plain service has an exposure of 3.0 or less; one that asks for more has it written in its unit by name."""
    service = systemd.service()
    assert service.verb("install").code == 0
    told = systemd.check("systemd-analyze", "security", "--no-pager", service.unit)
    exposure = float(next(line for line in told.splitlines() if "Overall exposure" in line).split(":")[1].split()[0])
    assert exposure <= EXPOSURE_AT_MOST, told

    relaxed = service.verb("install", "--allow", "jit", "--allow", "home-read")
    assert relaxed.code == 0, relaxed
    assert service.show("MemoryDenyWriteExecute", "ProtectHome") == {
        "MemoryDenyWriteExecute": "no",
        "ProtectHome": "read-only",
    }
    assert "jit" in unit_text(service)
    unknown = service.verb("install", "--allow", "everything")
    assert unknown.code == 64, unknown
    assert "everything" in unknown.err


def test_an_account_of_its_own(systemd: Lab) -> None:
    """Without an account it has one that exists only while it runs, with directories that are its own."""
    service = systemd.service(WHO_AM_I)
    service.install()
    told = service.record("I am")["fields"]
    assert told["user"] >= 61184  # systemd.exec(5): the range of DynamicUser=
    assert told["state"] == f"/var/lib/{service.name}"
    assert systemd.path(f"/var/lib/private/{service.name}/kept").exists()
    assert systemd.path(f"/run/{service.name}").is_dir()
    assert service.status()["state"] == "RUNNING"  # root reaches its control socket
    assert service.systemctl("restart", service.unit).code == 0
    assert systemd.path(f"/var/lib/private/{service.name}/kept").exists()


def test_an_account_that_is_given(systemd: Lab) -> None:
    """--account is who it runs as, with that account's groups, and its directories belong to it."""
    systemd.run("useradd", "--system", "prices")
    systemd.run("groupadd", "--users", "prices", "readers")
    service = systemd.service(WHO_AM_I)
    service.install("--account", "prices")
    uid = int(systemd.check("id", "-u", "prices"))
    readers = int(systemd.check("getent", "group", "readers").split(":")[2])
    told = service.record("I am")["fields"]
    assert told["user"] == uid
    assert readers in told["groups"]
    assert systemd.path(f"/var/lib/{service.name}").stat().st_uid == uid


@pytest.mark.parametrize("words", [(), ("--account", "prices"), ("--instance", "rome")])
def test_its_configuration_is_roots(systemd: Lab, words: tuple[str, ...]) -> None:
    """No service may change its own configuration, which root's verbs read, too: the directory is root's after the
    install, a start and another one, and not to be written to, also if it is gone before the start.
    """
    systemd.run("useradd", "--system", "prices")
    service = systemd.service(TAKEN_OVER)
    here = service.at("rome") if "--instance" in words else service
    path = f"/etc/{here.unit.removesuffix('.service')}"
    assert service.verb("install", *words).code == 0
    assert owner(systemd, path) == (0, 0, 0o755)
    for _ in range(2):
        assert here.systemctl("restart", here.unit).code == 0
        assert owner(systemd, path) == (0, 0, 0o755)
    here.wait_journal(f"has not written to {path}", 2)
    systemd.path(path).rmdir()
    assert here.systemctl("restart", here.unit).code == 0
    here.wait_journal(f"has not written to {path}", 3)
    assert not systemd.path(path).exists()
    assert not here.records("has written")
    gone = service.verb("uninstall", *(words if here is not service else ()), "--purge", "--yes")
    assert gone.code == 0, gone


def owner(lab: Lab, path: str) -> tuple[int, int, int]:
    """Account, group and mode of the lab's *path*."""
    found = lab.path(path).stat()
    return found.st_uid, found.st_gid, found.st_mode & 0o7777


def test_a_configuration_that_is_the_services(systemd: Lab) -> None:
    """A directory that is there is left alone; doctor tells whose it is, and how to have it root's. It can't be written
    to all the same.
    """
    systemd.run("useradd", "--system", "prices")
    service = systemd.service(TAKEN_OVER)
    path = f"/etc/{service.name}"
    systemd.check("install", "-d", "-o", "prices", path)
    service.install("--account", "prices")
    assert owner(systemd, path)[0] != 0
    service.wait_journal(f"has not written to {path}")
    told = service.verb("doctor", "--account", "prices")
    assert f"sudo chown -R root:root {path}" in told.out + told.err, told
    systemd.check("chown", "-R", "root:root", path)
    well = service.verb("doctor", "--account", "prices")
    assert "chown" not in well.out + well.err, well


def test_an_unknown_account_is_refused(systemd: Lab) -> None:
    """An account that isn't there is told by name, and nothing is installed."""
    service = systemd.service()
    refused = service.verb("install", "--account", "nobody-knows-me")
    assert refused.code in (64, 77, 78), refused
    assert "nobody-knows-me" in refused.err
    assert unit_text(service) == ""


def test_an_update_in_place(systemd: Lab) -> None:
    """Another declaration changes the unit, named by what it changes; the running process has it from its next start,
    and what an administrator has put beside the unit stays.
    """
    service = systemd.service()
    service.install()
    pid = service.pid
    service.drop_in("[Service]\nNice=5\n")
    service.write(laboratory.EIGHT_LINES.replace("every five seconds", "now and then"))
    changed = service.verb("install", "--memory", "200M", "--json")
    assert changed.code == 0, changed
    assert {"description", "memory"} <= {change["name"] for change in changed.json["changes"]}, changed.out
    assert service.pid == pid
    shown = service.show("Description", "MemoryMax", "Nice")
    assert shown == {"Description": "Collects prices now and then", "MemoryMax": str(200 * 1024**2), "Nice": "5"}
    assert service.verb("restart").code == 0
    assert service.pid not in (0, pid)
    assert systemd.check("ps", "-o", "ni=", "-p", str(service.pid)).strip() == "5"


def test_a_unit_edited_by_hand_is_not_overwritten(systemd: Lab) -> None:
    """What somebody has changed in our unit is named, and neither install nor uninstall goes over it."""
    service = systemd.service()
    assert service.verb("install").code == 0
    edited = unit_text(service).replace("UMask=0027", "UMask=0077")
    assert edited != unit_text(service)
    systemd.write(f"{UNITS}/{service.unit}", edited)
    service.write(laboratory.EIGHT_LINES.replace("every five seconds", "now and then"))
    refused = service.verb("install")
    assert refused.code != 0, refused
    assert "systemd.edited" in refused.err
    assert "UMask" in refused.err, refused
    assert unit_text(service) == edited


def test_a_foreign_unit_is_left_alone(systemd: Lab) -> None:
    """A unit of that name which isn't ours is not touched by install, uninstall, start or stop."""
    service = systemd.service()
    systemd.write(f"{UNITS}/{service.unit}", FOREIGN)
    systemd.check("systemctl", "daemon-reload")
    systemd.check("systemctl", "start", service.unit)
    for verb in ("install", "uninstall", "stop"):
        answer = service.verb(verb)
        assert answer.code == 77, answer
        assert "manager.foreign" in answer.err
    assert unit_text(service) == FOREIGN
    assert service.show("ActiveState") == "active"


def test_the_directory_of_another_program_stays_its_own(systemd: Lab) -> None:
    """A first install which would give it to the service is refused, and says so; nothing of it is moved or changed."""
    service = systemd.service(name="lister")
    systemd.check("install", "-d", "-m", "755", "/var/lib/lister")
    systemd.write("/var/lib/lister/lists", "precious")
    for words in (("doctor",), ("install",), ("install", "--account", "daemon")):
        answer = service.verb(*words)
        assert answer.code == 77, answer
        assert "[systemd.taken]" in answer.out + answer.err
    assert systemd.check("stat", "-c", "%F %a %U", "/var/lib/lister").strip() == "directory 755 root"
    systemd.check("rm", "-r", "/var/lib/lister")
    service.install()


def test_a_killed_uninstall_is_finished(systemd: Lab) -> None:
    """One that had removed the unit and not told systemd yet: the next one has systemd forget it."""
    service = systemd.service()
    assert service.verb("install").code == 0
    systemd.check("systemctl", "disable", service.unit)
    # Something that wants it keeps it in systemd's memory.
    systemd.write(f"{UNITS}/keeper.service", f"[Unit]\nWants={service.unit}\n{FOREIGN.partition(chr(10))[2]}")
    systemd.check("systemctl", "daemon-reload")
    systemd.check("systemctl", "start", "keeper.service")
    systemd.check("systemctl", "stop", service.unit)
    systemd.path(f"{UNITS}/{service.unit}").unlink()
    assert service.show("LoadState") == "loaded"
    again = service.verb("uninstall")
    assert again.code == 69, again
    assert "[manager.not-installed]" in again.err
    assert service.show("LoadState") == "not-found"


def test_uninstall_leaves_state_and_logs(systemd: Lab) -> None:
    """It is stopped and gone for systemd; its state stays, is named, and goes with --purge."""
    service = systemd.service(WHO_AM_I)
    service.install()
    service.write_config("answer = 1\n")
    gone = service.verb("uninstall")
    assert gone.code == 0, gone
    assert service.show("LoadState", "ActiveState") == {"LoadState": "not-found", "ActiveState": "inactive"}
    left = traces(systemd, service.name)
    assert {f"/etc/{service.name}", f"/var/lib/private/{service.name}"} <= set(left)
    kept = (f"/etc/{service.name}", "/var/lib/", "/var/log/")
    assert all(path.startswith(kept) for path in left), left
    assert f"/var/lib/{service.name}" in gone.out
    assert systemd.path(f"/var/lib/private/{service.name}/kept").exists()
    asked = service.verb("uninstall", "--purge")
    assert asked.code == 64, asked  # nobody can be asked whether that is meant
    purged = service.verb("uninstall", "--purge", "--yes")
    assert purged.code == 0, purged
    assert traces(systemd, service.name) == []
    assert service.verb("uninstall").code == 69


def traces(lab: Lab, name: str) -> list[str]:
    """Every path outside /opt, /proc and /sys with *name* in its last part."""
    words = ["find", "/etc", "/var", "/run", "/usr/lib/systemd", "/root", "-name", f"*{name}*", "-print"]
    journals = ("/run/systemd/units/", "/run/systemd/invocation")
    return [path for path in lab.check(*words).splitlines() if not path.startswith(journals)]


def test_instances(systemd: Lab) -> None:
    """--instance makes one of several: each with a unit of the same template, a name, a state and a life of its own."""
    service = systemd.service("""
        service = Service("{name}")

        @service.run
        def main(ctx):
            ctx.log.info(f"I am {ctx.instance} in {ctx.state_dir}")
            ctx.ready()
            ctx.stopping.wait()
        """)
    for each in ("east", "west"):
        service.install("--instance", each)
    east, west = service.at("east"), service.at("west")
    assert east.records(f"I am east in /var/lib/{service.name}@east")
    assert west.records(f"I am west in /var/lib/{service.name}@west")
    assert east.show("FragmentPath") == west.show("FragmentPath") == f"{UNITS}/{service.name}@.service"
    assert service.verb("stop", "--instance", "west").code == 0
    assert (east.show("ActiveState"), west.show("ActiveState")) == ("active", "inactive")
    listed = service.verb("list").out
    assert f"{service.name}@east" in listed
    assert service.verb("uninstall", "--instance", "west").code == 0
    assert east.show("ActiveState") == "active"
    assert service.verb("uninstall", "--instance", "east", "--purge", "--yes").code == 0
    assert not [path for path in traces(systemd, service.name) if path.startswith(UNITS)]


def test_it_runs_after_others(systemd: Lab) -> None:
    """--after orders it behind another service, and starts that one, too."""
    first, second = systemd.service(), systemd.service()
    assert first.verb("install").code == 0
    assert second.verb("install", "--after", first.name).code == 0
    second.systemctl("start", second.unit)
    assert first.show("ActiveState") == "active"
    assert first.unit in second.show("After").split()


@pytest.mark.parametrize("start", ["auto", "manual", "disabled"])
def test_how_it_starts(systemd: Lab, start: str) -> None:
    """auto is enabled, manual isn't, and disabled can't be started by anybody."""
    service = systemd.service(NOTHING)
    assert service.verb("install", "--start", start).code == 0
    assert service.show("UnitFileState") == ("enabled" if start == "auto" else "disabled")
    assert (service.systemctl("start", service.unit).code == 0) == (start != "disabled")


def test_exported_it_needs_no_stayon_to_install(systemd: Lab) -> None:
    """``export --format systemd`` prints what install would write: put there by hand, it is the same service."""
    service = systemd.service()
    exported = service.verb("export", "--format", "systemd")
    assert exported.code == 0, exported
    systemd.write("/opt/script.sh", exported.out)
    assert service.verb("install").code == 0
    for line in unit_text(service).splitlines():
        if line.startswith(("ExecStart=", "Type=", "WatchdogSec=")):
            assert line in exported.out


def test_cron_jobs_as_a_timer(systemd: Lab) -> None:
    """``export --format timer`` prints units that systemd finds nothing wrong with, and that run the job once."""
    service = systemd.service("""
        service = Service("{name}")

        @service.cron("30 4 * * 1")
        def clean(ctx):
            ctx.log.info("cleaned")
        """)
    exported = service.verb("export", "--format", "timer")
    assert exported.code == 0, exported
    files = written_units(exported.out)
    for path, text in files.items():
        systemd.write(f"{UNITS}/{path}", text)
    (timer,) = [path for path in files if path.endswith(".timer")]
    verified = systemd.run("systemd-analyze", "verify", "--man=no", *(f"{UNITS}/{path}" for path in files))
    assert verified.code == 0, verified
    systemd.check("systemctl", "daemon-reload")
    systemd.check("systemctl", "start", timer)
    assert "Mon" in systemd.check("systemctl", "list-timers", "--no-pager", timer)
    unit = systemd.check("systemctl", "show", "--value", "--property=Unit", timer).strip()
    systemd.check("systemctl", "start", unit)
    assert "cleaned" in str(systemd.journal("--unit", unit))


def written_units(text: str) -> dict[str, str]:
    """The files in an export, by name: each begins with a line that names it."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines(keepends=True):
        mark, _, said = line.strip().partition("# ")
        if not mark and " " not in said and said.endswith((".service", ".timer", ".socket")):
            name = said
        if name:
            found[name] = found.get(name, "") + line
    return found


def test_doctor_sees_what_is_kept(systemd: Lab) -> None:
    """doctor finds nothing wrong with an installed service; it names a unit that somebody edited, and a program that
    the account can't read.
    """
    service = systemd.service()
    service.install()
    well = service.verb("doctor")
    assert well.code == 0, well
    systemd.write(f"{UNITS}/{service.unit}", unit_text(service).replace("UMask=0027", "UMask=0077"))
    drifted = service.verb("doctor")
    assert "UMask" in drifted.out + drifted.err, drifted
    systemd.path(service.file).chmod(0o600)
    ill = service.verb("doctor")
    assert ill.code != 0, ill
    assert service.file in ill.out + ill.err
