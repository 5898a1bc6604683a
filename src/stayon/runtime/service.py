"""What a user writes: a ``Service`` and its decorators. Declaring only notes things down; nothing starts, nothing is
checked before ``spec`` is asked, so that a mistake is one clear line with its place instead of a traceback out of an
import.
"""

from __future__ import annotations

import sys

from stayon.core.record import Record
from stayon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypedDict, TypeVar, Unpack, overload

    from stayon.core.overlap import Overlap
    from stayon.core.restart import Policy
    from stayon.core.spec import ServiceSpec

    F = TypeVar("F", bound=Callable[..., Any])
    Duration = str | float | int

    class JobOptions(TypedDict, total=False):
        """What ``every``, ``cron`` and ``Context.every`` take besides the schedule."""

        name: str | None
        timeout: Duration | None
        overlap: str | Overlap
        retry: Policy | None
        on_failure: str
        jitter: Duration
        missed: str
        delay: Duration
        hang_timeout: Duration | None

    class CheckOptions(TypedDict, total=False):
        """What ``check`` takes."""

        name: str | None
        every: Duration
        timeout: Duration
        rise: int
        fall: int

    class ServiceOptions(TypedDict, total=False):
        """What ``Service`` takes besides its name."""

        description: str
        version: str
        config: type | None
        config_file: str | None
        restart: Policy | None
        start_timeout: Duration
        stop_timeout: Duration
        hook_timeout: Duration
        hang_timeout: Duration | None
        probes: str | int | None

    class InstallationOptions(TypedDict, total=False):
        """What ``Service.installation`` takes."""

        account: str
        start: str
        after: Sequence[str]
        groups: Sequence[str]
        triggers: Sequence[str]
        privileges: Sequence[str]
        controllers: str
        environment: Mapping[str, str]
        limits: Mapping[str, str | int]
        memory: str | int | None
        cpu: str | float | None
        tasks: int | None
        allow: Sequence[str]
        writes: Sequence[str]
        sockets: Mapping[str, str | int]


else:

    def overload(function: object) -> object:
        """Nothing: only type checkers read overloads."""
        return function


JOB_DEFAULTS: dict[str, Any] = {
    "name": None,
    "timeout": None,
    "overlap": "skip",
    "retry": None,
    "on_failure": "log",
    "jitter": 0,
    "missed": "skip",
    "delay": 0,
    "hang_timeout": None,
}

SERVICE_DEFAULTS: dict[str, Any] = {
    "description": "",
    "version": "",
    "config": None,
    "config_file": None,
    "restart": None,
    "start_timeout": "60s",
    "stop_timeout": "20s",
    "hook_timeout": "10s",
    "hang_timeout": "30s",
    "probes": None,
}

CHECK_DEFAULTS: dict[str, Any] = {"name": None, "every": "10s", "timeout": "5s", "rise": 1, "fall": 3}
WORKER_DEFAULTS: dict[str, Any] = {"name": None, "hang_timeout": None}

HOOKS = ("start", "pause", "resume", "reload", "stop", "event")


class Declaration(Record):
    """One use of a decorator: the function, what was said, and where in the user's file."""

    kind: str
    function: Callable[..., Any]
    said: dict[str, Any]
    where: str

    @property
    def name(self) -> str:
        """The name that was given, or the function's."""
        return str(self.said.get("name") or getattr(self.function, "__name__", self.kind))


def place_of(function: Callable[..., Any]) -> str:
    """``file:line`` of a function, or the empty string for one that has no code (a C function)."""
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""


class Service:
    """A service: a name, what it does, and how it behaves when asked to start, pause, reload and stop.

    Durations are seconds or text ("5s", "1m30s"). *config* is the type that ``ctx.config`` will have: a dataclass, a
    msgspec ``Struct`` or a pydantic model. *restart* is the policy after a failure; None is the platform's own
    (managers restart with back-off, a console does not). *hang_timeout* is for the host itself: None switches the
    watchdog off.
    *probes* is a port or address for ``/livez``, ``/readyz``, ``/startupz`` and ``/metrics``; None opens none.
    """

    def __init__(self, name: str, **options: Unpack[ServiceOptions]) -> None:
        frame = sys._getframe(1)
        self.name = name
        self.where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        self.options: dict[str, Any] = dict(options)
        self.declarations: list[Declaration] = []
        self.installed_as: dict[str, Any] = {}
        self.installed_where = self.where

    def _declare(self, kind: str, function: F, said: dict[str, Any]) -> F:
        self.declarations.append(Declaration(kind, function, said, place_of(function)))
        return function

    @overload
    def run(self, function: F, /, *, hang_timeout: Duration | None = None) -> F: ...
    @overload
    def run(self, /, *, hang_timeout: Duration | None = None) -> Callable[[F], F]: ...
    def run(self, function: F | None = None, /, **options: Any) -> Any:
        """The service itself: ``function(ctx)`` on the main thread (``async def``: on an event loop there).

        Returning means done, raising means failed; it must call ``ctx.ready()`` and leave when ``ctx.stopping`` is set.
        Option: *hang_timeout*, after which it counts as hung if it gave no ``ctx.heartbeat()``.
        """
        return self._with_options("run", function, options)

    @overload
    def task(self, function: F, /, *, name: str | None = None, hang_timeout: Duration | None = None) -> F: ...
    @overload
    def task(self, /, *, name: str | None = None, hang_timeout: Duration | None = None) -> Callable[[F], F]: ...
    def task(self, function: F | None = None, /, **options: Any) -> Any:
        """A further worker: as ``run``, on a thread of its own, started when the service is RUNNING.

        Options: *name*; *hang_timeout*, after which a worker that gave no ``ctx.heartbeat()`` counts as hung.
        """
        return self._with_options("task", function, options)

    def every(self, interval: Duration, **options: Unpack[JobOptions]) -> Callable[[F], F]:
        """Call the function at a fixed rate while RUNNING, first at once (or after *delay*).

        *timeout*: the run counts as failed after it. *overlap*: ``"skip"``, ``"queue"`` or ``parallel(n)``. *retry*: a
        policy (``backoff()``). *on_failure*: ``"log"``, ``"degrade"`` (health) or ``"fail"`` (the service). *missed*:
        ``"skip"``, ``"once"`` or ``"all"``. *jitter*: up to so much later, each time.
        """
        return lambda function: self._declare("every", function, {"interval": interval, **options})

    def cron(self, expression: str, *, tz: str = "UTC", **options: Unpack[JobOptions]) -> Callable[[F], F]:
        """Call the function by the calendar, in time zone *tz*; options as for ``every``. Needs ``stayon[cron]``."""
        return lambda function: self._declare("cron", function, {"expression": expression, "tz": tz, **options})

    @overload
    def check(self, function: F, /, **options: Unpack[CheckOptions]) -> F: ...
    @overload
    def check(self, /, **options: Unpack[CheckOptions]) -> Callable[[F], F]: ...
    def check(self, function: F | None = None, /, **options: Any) -> Any:
        """A health check: ``function(ctx)`` is well unless it raises or returns False.

        Options: *every*, *timeout*, *rise* (successes until it is up), *fall* (failures until it is down), *name*.
        """
        return self._with_options("check", function, options)

    def _with_options(self, kind: str, function: Callable[..., Any] | None, options: dict[str, Any]) -> Any:
        if function is not None:
            return self._declare(kind, function, options)
        return lambda later: self._declare(kind, later, options)

    def on_start(self, function: F) -> F:
        """Call ``function(ctx)`` before anything else; the service is ready when all of these have returned."""
        return self._declare("on_start", function, {})

    def on_pause(self, function: F) -> F:
        """Call ``function(ctx)`` when asked to pause, after running jobs have ended. Raising: it goes on running."""
        return self._declare("on_pause", function, {})

    def on_resume(self, function: F) -> F:
        """Call ``function(ctx)`` when asked to go on. Raising: it stays paused."""
        return self._declare("on_resume", function, {})

    def on_reload(self, function: F) -> F:
        """Call ``function(ctx, new, old)`` with a valid new configuration before it holds; raising refuses it.

        A generator function prepares up to its ``yield``, commits after it; when another part refuses, an exception is
        raised at the ``yield``.
        """
        return self._declare("on_reload", function, {})

    def on_stop(self, function: F) -> F:
        """Call ``function(ctx)`` as soon as stopping begins, the last declared first."""
        return self._declare("on_stop", function, {})

    def on_event(self, function: F) -> F:
        """Call ``function(ctx, event)`` for what the platform tells besides: power, session, custom codes."""
        return self._declare("on_event", function, {})

    def installation(self, **options: Unpack[InstallationOptions]) -> None:
        """Say how it is to be installed; what the verb ``install`` is told goes before.

        *account*: "" is the one with the fewest rights (LocalService on Windows). *start*: ``"auto"``, ``"delayed"``,
        ``"manual"`` or ``"disabled"``. *after*: services that have to run before it; *groups*: load-order groups that
        have to. *triggers*: what starts it (``"network-up"``, ``"device:GUID"``, ``"event:GUID"``) or stops it
        (``"network-down"``). *privileges*: all that its process keeps. *controllers*: a group whose members may start
        and stop it. *environment*: variables of its own.

        *memory* ("200M"), *cpu* ("50%" of a processor) and *tasks* (processes and threads) bound all of it together;
        *limits* are those of setrlimit(2) for each process ({"nofile": 65536}). *allow* names what it may do though
        services are kept from it ("devices"), *writes* directories of others where it may write. *sockets* are opened
        for it before it starts, by name ({"http": "127.0.0.1:8080"}), and reach it as ``ctx.sockets``.

        Called again, it adds to what was said.
        """
        frame = sys._getframe(1)
        self.installed_where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        self.installed_as |= options

    def spec(self) -> ServiceSpec:
        """Everything that was declared, checked. Raises the first ``UsageError`` with its place in the user's file."""
        from stayon.runtime.declared import service_spec

        return service_spec(self)


def complete(said: dict[str, Any], defaults: dict[str, Any], what: str) -> dict[str, Any]:
    """*said* over *defaults*; an option that is not among the defaults is an error that names the nearest."""
    for option in said:
        if option not in defaults:
            from stayon.core.nearest import did_you_mean

            raise UsageError(
                f"{what} has no option {option!r}", hint=did_you_mean(option, defaults), code="spec.unknown-option"
            )
    return {**defaults, **said}
