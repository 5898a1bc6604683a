"""A manager on a simulated systemd, whose units are real files: what the tests of it share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from stayon.core.installation import Installation
from stayon.errors import UnavailableError
from stayon.platforms.clock import SystemClock
from stayon.platforms.systemd.files import Contents, UnitDirectory
from stayon.platforms.systemd.systemctl import Systemctl
from stayon.platforms.systemd.unit_file import understood
from stayon.platforms.systemd.units import Units

NAME = "collector"
ENTRY = "/opt/venv/lib/unix_entry.py"
WANTED = Installation(
    name=NAME,
    display_name=NAME,
    description="Collects prices",
    command=("/usr/bin/python3", "-P", ENTRY, NAME, "/opt/collector.py"),
    mark="stayon 0.1.0",
    restart=None,
    start_timeout_s=60.0,
    stop_timeout_s=20.0,
    directories=(
        (f"/etc/{NAME}", "read"),
        (f"/var/log/{NAME}", "write"),
        (f"/var/lib/{NAME}", "write"),
        (f"/run/{NAME}", "publish"),
    ),
    hang_timeout_s=30.0,
)

# What changes something, and so may fail.
CHANGES = ("enable", "disable", "start", "stop", "restart", "reload", "daemon-reload")


def instance_of(wanted: Installation, instance: str) -> Installation:
    """*wanted* as ``--instance`` would have it."""
    name = f"{NAME}@{instance}"
    return wanted.replace(
        name=name,
        display_name=name,
        instance=instance,
        command=tuple(name if word == NAME else word for word in wanted.command),
        directories=tuple((path.replace(NAME, name), access) for path, access in wanted.directories),
    )


class Ended:
    """A process that has ended with *code* and printed *text*."""

    pid = 0

    def __init__(self, code: int, text: str) -> None:
        self._code = code
        self.output, write_fd = os.pipe()
        os.write(write_fd, text.encode())
        os.close(write_fd)

    def wait(self, timeout_s: float | None = None) -> int:  # it has ended
        return self._code

    def kill(self) -> None:
        """It has ended."""

    def stop(self, grace_s: float) -> int:  # it has ended
        return self._code


class SimulatedSystemd:
    """As a launcher: systemctl and systemd-analyze over the units in *top*. It knows what the files said when it was
    last told to look. *refuse_after* counts down to the change that fails.
    """

    def __init__(self, top: Path, version: str = "252 (252.38)") -> None:
        self.top, self.version = top, version
        self.loaded: dict[str, str] = {}
        self.elsewhere: dict[str, str] = {}
        self.enabled: set[str] = set()
        self.active: set[str] = set()
        self.shown: dict[str, str] = {}
        self.directories: set[str] = set()
        self.contents: dict[str, Contents] = {}
        self.asked: list[str] = []
        self.complains = ""
        self.refuse_after = -1

    def files(self) -> dict[str, str]:
        """What is on the disk."""
        found = sorted(path for path in self.top.rglob("*") if path.is_file())
        return {str(path.relative_to(self.top)): path.read_text() for path in found}

    def world(self) -> tuple[object, ...]:
        """All that a change could have left behind."""
        return self.files(), dict(self.loaded), set(self.enabled), set(self.active), set(self.directories)

    def spawn(
        self, command: Sequence[str], *, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> Ended:  # the port's
        """Answer as systemd's programs do."""
        self.asked.append(" ".join(command))
        if command[0] == "systemd-analyze":
            return Ended(int(bool(self.complains)), self.complains.replace("DIRECTORY", str(Path(command[-1]).parent)))
        words = [word for word in command[1:] if not word.startswith("--") or word == "--version"]
        if words == ["--version"]:
            return Ended(0, f"systemd {self.version}\n+PAM +AUDIT\n")
        if words[0] in CHANGES and self.refused():
            return Ended(1, f"Failed to {words[0]} unit: Out of paper\n")
        return self.answer(words[0], words[1:])

    def refused(self) -> bool:
        """Whether it is the turn of this change to fail."""
        self.refuse_after -= 1
        return self.refuse_after == -1

    def answer(self, verb: str, units: Sequence[str]) -> Ended:
        """What *verb* comes to."""
        if verb == "show":
            return Ended(0, "".join(f"{name}={value}\n" for name, value in self.properties(units[0]).items()))
        if verb == "daemon-reload":
            self.loaded = self.files()
        elif verb == "is-enabled":
            return Ended(0, "enabled\n" if units[0] in self.enabled else "disabled\n")
        elif verb == "is-active":
            return Ended(0 if units[0] in self.active else 3, "")
        elif verb == "reset-failed":
            return Ended(1, "Failed to reset failed state: Unit not loaded.\n")
        else:
            return self.changed(verb, units)
        return Ended(0, "")

    def changed(self, verb: str, units: Sequence[str]) -> Ended:
        """Have *units* started, stopped, enabled or disabled, if they are known."""
        unknown = [each for each in units if self.fragment(each) == ("", "")]
        if unknown and verb != "disable":
            return Ended(1, f"Failed to {verb} {unknown[0]}: Unit {unknown[0]} not found.\n")
        if verb in ("enable", "disable"):
            self.enabled = self.enabled | set(units) if verb == "enable" else self.enabled - set(units)
        elif verb in ("start", "restart", "stop"):
            self.active = self.active - set(units) if verb == "stop" else self.active | set(units)
        return Ended(0, "")

    def fragment(self, unit: str) -> tuple[str, str]:
        """The path and the text of what it has loaded as *unit*."""
        base, at, rest = unit.partition("@")
        template = f"{base}@.{rest.rpartition('.')[2]}" if at else unit
        for name in (unit, template):
            if name in self.loaded:
                return str(self.top / name), self.loaded[name]
            if name in self.elsewhere:
                return f"/lib/systemd/system/{name}", self.elsewhere[name]
        return "", ""

    def properties(self, unit: str) -> dict[str, str]:
        """What ``systemctl show`` gives."""
        path, text = self.fragment(unit)
        described = understood(text).values("Unit", "Description")
        return {
            "LoadState": "loaded" if path else "not-found",
            "ActiveState": "active" if unit in self.active else "inactive",
            "SubState": "running" if unit in self.active else "dead",
            "Result": "success",
            "MainPID": "4711" if unit in self.active else "0",
            "UnitFileState": "enabled" if unit in self.enabled else "disabled",
            "FragmentPath": path,
            "Description": "".join(described),
            **self.shown,
        }


class CountingDirectory(UnitDirectory):
    """Real files, whose writing may be what fails; directories elsewhere, which only root could make, are simulated."""

    def __init__(self, top: str, systemd: SimulatedSystemd) -> None:
        super().__init__(top)
        self._systemd = systemd

    def write(self, name: str, text: str) -> None:
        """Write, or fail if it is its turn."""
        if self._systemd.refused():
            raise UnavailableError("the disk is full", where=name, code="systemd.unwritable")
        super().write(name, text)

    def is_there(self, path: str) -> bool:
        """Whether it was made, or is a unit."""
        return path in self._systemd.directories or (path.startswith(self.top) and super().is_there(path))

    def contents(self, path: str) -> Contents | None:
        """What the test has put there."""
        return self._systemd.contents.get(path)

    def make_directory(self, path: str) -> bool:
        """Note it, or fail if it is its turn."""
        if self._systemd.refused():
            raise UnavailableError("the disk is full", where=path, code="systemd.unwritable")
        self._systemd.directories.add(path)
        return True

    def remove_directory(self, path: str) -> None:
        """Note that it is gone."""
        self._systemd.directories.remove(path)


class Desk:
    """A manager, and the systemd that it manages."""

    def __init__(self, top: Path, *, account: int = 0, for_user: bool = False, version: str = "252 (252.38)") -> None:
        self.systemd = SimulatedSystemd(top, version)
        clock = SystemClock()
        systemctl = Systemctl(self.systemd, clock, for_user=for_user)
        self.units = Units(CountingDirectory(str(top), self.systemd), systemctl, clock, account)

    def install(self, wanted: Installation = WANTED, *, dry_run: bool = False) -> dict[str, tuple[str, str]]:
        """Install *wanted*; gives what changed, by name."""
        return {c.name: (c.old, c.new) for c in self.units.change(wanted.name, wanted, dry_run=dry_run)}
