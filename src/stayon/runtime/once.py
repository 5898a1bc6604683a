"""One job of a service, once: the service's declarations made into those of a service that does only that."""

from __future__ import annotations

from _thread import allocate_lock

from stayon.core import schedule
from stayon.core.duration import LONGEST_S
from stayon.core.nearest import did_you_mean
from stayon.core.spec import FAIL
from stayon.errors import UsageError
from stayon.runtime.calls import is_async
from stayon.runtime.declared import service_spec
from stayon.runtime.service import Declaration, Service, place_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stayon.core.spec import JobSpec, ServiceSpec
    from stayon.runtime.context import Context

# What goes before the configuration: the port for the probes is for the service that stays.
SETTINGS = ("stayon.probes.listen=",)


def once(service: Service, job: str) -> tuple[Service, ServiceSpec]:
    """A service that has the hooks and the configuration of *service*, runs its *job* as soon as it is RUNNING, and is
    done when that has succeeded; with its spec.

    The job is retried and limited as it says; if it fails for good, the service fails as it did. Other jobs, checks,
    tasks and ``run`` are never called, and no schedule of the configuration holds. Raises ``UsageError``.
    """
    spec = service_spec(service)
    names = [one.name for one in spec.jobs]
    if job not in names:
        hint = did_you_mean(job, names) if names else "Only what @service.every or @service.cron calls is a job."
        raise UsageError(f"{service.name} has no job {job!r}", where=service.where, hint=hint, code="usage.no-job")
    single = Service(service.name, **service.options)
    single.where = service.where
    done = _Done()
    for one in service.declarations:
        if one.kind.startswith("on_"):
            single.declarations.append(one)
        elif one.kind in ("every", "cron"):
            function = done.after(one.function) if one.name == job else one.function
            single.declarations.append(one.replace(function=function, said={**one.said, "name": one.name}))
    single.declarations.append(Declaration("run", done.run, {}, place_of(done.run)))
    # Stop hooks run last declared first: by then, ``run`` is on its way out.
    single.declarations.append(Declaration("on_stop", done.stop, {}, place_of(done.stop)))
    shaped = service_spec(single)
    return single, shaped.replace(probes="", jobs=tuple(_shaped(each, job) for each in shaped.jobs))


def _shaped(each: JobSpec, job: str) -> JobSpec:
    """*each* as it is then: the *job* due at once and never again, the others never."""
    never_again = schedule.every(LONGEST_S)
    return each.replace(rule=never_again, enabled=each.name == job, is_fixed=True, on_failure=FAIL)


class _Done:
    """Lets ``run`` return when the job has succeeded, or somebody wants it to stop."""

    def __init__(self) -> None:
        self._gate = allocate_lock()
        self._gate.acquire()

    def run(self, ctx: Context) -> None:
        """The service's ``run``."""
        ctx.ready()
        self._gate.acquire()

    def stop(self, _ctx: Context) -> None:
        """The service's last word."""
        self._open()

    def after(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """*function*, and the end after it."""
        if is_async(function):

            async def run_once(ctx: Context) -> None:
                await function(ctx)
                self._open()

            return run_once

        def run_here(ctx: Context) -> None:
            function(ctx)
            self._open()

        return run_here

    def _open(self) -> None:
        try:  # noqa: SIM105  # contextlib costs more than these lines
            self._gate.release()
        except RuntimeError:
            pass  # it is open already
