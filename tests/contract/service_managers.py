"""Every manager of services that there is, each with a world around it in which it can be tried: what the contract
suite runs on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from stayon import errors
from stayon.core import restart
from stayon.core.installation import Change, Installation, Managed
from stayon.errors import StayonError
from stayon.platforms.windows.api import ServiceConfig, ServiceStatus
from stayon.ports import ServiceManager
from stayon.testing import puppet
from stayon.testing.installed import FakeServices
from tests.unit.scm_desk import WANTED, Desk

NAME = "collector"
LIMIT_S = 30.0
EXIT_CODE = 70

GOOD = """
service = Service("collector")

@service.every("1h")
def collect(ctx):
    pass
"""

FAILING = """
service = Service("collector")

@service.on_start
def open_database(ctx):
    raise RuntimeError("no database")

@service.every("1h")
def collect(ctx):
    pass
"""


class World(Protocol):
    """A computer with a manager. *pauses*: it has words for pause and resume. *another* is the same, as a further
    command has it; *stranger* that of an account which may change nothing (where the manager knows of accounts).
    """

    manager: ServiceManager
    another: ServiceManager
    stranger: ServiceManager
    pauses: bool

    def wanted(self, **fields: Any) -> Installation:
        """A service that works."""
        ...

    def break_program(self) -> None:
        """From its next start on, its start hook fails, with ``EXIT_CODE``."""
        ...

    def add_foreign(self, name: str) -> None:
        """Somebody else's service."""
        ...

    def entries(self) -> Any:
        """What is kept, to be compared."""
        ...

    def fail_midway(self) -> Any:
        """While in it, changes fail when something has been done already (where that can be had)."""
        ...


# ------------------------------------------------------------------------------------------------------ the public fake


class Fake:
    pauses = True
    manager: ServiceManager
    another: ServiceManager
    stranger: ServiceManager

    def __init__(self) -> None:
        self.manager = self.another = self.stranger = self.services = FakeServices()

    def wanted(self, **fields: Any) -> Installation:
        return WANTED.replace(**fields)

    def break_program(self) -> None:
        self.services.exits_at_start[NAME] = EXIT_CODE

    def add_foreign(self, name: str) -> None:
        self.services.add_foreign(name)

    def entries(self) -> Any:
        return dict(self.services.kept), dict(self.services.wanted)

    @contextmanager
    def fail_midway(self) -> Iterator[None]:
        self.services.refuse["change"] = errors.FailedError("refused", code="manager.refused")
        yield
        del self.services.refuse["change"]


@contextmanager
def fake() -> Iterator[World]:
    yield Fake()


# --------------------------------------------------------------------------------------------------------- Windows' SCM


class Scm:
    pauses = True
    manager: ServiceManager
    another: ServiceManager
    stranger: ServiceManager

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.manager = self.another = self.stranger = desk.manager
        desk.store.programs[NAME] = puppet.play

    def wanted(self, **fields: Any) -> Installation:
        return WANTED.replace(**fields)

    def break_program(self) -> None:
        def fails(process: Any) -> int:
            def main(_arguments: Any) -> None:
                handle = process.register(NAME, lambda *_: 0)
                process.set_status(handle, ServiceStatus(puppet.STOPPED, exit_code=1066, specific=EXIT_CODE))

            return int(process.dispatch(NAME, main))

        self.desk.store.programs[NAME] = fails

    def add_foreign(self, name: str) -> None:
        self.desk.store.create(name, ServiceConfig("C:\\other.exe", display_name="Other"))

    def entries(self) -> Any:
        return self.desk.store.contents(), self.desk.world.snapshot()

    @contextmanager
    def fail_midway(self) -> Iterator[None]:
        self.desk.world.refuse = "C:\\ProgramData\\collector\\logs"
        self.desk.world.made.pop(self.desk.world.refuse, None)
        yield
        self.desk.world.refuse = ""


@contextmanager
def scm() -> Iterator[World]:
    desk = Desk()
    with desk.store:
        yield Scm(desk)


# -------------------------------------------------------------------------------------------------------------- launchd


class Agents:
    """launchd's; the fake one, with services that really run."""

    pauses = True

    def __init__(self, desk: Any) -> None:
        self.desk, self.manager = desk, desk.manager
        self.another = self.stranger = desk.manager_of(desk.sites)

    def wanted(self, **fields: Any) -> Installation:
        return self.desk.wanted(**fields)

    def break_program(self) -> None:
        self.desk.file.write_text(f"from stayon import Service\n{FAILING}", "utf-8")

    def add_foreign(self, name: str) -> None:
        path = Path(self.desk.sites.loaded, f"{name}.plist")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'<plist version="1.0"><dict><key>Label</key><string>{name}</string></dict></plist>', "utf-8")

    def entries(self) -> Any:
        return self.desk.tree(), sorted(str(path) for path in (self.desk.folder / "home").rglob("*") if path.is_dir())

    @contextmanager
    def fail_midway(self) -> Iterator[None]:
        """The list can't be put in place when the directories have been made."""
        blocked = Path(self.desk.sites.path(NAME, by_itself=False))
        blocked.parent.mkdir(parents=True, exist_ok=True)
        beside = blocked.with_name(f".{blocked.name}.{os.getpid()}")
        beside.mkdir()
        yield
        beside.rmdir()


@contextmanager
def agents() -> Iterator[World]:
    from tests.launchd.desk import opened  # what it needs is Unix's

    with opened() as desk:
        yield Agents(desk)


# -------------------------------------------------------------------------------------------------------------- systemd


class Remote:
    """The near end of ``manager_driver``, which runs in *lab* as *user*."""

    name = "systemd"

    def __init__(self, lab: Any, user: str = "") -> None:
        self._process = lab.popen(lab.python, "/opt/manager_driver.py", user=user, stderr=None)

    def change(self, name: str, wanted: Installation | None, *, dry_run: bool = False) -> list[Change]:
        told = None
        if wanted is not None:
            policy = wanted.restart.name if wanted.restart is not None else ""
            told = {**wanted.as_dict(), "restart": policy, "program": f"/opt/services/{NAME}.py"}
            del told["password"], told["command"]
        return [Change(**each) for each in self._call("change", name=name, wanted=told, dry_run=dry_run)]

    def ask(
        self, name: str, verb: str, timeout_s: float, tell: Callable[[str], object], arguments: Any = ()
    ) -> Managed:
        return Managed(**self._call("ask", name=name, verb=verb, timeout_s=timeout_s))

    def look(self, name: str) -> Managed | None:
        found = self._call("look", name=name)
        return found and Managed(**found)

    def names(self) -> list[str]:
        return list(self._call("names"))

    def close(self) -> None:
        self._process.communicate()

    def _call(self, what: str, **told: Any) -> Any:
        self._process.stdin.write(json.dumps({"what": what, **told}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the driver has ended: {self._process.wait()}"
        answer = json.loads(line)
        if "kind" not in answer:
            return answer["gave"]
        error: StayonError = getattr(errors, answer["kind"])(
            answer["what"], where=answer["where"], why=answer["why"], hint=answer["hint"], code=answer["code"]
        )
        error.exit_code, error.details = answer["exit_code"], tuple(answer["details"])
        raise error


class Systemd:
    """A real one, in the lab."""

    pauses = False
    manager: ServiceManager
    another: ServiceManager
    stranger: ServiceManager

    def __init__(self, lab: Any) -> None:
        self.lab = lab
        lab.write("/opt/manager_driver.py", Path(__file__).with_name("manager_driver.py").read_text("utf-8"))
        self._write(GOOD)
        self._remotes = Remote(lab), Remote(lab), Remote(lab, user="daemon")
        self.manager, self.another, self.stranger = self._remotes

    def _write(self, source: str) -> None:
        self.lab.write(f"/opt/services/{NAME}.py", f"from stayon import Service\n{source}")

    def wanted(self, **fields: Any) -> Installation:
        name = fields.get("name", NAME)
        return WANTED.replace(
            **{
                "command": (),
                "directories": (
                    (f"/etc/{name}", "read"),
                    (f"/var/log/{name}", "write"),
                    (f"/var/lib/{name}", "write"),
                    (f"/run/{name}", "publish"),
                ),
                **fields,
            }
        )

    def break_program(self) -> None:
        self._write(FAILING)

    def add_foreign(self, name: str) -> None:
        self.lab.write(f"/etc/systemd/system/{name}.service", "[Service]\nExecStart=/bin/sleep 1000\n")
        self.lab.check("systemctl", "daemon-reload")

    def entries(self) -> Any:
        folder = self.lab.path("/etc/systemd/system")
        return {
            str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_text("utf-8")
            for path in sorted(folder.rglob("*"))
            if path.is_symlink() or path.is_file()
        }

    @contextmanager
    def fail_midway(self) -> Iterator[None]:
        """It can't be enabled when its unit has been written: there is a directory where the link belongs."""
        link = self.lab.path(f"/etc/systemd/system/multi-user.target.wants/{NAME}.service")
        link.parent.mkdir(exist_ok=True)
        link.mkdir()
        yield
        link.rmdir()

    def close(self) -> None:
        for remote in self._remotes:
            remote.close()
        for unit in self.lab.path("/etc/systemd/system").glob("*.service"):
            if not unit.is_symlink():
                self.lab.run("systemctl", "stop", unit.name)
                self.lab.run("systemctl", "disable", unit.name)
                unit.unlink()
        self.lab.check("systemctl", "daemon-reload")
        self.lab.run("systemctl", "reset-failed")


@contextmanager
def systemd(lab: Any) -> Iterator[World]:
    world = Systemd(lab)
    try:
        yield world
    finally:
        world.close()


NEVER = restart.never()
