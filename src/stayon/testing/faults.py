"""Faults on purpose, by SQLite's method: let the first operation fail, then the second, and so on until none does."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from stayon.machine import Machine
    from stayon.testing.clock import ManualClock

# What a program does to files through ``os``. Reading back what is there (stat) may fail as well as writing.
FILE_OPERATIONS = (
    "fsync", "fstat", "ftruncate", "link", "listdir", "lstat", "mkdir", "open", "pwrite", "read", "remove", "rename",
    "replace", "rmdir", "scandir", "stat", "symlink", "truncate", "unlink", "write",
)  # fmt: skip

# The ports of a machine that are objects, and those that make one.
PORTS = ("starter", "control_door", "launcher")
MAKERS = ("poller", "directory_watch", "deadman", "file_lock")
FUNCTIONS = ("process_figures", "facts", "make_directory")
# What never raises by its contract, or is a sleep.
NEVER_FAILING = ("starter.report", "poller.wait", "poller.wake")


def disk_full() -> None:
    """There is no room left."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def permission_denied() -> None:
    """The account lacks a right."""
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def io_error() -> None:
    """The disk is broken."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def clock_jump(clock: ManualClock, seconds: float) -> Callable[[], None]:
    """The wall clock is set forward, or back; the operation itself succeeds."""
    return lambda: clock.jump(seconds)


def slow(clock: ManualClock, seconds: float) -> Callable[[], None]:
    """The operation takes *seconds* of virtual time, in which nothing else runs, and succeeds."""
    return lambda: clock.stall(seconds)


class Faults:
    """Counts operations, and has *action* happen at the one numbered *at* (from 1; 0: at none); if *lasting*, from
    then on.

    An action raises, or does something and lets the operation go on. ``happened`` names the operations it struck.
    """

    def __init__(self, at: int = 0, action: Callable[[], object] = disk_full, *, lasting: bool = False) -> None:
        self.at, self.action, self.lasting = at, action, lasting
        self.count = 0
        self.happened: list[str] = []

    def pass_by(self, operation: str) -> None:
        """One more operation: raises if it is its turn to fail. For fakes of your own."""
        self.count += 1
        if self.at and (self.count == self.at or (self.lasting and self.count > self.at)):
            self.happened.append(operation)
            self.action()

    def over(self, function: Callable[..., Any], operation: str) -> Callable[..., Any]:
        """*function*, with its calls counted."""

        def counted(*arguments: Any, **named: Any) -> Any:
            self.pass_by(operation)
            return function(*arguments, **named)

        return counted

    def port(self, port: Any, name: str) -> Any:
        """*port*, with the calls of its methods counted."""
        return _Port(self, port, name)

    def machine(self, machine: Machine) -> Machine:
        """*machine*, with the operations of its ports counted: all but those of the clock and the poller's sleep."""
        changes: dict[str, Any] = {name: self.port(getattr(machine, name), name) for name in PORTS}
        for name in MAKERS:
            changes[name] = self._making(getattr(machine, name), name)
        for name in FUNCTIONS:
            changes[name] = self.over(getattr(machine, name), name)
        return machine.replace(**changes)

    @contextmanager
    def files(self, folder: str | os.PathLike[str]) -> Iterator[None]:
        """In ``with``: what is done through ``os`` to files below *folder* is counted, on any thread.

        ``open()`` itself reads and writes below ``os``, so only its opening is seen if it is given a descriptor.
        """
        patched = _Files(self, os.path.realpath(folder))
        patched.install()
        try:
            yield
        finally:
            patched.remove()

    def _making(self, make: Callable[..., Any], name: str) -> Callable[..., Any]:
        return lambda *arguments: self.port(make(*arguments), name)


class _Port:
    """A port whose methods are counted, but for those in ``NEVER_FAILING``."""

    def __init__(self, faults: Faults, port: Any, name: str) -> None:
        self._faults, self._port, self._name = faults, port, name

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        if not callable(value) or f"{self._name}.{name}" in NEVER_FAILING:
            return value
        return self._faults.over(value, f"{self._name}.{name}")


class _Files:
    """The functions of ``os`` with a count on those that concern one folder."""

    def __init__(self, faults: Faults, folder: str) -> None:
        self._faults, self._folder = faults, folder
        self._originals = {name: getattr(os, name) for name in (*FILE_OPERATIONS, "close") if hasattr(os, name)}
        self._paths: dict[int, str] = {}

    def install(self) -> None:
        for name, original in self._originals.items():
            setattr(os, name, self._counted(name, original))

    def remove(self) -> None:
        for name, original in self._originals.items():
            setattr(os, name, original)

    def _counted(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            target = arguments[0] if arguments else None
            path = self._path(target)
            if isinstance(target, int) and name == "close":
                self._paths.pop(target, None)
            elif path:
                self._faults.pass_by(f"os.{name} {os.path.basename(path)}")
            result = original(*arguments, **named)
            if path and name == "open":
                self._paths[result] = path
            return result

        return counted

    def _path(self, target: object) -> str:
        """The path that *target*, a path or a descriptor, stands for, if it is one of ours."""
        if isinstance(target, int):
            return self._paths.get(target, "")
        if not isinstance(target, (str, os.PathLike)):
            return ""
        path = os.path.abspath(target)
        return path if path == self._folder or path.startswith(self._folder + os.sep) else ""


def every_fault(
    run: Callable[[Faults], object],
    action: Callable[[], object] = disk_full,
    *,
    lasting: bool = False,
    limit: int = 1000,
) -> int:
    """Call ``run(faults)`` with the first operation failing, then the second, until a run meets no fault; gives how
    many did.

    *run* makes its own fresh world, uses *faults* in it and asserts what must hold whatever fails. What it raises says
    which operation was struck. Raises ``AssertionError`` if after *limit* runs there is still something left to fail.
    """
    for number in range(1, limit + 1):
        faults = Faults(number, action, lasting=lasting)
        try:
            run(faults)
        except BaseException as error:
            error.add_note(f"the fault: operation {number}, {', '.join(faults.happened[:5]) or 'not reached'}")
            raise
        if not faults.happened:
            return number - 1
    raise AssertionError(f"after {limit} runs there is still an operation left to fail")
