"""A launchd of our own, and a manager that talks to it: what the tests of launchd share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stayon.core.installation import Change, Installation, Managed
from stayon.machine import Program
from stayon.platforms.clock import SystemClock
from stayon.platforms.launchd.jobs import Launchd, Owner
from stayon.platforms.launchd.launchctl import Launchctl
from stayon.platforms.launchd.sites import Sites
from stayon.platforms.unix_command import service_command

FAKE = Path(__file__).with_name("fake_launchd.py")
NAME = "collector"
LIMIT_S = 20.0

PROGRAM = """
from stayon import Service

service = Service("collector")

@service.every("1h")
def collect(ctx):
    pass
"""


class Desk:
    """*folder* is all there is of the computer; with *is_system*, its daemons, else the agents of who asks."""

    def __init__(self, folder: Path, *, is_system: bool = False) -> None:
        self.folder, self.said = folder, list[str]()
        self.sites = Sites(str(folder / "loaded"), str(folder / "unloaded"), str(folder / "runs"), is_system=is_system)
        self.uid = os.geteuid()
        self.domain = "system" if is_system else f"gui/{self.uid}"
        self.manager = self.manager_of(self.sites)
        self.file = folder / "collector.py"
        self.file.write_text(PROGRAM, "utf-8")

    def manager_of(self, sites: Sites) -> Launchd:
        return Launchd(Launchctl(str(self.folder / "launchctl")), sites, SystemClock(), Owner(self.uid, "alice"))

    def wanted(self, name: str = NAME, **fields: Any) -> Installation:
        home = self.folder / "home"
        own = home / name
        return Installation(
            **{
                "name": name,
                "display_name": "Price Collector",
                "description": "Collects prices.",
                "command": service_command(Program(NAME, str(self.file))),
                "mark": "stayon 0.1.0",
                "restart": None,
                "start_timeout_s": 20.0,
                "stop_timeout_s": 10.0,
                "account": "root" if self.sites.is_system else "",
                "environment": (("STAYON_HOME", str(home)),),
                "directories": tuple(
                    (str(own / place), access)
                    for place, access in (("config", "read"), ("logs", "write"), ("state", "write"), ("run", "publish"))
                ),
                **fields,
            }
        )

    def install(self, name: str = NAME, **fields: Any) -> list[Change]:
        return self.manager.change(name, self.wanted(name, **fields))

    def ask(self, verb: str, timeout_s: float = LIMIT_S, name: str = NAME) -> Managed:
        return self.manager.ask(name, verb, timeout_s, self.said.append)

    def look(self, name: str = NAME) -> Managed:
        found = self.manager.look(name)
        assert found is not None
        return found

    def tell(self, what: str, text: object) -> None:
        """Put *text* where the fake looks for *what*."""
        (self.folder / what).write_text(f"{text}\n", "utf-8")

    def calls(self, *verbs: str) -> list[list[str]]:
        """What launchctl was asked, but for looks; of *verbs* only, where these are said."""
        lines = (self.folder / "calls").read_text("utf-8").splitlines() if (self.folder / "calls").exists() else []
        return [words for words in map(json.loads, lines) if words[0] != "print" and (not verbs or words[0] in verbs)]

    def forget_calls(self) -> None:
        (self.folder / "calls").unlink(missing_ok=True)

    def launchctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.folder / "launchctl", *words], capture_output=True, text=True, check=False)

    def tree(self) -> dict[str, bytes]:
        """The property lists that are there."""
        return {str(path): path.read_bytes() for path in self.folder.glob("*loaded/*") if path.is_file()}

    def until(self, is_so: Any, what: str) -> None:
        """Look until *is_so*."""
        deadline = time.monotonic() + LIMIT_S
        while not is_so():
            assert time.monotonic() < deadline, what
            time.sleep(0.02)


def wire(folder: str) -> None:
    """Have the verbs of this process take the launchd in *folder* for this computer's, and nothing else."""
    from stayon import platforms
    from stayon.platforms.launchd.management import joined

    desk = Desk(Path(folder))
    machine = platforms.current()
    platforms._chosen[:] = [machine.replace(management=lambda _scope: joined(desk.manager, desk.sites, folder))]  # noqa: SLF001  # a computer has one launchd only


@contextmanager
def opened(*, is_system: bool = False) -> Iterator[Desk]:
    with tempfile.TemporaryDirectory(prefix="l", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        desk = Desk(folder, is_system=is_system)
        desk.tell("domains", f"gui/{desk.uid} user/{desk.uid}")
        desk.tell("scale", 0.05)
        with subprocess.Popen([sys.executable, str(FAKE), name]) as keeper:
            try:
                desk.until((folder / "launchctl").exists, "the fake launchd doesn't answer")
                yield desk
            finally:
                keeper.terminate()
