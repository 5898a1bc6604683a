"""A manager on a simulated SCM, with a world around it: what the tests of it share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from stayon.core.installation import Change, Installation
from stayon.errors import (
    NotPermittedError,
    StayonError,
)
from stayon.platforms.windows.scm import Scm, Surroundings
from stayon.testing import puppet
from stayon.testing.scm import SimulatedScm

NAME = "collector"
WANTED = Installation(
    name=NAME,
    display_name="Price Collector",
    description="Collects prices.",
    command=("C:\\python.exe", "entry.py"),
    mark="stayon 0.1.0",
    restart=None,
    start_timeout_s=60.0,
    stop_timeout_s=20.0,
    directories=(("C:\\ProgramData\\collector", "read"), ("C:\\ProgramData\\collector\\logs", "write")),
)


class World:
    """What is outside the SCM: accounts, event sources, directories. ``refuse`` names what raises."""

    def __init__(self) -> None:
        self.passwords = {".\\alice": "secret"}
        self.groups = {"Operators": "S-1-5-21-1-2-3-1001"}
        self.rights: set[str] = set()
        self.names: set[str] = set()
        self.made: dict[str, str] = {}
        self.refuse = ""

    def sid(self, account: str) -> str:
        return "S-1-5-21-1-2-3-1000" if account in self.passwords else self.groups.get(account, "")

    def may_log_on(self, account: str) -> bool:
        return account in self.rights

    def allow_log_on(self, account: str) -> None:
        self._check("right")
        self.rights.add(account)

    def forbid_log_on(self, account: str) -> None:
        self.rights.remove(account)

    def check_password(self, account: str, password: str) -> int:
        return 0 if self.passwords[account] == password else 1326

    def register(self, name: str) -> bool:
        self._check("source")
        is_new = name not in self.names
        self.names.add(name)
        return is_new

    def unregister(self, name: str) -> bool:
        self.names.remove(name)
        return True

    def make(self, path: str, service: str, access: str) -> Any:
        self._check(path)
        before = self.made.get(path)
        self.made[path] = f"{access} {service}"
        return lambda: self.made.pop(path) if before is None else self.made.update({path: before})

    def source_change(self, name: str, wanted: bool) -> Change | None:
        return None if (name in self.names) is wanted else Change("event source", "", name)

    def directory_change(self, path: str, service: str, access: str) -> Change | None:
        return None if self.made.get(path) == f"{access} {service}" else Change("directory", "", path)

    def snapshot(self) -> tuple[set[str], set[str], dict[str, str]]:
        return set(self.rights), set(self.names), dict(self.made)

    def _check(self, what: str) -> None:
        if what == self.refuse:
            raise NotPermittedError("refused", where=what)


class Sources:
    """The world's, as the port has them."""

    def __init__(self, world: World) -> None:
        self.register, self.unregister = world.register, world.unregister
        self._world = world

    def change(self, name: str, *, wanted: bool) -> Change | None:
        return self._world.source_change(name, wanted)


class Directories:
    """The world's, as the port has them."""

    def __init__(self, world: World) -> None:
        self.make, self.change = world.make, world.directory_change


class Desk:
    """A manager with a simulated SCM and a world around it."""

    def __init__(self, **options: Any) -> None:
        self.store = SimulatedScm(**options)
        self.world = World()
        self.said: list[str] = []
        self.store.accounts = {"alice": "secret"}
        around = Surroundings(
            accounts=self.world,
            sources=Sources(self.world),
            directories=Directories(self.world),
            text_of=lambda code: f"text of {code}",
            started_at=float,
        )
        self.manager = Scm(self.store, self.store, self.store.clock, around)

    def ask(self, verb: str, timeout_s: float = 60.0, arguments: tuple[str, ...] = (), name: str = NAME):
        return self.manager.ask(name, verb, timeout_s, self.said.append, arguments)

    def install(self, name: str = NAME, **fields: Any) -> list[Change]:
        self.store.programs.setdefault(name, puppet.play)
        wanted = WANTED.replace(**{"name": name, "display_name": name, **fields})
        return self.manager.change(name, wanted)


@contextmanager
def opened(**options: Any) -> Iterator[Desk]:
    desk = Desk(**options)
    with desk.store:
        yield desk


def refused(kind: type[StayonError], code: str, act: Any) -> StayonError:
    """The error that *act* raises, which has to be of *kind* and *code*."""
    with pytest.raises(kind) as caught:
        act()
    assert caught.value.code == code, caught.value
    return caught.value
