"""Computers with a Service Control Manager, all of one shape: what the contract suites of the SCM run on."""

from __future__ import annotations

import pickle
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import stayon.testing.puppet
from stayon.platforms.windows.api import ScmError, ServiceCalls, ServiceConfig, ServiceStatus, ServiceStore
from stayon.testing.puppet import FINISH, STOPPED
from stayon.testing.scm import SimulatedScm
from stayon.testing.scm_database import WINE_LACKS

PATIENCE_S = 20.0
LOOK_S = 0.01

NOT_THERE, MARKED = 1060, 1072
ONE_FILE = "one file"

# The boot module of a puppet of one file; the library is that of the lab's Python. (The package of the puppet's module
# would bring more of it than there is.)
BOOT = """
import sys

def main():
    sys.path[:] = [{library!r}, {packages!r}]
    import os
    from stayon.platforms.windows.clock import WindowsClock
    from stayon.platforms.windows.launcher_process import LauncherServiceProcess

    module = {{"__name__": "puppet"}}
    with open({puppet!r}, encoding="utf-8") as file:
        exec(file.read(), module)
    return module["Puppet"](sys.argv[2], LauncherServiceProcess(), WindowsClock(), os._exit).play()
"""


class Computer:
    """*store* and *calls* of an SCM; services made by ``install`` are puppets, and gone at the end."""

    # Whether it notices that a process died, starts what a service depends on, and looks after accounts.
    is_whole = True

    def __init__(self, store: ServiceStore, calls: ServiceCalls, command: str) -> None:
        self.store, self.calls = store, calls
        self._command = command
        self._names: list[str] = []

    def config(self, name: str, **fields: Any) -> ServiceConfig:
        """What the puppet *name* is installed with."""
        return ServiceConfig(f"{self._command} {name}", display_name=f"Puppet {name}", start_type=3, **fields)

    def install(self, name: str = "puppet", **fields: Any) -> str:
        """Install a puppet; gives its name."""
        name = f"stayon-{name}"
        self._names.append(name)
        self.store.create(name, self.config(name, **fields))
        return name

    def wait(self, name: str, *states: int) -> ServiceStatus:
        """Wait until it is in one of *states*."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := self.calls.status(name)).state not in states:
            assert time.monotonic() < deadline, f"{name} is {found}, not in one of {states}"
            time.sleep(LOOK_S)
        return found

    def start(self, name: str, *arguments: str) -> ServiceStatus:
        """Start it, and wait until it runs."""
        self.calls.start(name, arguments)
        return self.wait(name, 4)

    def tidy(self) -> None:
        """Take away what was installed, and wait until the names are free again."""
        for name in self._names:
            try:
                if self.calls.status(name).state != STOPPED:
                    self.calls.control(name, FINISH)
                    self.wait(name, STOPPED)
                self.store.delete(name)
            except ScmError as error:
                if error.code not in (NOT_THERE, MARKED):
                    raise
            self.wait_until_gone(name)
        self._names.clear()

    def wait_until_gone(self, name: str) -> None:
        """It is marked for deletion; a real SCM lets it go when its process has ended, and no handle is left."""
        with pytest.raises(ScmError) as caught:
            self.wait(name)
        assert caught.value.code == NOT_THERE


class SimulatedComputer(Computer):
    """The simulated one, in virtual time; *wine* makes it as narrow as Wine's."""

    def __init__(self, *, wine: bool = False) -> None:
        self.scm = SimulatedScm(unsupported=WINE_LACKS if wine else None)
        super().__init__(self.scm, self.scm, "puppet.exe")

    def install(self, name: str = "puppet", **fields: Any) -> str:
        """Install a puppet."""
        self.scm.programs[f"stayon-{name}"] = stayon.testing.puppet.play
        return super().install(name, **fields)

    def wait(self, name: str, *states: int) -> ServiceStatus:
        """Let time pass."""
        assert self.scm.wait_until(lambda: self.scm.status(name).state in states, PATIENCE_S), self.scm.status(name)
        return self.scm.status(name)


class LabComputer(Computer):
    """The lab's: Wine's SCM, or that of the Windows we are on."""

    def __init__(self, lab: Any, command: str = "") -> None:
        self.is_whole = not lab.is_wine
        puppet = lab.python / "Lib" / "site-packages" / "stayon" / "testing" / "puppet.py"
        script = Path(__file__).with_name("scm_server.py")
        self._server = lab.popen(lab.python / "python.exe", "-u", lab.named(script))
        here = Remote(self._server)
        python = lab.named(lab.python / "python.exe")
        super().__init__(here, here, command or f'"{python}" "{lab.named(puppet)}"')

    def close(self) -> None:
        """End the server."""
        self._server.communicate(timeout=PATIENCE_S)


class OneFileComputer(LabComputer):
    """The lab's, where puppets are programs of one file: their launcher has the SCM's end of them."""

    def __init__(self, lab: Any) -> None:
        from tests.build.windows_programs import Programs

        library = lab.python / "Lib"
        packages = library / "site-packages"
        puppet = packages / "stayon" / "testing" / "puppet.py"
        boot = BOOT.format(library=lab.named(library), packages=lab.named(packages), puppet=lab.named(puppet))
        exe = Programs(lab).exe(lab.folder / "puppets" / "puppet.exe", boot)
        super().__init__(lab, f'"{lab.named(exe)}" --service')


class Remote:
    """Has the server do it."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def __getattr__(self, act: str) -> Any:
        def ask(*arguments: Any) -> Any:
            self._server.stdin.write(pickle.dumps((act, *arguments)).hex() + "\n")
            self._server.stdin.flush()
            line = self._server.stdout.readline()
            assert line, self._server.stderr.read()
            error, call, result = pickle.loads(bytes.fromhex(line))  # noqa: S301  # our own server's
            if error:
                raise ScmError(error, call)
            return result

        return ask


def names() -> list[str]:
    """The computers that there may be."""
    return ["simulated", "simulated as Wine's", "windows" if sys.platform == "win32" else "wine", ONE_FILE]
