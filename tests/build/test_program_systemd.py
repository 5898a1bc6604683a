"""A program that is one file as a service of systemd: nothing else is installed, and nothing is left afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stayon import exits
from tests.build.program_desk import SOURCE, built, wait_until
from tests.systemd.lab import Answer, Lab

pytestmark = [pytest.mark.linux, pytest.mark.slow]

PROGRAM = "/opt/collector/collector"
RUNTIME = "/var/lib/stayon"
UNIT = "collector.service"

STUCK = """
from stayon import Service, immediate

service = Service("collector", hang_timeout="2s", restart=immediate())

@service.every("1s")
def collect(ctx):
    pass
"""

FAILS = """
from stayon import Service

service = Service("collector")

@service.on_start
def connect(ctx):
    raise ConnectionError("no such database")

@service.every("1s")
def collect(ctx):
    pass
"""

ENDS_LATER = """
import os
import time

from stayon import Service

service = Service("collector")

@service.every("0.3s", initial_delay="0.3s")
def collect(ctx):
    os._exit(3)
"""

NO_IMPORT = """
import json

from stayon import Service

service = Service("collector")
json.loads("?")
"""


class Installed:
    """The program in the lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def put(self, program: Path, inside: str = PROGRAM) -> None:
        """Copy *program* there."""
        to = self.lab.path(inside)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(program, to)

    def verb(self, *words: str) -> Answer:
        """``collector WORDS``, as root."""
        return self.lab.run(PROGRAM, *words, limit_s=60.0)

    def done(self, *words: str) -> Answer:
        """As ``verb``, for what has to succeed."""
        answer = self.verb(*words)
        assert answer.code == exits.DONE, f"{answer}\n{self.lab.run('journalctl', '-n30', '--no-pager').out}"
        return answer

    def show(self, name: str) -> str:
        """A property of its unit."""
        return self.lab.check("systemctl", "show", "--value", f"--property={name}", UNIT).strip()

    @property
    def pid(self) -> int:
        """Its main process, as the lab counts."""
        return int(self.show("MainPID"))

    def names(self) -> list[str]:
        """What is in the program's directory."""
        return sorted(each.name for each in self.lab.path("/opt/collector").iterdir())


@pytest.fixture
def installed(systemd: Lab) -> Iterator[Installed]:
    """The plain program, copied into the lab, and nothing of an earlier one."""
    for left in (RUNTIME, "/var/lib/collector", "/var/log/collector", "/etc/collector"):  # of this computer's own
        shutil.rmtree(systemd.path(left), ignore_errors=True)
    made = Installed(systemd)
    made.put(built())
    yield made
    made.verb("uninstall", "--purge", "--yes")
    shutil.rmtree(systemd.path("/opt/collector"))


def test_its_whole_life(installed: Installed) -> None:
    """Installed for an account that exists only while it runs; it reads program and interpreter, and is one process."""
    installed.done("install", "--now")
    assert installed.show("ActiveState") == "active"
    assert installed.show("DynamicUser") == "yes"
    assert f"argv[]={PROGRAM} --service collector ;" in installed.show("ExecStart")
    assert "RUNNING" in installed.done("status").out
    reloaded = installed.lab.run("systemctl", "reload", UNIT)
    assert reloaded.code == 0, installed.lab.run("journalctl", "-n20", "--no-pager").out
    assert "collected" in installed.done("logs").out
    tasks = installed.lab.check("systemctl", "show", "--value", "--property=ControlGroup", UNIT).strip()
    processes = installed.lab.check("cat", f"/sys/fs/cgroup{tasks}/cgroup.procs").split()
    assert len(processes) == 1
    installed.done("restart")
    installed.done("stop")
    installed.done("start")
    assert "nothing to change" in installed.done("install").out


def test_the_look_before_knows_what_it_needs(installed: Installed) -> None:
    """``doctor`` tells where its files are on disk, that its account can read them, and only root may change them."""
    found = {one["subject"]: one for one in installed.done("doctor", "--json").json}
    assert found["on disk"]["text"] == f"{RUNTIME}/runtime"
    assert found["reachable"]["verdict"] == found["unwritable"]["verdict"] == "ok", found
    installed.lab.check("chmod", "o+w", "/opt/collector")
    refused = installed.verb("install")
    assert refused.code == exits.NOT_PERMITTED
    assert "could change what it runs" in refused.err


def test_uninstall_leaves_only_the_file(installed: Installed) -> None:
    """Unit, state, logs and the interpreter's files are gone, though the program that removes them runs from them."""
    installed.done("install", "--now")
    assert installed.lab.path(f"{RUNTIME}/runtime").is_dir()
    installed.done("uninstall", "--purge", "--yes")
    assert not installed.lab.path(RUNTIME).exists()
    assert installed.show("LoadState") == "not-found"
    assert installed.names() == ["collector"]


def test_uninstall_leaves_what_another_program_needs(installed: Installed) -> None:
    """The interpreter's files are shared: they stay for another program that has been installed, until that goes."""
    other = "/opt/second/second"
    installed.put(built(SOURCE.replace('"collector"', '"second"'), name="second"), other)
    installed.done("install")
    assert installed.lab.run(other, "install").code == exits.DONE
    installed.done("uninstall", "--purge", "--yes")
    assert installed.lab.path(f"{RUNTIME}/runtime").is_dir()
    assert installed.lab.run(other, "uninstall", "--purge", "--yes").code == exits.DONE
    assert not installed.lab.path(RUNTIME).exists()


def test_one_that_hangs_is_ended_and_started_again(installed: Installed) -> None:
    """The watchdog holds for it as for any service."""
    installed.put(built(STUCK))
    installed.done("install", "--now")
    before = installed.pid
    installed.lab.check("kill", "-STOP", str(before))
    wait_until(lambda: installed.pid not in (0, before), "another process", 40.0)


def test_update_replaces_and_restarts(installed: Installed) -> None:
    """The new file is in the same place with the same mode, the service runs from it, and the old one is gone."""
    installed.done("install", "--now")
    before = installed.pid
    installed.lab.path(PROGRAM).chmod(0o750)
    os.chown(installed.lab.path(PROGRAM), 0, 0)
    installed.lab.path(PROGRAM).chmod(0o755)
    installed.put(built(version="2.0"), "/root/new")
    told = installed.done("update", "/root/new", "--settle", "0.3s", "--json").json
    assert told["restarted"] == ["collector"]
    assert told["version"] == "2.0"
    assert installed.pid not in (0, before)
    assert installed.done("info", "--json").json["version"] == "2.0"
    assert installed.names() == ["collector"]
    assert installed.lab.path(PROGRAM).stat().st_mode & 0o7777 == 0o755
    sets = {Path(each["path"]).name for each in installed.done("info", "--json").json["sets"]}
    assert {each.name for each in installed.lab.path(f"{RUNTIME}/runtime").glob("?" * 32)} == sets


@pytest.mark.parametrize("source", [FAILS, ENDS_LATER], ids=["it fails at its start", "it ends a little later"])
def test_update_takes_back_what_does_not_stay_up(installed: Installed, source: str) -> None:
    """The old file is in its place again, runs, and the answer says both, with the new one's last words."""
    installed.done("install", "--now")
    installed.put(built(source, version="2.0"), "/root/new")
    failed = installed.verb("update", "/root/new", "--settle", "3s")
    assert failed.code == exits.FAILED, failed
    assert "[update.rolled-back]" in failed.err
    assert "collector runs again as it was" in failed.err
    assert installed.done("info", "--json").json["version"] == "1.0"
    assert installed.show("ActiveState") == "active"
    assert installed.names() == ["collector"]


def test_update_of_one_that_does_not_run_starts_nothing(installed: Installed) -> None:
    """Installed and stopped, it stays stopped."""
    installed.done("install")
    installed.put(built(version="2.0"), "/root/new")
    assert installed.done("update", "/root/new", "--json").json["restarted"] == []
    assert installed.show("ActiveState") == "inactive"
    installed.done("start")


def test_update_refuses_what_is_another_service_or_broken(installed: Installed) -> None:
    """Nothing is changed: the file, the service, the directory."""
    installed.done("install", "--now")
    before = installed.pid
    for source, code in (
        (SOURCE.replace('"collector"', '"second"'), "update.other-service"),
        (NO_IMPORT, "update.unfit"),
    ):
        installed.put(built(source), "/root/new")
        refused = installed.verb("update", "/root/new")
        assert refused.code != exits.DONE
        assert f"[{code}]" in refused.err, refused
    installed.lab.write("/root/new", "#!/nowhere\n", 0o755)
    assert "[update.unfit]" in installed.verb("update", "/root/new").err
    assert "nothing to change" in installed.done("update", PROGRAM).out
    assert installed.pid == before
    assert installed.names() == ["collector"]


def test_a_program_that_cannot_be_imported_any_more_can_be_updated(installed: Installed) -> None:
    """What its service is called was noted, so it can be looked after and replaced."""
    installed.done("install")
    installed.put(built(NO_IMPORT))
    assert installed.verb("doctor").code != exits.DONE
    broken = installed.verb("info", "--json")
    assert broken.json["service"] == ""
    assert "JSONDecodeError" in broken.err
    installed.put(built(), "/root/new")
    installed.done("update", "/root/new")
    assert installed.done("info", "--json").json["service"] == "collector"
